"""Zero and -1: pyoci does what the table in docs/cgroups.md says, and so does a runc that is installed."""

import errno
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pyoci.cli.update import from_flags
from pyoci.container.update import update
from pyoci.errors import Error
from tests.support import made_cgroups

PAGE = Path(__file__).parents[3] / "docs" / "cgroups.md"
DEVICE = {"major": 8, "minor": 16}
MEGA = 1 << 20
RATE = {"throttleReadBpsDevice": [{**DEVICE, "rate": 0}]}

# a row's first cell: (linux.resources, ociVersion)
ROWS = {
    "`pids.limit` 0, `ociVersion` below 1.3.0": ({"pids": {"limit": 0}}, "1.2.1"),
    "`pids.limit` 0, `ociVersion` 1.3.0 and later": ({"pids": {"limit": 0}}, "1.3.0"),
    "`pids.limit` below 0": ({"pids": {"limit": -5}}, "1.3.0"),
    "`memory.limit` 0": ({"memory": {"limit": 0}}, "1.3.0"),
    "`memory.limit` -1": ({"memory": {"limit": -1}}, "1.3.0"),
    "`memory.limit` below -1": ({"memory": {"limit": -2}}, "1.3.0"),
    "`memory.swap` 0": ({"memory": {"swap": 0}}, "1.3.0"),
    "`memory.swap` -1": ({"memory": {"swap": -1}}, "1.3.0"),
    "`memory.reservation` 0": ({"memory": {"reservation": 0}}, "1.3.0"),
    "`memory.reservation` -1": ({"memory": {"reservation": -1}}, "1.3.0"),
    "`memory.swappiness` 18446744073709551615": ({"memory": {"swappiness": 2**64 - 1}}, "1.3.0"),
    "`cpu.shares` 0": ({"cpu": {"shares": 0}}, "1.3.0"),
    "`cpu.shares` 1": ({"cpu": {"shares": 1}}, "1.3.0"),
    "`cpu.quota` 0": ({"cpu": {"quota": 0}}, "1.3.0"),
    "`cpu.quota` below 0": ({"cpu": {"quota": -5}}, "1.3.0"),
    "`cpu.period` 0": ({"cpu": {"period": 0}}, "1.3.0"),
    "`cpu.realtimeRuntime`, `realtimePeriod` 0": ({"cpu": {"realtimeRuntime": 0, "realtimePeriod": 0}}, "1.3.0"),
    "`cpu.burst` 0": ({"cpu": {"burst": 0}}, "1.3.0"),
    "`cpu.idle` 0": ({"cpu": {"idle": 0}}, "1.3.0"),
    "`blockIO.weight` 0": ({"blockIO": {"weight": 0}}, "1.3.0"),
    "`blockIO.leafWeight` 0": ({"blockIO": {"leafWeight": 0}}, "1.3.0"),
    "`blockIO.weightDevice` with weight 0": ({"blockIO": {"weightDevice": [{**DEVICE, "weight": 0}]}}, "1.3.0"),
    "`blockIO.throttleReadBpsDevice` with rate 0": ({"blockIO": RATE}, "1.3.0"),
    "`hugepageLimits` with limit 0": ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "1.3.0"),
    "`network.classID` 0": ({"network": {"classID": 0}}, "1.3.0"),
}
NONE = re.compile(r"max|-\d+|8:16 0|8:16 rbps=max")
LIMITS = ("memory.", "cpu.", "pids.", "blkio.", "io.", "hugetlb.", "net_")


def table():
    """Column to word, by a row's first cell."""
    lines = PAGE.read_text().partition("### Zero and -1")[2].partition("\n\nThe version")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    head, _, *body = rows
    return {cells[0]: dict(zip(head[1:], cells[1:], strict=True)) for cells in body}


def test_every_row_of_the_table_is_tried():
    assert set(table()) == set(ROWS)


class Kernel(dict):
    """Refuses below -1 what counts bytes, and a swappiness above 100."""

    def pop(self, key, default):
        file, value = key
        wrong = (file.startswith("memory.") and value.lstrip("-").isdigit()) and (int(value) < -1 or int(value) > 2**63)
        return errno.EINVAL if wrong else default


def written(machine, resources, version):
    """The values that a new container's cgroup gets."""
    config = {"ociVersion": version, "linux": {"cgroupsPath": "/c", "resources": resources}}
    manager = made_cgroups.plan(config, "id", driver="cgroupfs", host=machine)
    manager.create()
    return [value for file, value in machine.values(*LIMITS) if not file.startswith("cpuset.")]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("row", ROWS)
def test_zero_and_minus_one_as_the_table_says(host, row, version):
    resources, spec = ROWS[row]
    word = table()[row]["pyoci"].partition(",")[0]
    machine = host(version)
    machine.refusals = Kernel()
    if word == "refused":
        with pytest.raises(Error):
            written(machine, resources, spec)
        return
    values = written(machine, resources, spec)
    if word == "leave":
        assert values == []
    elif word == "none":
        assert values
        assert all(NONE.fullmatch(value) for value in values), values
    else:
        assert set(values) == {word}


@pytest.mark.parametrize("row", ["`pids.limit` 0, `ociVersion` below 1.3.0", "`pids.limit` below 0"])
def test_no_limit_of_processes_with_systemd(row):
    from pyoci.cgroups.convert import by_version
    from pyoci.cgroups.systemd.properties import INFINITY, for_v1, for_v2

    resources, spec = ROWS[row]
    resources = by_version({"ociVersion": spec}, resources, -1)
    assert for_v2(resources, "", lambda: 252) == for_v1(resources, "", lambda: 252) == [("TasksMax", ("t", INFINITY))]


@pytest.mark.parametrize(
    ("version", "before"),
    [("1.0.0", True), ("1.2.1+dev", True), ("1.3.0-rc.1", True), ("1.3.0", False), ("1.10.0", False), ("2.0.0", False)],
)
def test_versions_below_1_3(version, before):
    from pyoci.cgroups.convert import by_version

    changed = by_version({"ociVersion": version}, {"pids": {"limit": 0}}, -1)
    assert changed == {"pids": {"limit": -1 if before else 0}}


UNLIMITED = [
    {"pids": {"limit": 0}},
    {"pids": {"limit": -1}},
    {"memory": {"limit": -1}},
    {"cpu": {"quota": -1, "period": 100000}},
    {"blockIO": {"throttleReadBpsDevice": [{**DEVICE, "rate": 0}]}},
]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("resources", UNLIMITED, ids=str)
def test_without_a_cgroup_no_limit_is_what_there_is(host, resources, version):
    """Rootless without delegation: nothing is refused for the sake of a limit that nobody wants."""
    machine = host(version)
    machine.euid = 1000
    names = ("pids", "memory", "cpu", "cpuset", "blkio", "devices", "freezer", "hugetlb", "rdma", "net_cls", "net_prio")
    machine.denied = dict.fromkeys(("", "systemd", *names), errno.EACCES)
    config = {"ociVersion": "1.2.0", "linux": {"resources": resources}}
    manager = made_cgroups.plan(config, "id", driver="cgroupfs", host=machine)
    manager.create()
    assert manager.record()["cgroup_paths"] == {}
    if resources != UNLIMITED[0]:  # in an update it can mean 1
        manager.update(resources)
    assert machine.values(*LIMITS) == []


def test_a_threaded_cgroup_takes_what_limits_nothing(host):
    machine = host(2)
    machine.v2_files["cgroup.type"] = "domain invalid"
    for name in ("memory.max", "memory.swap.max"):
        del machine.v2_files[name]
    assert written(machine, {"memory": {"limit": -1}}, "1.0.0") == []


class Call:
    """A command line with --pids-limit 0."""

    @staticmethod
    def text(flag):
        return "0" if flag == "pids-limit" else ""


class Entry:
    """A container whose config has a limit of processes."""

    def __init__(self, manager, version):
        self._manager = manager
        self._config = {"ociVersion": version, "linux": {"resources": {"pids": {"limit": 20}}}}
        self.saved = b""
        self.record = {}

    def status(self):
        return "running"

    def config(self):
        return self._config

    def manager(self):
        return self._manager

    def save(self):
        pass

    def save_config(self, data):
        self.saved = data


@pytest.mark.parametrize(
    ("version", "asked", "shown"),
    [
        ("1.2.0", {"pids": {"limit": 0}}, "20"),  # as a Go program writes what nobody set
        ("1.3.0", {"pids": {"limit": 0}}, "1"),
        ("1.2.0", from_flags(Call), "1"),
        ("1.2.0", {"pids": {"limit": -1}}, "max"),
    ],
)
def test_update_to_zero(host, version, asked, shown):
    machine = host(2)
    config = {"ociVersion": version, "linux": {"cgroupsPath": "/c", "resources": {"pids": {"limit": 20}}}}
    manager = made_cgroups.plan(config, "id", driver="cgroupfs", host=machine)
    manager.create()
    entry = Entry(manager, version)
    update(entry, asked)
    assert machine.values("pids.")[-1] == ("pids.max", shown)
    if shown == "20":
        assert b'"pids":{"limit":20}' in entry.saved  # what a restore would set


RUNC = shutil.which("runc")
FILES = {
    "pids": ("pids", "pids.max", "max"),
    "memory": ("memory", "memory.limit_in_bytes", "9223372036854771712"),
    "memory.swap": ("memory", "memory.memsw.limit_in_bytes", "9223372036854771712"),
    "memory.reservation": ("memory", "memory.soft_limit_in_bytes", "9223372036854771712"),
    "memory.swappiness": ("memory", "memory.swappiness", "60"),
    "cpu.shares": ("cpu", "cpu.shares", "1024"),
    "cpu.quota": ("cpu", "cpu.cfs_quota_us", "-1"),
    "cpu.period": ("cpu", "cpu.cfs_period_us", "100000"),
    "cpu.burst": ("cpu", "cpu.cfs_burst_us", "0"),
    "cpu.idle": ("cpu", "cpu.idle", "0"),
    "blockIO.throttleReadBpsDevice": ("blkio", "blkio.throttle.read_bps_device", ""),
}


@pytest.mark.root
@pytest.mark.skipif(not RUNC, reason="runc is not installed")
@pytest.mark.skipif(not Path("/sys/fs/cgroup/pids").exists(), reason="needs cgroup v1 with the controller pids")
@pytest.mark.parametrize("row", [row for row in ROWS if re.match(r"`(pids|memory|cpu)\.", row)])
def test_runc_does_what_its_column_says(row, tmp_path):
    import json
    import os

    if os.geteuid() != 0:
        pytest.skip("needs root")
    version = subprocess.run([RUNC, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    column = "runc 1.4" if tuple(map(int, version.split(".")[:2])) >= (1, 4) else "runc 1.1, 1.3"
    word = table()[row][column].partition(",")[0]
    resources, spec = ROWS[row]
    for place in ("rootfs/proc", "rootfs/dev"):
        (tmp_path / place).mkdir(parents=True)
    name = f"pyoci-zero-{os.getpid()}"
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}]
    mounts.append({"destination": "/dev", "type": "tmpfs", "source": "tmpfs"})
    linux = {"cgroupsPath": f"/{name}", "resources": resources, "namespaces": [{"type": "pid"}, {"type": "mount"}]}
    process = {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/"}
    config = {"ociVersion": spec, "process": process, "root": {"path": "rootfs"}, "mounts": mounts, "linux": linux}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "rootfs" / "bin").mkdir()
    shutil.copy("/bin/true", tmp_path / "rootfs" / "bin" / "true")
    command = [RUNC, "--root", str(tmp_path / "root")]
    create = [*command, "create", "--bundle", str(tmp_path), name]
    with open(tmp_path / "out", "w") as out:
        made = subprocess.run(create, stdout=out, stderr=out, check=False)
    try:
        assert (made.returncode != 0) == (word == "refused"), (tmp_path / "out").read_text()
        if word != "refused":
            key = re.match(r"`([a-zA-Z]+)\.([a-zA-Z]+)", row)
            controller, file, default = FILES.get(f"{key[1]}.{key[2]}") or FILES.get(key[1]) or FILES["cpu.shares"]
            shown = Path(f"/sys/fs/cgroup/{controller}/{name}/{file}").read_text().strip()
            assert shown == (default if word in ("leave", "none") else word)
    finally:
        subprocess.run([*command, "delete", "--force", name], capture_output=True, check=False)
        for left in Path("/sys/fs/cgroup").glob(f"*/{name}"):
            left.rmdir()
