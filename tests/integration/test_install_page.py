"""The lines of docs/install.md that lead to a container do so; and README has the same."""

import os
import re
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.command import PYOCI, run
from tests.support.sources import TREE

pytestmark = pytest.mark.root
PAGE = (TREE / "docs" / "install.md").read_text()


def marked() -> str:
    """The block that follows the mark."""
    (block,) = re.findall(r"<!-- tested -->\n((?:    .*\n)+)", PAGE)
    return str(block)


def test_from_busybox_to_a_shell(box: Box, tmp_path: Path) -> None:
    script = marked().replace("pyoci run", f"pyoci --root {box.root} run").replace(" hello", f" {box.tag}")
    (tmp_path / "bin").mkdir()
    os.symlink(PYOCI, tmp_path / "bin" / "pyoci")
    inside = "echo in a container; ls /bin/busybox; exit 0\n"
    path = f"{tmp_path / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    # The terminal is script(1)'s, which hands on what it is given
    words = ["script", "-qec", f"set -e\n{script}", "/dev/null"]
    ran = run(words, input=inside.encode(), cwd=tmp_path, env={"PATH": path, "TERM": "dumb", "SHELL": "/bin/sh"})
    assert ran.ok and "in a container\r\n" in ran.out and "\r\n/bin/busybox\r\n" in ran.out, ran


def test_readme_has_the_same_lines() -> None:
    readme = (TREE / "README.md").read_text()
    words = [line.strip() for line in marked().splitlines()]
    assert [line for line in words if line not in readme] == []
