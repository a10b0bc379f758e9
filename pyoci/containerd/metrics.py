"""Statistics as containerd reads them: Metrics of the package that containerd/cgroups has for the host's version."""

from pyoci.containerd.codec import MANY, MESSAGE, TEXT, UINT, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.container.state import Entry
    from pyoci.containerd.codec import Message, Table


def _numbers(*names: str) -> "Table":
    return {number: (name, UINT, None) for number, name in enumerate(names, 1)}


# Version 1 (cgroup1/stats/metrics.proto)
_MEMORY_1 = (
    "cache", "rss", "rss_huge", "mapped_file", "dirty", "writeback", "pgpgin", "pgpgout", "pgfault", "pgmajfault",
    "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "hierarchical_memory_limit",
    "hierarchical_memsw_limit", "total_cache", "total_rss", "total_rss_huge", "total_mapped_file", "total_dirty",
    "total_writeback", "total_pgpgin", "total_pgpgout", "total_pgfault", "total_pgmajfault", "total_inactive_anon",
    "total_active_anon", "total_inactive_file", "total_active_file", "total_unevictable",
)  # fmt: skip
_ENTRY = _numbers("limit", "usage", "max", "failcnt")
_PIDS = _numbers("current", "limit")
_DEVICE: "Table" = {
    1: ("op", TEXT, None),
    2: ("device", TEXT, None),
    3: ("major", UINT, None),
    4: ("minor", UINT, None),
    5: ("value", UINT, None),
}
_BLKIO_NAMES = (
    "ioServiceBytesRecursive", "ioServicedRecursive", "ioQueueRecursive", "ioServiceTimeRecursive",
    "ioWaitTimeRecursive", "ioMergedRecursive", "ioTimeRecursive", "sectorsRecursive",
)  # fmt: skip
_THROTTLE = _numbers("periods", "throttledPeriods", "throttledTime")
_USAGE: "Table" = {**_numbers("total", "kernel", "user"), 4: ("percpu", UINT | MANY, None)}
_V1: "Table" = {
    1: ("hugetlb", MESSAGE | MANY, {**_numbers("usage", "max", "failcnt"), 4: ("pagesize", TEXT, None)}),
    2: ("pids", MESSAGE, _PIDS),
    3: ("cpu", MESSAGE, {1: ("usage", MESSAGE, _USAGE), 2: ("throttling", MESSAGE, _THROTTLE)}),
    4: (
        "memory",
        MESSAGE,
        {
            **_numbers(*_MEMORY_1),
            33: ("usage", MESSAGE, _ENTRY),
            34: ("swap", MESSAGE, _ENTRY),
            35: ("kernel", MESSAGE, _ENTRY),
            36: ("kernelTCP", MESSAGE, _ENTRY),
        },
    ),
    5: ("blkio", MESSAGE, {number: (name, MESSAGE | MANY, _DEVICE) for number, name in enumerate(_BLKIO_NAMES, 1)}),
}

_V1[9] = ("memory_oom_control", MESSAGE, _numbers("oom_kill_disable", "under_oom", "oom_kill"))

# Version 2 (cgroup2/stats/metrics.proto)
_MEMORY_2 = (
    "anon", "file", "kernel_stack", "slab", "sock", "shmem", "file_mapped", "file_dirty", "file_writeback", "anon_thp",
    "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "slab_reclaimable",
    "slab_unreclaimable", "pgfault", "pgmajfault", "workingset_refault", "workingset_activate",
    "workingset_nodereclaim", "pgrefill", "pgscan", "pgsteal", "pgactivate", "pgdeactivate", "pglazyfree",
    "pglazyfreed", "thp_fault_alloc", "thp_collapse_alloc", "usage", "usage_limit", "swap_usage", "swap_limit",
    "max_usage", "swap_max_usage",
)  # fmt: skip
_IO = _numbers("major", "minor", "rbytes", "wbytes", "rios", "wios")
_V2: "Table" = {
    1: ("pids", MESSAGE, _PIDS),
    2: (
        "cpu",
        MESSAGE,
        _numbers("usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec"),
    ),
    4: ("memory", MESSAGE, _numbers(*_MEMORY_2)),
    6: ("io", MESSAGE, {1: ("usage", MESSAGE | MANY, _IO)}),
    7: ("hugetlb", MESSAGE | MANY, {**_numbers("current", "max"), 3: ("pagesize", TEXT, None)}),
    8: ("memory_events", MESSAGE, _numbers("low", "high", "max", "oom", "oom_kill")),
}
_IO_WORDS = {
    ("ioServiceBytesRecursive", "Read"): "rbytes",
    ("ioServiceBytesRecursive", "Write"): "wbytes",
    ("ioServicedRecursive", "Read"): "rios",
    ("ioServicedRecursive", "Write"): "wios",
}


def metrics(entry: "Entry") -> "Message":
    """What a container has used, as an Any."""
    manager = entry.manager()
    stats, paths = manager.stats(), manager.record().get("cgroup_paths") or {}
    if "memory" in paths or "cpu" in paths or "pids" in paths:
        from pyoci.cgroups.stats import pairs

        found = version_1(stats)
        found["memory_oom_control"] = pairs(f"{paths['memory']}/memory.oom_control") if "memory" in paths else None
        return {"type_url": "io.containerd.cgroups.v1.Metrics", "value": encode(_V1, found)}
    return {"type_url": "io.containerd.cgroups.v2.Metrics", "value": encode(_V2, version_2(stats, paths.get("", "")))}


def version_1(stats: "dict[str, Any]") -> "Message":
    """Metrics of cgroup v1 from statistics as `pyoci events --stats` has them."""
    memory, cpu, blkio = stats["memory"], stats["cpu"], stats["blkio"]
    entries = {name: memory.get(name) or {} for name in ("usage", "swap", "kernel", "kernelTCP")}
    usage = {
        name: value for name, value in (cpu.get("usage") or {}).items() if name in ("total", "kernel", "user", "percpu")
    }
    lists = {
        name: [{**one, "device": f"/dev/block/{one['major']}:{one['minor']}"} for one in blkio.get(name) or ()]
        for name in _BLKIO_NAMES
    }
    return {
        "hugetlb": [{**one, "pagesize": size} for size, one in (stats["hugetlb"] or {}).items()],
        "pids": stats["pids"],
        "cpu": {"usage": usage, "throttling": cpu.get("throttling") or {}},
        "memory": {**(memory.get("raw") or {}), **entries},
        "blkio": lists,
    }


def version_2(stats: "dict[str, Any]", path: str) -> "Message":
    """Metrics of cgroup v2; path: the cgroup's, for what runc's statistics do not tell."""
    from pyoci.cgroups.stats import number, pairs

    usage, throttling = stats["cpu"].get("usage") or {}, stats["cpu"].get("throttling") or {}
    raw = dict(stats["memory"].get("raw") or {})
    for name, file in (
        ("usage", "current"), ("usage_limit", "max"), ("swap_usage", "swap.current"), ("swap_limit", "swap.max"),
        ("max_usage", "peak"), ("swap_max_usage", "swap.peak"),
    ):  # fmt: skip
        raw[name] = number(f"{path}/memory.{file}")
    raw["workingset_refault"] = raw.get("workingset_refault_anon", 0) + raw.get("workingset_refault_file", 0)
    raw["workingset_activate"] = raw.get("workingset_activate_anon", 0) + raw.get("workingset_activate_file", 0)
    raw["anon_thp"] = raw.get("anon_thp", 0)
    devices: "dict[tuple[int, int], dict[str, int]]" = {}
    for (name, op), word in _IO_WORDS.items():
        for one in stats["blkio"].get(name) or ():
            if one["op"] == op:
                place = one["major"], one["minor"]
                devices.setdefault(place, {"major": place[0], "minor": place[1]})[word] = one["value"]
    return {
        "pids": stats["pids"],
        "cpu": {
            "usage_usec": usage.get("total", 0) // 1000,
            "user_usec": usage.get("user", 0) // 1000,
            "system_usec": usage.get("kernel", 0) // 1000,
            "nr_periods": throttling.get("periods", 0),
            "nr_throttled": throttling.get("throttledPeriods", 0),
            "throttled_usec": throttling.get("throttledTime", 0) // 1000,
        },
        "memory": raw,
        "io": {"usage": list(devices.values())},
        "hugetlb": [
            {"current": one.get("usage", 0), "pagesize": size} for size, one in (stats["hugetlb"] or {}).items()
        ],
        "memory_events": pairs(f"{path}/memory.events"),
    }
