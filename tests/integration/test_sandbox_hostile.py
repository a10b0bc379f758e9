"""Hostile programs in a sandbox: each is held, and what became of it is told as it is; nothing is left on the host."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import hostile, leftovers
from tests.support.stranger import opened

pytestmark = pytest.mark.root
UID = 54321


@pytest.fixture(autouse=True)
def nothing_is_left() -> "Iterator[None]":
    before = leftovers.descendants()
    yield
    leftovers.settle()
    assert leftovers.descendants() - before == set()
    assert leftovers.cgroups_named(f"pyoci-sandbox-{os.getpid()}-") == []
    assert leftovers.mounts_below("/run/pyoci-sandbox") == []


@pytest.mark.parametrize("name", hostile.SNIPPETS)
def test_as_root(name: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    hostile.check(name, hostile.run(name, tmp_path, False), False)


@pytest.fixture(scope="module")
def rootless() -> "dict[str, Any]":
    words = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", sys.executable, hostile.__file__]
    done = subprocess.run([*opened(sys.executable), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: "dict[str, Any]" = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", [name for name in hostile.SNIPPETS if name not in hostile.NEED_CGROUPS])
def test_as_a_user_without_privileges(name: str, rootless: "dict[str, Any]") -> None:
    hostile.check(name, rootless[name], True)
