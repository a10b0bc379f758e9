"""Awkward moments of cgroup v2: parents that are threaded, full or not divisible, partitions that do not come about,
the kernel's killing in groups. docs/cgroups.md has the table, with what runc does there (PYOCI names the program)."""

import os
from pathlib import Path

import pytest
from cgroup_tools import ROOT, V2

from pyoci.cgroups.v2 import event, waitevent
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PATIENCE, Result, run

pytestmark = [
    pytest.mark.root,
    pytest.mark.cgroup_v2,
    pytest.mark.skipif(not V2, reason="needs cgroup v2 alone"),
]
MEGA = 1 << 20


@pytest.fixture
def top(box: Box):
    """A cgroup for a container's to be in."""
    path = ROOT / f"{box.tag}-top"
    path.mkdir()
    yield path
    for name in box.names():
        box.ok("delete", "--force", name)
    for inner in sorted(path.glob("**/"), key=lambda one: len(one.parts), reverse=True):
        inner.rmdir()


def below(box: Box, top: Path, name: str, *words: str, **resources: object) -> Bundle:
    """A bundle whose cgroup is below the other."""
    bundle = box.bundle().args(*(words or ("sleep", "1000")))
    bundle.linux["cgroupsPath"] = f"/{top.name}/{name}"
    bundle.linux["resources"] = resources
    return bundle


def detached(box: Box, bundle: Bundle) -> Result:
    return box.run(bundle, "--detach")


def cgroups_in(top: Path) -> "list[str]":
    return sorted(entry.name for entry in os.scandir(top) if entry.is_dir())


# parents that are threaded


@pytest.fixture
def threaded(top: Path) -> Path:
    (top / "threads").mkdir()
    (top / "threads" / "cgroup.type").write_text("threaded")
    return top


def test_below_a_threaded_cgroup_a_limit_of_a_domain_is_refused(box: Box, threaded: Path) -> None:
    done = detached(box, below(box, threaded, "c", memory={"limit": 64 * MEGA}))
    assert (done.status, box.names(), cgroups_in(threaded)) == (1, [], ["threads"]), done
    assert "is threaded: only pids can be limited below it" in done.err


def test_below_a_threaded_cgroup_a_container_is_threaded(box: Box, threaded: Path) -> None:
    done = detached(box, below(box, threaded, "c", pids={"limit": 20}))
    assert done.ok, done
    assert (threaded / "c" / "cgroup.type").read_text() == "threaded\n"
    assert box.ok("exec", "c", "echo", "in").out == "in\n"
    box.ok("kill", "c", "KILL")
    box.ok("delete", "--force", "c")
    assert cgroups_in(threaded) == ["threads"]


# trees that are full


@pytest.mark.parametrize("file, path, made", [("depth", "x/y", "1"), ("depth", "c", "0"), ("descendants", "c", "0")])
def test_a_tree_that_is_full(box: Box, top: Path, file: str, path: str, made: str) -> None:
    """The kernel's EAGAIN does not say what it is about; what was made before it goes."""
    (top / f"cgroup.max.{file}").write_text(made)
    done = detached(box, below(box, top, path))
    assert (done.status, box.names(), cgroups_in(top)) == (1, [], []), done
    assert f"{top}/cgroup.max.{file} allows {made} " in done.err
    assert "linux.cgroupsPath" in done.err


def test_a_container_whose_tree_is_full(box: Box, top: Path) -> None:
    """What it may make is its own matter; exec and delete do without."""
    bundle = below(box, top, "c", unified={"cgroup.max.depth": "1"})
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["rw", "nosuid", "noexec", "nodev"])
    done = detached(box, bundle)
    assert done.ok, done
    assert box.ok("exec", "c", "mkdir", "/sys/fs/cgroup/a").ok
    assert "temporarily unavailable" in box.call("exec", "c", "mkdir", "/sys/fs/cgroup/a/b").err
    box.ok("delete", "--force", "c")
    assert cgroups_in(top) == []


# partitions of processors


def test_a_partition_of_processors(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    last = (ROOT / "cpuset.cpus.effective").read_text().strip().rpartition("-")[2].rpartition(",")[2]
    bundle.linux["resources"] = {"cpu": {"cpus": last}, "unified": {"cpuset.cpus.partition": "root"}}
    done = detached(box, bundle)
    assert done.ok, done
    place = ROOT / bundle.linux["cgroupsPath"].strip("/")
    assert (place / "cpuset.cpus.partition").read_text() == "root\n"
    box.ok("delete", "--force", "c")
    assert last in (ROOT / "cpuset.cpus.effective").read_text()


def test_a_partition_that_does_not_come_about(box: Box, top: Path) -> None:
    """The kernel takes the word, and says in the same file why nothing has come of it."""
    bundle = below(box, top, "c", cpu={"cpus": "0"}, unified={"cpuset.cpus.partition": "root"})
    done = detached(box, bundle)
    assert (done.status, box.names(), cgroups_in(top)) == (1, [], []), done
    assert "linux.resources.unified[cpuset.cpus.partition]" in done.err
    assert "the kernel made it 'root invalid (" in done.err


# killing for memory


@pytest.mark.parametrize("together", [True, False])
def test_killed_for_memory_as_one_or_one_by_one(box: Box, top: Path, together: bool) -> None:
    words = [
        "sh",
        "-c",
        "sleep 1000 & echo up > /fifo; read _ < /fifo; (exec sort /dev/zero); echo on > /fifo; sleep 1000",
    ]
    bundle = below(box, top, "c", *words, memory={"limit": 16 * MEGA, "swap": 16 * MEGA})
    bundle.linux["resources"]["unified"] = {"memory.oom.group": str(int(together))}
    os.mkfifo(bundle.rootfs / "fifo")
    done = detached(box, bundle)
    assert done.ok, done
    fifo = bundle.rootfs / "fifo"
    assert fifo.read_text() == "up\n"
    fifo.write_text("go\n")
    if together:
        assert waitevent(str(top / "c"), "populated", 0, PATIENCE)
    else:
        assert fifo.read_text() == "on\n"
    events = (top / "c" / "memory.events").read_text()
    assert (event(events, "oom_group_kill"), event(events, "oom_kill") > 1) == (together, together), events
    assert box.state()["status"] == ("stopped" if together else "running")


def test_a_kill_for_memory_in_a_cgroup_below_is_told(box: Box, top: Path) -> None:
    """memory.events counts what happens below, memory.events.local does not; `events` tells of both."""
    script = (
        "cd /sys/fs/cgroup; mkdir first job; echo 0 > first/cgroup.procs; echo +memory > cgroup.subtree_control; "
        "echo 8388608 > job/memory.max; echo 0 > job/memory.swap.max; echo up > /fifo; read _ < /fifo; "
        "sh -c 'echo 0 > job/cgroup.procs; exec sort /dev/zero'; cat memory.events.local > /local; exit 0"
    )
    bundle = below(box, top, "c", "sh", "-c", script, memory={"limit": 256 * MEGA})
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["rw", "nosuid", "noexec", "nodev"])
    fifo = bundle.rootfs / "fifo"
    os.mkfifo(fifo)
    done = detached(box, bundle)
    assert done.ok, done
    assert fifo.read_text() == "up\n"
    events = box.begin("events", "--interval", "100ms", "c")
    while b'"stats"' not in os.pread(events.out.fileno(), 1 << 16, 0):
        os.sched_yield()
    fifo.write_text("go\n")
    told = events.finish()
    assert '"type":"oom"' in told.out.replace(" ", ""), told
    assert event((bundle.rootfs / "local").read_text(), "oom_kill") == 0
    assert event((top / "c" / "memory.events").read_text(), "oom_kill") == 1


# cgroup namespaces within


def nested(box: Box, top: Path, bundle: Bundle, home: str) -> Result:
    """`run` by a caller whose cgroup namespace begins at `top`, and who is in `home` below it."""
    bundle.write()
    script = (
        f"mkdir -p {top}/{home}; echo 0 > {top}/cgroup.procs; exec unshare -C -m sh -c '"
        f"umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; echo 0 > /sys/fs/cgroup/{home}/cgroup.procs; "
        'exec "$@"\' sh "$@"'
    )
    return run(["sh", "-c", script, "sh", *box.words("run", "--bundle", str(bundle.path), "c")])


def limited(box: Box) -> Bundle:
    bundle = box.bundle().args("cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max", "/proc/self/cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid", "noexec", "nodev"])
    bundle.linux["cgroupsPath"] = "/inner"
    bundle.linux["resources"] = {"memory": {"limit": 64 * MEGA}, "pids": {"limit": 20}}
    return bundle


def test_in_a_cgroup_namespace_of_its_own(box: Box, top: Path) -> None:
    done = nested(box, top, limited(box), "home")
    assert done.out == f"{64 * MEGA}\n20\n0::/\n", done
    assert (box.names(), cgroups_in(top)) == ([], ["home"])


def test_in_a_cgroup_namespace_whose_top_has_processes(box: Box, top: Path) -> None:
    """The kernel hands no controller down from a cgroup that has processes: they are in the way."""
    done = nested(box, top, limited(box), ".")
    assert done.status == 1, done
    assert "linux.resources.memory.limit" in done.err
    assert "/sys/fs/cgroup has processes of its own" in done.err
    assert (box.names(), cgroups_in(top)) == ([], [])
