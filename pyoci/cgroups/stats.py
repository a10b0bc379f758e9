"""The shape of statistics, which is that of runc's `events`; and reading the kernel's small formats.

Times are nanoseconds, sizes bytes. What the kernel does not count stays 0, or is left out where runc leaves it out.
"""

from __future__ import annotations

from typing import Any

from pyoci.cgroups.convert import decimal
from pyoci.fileio import read_file
from pyoci.linux.number_list import numbers, parse

UNLIMITED = 2**64 - 1


def blank() -> dict[str, Any]:
    """All sections, nothing counted yet."""
    return {
        "cpu": {"usage": {"kernel": 0, "user": 0}, "throttling": {}},
        "cpuset": {},
        "memory": {},
        "pids": {},
        "blkio": {},
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": None,
    }


def text(path: str) -> str:
    """A file's text; empty if there is none, or if it went away with its cgroup while we read."""
    try:
        return read_file(path)
    except OSError:
        return ""


def number(path: str) -> int:
    """A file of one number; "max" is UNLIMITED, no file is 0."""
    return count(text(path).strip())


def count(word: str) -> int:
    """A number as the kernel writes it; what is none, as in a format that is younger than we are, counts nothing."""
    return UNLIMITED if word == "max" else max(0, decimal(word))


def pairs(path: str) -> dict[str, int]:
    """A file of `name number` lines, such as memory.stat."""
    found = {}
    for line in text(path).splitlines():
        name, _, value = line.partition(" ")
        found[name] = count(value)
    return found


def numbers_in(listed: str) -> list[int]:
    """0-2,5 as [0, 1, 2, 5]."""
    return numbers(parse(listed, ""))


def pressure(path: str) -> dict[str, Any]:
    """A pressure file (kernel: Documentation/accounting/psi.rst) as {"some": {"avg10": ..., "total": ...}, ...}.

    Averages are percentages, total microseconds. Empty if the kernel does not count pressure.
    """
    found: dict[str, Any] = {}
    for line in text(path).splitlines():
        kind, *words = line.split() or [""]
        values = [word.partition("=") for word in words]
        found[kind] = {name: count(value) if name == "total" else _share(value) for name, _, value in values}
    return found


def _share(text: str) -> float:
    whole, _, part = text.partition(".")
    return float(text) if decimal(whole) >= 0 and decimal(part or "0") >= 0 else 0.0


def add_pressure(found: dict[str, Any], path: str) -> None:
    """Puts what a v2 cgroup knows of pressure into the sections."""
    for section, file in (("cpu", "cpu"), ("memory", "memory"), ("blkio", "io")):
        if values := pressure(f"{path}/{file}.pressure"):
            found[section]["psi"] = values
    if values := pressure(f"{path}/irq.pressure"):
        found["irq"] = {"psi": values}


def entry(device: str, op: str, value: int) -> dict[str, Any]:
    """One line of a block device's figures."""
    major, _, minor = device.partition(":")
    return {"major": count(major), "minor": count(minor), "op": op, "value": value}
