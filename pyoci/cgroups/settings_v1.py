"""linux.resources as files of the v1 hierarchies (kernel: Documentation/admin-guide/cgroup-v1)."""

from pyoci.cgroups.convert import check_shares
from pyoci.cgroups.settings import Section, Setting
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def memory(resources: Section) -> "list[Setting]":
    """Limits in bytes; -1 for none, 0 for «leave it». Kernel memory limits are obsolete: see obsolete()."""
    section = resources.section("memory")
    limit, swap = section.integer("limit") or 0, section.integer("swap") or 0
    unlimited_swap = limit == -1 and swap == 0
    settings = []
    if limit:
        settings.append(Setting("memory", section.at("limit"), ("memory.limit_in_bytes", str(limit)), idle="-1"))
    if swap or unlimited_swap:
        value = "-1" if unlimited_swap else str(swap)
        settings.append(Setting("memory", section.at("swap"), ("memory.memsw.limit_in_bytes", value), idle="-1"))
    if reservation := section.integer("reservation"):
        file = "memory.soft_limit_in_bytes"
        settings.append(Setting("memory", section.at("reservation"), (file, str(reservation)), idle="-1"))
    swappiness = section.integer("swappiness")
    if swappiness is not None:
        if not 0 <= swappiness <= 100:
            raise Error(
                f"invalid memory swappiness value: {swappiness} (valid range is 0-100)",
                location=section.at("swappiness"),
            )
        settings.append(Setting("memory", section.at("swappiness"), ("memory.swappiness", str(swappiness))))
    if section.flag("disableOOMKiller"):
        settings.append(Setting("memory", section.at("disableOOMKiller"), ("memory.oom_control", "1")))
    return settings


def obsolete(resources: Section) -> "list[str]":
    """Warnings for properties that the spec keeps and kernels have dropped."""
    section = resources.section("memory")
    return [
        f"{section.at(key)} is ignored: kernels no longer limit kernel memory apart"
        for key in ("kernel", "kernelTCP")
        if section.integer(key)
    ]


def cpu(resources: Section) -> "list[Setting]":
    """Shares, and quota, period and burst in microseconds; 0 for «leave it», quota -1 for none."""
    section = resources.section("cpu")
    settings = []
    if shares := section.integer("shares"):
        check_shares(shares, section.at("shares"))
        settings.append(Setting("cpu", section.at("shares"), ("cpu.shares", str(shares)), idle="1024"))
    for key, file in (
        ("realtimePeriod", "cpu.rt_period_us"),
        ("realtimeRuntime", "cpu.rt_runtime_us"),
        ("period", "cpu.cfs_period_us"),
        ("quota", "cpu.cfs_quota_us"),
    ):
        if value := section.integer(key):
            text = str(value)
            limits = value > 0 and (key != "period" or (section.integer("quota") or 0) > 0)
            settings.append(Setting("cpu", section.at(key), (file, text), idle=None if limits else text))
    for key, file in (("burst", "cpu.cfs_burst_us"), ("idle", "cpu.idle")):
        number = section.integer(key)
        if number is not None:
            settings.append(Setting("cpu", section.at(key), (file, str(number)), idle="0"))
    return settings


def cpuset(resources: Section) -> "list[Setting]":
    """CPUs and memory nodes as lists."""
    section = resources.section("cpu")
    return [
        Setting("cpuset", section.at(key), (f"cpuset.{key}", section.text(key)))
        for key in ("cpus", "mems")
        if section.text(key)
    ]


def pids(resources: Section) -> "list[Setting]":
    """pids.max, named alike on v1 and v2; a negative one for none.

    0 becomes 1, as with runc: nothing could be started with the kernel's 0, and systemd refuses it. That of a config
    in which 0 means none never gets here: see convert.by_version().
    """
    section = resources.section("pids")
    limit = section.integer("limit")
    if limit is None:
        return []
    return [Setting("pids", section.at("limit"), ("pids.max", "max" if limit < 0 else str(limit or 1)), idle="max")]


def block_io(resources: Section) -> "list[tuple[str, str, int, str]]":
    """What blockIO asks for, for both versions: (property, major:minor or "" for all devices, value, place).

    Weights are 10 to 1000, 0 leaves them; throttles are bytes or operations per second, 0 for none.
    """
    section = resources.section("blockIO")
    found = []
    for entry, device in [(section, ""), *_by_device(section, "weightDevice")]:
        for key in ("weight", "leafWeight"):
            if weight := entry.integer(key):
                found.append((key, device, weight, entry.at(key)))
    for key in _THROTTLES:
        for entry, device in _by_device(section, key):
            found.append((key, device, entry.integer("rate") or 0, entry.at("rate")))
    return found


def _by_device(section: Section, key: str) -> "list[tuple[Section, str]]":
    return [(entry, f"{entry.integer('major') or 0}:{entry.integer('minor') or 0}") for entry in section.items(key)]


_THROTTLES = {
    "throttleReadBpsDevice": "read_bps",
    "throttleWriteBpsDevice": "write_bps",
    "throttleReadIOPSDevice": "read_iops",
    "throttleWriteIOPSDevice": "write_iops",
}


def blkio(resources: Section) -> "list[Setting]":
    """Weights, which BFQ has taken over from a scheduler that is gone, and throttles; see block_io()."""
    settings = []
    for key, device, value, place in block_io(resources):
        ending, line = ("_device", f"{device} {value}") if device else ("", str(value))
        if key == "weight":
            choices = [("blkio.weight" + ending, line), ("blkio.bfq.weight" + ending, line)]
        elif key == "leafWeight":
            choices = [("blkio.leaf_weight" + ending, line)]
        else:
            choices = [(f"blkio.throttle.{_THROTTLES[key]}_device", line)]
        settings.append(Setting("blkio", place, *choices, idle=None if value else line))
    return settings


def hugetlb(resources: Section) -> "list[Setting]":
    """A limit in bytes for each page size, on use and (kernel 5.7 and later) on reservation."""
    settings = []
    for entry in resources.items("hugepageLimits"):
        size = entry.text("pageSize")
        value = str(entry.integer("limit") or 0)
        settings.append(Setting("hugetlb", entry.at("limit"), (f"hugetlb.{size}.limit_in_bytes", value)))
        reserved = f"hugetlb.{size}.rsvd.limit_in_bytes", value
        settings.append(Setting("hugetlb", entry.at("limit"), reserved, idle=value))
    return settings


def rdma(resources: Section) -> "list[Setting]":
    """rdma.max, named alike on v1 and v2."""
    section = resources.section("rdma")
    settings = []
    for device, _ in section.pairs():
        entry = section.section(device)
        words = [device]
        for key, name in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")):
            number = entry.integer(key)
            if number is not None:
                words.append(f"{name}={number}")
        if len(words) > 1:
            settings.append(Setting("rdma", entry.where, ("rdma.max", " ".join(words))))
    return settings


def network(resources: Section) -> "list[Setting]":
    """Class of a cgroup's packets (0: none) and their priority on an interface."""
    section = resources.section("network")
    settings = []
    if class_id := section.integer("classID"):
        settings.append(Setting("net_cls", section.at("classID"), ("net_cls.classid", str(class_id))))
    for entry in section.items("priorities"):
        value = f"{entry.text('name')} {entry.integer('priority') or 0}"
        settings.append(Setting("net_prio", entry.where, ("net_prio.ifpriomap", value)))
    return settings


def unified(resources: Section) -> "list[Setting]":
    """Files of v2 by name: there are none on v1."""
    section = resources.section("unified")
    for key, _ in section.pairs():
        raise Error(
            "cannot set unified on a machine with cgroup v1",
            location=section.at(key),
            hint="these are names of v2",
            kind="missing",
        )
    return []


# controller, key in linux.resources, compiler; in the order of writing
PARTS: "tuple[tuple[str, str, Callable[[Section], list[Setting]]], ...]" = (
    ("pids", "pids", pids),
    ("memory", "memory", memory),
    ("blkio", "blockIO", blkio),
    ("cpu", "cpu", cpu),
    ("cpuset", "cpu", cpuset),
    ("hugetlb", "hugepageLimits", hugetlb),
    ("rdma", "rdma", rdma),
    ("net_cls", "network", network),
    ("", "unified", unified),
)
