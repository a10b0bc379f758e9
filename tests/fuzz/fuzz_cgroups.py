"""Texts about cgroups: cgroupsPath never leads out of the tree; /proc/self/cgroup, mountinfo and statistics are read to
the end or refused, whatever they hold."""

import os
import tempfile
from types import SimpleNamespace
from typing import Any

from fake_cgroups import V1_FILES, FakeHost

from pyoci import cgroups
from pyoci.cgroups import host as machine
from pyoci.cgroups import stats, stats_v1, stats_v2
from pyoci.cgroups.systemd import manager as systemd
from pyoci.errors import Error
from pyoci.plan import ops

_HOSTS: "list[FakeHost]" = []
_OWN = b"12:cpu,cpuacct:/a\n1:name=systemd:/a/b\n0::/\n"
_MOUNTS = (
    b"31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
    b"32 25 0:28 /a /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw,nsdelegate\n"
)
_STATS = [
    b"usage_usec 5\nuser_usec 3\n", b"max\n", b"some avg10=0.00 avg60=0.10 total=5\nfull avg10=1 total=6\n",
    b"8:0 rbytes=1 wbytes=2 rios=3\n", b"8:0 Read 5\n8:0 7\nTotal 12\n", b"cpu user system\n0 1 2\n", b"0-3,7\n",
]  # fmt: skip
_PATHS = [b"/a/b", b"a/../../b", b"system.slice:pre:name", b"..", b"/", b"user.slice:x:y.slice", b"//a//./b", b":::"]


def seeds() -> "list[bytes]":
    """The first byte chooses what the rest is."""
    found = [bytes([0, n]) + path for path in _PATHS for n in range(6)]
    return [*found, b"\1" + _OWN + b"\xff" + _MOUNTS, *(bytes([2, n]) + text for text in _STATS for n in (0, 1))]


def _plan(which: int, path: str) -> None:
    host = _HOSTS[which % 3]
    config: "dict[str, Any]" = {"linux": {"cgroupsPath": path}}
    driver = "systemd" if which >= 128 else "cgroupfs"
    host.run = host.root  # for systemd: something is there
    systemd.Manager._bus = lambda self: SimpleNamespace(property=lambda name: "252", close=lambda: None)  # type: ignore[method-assign, assignment, return-value]
    manager = cgroups.compile_cgroups(config, "c", driver=driver, host=host)
    record = manager.record()
    removed = [fields for operation, _, fields in manager.undo if operation == ops.REMOVE_CGROUP]
    for place in [*record["cgroup_paths"].values(), *(path for own, parents in removed for path in (own, *parents))]:
        assert place.startswith(host.root + "/"), place
        assert not {"", ".", ".."} & set(place[len(host.root) + 1 :].split("/")), place
    cgroups.load(record, host)


def _layout(own: bytes, mounts: bytes) -> None:
    texts = {"cgroup": own, "mountinfo": mounts}

    def read(path: str) -> str:
        return texts.get(path.rpartition("/")[2], b"").decode("utf-8", "surrogateescape")

    real = machine.read_file, machine.read_value
    machine.read_file = machine.read_value = read
    try:
        layout = machine.Host().layout()
    finally:
        machine.read_file, machine.read_value = real
    for hierarchy in layout.hierarchies:
        assert hierarchy.mount.startswith("/sys/fs/cgroup/")
        assert hierarchy.own


def _statistics(version: int, text: bytes) -> None:
    def read(_path: str) -> str:
        return text.decode("utf-8", "surrogateescape")

    real, stats.read_file = stats.read_file, read
    try:
        if version:
            stats_v1.collect(dict.fromkeys((*V1_FILES, "cpuacct", ""), _HOSTS[0].root))
        else:
            stats_v2.collect(_HOSTS[1].root)
    finally:
        stats.read_file = real


def test(data: bytes) -> None:
    """One text."""
    kind, which, rest = (data[:1] or b"\0")[0] % 3, (data[1:2] or b"\0")[0], data[2:]
    if not _HOSTS:
        _HOSTS.extend(FakeHost(tempfile.mkdtemp(dir=os.getcwd()), version, own="/us") for version in (1, 2, 12))
    try:
        if kind == 0:
            _plan(which, rest.decode("utf-8", "surrogateescape"))
        elif kind == 1:
            own, _, mounts = data[1:].partition(b"\xff")
            _layout(own, mounts)
        else:
            _statistics(which % 2, rest)
    except Error as refusal:
        assert str(refusal)
