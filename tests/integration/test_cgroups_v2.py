"""A v2 tree that does not take a container, on the real kernel: also where v2 is beside v1 and almost empty, for the
commands see it alone."""

import os
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.command import V2_ALONE, Result, run

pytestmark = pytest.mark.root
TREE = Path("/sys/fs/cgroup")


def tree() -> Path:
    return TREE if (TREE / "cgroup.controllers").exists() else TREE / "unified"


@pytest.fixture
def parent(box: Box):
    """A cgroup of the test's, in which the container's is to be."""
    if not (tree() / "cgroup.controllers").exists():
        pytest.skip("no cgroup v2 is mounted here")
    made = tree() / f"{box.tag}-v2"
    made.mkdir()
    yield made
    for place, _, _ in os.walk(made, topdown=False):
        os.rmdir(place)


def created(box: Box, path: str, **resources: object) -> Result:
    bundle = box.bundle().args("true")
    bundle.linux["cgroupsPath"] = path
    bundle.linux["resources"] = resources
    bundle.write()
    return run([*V2_ALONE, *box.words("run", "--bundle", str(bundle.path), "c")])


@pytest.mark.parametrize("file", ["cgroup.max.depth", "cgroup.max.descendants"])
def test_a_parent_without_room_is_named(box: Box, parent: Path, file: str) -> None:
    (parent / file).write_text("0")
    done = created(box, f"/{parent.name}/c")
    assert done.status == 1
    assert (
        f"linux.cgroupsPath: make cgroup {TREE}/{parent.name}/c: resource temporarily unavailable (EAGAIN)" in done.err
    )
    assert f"{TREE}/{parent.name}/{file} allows 0 " in done.err
    assert (box.names(), list(parent.glob("*/"))) == ([], [])


@pytest.mark.parametrize("name", ["freeze", "kill", "procs", "threads"])
def test_unified_sets_limits_and_does_nothing_to_processes(box: Box, parent: Path, name: str) -> None:
    """Born into a frozen cgroup a process never runs, and who waits for it cannot be killed."""
    done = created(box, f"/{parent.name}/c", unified={f"cgroup.{name}": "1"})
    assert done.status == 1
    assert f"linux.resources.unified[cgroup.{name}]: cgroup.{name} sets no limit, it acts on processes" in done.err
    assert (box.names(), list(parent.glob("*/"))) == ([], [])


def test_unified_files_of_every_cgroup(box: Box, parent: Path) -> None:
    done = created(box, f"/{parent.name}/c", unified={"cgroup.max.descendants": "3", "cgroup.max.depth": "1"})
    assert done.ok, done
    done = created(box, f"/{parent.name}/c", unified={"cgroup.events": "1"})
    assert "write '1' to cgroup.events: invalid argument (EINVAL) (this file is there to be read)" in done.err
