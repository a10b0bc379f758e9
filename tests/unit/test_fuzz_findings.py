"""What fuzzing found (tests/fuzz), one test each: an input that made a traceback, a leak or a wrong answer."""

import os
import socket
import sys
from pathlib import Path

import pytest

from pyoci.cgroups import host, stats, stats_v1, stats_v2
from pyoci.cli import exec_process, ps, update
from pyoci.container.state import Store
from pyoci.errors import Error
from pyoci.init.talk import receive
from pyoci.plan.ops import REPORT_CONSOLE
from pyoci.sandbox import wishes


@pytest.mark.parametrize("text", ["--5", "²", "9" * 5000, "-", ""])
def test_numbers_of_update(text: str) -> None:
    with pytest.raises(Error, match="invalid value"):
        update.number(text, "--cpu-quota")


@pytest.mark.parametrize("text", ["9" * 5000, "1." + "0" * 400, "9" * 400 + ".5", "²", "1.²"])
def test_sizes_of_update(text: str) -> None:
    with pytest.raises(Error, match="invalid value"):
        update.size(text, "--memory")


@pytest.mark.parametrize(
    ("text", "found"),
    [("4096", 4096), ("1.5GiB", 3 << 29), ("512m", 512 << 20), ("2KB", 2048), ("7b", 7), ("3T", 3 << 40)]
    + [(wrong, None) for wrong in ("", "1e3", ".5G", " 5", "inf", "5x", "5bb", "-5", "m", "1_0")],
)
def test_update_and_sandbox_read_the_same_sizes(text: str, found: "int | None") -> None:
    for read in (update.size, wishes.size):
        if found is None:
            with pytest.raises(Error):
                read(text, "--memory")
        else:
            assert read(text, "--memory") == found


@pytest.mark.parametrize("env", [[1], {"a": "b"}, "A=b", [None]])
def test_the_environment_of_a_process_file(env: object) -> None:
    with pytest.raises(Error, match=r"process\.env"):
        exec_process.check({"args": ["a"], "cwd": "/", "env": env})


LINES = ["", "\n", "max\n", "a b c\n", "some x\n", "8:0\n", "8:0 rbytes\n", "x:y rbytes=²\n", "²", "9" * 5000]


@pytest.mark.parametrize("text", LINES, ids=lambda text: ascii(text[:9]))
def test_statistics_of_any_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What this version does not understand counts nothing."""
    monkeypatch.setattr(stats, "read_file", lambda path: "" if "cpuset" in path else text)
    names = ("cpu", "cpuacct", "memory", "pids", "blkio", "cpuset", "hugetlb", "")
    assert stats_v1.collect(dict.fromkeys(names, str(tmp_path)))["cpu"]
    assert stats_v2.collect(str(tmp_path))["cpu"]


def test_pressure_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "read_file", lambda path: "some avg10=1.23 avg60=99.99 total=5\n")
    assert stats.pressure("x") == {"some": {"avg10": 1.23, "avg60": 99.99, "total": 5}}


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_names_that_hold_what_ends_a_line_elsewhere(monkeypatch: pytest.MonkeyPatch, separator: str) -> None:
    """A cgroup's or a mount point's name may; whoever makes one must not stop the runtime."""
    texts = {
        "cgroup": f"2:memory:/a{separator}b\n0::/\n",
        "mountinfo": f"1 1 0:1 / /x{separator}y rw - fuse f rw\n2 1 0:2 / /sys/fs/cgroup/m rw - cgroup c rw,memory\n",
    }
    for read in ("read_file", "read_value"):
        monkeypatch.setattr(host, read, lambda path: texts[path.rpartition("/")[2]])
    monkeypatch.setattr(host.Host, "is_in_sight", lambda self, mount, device: True)
    (found,) = host.Host().layout().hierarchies
    assert (found.mount, found.own) == ("/sys/fs/cgroup/m", f"/a{separator}b")


def test_a_cgroup_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"cgroup": "2:memory:\n", "mountinfo": "2 1 0:2 / /sys/fs/cgroup/m rw - cgroup c rw,memory\n"}
    for read in ("read_file", "read_value"):
        monkeypatch.setattr(host, read, lambda path: texts[path.rpartition("/")[2]])
    monkeypatch.setattr(host.Host, "is_in_sight", lambda self, mount, device: True)
    assert host.Host().layout().hierarchies[0].own == "/"


@pytest.mark.parametrize("text", ["x", ":", "1:memory", "a - cgroup", "1 2 3 4 /sys/fs/cgroup/x\\9 rw - cgroup c rw,x"])
def test_mounts_and_cgroups_of_no_known_form(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for read in ("read_file", "read_value"):
        monkeypatch.setattr(host, read, lambda path: text)
    assert host.Host().layout().hierarchies == []


def test_a_process_cannot_forge_a_line_of_ps() -> None:
    listing = "UID PID CMD\nroot 5 evil\u2028root 7 forged\n"
    assert ps.only([7], listing) == "UID PID CMD\n"


def test_a_descriptor_that_nobody_asked_for() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        before = os.listdir("/proc/self/fd")
        odd = b"\0\0\0\0\xff\xff".ljust(64, b"\0")
        for data, descriptors in ((b"\0" * 64, [0]), (b"x", [0]), (b"x", []), (odd, [])):
            socket.send_fds(near, [data], descriptors)
            with pytest.raises(Error, match="not a report"):
                receive(far.fileno())
        assert os.listdir("/proc/self/fd") == before


def test_no_second_descriptor_slips_in() -> None:
    """The kernel would put it into the padding behind the first."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        lowest = os.dup(0)
        os.close(lowest)
        socket.send_fds(near, [REPORT_CONSOLE.to_bytes(4, sys.byteorder).ljust(64, b"\0")], [0, 0, 0])
        message = receive(far.fileno())
        assert message is not None
        os.close(message.passed)
        again = os.dup(0)
        os.close(again)
        assert again == lowest


GOOD = (
    '{"id":"c","oci_version":"1.2.0","created":"x","bundle":"/b","rootfs":"/r","hooks":[],"cgroup":{"driver":"disabled"},'
    '"init_process_pid":0,"init_process_start":0,"own_pids":true,"no_pivot":false,"no_new_keyring":false}'
)
BAD = [
    "[]", "{}", GOOD.replace('"/r"', "7"), GOOD.replace('"init_process_pid":0', '"init_process_pid":-1'),
    GOOD.replace('"init_process_pid":0', '"init_process_pid":4294967297'), GOOD.replace('"hooks":[]', '"hooks":null'),
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_state_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "state.json").write_text(text)
    with Store(str(tmp_path)).look("c") as entry, pytest.raises(Error, match="is not a container's state"):
        entry.load()


def test_a_state_that_is_one(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "state.json").write_text(GOOD)
    with Store(str(tmp_path)).look("c") as entry:
        assert entry.load().document()["status"] == "stopped"


CGROUPS = [
    "{}",
    '{"driver":"x"}',
    '{"driver":"cgroupfs","version":3,"cgroup_paths":{}}',
    '{"driver":"cgroupfs","version":1,"cgroup_paths":{"a":1}}',
    '{"driver":"systemd","version":2,"cgroup_paths":{}}',
]


@pytest.mark.parametrize("text", CGROUPS)
def test_cgroups_of_a_state_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "state.json").write_text(GOOD.replace('{"driver":"disabled"}', text))
    with Store(str(tmp_path)).look("c") as entry, pytest.raises(Error, match="is not what pyoci writes"):
        entry.load().manager()


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_a_state_file_that_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "c" / "state.json"
    path.parent.mkdir()
    (tmp_path / "other").write_text(GOOD)
    {"fifo": os.mkfifo, "link": lambda place: os.symlink(tmp_path / "other", place), "directory": os.mkdir}[kind](path)
    with Store(str(tmp_path)).look("c") as entry, pytest.raises(Error):
        entry.load()
