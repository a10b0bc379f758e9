"""Fixtures of the tests that run real containers. They need root, and count what each test leaves on the host."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import leftovers
from support.box import Box, short
from support.bundle import make_rootfs


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("busybox")
    make_rootfs(path)
    return path


@pytest.fixture
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _template: Path) -> Iterator[Box]:
    """A world of the test's own. What it leaves after `delete --force` of its containers fails the test."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    leftovers.adopt_orphans()
    made = Box(tmp_path_factory.mktemp(short(request.node.name)), _template)
    yield made
    problem = made.close()
    assert problem is None, f"left on the host:\n{problem}"
