"""Cgroups that a container makes below its own: however deep they nest, frozen or not, they are seen and go with it."""

import os
from pathlib import Path

import pytest
from cgroup_tools import ROOT

from tests.support import leftovers
from tests.support.box import Box

pytestmark = [pytest.mark.root]
V1 = (ROOT / "pids").is_dir()
TREES = ["pids", "freezer", "unified"] if V1 else [""]


def cgroup_of(box: Box, tree: str) -> Path:
    name: str = box.path.joinpath("b1", "config.json").read_text().split('"cgroupsPath": "/')[1].split('"')[0]
    return ROOT / tree / name


def nest(top: Path, name: str, depth: int) -> int:
    """A descriptor of the innermost of so many cgroups: their path may be longer than any call takes."""
    fd = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        fd, outer = os.open(name, os.O_RDONLY, dir_fd=fd), fd
        os.close(outer)
    return fd


def put(fd: int, name: str, value: object) -> None:
    file = os.open(name, os.O_WRONLY, dir_fd=fd)
    try:
        os.write(file, str(value).encode())
    finally:
        os.close(file)


@pytest.fixture
def running(box: Box) -> Box:
    """A container of two processes."""
    bundle = box.bundle().shell("sleep 1000 & wait")
    box.started(bundle)
    return box


def worker(box: Box) -> int:
    first = box.state()["pid"]
    while not (children := Path(f"/proc/{first}/task/{first}/children").read_text().split()):
        os.sched_yield()
    return int(children[0])


@pytest.mark.parametrize("own_pids", [True, False], ids=["pid namespace", "host pids"])
@pytest.mark.parametrize("shape", [("a", 1200), ("n" * 250, 40)], ids=["deep", "long"])
@pytest.mark.parametrize("tree", TREES)
def test_nested_cgroups(box: Box, tree: str, shape: "tuple[str, int]", own_pids: bool) -> None:
    if tree and not (ROOT / tree).is_dir():
        pytest.skip(f"no hierarchy {tree} here")
    bundle = box.bundle().shell("sleep 1000 & wait")
    if not own_pids:
        bundle.without("pid")
    box.started(bundle)
    pids = {box.state()["pid"], worker(box)}
    fd = nest(cgroup_of(box, tree), *shape)
    put(fd, "cgroup.procs", max(pids))
    os.close(fd)
    listed = box.ok("ps", "--format", "json", "c").out
    assert set(map(int, listed.strip("[]\n").split(","))) == pids
    box.ok("kill", "--all", "c", "USR2")  # ends who handles it not
    box.ok("kill", "--all", "c", "KILL")
    leftovers.reap()
    box.ok("delete", "--force", "c")
    assert box.left() == []


@pytest.mark.skipif(not V1, reason="v2 kills frozen processes, and its freezer is not this one")
@pytest.mark.parametrize("words", [["kill", "--all", "c", "KILL"], ["kill", "c", "KILL"], ["delete", "--force", "c"]])
@pytest.mark.parametrize("whom", ["worker", "first"])
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_frozen_cgroups_below(running: Box, words: "list[str]", whom: str, paused: bool) -> None:
    """An engine in the container has paused something, or the container has frozen itself."""
    pids = running.state()["pid"], worker(running)
    top = cgroup_of(running, "freezer")
    fd = nest(top, "sub", 3)
    put(fd, "cgroup.procs", pids[whom == "worker"])
    os.close(fd)
    (top / "sub" / "freezer.state").write_text("FROZEN")
    if paused:
        running.ok("pause", "c")
    ended = [os.pidfd_open(pid) for pid in pids]
    running.ok(*words)
    for pidfd in ended:
        assert wait_for_end(pidfd)
        os.close(pidfd)
    leftovers.reap()
    running.ok("delete", "--force", "c")
    assert running.left() == []


def wait_for_end(pidfd: int) -> bool:
    import select

    return bool(select.select([pidfd], [], [], 5)[0])


@pytest.mark.skipif(not V1, reason="v2's freezer is another")
def test_other_signals_leave_what_is_frozen_below(running: Box) -> None:
    top = cgroup_of(running, "freezer")
    fd = nest(top, "sub", 1)
    put(fd, "cgroup.procs", worker(running))
    put(fd, "freezer.state", "FROZEN")
    os.close(fd)
    running.ok("kill", "--all", "c", "CONT")
    assert (top / "sub" / "freezer.state").read_text() == "FROZEN\n"
    assert running.state()["status"] == "running"
