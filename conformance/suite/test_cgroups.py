# ruff: noqa: E501
"""config-linux.md: where the container's cgroup is, its owner, and what it limits."""

import json
import os
from pathlib import Path
from typing import Any, Optional

import pytest

from conformance import host
from conformance.case import Case
from conformance.container import Container


def cgroup_file(container: Container, v1: str, v1_name: str, v2_name: str) -> Optional[Path]:
    """The file of the container's cgroup, None when this host has neither the v1 controller nor the v2 file."""
    if host.cgroup_v1(v1):
        path = container.cgroup(v1, host.cgroup_mounts()[v1]) / v1_name
    elif v2_name and host.cgroup_v2():
        path = container.cgroup("", host.cgroup_mounts()[""]) / v2_name
    else:
        return None
    return path if path.exists() else None


def ready(case: Case) -> None:
    case.needs_cgroups()
    case.needs(host.cgroup_mounts(), "no cgroup hierarchy is mounted")


# requirement: (resources, v1 controller, v1 file, what it says, v2 file, what it says)
Row = tuple[str, dict[str, Any], str, str, str, str, str]
MiB = 1 << 20


def disk() -> tuple[int, int]:
    """A block device of this host, as the block I/O settings name it."""
    for path in sorted(Path("/sys/block").glob("*/dev")):
        if not path.parent.name.startswith(("loop", "ram", "zram")):
            major, minor = path.read_text().strip().split(":")
            return int(major), int(minor)
    return 0, 0


MAJOR, MINOR = disk()
DEVICE = {"major": MAJOR, "minor": MINOR}
NUMBERS = f"{MAJOR}:{MINOR}"


def throttle(name: str, rate: int) -> dict[str, Any]:
    return {"blockIO": {name: [{**DEVICE, "rate": rate}]}}


ROWS: list[Row] = [
    ("memory.limit", {"memory": {"limit": 64 * MiB}}, "memory", "memory.limit_in_bytes", str(64 * MiB), "memory.max", str(64 * MiB)),
    ("memory.reservation", {"memory": {"reservation": 32 * MiB}}, "memory", "memory.soft_limit_in_bytes", str(32 * MiB), "memory.low", str(32 * MiB)),
    ("memory.swap", {"memory": {"limit": 64 * MiB, "swap": 96 * MiB}}, "memory", "memory.memsw.limit_in_bytes", str(96 * MiB), "memory.swap.max", str(32 * MiB)),
    ("memory.swappiness", {"memory": {"swappiness": 17}}, "memory", "memory.swappiness", "17", "", ""),
    ("memory.disable-oom-killer", {"memory": {"disableOOMKiller": True}}, "memory", "memory.oom_control", "oom_kill_disable 1", "", ""),
    ("cpu.shares", {"cpu": {"shares": 512}}, "cpu", "cpu.shares", "512", "cpu.weight", "*"),
    ("cpu.quota", {"cpu": {"quota": 40000, "period": 80000}}, "cpu", "cpu.cfs_quota_us", "40000", "cpu.max", "40000 80000"),
    ("cpu.period", {"cpu": {"quota": 40000, "period": 80000}}, "cpu", "cpu.cfs_period_us", "80000", "cpu.max", "40000 80000"),
    ("cpu.burst", {"cpu": {"quota": 40000, "period": 80000, "burst": 10000}}, "cpu", "cpu.cfs_burst_us", "10000", "cpu.max.burst", "10000"),
    ("cpu.realtime", {"cpu": {"realtimePeriod": 900000, "realtimeRuntime": 1000}}, "cpu", "cpu.rt_runtime_us", "1000", "", ""),
    ("cpu.cpus", {"cpu": {"cpus": "0"}}, "cpuset", "cpuset.cpus", "0", "cpuset.cpus", "0"),
    ("cpu.mems", {"cpu": {"mems": "0"}}, "cpuset", "cpuset.mems", "0", "cpuset.mems", "0"),
    ("cpu.idle", {"cpu": {"idle": 1}}, "cpu", "cpu.idle", "1", "cpu.idle", "1"),
    ("block-io.weight", {"blockIO": {"weight": 300}}, "blkio", "blkio.bfq.weight", "300", "io.bfq.weight", "300"),
    ("block-io.leaf-weight", {"blockIO": {"leafWeight": 300}}, "blkio", "blkio.leaf_weight", "300", "", ""),
    ("block-io.weight-device", {"blockIO": {"weightDevice": [{**DEVICE, "weight": 300}]}}, "blkio", "blkio.bfq.weight_device", f"{NUMBERS} 300", "io.bfq.weight", f"{NUMBERS} 300"),
    ("block-io.throttle-read-bps", throttle("throttleReadBpsDevice", 4096000), "blkio", "blkio.throttle.read_bps_device", f"{NUMBERS} 4096000", "io.max", "rbps=4096000"),
    ("block-io.throttle-write-bps", throttle("throttleWriteBpsDevice", 5096000), "blkio", "blkio.throttle.write_bps_device", f"{NUMBERS} 5096000", "io.max", "wbps=5096000"),
    ("block-io.throttle-read-iops", throttle("throttleReadIOPSDevice", 700), "blkio", "blkio.throttle.read_iops_device", f"{NUMBERS} 700", "io.max", "riops=700"),
    ("block-io.throttle-write-iops", throttle("throttleWriteIOPSDevice", 800), "blkio", "blkio.throttle.write_iops_device", f"{NUMBERS} 800", "io.max", "wiops=800"),
    ("hugepage-limits", {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MiB}]}, "hugetlb", "hugetlb.2MB.limit_in_bytes", str(4 * MiB), "hugetlb.2MB.max", str(4 * MiB)),
    ("network.class-id", {"network": {"classID": 1048577}}, "net_cls", "net_cls.classid", "1048577", "", ""),
    ("network.priorities", {"network": {"priorities": [{"name": "lo", "priority": 5}]}}, "net_prio", "net_prio.ifpriomap", "lo 5", "", ""),
    ("pids.limit", {"pids": {"limit": 37}}, "pids", "pids.max", "37", "pids.max", "37"),
    ("pids.unlimited", {"pids": {"limit": -1}}, "pids", "pids.max", "max", "pids.max", "max"),
    ("rdma", {"rdma": {"no-such-device": {"hcaHandles": 3}}}, "rdma", "rdma.max", "no-such-device hca_handle=3", "rdma.max", "no-such-device hca_handle=3"),
]  # fmt: skip

KERNEL_MAY_REFUSE = ("cpu.realtime", "memory.disable-oom-killer", "block-io.weight-device", "rdma")


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row[0], marks=pytest.mark.judges(f"linux.resources.{row[0]}")) for row in ROWS]
)
def test_resource(case: Case, row: Row) -> None:
    """The file of the cgroup says what was asked; on a host without such a file the configuration is refused."""
    ready(case)
    name, resources, v1, v1_name, v1_wanted, v2_name, v2_wanted = row
    case.needs(MAJOR or not name.startswith("block-io.t"), "this host has no block device")
    requirement = f"linux.resources.{name}"
    plain = case.created(case.config())
    exists = cgroup_file(plain, v1, v1_name, v2_name)
    plain.discard()
    config = case.config(linux={"resources": resources})
    container = case.container(config)
    created = container.create()
    if exists is None:
        asked = f"an error: there is no {v1_name if not host.cgroup_v2() else v2_name or v1_name} here, for {resources}"
        right = not created.ok or hybrid_value(container, v2_name) == v2_wanted
        case.judge(requirement, right or (name == "block-io.weight" and weighed(container)), asked, created)
        return
    if not created.ok and name in KERNEL_MAY_REFUSE:
        case.judge(requirement, True, f"{resources}, or an error where the kernel does not let it be set", created)
        return
    if not created.ok:
        case.judge(requirement, False, f"{resources}", created)
        return
    path = cgroup_file(container, v1, v1_name, v2_name)
    text = path.read_text().strip() if path else "the file is gone"
    wanted = v1_wanted if host.cgroup_v1(v1) else v2_wanted
    right = any(wanted in line for line in text.splitlines()) if " " in wanted or "=" in wanted else text == wanted
    if wanted == "*":
        right = text != exists_default(v2_name)
    case.judge(requirement, right, f"{resources}: {wanted} in {path and path.name}", text)


def weighed(container: Container) -> bool:
    """cgroup v2 without BFQ: io.weight is the same wish on another scale (1 to 10000)."""
    path = cgroup_file(container, "no controller", "", "io.weight")
    return path is not None and path.read_text().split("\n")[0].split() not in ([], ["default", "100"])


def exists_default(v2_name: str) -> str:
    return {"cpu.weight": "100"}.get(v2_name, "")


@pytest.mark.judges("linux.resources.memory.unlimited")
def test_unlimited_memory(case: Case) -> None:
    ready(case)
    container = case.created(case.config(linux={"resources": {"memory": {"limit": -1}}}))
    path = cgroup_file(container, "memory", "memory.limit_in_bytes", "memory.max")
    case.needs(path, "no memory controller")
    text = path.read_text().strip() if path else ""
    unlimited = text == "max" or (text.isdecimal() and int(text) > 1 << 60)
    case.judge("linux.resources.memory.unlimited", unlimited, "no limit, for -1", text)


@pytest.mark.judges("linux.resources.pids.zero")
def test_pids_of_zero(case: Case) -> None:
    ready(case)
    config = case.config(ociVersion="1.3.0", linux={"resources": {"pids": {"limit": 0}}})  # before, it meant no limit
    container = case.created(config)
    path = cgroup_file(container, "pids", "pids.max", "pids.max")
    case.needs(path, "no pids controller")
    text = path.read_text().strip() if path else ""
    # a runtime may have to write 1: with 0 not even a process that is there already could be looked after
    case.judge("linux.resources.pids.zero", text in ("0", "1"), "a limit that lets no more processes be made", text)


@pytest.mark.judges("linux.resources.memory.swappiness-range", "linux.resources.hugepage-size-format")
def test_bad_resources(case: Case) -> None:
    ready(case)
    swappiness = case.config(linux={"resources": {"memory": {"swappiness": 201}}})
    case.refused("linux.resources.memory.swappiness-range", "a swappiness of 201", swappiness)
    size = case.config(linux={"resources": {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}})
    case.refused("linux.resources.hugepage-size-format", "a page size of 3MB", size)


@pytest.mark.judges("linux.resources.cpu.cpus")
def test_cpus_bind_the_program(case: Case) -> None:
    ready(case)
    case.needs(len(os.sched_getaffinity(0)) > 1, "needs two processors")
    seen = case.observe(case.config(linux={"resources": {"cpu": {"cpus": "0"}}}))
    case.equal("linux.resources.cpu.cpus", "processors that the program may use", [0], seen["affinity"])


@pytest.mark.judges("linux.resources.memory.check-before-update")
def test_check_before_update(case: Case) -> None:
    ready(case)
    container = case.running(case.config(linux={"resources": {"memory": {"limit": 64 * MiB}}}))
    usage = cgroup_file(container, "memory", "memory.usage_in_bytes", "memory.current")
    case.needs(usage and int(usage.read_text()) > 8192, "needs a memory controller that accounts the program")
    update = container.bundle.path / "update.json"
    update.write_text(json.dumps({"memory": {"limit": 4096, "checkBeforeUpdate": True}}))
    result = case.runtime.call("update", "--resources", str(update), container.id)
    case.needs("unknown" not in result.err.lower() or result.ok, f"the runtime has no update command: {result}")
    asked = "an update to a limit below the usage, with checkBeforeUpdate"
    case.failed("linux.resources.memory.check-before-update", asked, result)
    case.equal("linux.resources.memory.check-before-update", "status after that", "running", container.status())


def hybrid_value(container: Container, name: str) -> Optional[str]:
    """What a file of the cgroup2 tree says that some hosts have beside v1: a runtime may bring a controller there."""
    file = Path("/sys/fs/cgroup/unified") / locations(container).get("", "/").lstrip("/") / (name or "none")
    return file.read_text().strip() if file.is_file() else None


def locations(container: Container) -> dict[str, str]:
    """The container's cgroups as the kernel lists them: controllers to path."""
    lines = Path(f"/proc/{container.pid}/cgroup").read_text().splitlines()
    return {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}


def used(places: dict[str, str]) -> list[str]:
    """The paths in hierarchies that the runtime cares for: v1 controllers, or v2."""
    if host.cgroup_v2():
        return [places.get("", "")]
    return sorted({path for names, path in places.items() if names and not names.startswith("name=")})


@pytest.mark.judges("linux.cgroups.path-absolute", "linux.cgroups.path-consistent", "linux.cgroups.created")
def test_cgroups_path(case: Case) -> None:
    ready(case)
    case.needs(case.runtime.cgroup_manager == "cgroupfs", "cgroupsPath is a path with the manager cgroupfs only")
    path = f"/{case.session.cgroup_parent}/of-this-test-{case.session.next_name()}/deep"
    found = []
    for _ in range(2):
        container = case.created(case.config(linux={"cgroupsPath": path}))
        found.append(used(locations(container)))
        if not found[1:]:
            missing = [
                str(point / path.lstrip("/"))
                for name, point in host.cgroup_mounts().items()
                if (name == "" if host.cgroup_v2() else name in ("memory", "pids", "cpu"))
                and not (point / path.lstrip("/")).is_dir()
            ]
            case.equal("linux.cgroups.created", "directories missing on the host", [], missing)
        container.discard()
    wanted = [os.path.join(own, path.lstrip("/")) if own != "/" else path for own in used(own_cgroups())]
    case.judge("linux.cgroups.path-absolute", found[0] == [path] or found[0] == sorted(set(wanted)), path, found[0])
    case.equal("linux.cgroups.path-consistent", "the same place twice", found[0], found[1])


def own_cgroups() -> dict[str, str]:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}


@pytest.mark.judges("linux.cgroups.path-invalid-error")
def test_cgroups_path_that_leads_out(case: Case) -> None:
    ready(case)
    case.needs(case.runtime.cgroup_manager == "cgroupfs", "cgroupsPath is a path with the manager cgroupfs only")
    name = f"cf-outside-{case.session.next_name()}"
    path = f"/{case.session.cgroup_parent}/../../../../../../../../..{case.session.place}/{name}"
    for point in host.cgroup_mounts().values():  # where a runtime that tidies the path puts it
        inside_at = point / str(case.session.place).lstrip("/") / name
        new = [directory for directory in (inside_at, *inside_at.parents) if not directory.exists()]
        case.after(lambda new=new: remove_empty(new))  # type: ignore[misc]
    container = case.container(case.config(linux={"cgroupsPath": path}))
    result = container.create()
    outside = (case.session.place / name).exists()
    case.equal("linux.cgroups.path-invalid-error", f"made outside of the hierarchy ({result})", False, outside)
    for found in used(locations(container)) if result.ok else []:
        inside = ".." not in found.split("/")
        case.judge("linux.cgroups.path-invalid-error", inside, "a cgroup inside of the hierarchy", found)
    container.discard()


def remove_empty(directories: list[Path]) -> None:
    """Removes those of the cgroups that are there, the lowest first."""
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:
            continue


CGROUP_MOUNT = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}
MAPPING = [{"containerID": 0, "hostID": 100000, "size": 1000}]


def owners(case: Case, *namespaces: str, mounted: str = "rw") -> dict[str, int]:
    """Owners of the container's cgroup directories and files, for a program of host uid 100000."""
    ready(case)
    names = ("pid", "network", "ipc", "uts", "mount", "user", *namespaces)
    mounts = [*case.config()["mounts"]]
    if mounted:
        mounts.append({**CGROUP_MOUNT, "options": [mounted]})
    config = case.config(
        mounts=mounts,
        linux={
            "namespaces": [{"type": name} for name in names],
            "uidMappings": MAPPING,
            "gidMappings": MAPPING,
        },
    )
    container = case.created(config)
    if host.cgroup_v2():
        directories = [container.cgroup("", host.cgroup_mounts()[""])]
    else:
        directories = [
            container.cgroup(name, host.cgroup_mounts()[name])
            for name in ("memory", "pids", "cpu")
            if host.cgroup_v1(name)
        ]
    found: dict[str, int] = {}
    for directory in directories:
        found["."] = max(found.get(".", 0), directory.stat().st_uid)
        for path in directory.iterdir():
            if path.is_file():
                found[path.name] = path.stat().st_uid
    return found


@pytest.mark.judges("linux.cgroups.ownership.v1")
def test_ownership_on_v1(case: Case) -> None:
    case.needs(not host.cgroup_v2(), "the host has cgroup v2")
    changed = {name: uid for name, uid in owners(case, "cgroup").items() if uid != 0}
    case.equal("linux.cgroups.ownership.v1", "files of another owner than root", {}, changed)


@pytest.mark.judges("linux.cgroups.ownership.needs-namespace", "linux.cgroups.ownership.needs-rw-mount")
def test_ownership_is_not_changed(case: Case) -> None:
    case.needs(host.cgroup_v2(), "needs cgroup v2")
    for requirement, namespaces, mounted in (
        ("needs-namespace", (), "rw"),
        ("needs-rw-mount", ("cgroup",), "ro"),
        ("needs-rw-mount", ("cgroup",), ""),
    ):
        changed = {name: uid for name, uid in owners(case, *namespaces, mounted=mounted).items() if uid != 0}
        asked = f"files of another owner than root, namespaces {namespaces}, mount {mounted or 'none'}"
        case.equal(f"linux.cgroups.ownership.{requirement}", asked, {}, changed)


@pytest.mark.judges(
    "linux.cgroups.ownership.changed",
    "linux.cgroups.ownership.only-delegated",
    "linux.cgroups.ownership.delegated-files",
    "linux.cgroups.ownership.missing-file",
)
def test_ownership_is_changed(case: Case) -> None:
    case.needs(host.cgroup_v2(), "needs cgroup v2")
    listed = Path("/sys/kernel/cgroup/delegate").read_text().split()
    found = owners(case, "cgroup")
    case.equal("linux.cgroups.ownership.changed", "owner of the cgroup", 100000, found.pop("."))
    strangers = sorted(name for name, uid in found.items() if uid != 0 and name not in listed)
    case.equal("linux.cgroups.ownership.only-delegated", "files not listed, of another owner than root", [], strangers)
    kept = sorted(name for name, uid in found.items() if uid != 100000 and name in listed)
    case.equal("linux.cgroups.ownership.delegated-files", "files listed, not of the owner", [], kept)
    asked = f"a container, though not all of {len(listed)} files exist"
    case.judge("linux.cgroups.ownership.missing-file", True, asked, sorted(found))


@pytest.mark.judges("linux.resources.unified.absent-error")
def test_unified_without_the_controller(case: Case) -> None:
    ready(case)
    unified = {"nosuchcontroller.max": "1"} if host.cgroup_v2() else {"memory.high": "10000000"}
    config = case.config(linux={"resources": {"unified": unified}})
    case.refused("linux.resources.unified.absent-error", f"unified of {unified}, which this host does not have", config)


@pytest.mark.judges("linux.resources.unified.controllers", "linux.resources.unified.written")
def test_unified(case: Case) -> None:
    ready(case)
    case.needs(host.cgroup_v2("memory"), "needs cgroup v2 with the memory controller")
    unified = {"memory.high": str(48 * MiB), "cgroup.max.descendants": "5", "pids.max": "77"}
    container = case.created(case.config(linux={"resources": {"unified": unified}}))
    directory = container.cgroup("", host.cgroup_mounts()[""])
    found = {name: (directory / name).read_text().strip() for name in unified if (directory / name).exists()}
    case.equal("linux.resources.unified.written", "files of the cgroup", unified, found)
    controllers = (directory / "cgroup.controllers").read_text().split()
    missing = sorted({"memory", "pids"} - set(controllers))
    case.equal("linux.resources.unified.controllers", "controllers missing in the cgroup", [], missing)


@pytest.mark.judges("linux.resources.unified.no-conversion-error")
@pytest.mark.parametrize("name", ["swappiness", "classID"])
def test_v1_settings_without_conversion(case: Case, name: str) -> None:
    ready(case)
    case.needs(host.cgroup_v2(), "needs cgroup v2")
    resources: dict[str, Any] = {"memory": {"swappiness": 5}} if name == "swappiness" else {"network": {"classID": 7}}
    case.refused(
        "linux.resources.unified.no-conversion-error",
        f"{name} on cgroup v2",
        case.config(linux={"resources": resources}),
    )
