"""Statistics of a v2 cgroup."""

import posix

from pyoci.cgroups import stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def collect(path: str) -> "dict[str, Any]":
    """What the cgroup's controllers count; a cgroup that is gone counts nothing."""
    found = stats.blank()
    if not path:
        return found
    _cpu(found["cpu"], path)
    _memory(found["memory"], path)
    _io(found["blkio"], path)
    for key in ("cpus", "mems"):
        if listed := stats.text(f"{path}/cpuset.{key}.effective"):
            found["cpuset"][key] = stats.numbers_in(listed)
    if current := stats.number(path + "/pids.current"):
        found["pids"] = {"current": current}
        limit = stats.number(path + "/pids.max")
        if limit != stats.UNLIMITED:
            found["pids"]["limit"] = limit
    found["hugetlb"] = hugetlb(path)
    stats.add_pressure(found, path)
    return found


def _cpu(cpu: "dict[str, Any]", path: str) -> None:
    counted = stats.pairs(path + "/cpu.stat")
    for ours, name in (("total", "usage_usec"), ("kernel", "system_usec"), ("user", "user_usec")):
        cpu["usage"][ours] = counted.get(name, 0) * 1000
    cpu["throttling"] = {
        "periods": counted.get("nr_periods", 0),
        "throttledPeriods": counted.get("nr_throttled", 0),
        "throttledTime": counted.get("throttled_usec", 0) * 1000,
    }


def _memory(memory: "dict[str, Any]", path: str) -> None:
    raw = stats.pairs(path + "/memory.stat")
    if not raw:
        return
    memory["cache"] = raw.get("file", 0)
    limit, current = stats.number(path + "/memory.max"), stats.number(path + "/memory.current")
    failures = stats.pairs(path + "/memory.events").get("max", 0)
    memory["usage"] = {
        "limit": limit,
        "usage": current,
        "max": stats.number(path + "/memory.peak"),
        "failcnt": failures,
    }
    # v1 counted memory and swap as one, and readers of this shape expect that
    swap_limit, swap = stats.number(path + "/memory.swap.max"), stats.number(path + "/memory.swap.current")
    unlimited = stats.UNLIMITED in (limit, swap_limit)
    memory["swap"] = {
        "limit": stats.UNLIMITED if unlimited else limit + swap_limit,
        "usage": current + swap,
        "failcnt": stats.pairs(path + "/memory.swap.events").get("fail", 0),
    }
    memory["kernel"] = {"limit": 0, "usage": raw.get("kernel", 0), "failcnt": 0}
    memory["kernelTCP"] = {"limit": 0, "usage": raw.get("sock", 0), "failcnt": 0}
    memory["raw"] = raw


def _io(blkio: "dict[str, Any]", path: str) -> None:
    for line in stats.text(path + "/io.stat").splitlines():
        device, *words = line.split() or [""]
        if ":" not in device:
            continue
        for word in words:
            name, _, value = word.partition("=")
            kind = _IO_NAMES.get(name)
            if kind:
                blkio.setdefault(kind[0], []).append(stats.entry(device, kind[1], stats.count(value)))


_IO_NAMES = {
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "dbytes": ("ioServiceBytesRecursive", "Discard"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
    "dios": ("ioServicedRecursive", "Discard"),
}


def hugetlb(path: str) -> "dict[str, Any]":
    """Huge pages by size; v2 does not keep the highest use."""
    found = {}
    try:
        names = posix.listdir(path)
    except OSError:
        return {}
    for name in names:
        parts = name.split(".")
        if len(parts) == 3 and parts[0] == "hugetlb" and parts[2] == "current":
            failures = stats.pairs(f"{path}/hugetlb.{parts[1]}.events").get("max", 0)
            found[parts[1]] = {"usage": stats.number(f"{path}/{name}"), "failcnt": failures}
    return found
