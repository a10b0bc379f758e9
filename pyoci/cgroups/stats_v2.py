"""Statistics of a v2 cgroup."""

from __future__ import annotations

import os
from typing import Any

from pyoci.cgroups import stats


def collect(path: str) -> dict[str, Any]:
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
    _pids(found["pids"], path)
    found["hugetlb"] = hugetlb(path)
    if misc := _misc(path):
        found["misc"] = misc
    stats.add_pressure(found, path)
    return found


def _pids(pids: dict[str, Any], path: str) -> None:
    current = stats.number(path + "/pids.current")
    if not current:
        return
    pids["current"] = current
    limit = stats.number(path + "/pids.max")
    if limit != stats.UNLIMITED:
        pids["limit"] = limit
    if peak := stats.number(path + "/pids.peak"):
        pids["peak"] = peak
    if events := stats.pairs(path + "/pids.events"):
        pids["failcnt"] = events.get("max", 0)


def _cpu(cpu: dict[str, Any], path: str) -> None:
    counted = stats.pairs(path + "/cpu.stat")
    for ours, name in (("total", "usage_usec"), ("kernel", "system_usec"), ("user", "user_usec")):
        cpu["usage"][ours] = counted.get(name, 0) * 1000
    cpu["throttling"] = {
        "periods": counted.get("nr_periods", 0),
        "throttledPeriods": counted.get("nr_throttled", 0),
        "throttledTime": counted.get("throttled_usec", 0) * 1000,
    }
    if "nr_bursts" in counted:
        cpu["burst"] = {"periods": counted["nr_bursts"], "time": counted.get("burst_usec", 0) * 1000}


def _memory(memory: dict[str, Any], path: str) -> None:
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
    _more_memory(memory, path)


def _more_memory(memory: dict[str, Any], path: str) -> None:
    """What v1 had no words for, and runc's `events` leaves out: swap alone, the mark above which the kernel holds
    processes back, and what happened how often; `events_local` leaves out cgroups below."""
    if stats.text(path + "/memory.high"):
        memory["high"] = stats.number(path + "/memory.high")
    for key, name in (("swapOnly", "memory.swap"), ("zswap", "memory.zswap")):
        if stats.text(f"{path}/{name}.current"):
            entry = {"limit": stats.number(f"{path}/{name}.max"), "usage": stats.number(f"{path}/{name}.current")}
            if key == "swapOnly":
                entry["max"] = stats.number(f"{path}/{name}.peak")
                entry["high"] = stats.number(f"{path}/{name}.high")
                entry["failcnt"] = memory["swap"]["failcnt"]
            memory[key] = entry
    for key, name in (("events", "memory.events"), ("events_local", "memory.events.local")):
        if events := stats.pairs(f"{path}/{name}"):
            memory[key] = events
    if group := stats.text(path + "/memory.oom.group").strip():
        memory["oom_group"] = group == "1"


def _io(blkio: dict[str, Any], path: str) -> None:
    for line in stats.text(path + "/io.stat").splitlines():
        device, *words = line.split() or [""]
        if ":" not in device:
            continue
        raw = blkio.setdefault("raw", {})[device] = {}
        for word in words:
            name, _, value = word.partition("=")
            raw[name] = stats.count(value)
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


def _misc(path: str) -> dict[str, Any]:
    """Resources that there are few of, such as keys of encrypted virtual machines, by their names."""
    found = {name: {"usage": usage} for name, usage in stats.pairs(path + "/misc.current").items()}
    for key, file in (("limit", "misc.max"), ("max", "misc.peak")):
        for name, value in stats.pairs(f"{path}/{file}").items():
            found.setdefault(name, {})[key] = value
    for word, value in stats.pairs(path + "/misc.events").items():
        found.setdefault(word.rpartition(".")[0], {})["failcnt"] = value
    return found


def hugetlb(path: str) -> dict[str, Any]:
    """Huge pages by size; v2 does not keep the highest use."""
    found = {}
    try:
        names = os.listdir(path)
    except OSError:
        return {}
    for name in names:
        parts = name.split(".")
        if len(parts) == 3 and parts[0] == "hugetlb" and parts[2] == "current":
            failures = stats.pairs(f"{path}/hugetlb.{parts[1]}.events").get("max", 0)
            found[parts[1]] = {"usage": stats.number(f"{path}/{name}"), "failcnt": failures}
    return found
