"""`make install` below DESTDIR and PREFIX: everything in its place; it works wherever the tree is and can be undone."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyoci.cli import table
from tests.support.box import Box
from tests.support.command import run
from tests.support.sources import TREE

pytestmark = [pytest.mark.root, pytest.mark.slow]
PREFIX = "opt/my own"


def make(target: str, destdir: Path) -> None:
    words = ["make", "-C", str(TREE), target, f"DESTDIR={destdir}", f"PREFIX=/{PREFIX}", "VENV=build/venv"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    # As a careful root has it; others are to use it all the same
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment, umask=0o077)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def destdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("stage")
    make("install", place)
    yield place
    make("uninstall", place)
    assert list(tree(place).iterdir()) == []


def tree(destdir: Path) -> Path:
    return destdir / PREFIX


def test_everything_is_in_its_place(destdir: Path) -> None:
    found = tree(destdir)
    pages = {path.name for path in (found / "share/man/man8").iterdir()}
    assert pages == {"pyoci.8", "containerd-shim-pyoci-v1.8", *(f"pyoci-{name}.8" for name in table.COMMANDS)}
    for name in (
        "share/bash-completion/completions/pyoci",
        "share/zsh/site-functions/_pyoci",
        "share/fish/vendor_completions.d/pyoci.fish",
        "share/doc/pyoci/docs/install.md",
        "share/doc/pyoci/contrib/podman/50-pyoci.conf",
        "bin/containerd-shim-pyoci-v1",
    ):
        assert (found / name).is_file(), name
    assert [path.name for path in destdir.iterdir()] == ["opt"]


def test_all_can_read_it_and_nobody_else_write(destdir: Path) -> None:
    for path in tree(destdir).rglob("*"):
        assert path.stat().st_mode & 0o022 == 0 and path.stat().st_mode & 0o044 == 0o044, path


def test_nothing_knows_the_tree_that_it_was_made_in(destdir: Path) -> None:
    marks = [str(destdir).encode(), str(TREE).encode()]
    assert [
        path for path in tree(destdir).rglob("*") if path.is_file() and any(mark in path.read_bytes() for mark in marks)
    ] == []


def test_the_list_has_every_file_and_directory(destdir: Path) -> None:
    listed = (tree(destdir) / "share/pyoci/installed").read_text().splitlines()
    assert sorted(listed) == sorted(
        str(path.relative_to(tree(destdir))) + "/" * path.is_dir() for path in tree(destdir).rglob("*")
    )


def test_it_works_wherever_the_tree_is(destdir: Path, box: Box, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(tree(destdir), moved)
    os.symlink(moved / "bin/pyoci", tmp_path / "linked")
    bundle = box.bundle().shell("echo pid $$")
    bundle.write()
    for program in (tree(destdir) / "bin/pyoci", moved / "bin/pyoci", tmp_path / "linked"):
        words = [str(program), "--root", str(box.root), "run", "--bundle", str(bundle.path), box.tag]
        ran = run(words, env={"PATH": "/bin"}, cwd="/")
        assert (ran.status, ran.out, ran.err) == (0, "pid 1\n", ""), ran
    said = run([str(moved / "bin/pyoci"), "--version"], env={}, cwd="/")
    assert "start: frozen\n" in said.out, said
    shim = run([str(moved / "bin/containerd-shim-pyoci-v1"), "-v"], env={}, cwd="/")
    assert shim.ok and "pyoci" in shim.out + shim.err, shim


def test_programs_can_import_it(destdir: Path) -> None:
    (packages,) = tree(destdir).glob("lib/python*/*-packages")
    script = (
        "import json, pyoci, pyoci.cli.table as t; print(json.dumps([pyoci.__version__, pyoci.__file__, t.__cached__]))"
    )
    python = TREE / "build/venv/bin/python"
    ran = run([str(python), "-c", script], env={"PYTHONPATH": str(packages)}, cwd="/")
    version, file, cached = json.loads(ran.out)
    assert file == str(packages / "pyoci/__init__.py") and Path(cached).exists() and version
