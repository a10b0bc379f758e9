"""What tests that run real containers share: a root filesystem to copy, and a world of each test's own."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.box import Box, short
from tests.support.bundle import make_rootfs


def leave_confined_places() -> None:
    """A root filesystem needs device nodes and set-user-ID programs, which Debian 13's /tmp does not let work."""
    if os.statvfs(os.environ.get("TMPDIR", "/tmp")).f_flag & (os.ST_NODEV | os.ST_NOSUID | os.ST_NOEXEC):
        os.environ["TMPDIR"] = tempfile.tempdir = "/var/tmp"


leave_confined_places()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root filesystem of busybox."""
    path = tmp_path_factory.mktemp("busybox")
    make_rootfs(path)
    return path


@pytest.fixture
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Box]:
    """A world of the test's own. What it leaves after `delete --force` of its containers fails the test."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    leftovers.adopt_orphans()
    made = Box(tmp_path_factory.mktemp(short(request.node.name)), template)
    yield made
    problem = made.close()
    assert problem is None, f"left on the host:\n{problem}"
