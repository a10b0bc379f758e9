"""Readings of containers in the OpenMetrics text format, for a collector such as Prometheus' textfile one."""

from __future__ import annotations

from collections.abc import Callable

from pyoci.container.stats import Reading

Sample = tuple[dict[str, str], float]

_FAMILIES = (  # name, type, unit, help
    ("pyoci_container_running", "gauge", "", "Whether the container runs: 0 when it has stopped."),
    ("pyoci_cpu_seconds", "counter", "seconds", "Processor time used."),
    ("pyoci_cpu_periods", "counter", "", "Periods of the quota in which something ran."),
    ("pyoci_cpu_throttled_periods", "counter", "", "Periods at the end of which the quota was used up."),
    ("pyoci_cpu_throttled_seconds", "counter", "seconds", "Time in which the quota held processes back."),
    ("pyoci_memory_bytes", "gauge", "bytes", "Memory in use, inactive file pages not counted."),
    ("pyoci_memory_limit_bytes", "gauge", "bytes", "Most memory; no sample where there is no limit."),
    ("pyoci_memory_peak_bytes", "gauge", "bytes", "The most memory that was in use, file pages counted."),
    ("pyoci_swap_bytes", "gauge", "bytes", "Swap in use."),
    ("pyoci_memory_events", "counter", "", "How often a mark or limit was met, or something killed (memory.events)."),
    ("pyoci_processes", "gauge", "", "Processes and threads."),
    ("pyoci_processes_limit", "gauge", "", "Most processes and threads; no sample where there is no limit."),
    ("pyoci_processes_peak", "gauge", "", "The most processes and threads that there were at a time."),
    ("pyoci_io_bytes", "counter", "bytes", "Block I/O."),
    ("pyoci_io_operations", "counter", "", "Operations of block I/O."),
    ("pyoci_pressure_seconds", "counter", "seconds", "Time in which some, or all, processes waited for a resource."),
)
_DIRECTIONS = ("Read", "Write", "Discard")


def exposition(readings: list[Reading]) -> str:
    """All families with a sample for each container, ended by # EOF."""
    lines = []
    for name, kind, unit, text in _FAMILIES:
        lines += [f"# TYPE {name} {kind}\n"]
        lines += [f"# UNIT {name} {unit}\n"] if unit else []
        lines += [f"# HELP {name} {text}\n"]
        suffix = "_total" if kind == "counter" else ""
        for reading in readings:
            for labels, value in _samples(name, reading):
                pairs = {"id": reading.container, **labels}
                inner = ",".join(f'{key}="{_escape(label)}"' for key, label in pairs.items())
                lines.append(f"{name}{suffix}{{{inner}}} {value:.12g}\n")
    return "".join(lines) + "# EOF\n"


def _samples(name: str, reading: Reading) -> list[Sample]:
    if name == "pyoci_container_running":
        return [({}, 0 if reading.status == "stopped" else 1)]
    if reading.stats is None:
        return []
    return _LISTS[name](reading) if name in _LISTS else _single(_VALUES[name](reading))


def _single(value: float | None) -> list[Sample]:
    return [] if value is None else [({}, value)]


def _events(reading: Reading) -> list[Sample]:
    return [({"event": event}, count) for event, count in reading.memory_events().items()]


def _pressure(reading: Reading) -> list[Sample]:
    found = []
    for section, resource in (("cpu", "cpu"), ("memory", "memory"), ("blkio", "io"), ("irq", "irq")):
        for kind, values in reading.waits(section).items():
            found.append(({"resource": resource, "kind": kind}, values["total"] / 1e6))
    return found


def _blocks(read: Callable[[str], int]) -> list[Sample]:
    return [({"direction": op.lower()}, read(op)) for op in _DIRECTIONS]


_VALUES: dict[str, Callable[[Reading], float | None]] = {
    "pyoci_cpu_seconds": Reading.cpu_seconds,
    "pyoci_cpu_periods": lambda reading: reading.throttling("periods"),
    "pyoci_cpu_throttled_periods": lambda reading: reading.throttling("throttledPeriods"),
    "pyoci_cpu_throttled_seconds": lambda reading: reading.throttling("throttledTime") / 1e9,
    "pyoci_memory_bytes": Reading.memory,
    "pyoci_memory_limit_bytes": Reading.memory_limit,
    "pyoci_memory_peak_bytes": Reading.memory_peak,
    "pyoci_swap_bytes": Reading.swap,
    "pyoci_processes": Reading.pids,
    "pyoci_processes_limit": Reading.pids_limit,
    "pyoci_processes_peak": Reading.pids_peak,
}
_LISTS: dict[str, Callable[[Reading], list[Sample]]] = {
    "pyoci_memory_events": _events,
    "pyoci_io_bytes": lambda reading: _blocks(reading.io),
    "pyoci_io_operations": lambda reading: _blocks(reading.operations),
    "pyoci_pressure_seconds": _pressure,
}


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
