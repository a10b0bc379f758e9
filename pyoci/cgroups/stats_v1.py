"""Statistics of a container's v1 cgroups; pressure, and what else the v2 tree beside them counts, comes from there."""

from __future__ import annotations

import os
from typing import Any

from pyoci.cgroups import stats
from pyoci.cgroups.stats_v2 import hugetlb


def collect(paths: dict[str, str]) -> dict[str, Any]:
    """What the hierarchies count; `paths` maps controllers to cgroups, "" to the v2 tree's."""
    found = stats.blank()
    if "cpuacct" in paths:
        _cpuacct(found["cpu"]["usage"], paths["cpuacct"])
    if "cpu" in paths:
        _throttling(found["cpu"], paths["cpu"])
    if "cpuset" in paths:
        _cpuset(found["cpuset"], paths["cpuset"])
    if "memory" in paths:
        _memory(found["memory"], paths["memory"])
    if "pids" in paths:
        found["pids"] = {"current": stats.number(paths["pids"] + "/pids.current")}
        limit = stats.number(paths["pids"] + "/pids.max")
        if limit != stats.UNLIMITED:
            found["pids"]["limit"] = limit
    if "blkio" in paths:
        _blkio(found["blkio"], paths["blkio"])
    if "hugetlb" in paths:
        found["hugetlb"] = _hugetlb(paths["hugetlb"])
    if unified := paths.get(""):
        stats.add_pressure(found, unified)
        if "hugetlb" not in paths:
            found["hugetlb"] = hugetlb(unified)
    return found


def _cpuacct(usage: dict[str, Any], path: str) -> None:
    usage["total"] = stats.number(path + "/cpuacct.usage")
    usage["kernel"] = stats.number(path + "/cpuacct.usage_sys")
    usage["user"] = stats.number(path + "/cpuacct.usage_user")
    rows = [line.split() for line in stats.text(path + "/cpuacct.usage_all").splitlines()[1:]]
    if rows:
        usage["percpu_user"] = [stats.count(row[1]) for row in rows if len(row) == 3]
        usage["percpu_kernel"] = [stats.count(row[2]) for row in rows if len(row) == 3]
    if each := stats.text(path + "/cpuacct.usage_percpu").split():
        usage["percpu"] = [stats.count(word) for word in each]


def _throttling(cpu: dict[str, Any], path: str) -> None:
    counted = stats.pairs(path + "/cpu.stat")
    cpu["throttling"] = {
        "periods": counted.get("nr_periods", 0),
        "throttledPeriods": counted.get("nr_throttled", 0),
        "throttledTime": counted.get("throttled_time", 0),
    }


_CPUSET_FLAGS = (
    "cpu_exclusive",
    "mem_hardwall",
    "mem_exclusive",
    "memory_migrate",
    "memory_spread_page",
    "memory_spread_slab",
    "memory_pressure",
    "sched_load_balance",
    "sched_relax_domain_level",
)


def _cpuset(cpuset: dict[str, Any], path: str) -> None:
    for key in ("cpus", "mems"):
        cpuset[key] = stats.numbers_in(stats.text(f"{path}/cpuset.{key}"))
    for flag in _CPUSET_FLAGS:
        cpuset[flag] = stats.number(f"{path}/cpuset.{flag}")


def _memory(memory: dict[str, Any], path: str) -> None:
    raw = stats.pairs(path + "/memory.stat")
    memory["cache"] = raw.get("cache", 0)
    for section, prefix in (
        ("usage", "memory"),
        ("swap", "memory.memsw"),
        ("kernel", "memory.kmem"),
        ("kernelTCP", "memory.kmem.tcp"),
    ):
        memory[section] = {
            "limit": stats.number(f"{path}/{prefix}.limit_in_bytes"),
            "usage": stats.number(f"{path}/{prefix}.usage_in_bytes"),
            "max": stats.number(f"{path}/{prefix}.max_usage_in_bytes"),
            "failcnt": stats.number(f"{path}/{prefix}.failcnt"),
        }
    memory["raw"] = raw


_BLKIO = (  # our name, and the file's: after blkio.bfq., blkio. and, for the first two, blkio.throttle.
    ("ioServiceBytesRecursive", "io_service_bytes_recursive"),
    ("ioServicedRecursive", "io_serviced_recursive"),
    ("ioQueueRecursive", "io_queued_recursive"),
    ("ioServiceTimeRecursive", "io_service_time_recursive"),
    ("ioWaitTimeRecursive", "io_wait_time_recursive"),
    ("ioMergedRecursive", "io_merged_recursive"),
    ("ioTimeRecursive", "time_recursive"),
    ("sectorsRecursive", "sectors_recursive"),
)


def _blkio(blkio: dict[str, Any], path: str) -> None:
    """A scheduler's own figures first: the throttling layer's miss what was merged, but are there without one."""
    for ours, file in _BLKIO:
        for prefix in ("blkio.bfq.", "blkio.", "blkio.throttle."):
            lines = [line.split() for line in stats.text(f"{path}/{prefix}{file}").splitlines()]
            entries = [stats.entry(line[0], line[1], stats.count(line[2])) for line in lines if len(line) == 3]
            plain = [line for line in lines if len(line) == 2 and ":" in line[0]]
            entries += [stats.entry(line[0], "", stats.count(line[1])) for line in plain]
            if entries:
                blkio[ours] = entries
                break


def _hugetlb(path: str) -> dict[str, Any]:
    found = {}
    for name in os.listdir(path):
        if name.startswith("hugetlb.") and name.endswith(".usage_in_bytes") and ".rsvd." not in name:
            stem = name[: -len(".usage_in_bytes")]
            found[stem[len("hugetlb.") :]] = {
                "usage": stats.number(f"{path}/{name}"),
                "max": stats.number(f"{path}/{stem}.max_usage_in_bytes"),
                "failcnt": stats.number(f"{path}/{stem}.failcnt"),
            }
    return found
