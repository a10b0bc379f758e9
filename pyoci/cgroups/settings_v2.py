"""linux.resources as files of a v2 cgroup (kernel: Documentation/admin-guide/cgroup-v2.rst)."""

from pyoci.cgroups.convert import check_shares, io_weight, swap_only, weight_from_shares
from pyoci.cgroups.settings import Section, Setting
from pyoci.cgroups.settings_v1 import block_io, cpuset, pids, rdma
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cpu", "cpuset", "hugetlb", "io", "memory", "network", "pids", "rdma", "unified"]


_ONLY_V1 = "only cgroup v1 has a file for it"


def _limit(value: int) -> str:
    return "max" if value == -1 else str(value)


def _v1_only(section: Section, key: str) -> None:
    raise Error(
        f"cannot set memory {key} with cgroup v2" if section.where.endswith("memory") else f"cgroup v2 has no {key}",
        location=section.at(key),
        hint=_ONLY_V1,
        kind="missing",
    )


def memory(resources: Section) -> "list[Setting]":
    """Limits in bytes; -1 for none, 0 for «leave it». The spec's swap is memory and swap together, v2's swap alone."""
    section = resources.section("memory")
    limit, swap = section.integer("limit") or 0, section.integer("swap") or 0
    if section.integer("swappiness") is not None:
        _v1_only(section, "swappiness")
    if section.flag("disableOOMKiller"):
        _v1_only(section, "disableOOMKiller")
    settings = []
    alone = swap_only(limit, swap, section.where)
    if alone is not None:
        file, value = "memory.swap.max", _limit(alone)
        # without swap accounting there is no file; no limit, or no swap at all, is what such a machine does anyway
        settings.append(Setting("memory", section.at("swap"), (file, value), idle="0" if alone == 0 else "max"))
    if limit:
        settings.append(Setting("memory", section.at("limit"), ("memory.max", _limit(limit)), idle="max"))
    if reservation := section.integer("reservation"):
        settings.append(Setting("memory", section.at("reservation"), ("memory.low", _limit(reservation))))
    return settings


def cpu(resources: Section) -> "list[Setting]":
    """Weight (from shares), and quota, period and burst in microseconds.

    A quota without a period is written alone: the kernel then keeps its period. For the other half, see v2.update.
    """
    section = resources.section("cpu")
    for key in ("realtimePeriod", "realtimeRuntime"):
        if section.integer(key):
            _v1_only(section, key)
    settings = []
    idle = section.integer("idle")
    if idle is not None:
        settings.append(Setting("cpu", section.at("idle"), ("cpu.idle", str(idle)), idle="0"))
    if shares := section.integer("shares"):
        check_shares(shares, section.at("shares"))
        settings.append(
            Setting("cpu", section.at("shares"), ("cpu.weight", str(weight_from_shares(shares))), idle="100")
        )
    quota, period = section.integer("quota") or 0, section.integer("period") or 0
    if quota or period:
        value = str(quota) if quota > 0 else "max"
        place = section.at("quota" if quota else "period")
        line = f"{value} {period}" if period else value
        settings.append(Setting("cpu", place, ("cpu.max", line), idle=None if quota > 0 else line))
    burst = section.integer("burst")
    if burst is not None:
        settings.append(Setting("cpu", section.at("burst"), ("cpu.max.burst", str(burst)), idle="0"))
    return settings


_THROTTLES = {
    "throttleReadBpsDevice": "rbps",
    "throttleWriteBpsDevice": "wbps",
    "throttleReadIOPSDevice": "riops",
    "throttleWriteIOPSDevice": "wiops",
}


def io(resources: Section) -> "list[Setting]":
    """Weights and throttles, see block_io(). io.bfq.weight counts as v1 did; io.weight runs from 1 to 10000."""
    settings = []
    for key, device, value, place in block_io(resources):
        if key == "weight":
            bfq = f"{device} {value}" if device else str(value)
            choices = [("io.bfq.weight", bfq), ("io.weight", f"{device or 'default'} {io_weight(value)}")]
        elif key == "leafWeight":
            raise Error("cgroup v2 has no leafWeight", location=place, hint=_ONLY_V1, kind="missing")
        else:
            choices = [("io.max", f"{device} {_THROTTLES[key]}={value or 'max'}")]
        settings.append(Setting("io", place, *choices, idle=None if value else choices[0][1]))
    return settings


def hugetlb(resources: Section) -> "list[Setting]":
    """A limit in bytes for each page size, on use and (kernel 5.7 and later) on reservation."""
    settings = []
    for entry in resources.items("hugepageLimits"):
        size = entry.text("pageSize")
        value = str(entry.integer("limit") or 0)
        settings.append(Setting("hugetlb", entry.at("limit"), (f"hugetlb.{size}.max", value)))
        settings.append(Setting("hugetlb", entry.at("limit"), (f"hugetlb.{size}.rsvd.max", value), idle=value))
    return settings


def network(resources: Section) -> "list[Setting]":
    """v2 has no such controllers: packets are classified by cgroup path, outside of a container's runtime."""
    section = resources.section("network")
    if section.integer("classID"):
        _v1_only(section, "classID")
    if section.items("priorities"):
        _v1_only(section, "priorities")
    return []


# Files that move, stop or end processes. A container born into a frozen cgroup never runs, nor can it be killed
_NO_LIMITS = ("cgroup.freeze", "cgroup.kill", "cgroup.procs", "cgroup.threads")


def unified(resources: Section) -> "list[Setting]":
    """Files by name, a line a write."""
    section = resources.section("unified")
    settings = []
    for key, value in section.pairs():
        location = f"{section.where}[{key}]"
        controller, dot, _ = key.partition(".")
        if "/" in key or not dot or not controller or "\0" in key:
            raise Error(f"{key!r} is not the name of a cgroup file", location=location)
        if key in _NO_LIMITS:
            hint = "pause, resume and kill are commands; `exec` and `create` say where a process is"
            raise Error(f"{key} sets no limit, it acts on processes", location=location, hint=hint)
        if not isinstance(value, str):
            raise Error(f"must be a string, not {value!r}", location=location)
        for line in value.splitlines() or [""]:
            needed = "" if controller == "cgroup" else controller
            settings.append(Setting(needed, location, (key, line), unified=True))
    return settings


# as in settings_v1; `unified` last: it may override what the other properties say
PARTS: "tuple[tuple[str, str, Callable[[Section], list[Setting]]], ...]" = (
    ("pids", "pids", pids),
    ("memory", "memory", memory),
    ("io", "blockIO", io),
    ("cpu", "cpu", cpu),
    ("cpuset", "cpu", cpuset),
    ("hugetlb", "hugepageLimits", hugetlb),
    ("rdma", "rdma", rdma),
    ("net_cls", "network", network),
    ("", "unified", unified),
)
