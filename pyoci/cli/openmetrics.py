"""Readings of containers in the OpenMetrics text format, for a collector such as Prometheus' textfile one."""

from __future__ import annotations

from pyoci.container.stats import Reading

Sample = tuple[dict[str, str], float]

_FAMILIES = (  # name, type, unit, help
    ("pyoci_container_running", "gauge", "", "Whether the container runs: 0 when it has stopped."),
    ("pyoci_cpu_seconds", "counter", "seconds", "Processor time used."),
    ("pyoci_cpu_throttled_seconds", "counter", "seconds", "Time in which the quota held processes back."),
    ("pyoci_memory_bytes", "gauge", "bytes", "Memory in use, inactive file pages not counted."),
    ("pyoci_memory_limit_bytes", "gauge", "bytes", "Most memory; no sample where there is no limit."),
    ("pyoci_processes", "gauge", "", "Processes and threads."),
    ("pyoci_io_bytes", "counter", "bytes", "Block I/O."),
    ("pyoci_pressure_seconds", "counter", "seconds", "Time in which some, or all, processes waited for a resource."),
)


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
    if name == "pyoci_cpu_seconds":
        return [({}, reading.cpu_seconds())]
    if name == "pyoci_cpu_throttled_seconds":
        return [({}, reading.stats["cpu"]["throttling"].get("throttledTime", 0) / 1e9)]
    if name == "pyoci_memory_bytes":
        return [({}, reading.memory())]
    if name == "pyoci_memory_limit_bytes":
        limit = reading.memory_limit()
        return [] if limit is None else [({}, limit)]
    if name == "pyoci_processes":
        return [({}, reading.pids())]
    if name == "pyoci_io_bytes":
        return [({"direction": op.lower()}, reading.io(op)) for op in ("Read", "Write")]
    return _pressure(reading)


def _pressure(reading: Reading) -> list[Sample]:
    found = []
    for section, resource in (("cpu", "cpu"), ("memory", "memory"), ("blkio", "io")):
        for kind, values in ((reading.stats or {})[section].get("psi") or {}).items():
            found.append(({"resource": resource, "kind": kind}, values["total"] / 1e6))
    return found


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
