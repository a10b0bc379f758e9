"""stats: readings of containers, and what happened between two of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from pyoci.errors import Error

if TYPE_CHECKING:
    from pyoci.documents.results import Stats
    from pyoci.runtime import Runtime

UNLIMITED = 1 << 62  # v1 writes «no limit» as the largest multiple of a page, v2's «max» is 2**64 - 1


class Reading:
    """One look at one container. stats is None when it has stopped.

    when: seconds of the monotonic clock
    """

    __slots__ = ("container", "stats", "status", "when")

    def __init__(self, container: str, status: str, stats: Stats | None, when: float) -> None:
        self.container = container
        self.status = status
        self.stats = stats
        self.when = when

    def cpu_seconds(self) -> float:
        """Processor time used since the start."""
        return int(self._get("cpu", "usage").get("total", 0)) / 1e9

    def memory(self) -> int:
        """Bytes in use, what could be dropped at once (inactive file pages) not counted, as engines show it."""
        raw = self._get("memory", "raw")
        usage = int(self._get("memory", "usage").get("usage", 0))
        inactive = int(raw.get("total_inactive_file", raw.get("inactive_file", 0)))
        return max(0, usage - inactive)

    def memory_limit(self) -> int | None:
        """Bytes; None for no limit."""
        limit = int(self._get("memory", "usage").get("limit", 0))
        return limit if 0 < limit < UNLIMITED else None

    def memory_peak(self) -> int | None:
        """The most bytes that were in use; None where the kernel does not keep it."""
        return int(self._get("memory", "usage").get("max", 0)) or None

    def swap(self) -> int:
        """Bytes of swap; v1 counts memory and swap as one, and v2's figures are made to look like it."""
        both, alone = self._get("memory", "swap"), self._get("memory", "usage")
        return max(0, int(both.get("usage", 0)) - int(alone.get("usage", 0)))

    def memory_events(self) -> dict[str, int]:
        """What happened how often, such as oom_kill; of v2 alone."""
        return self._get("memory", "events")

    def throttling(self, key: str) -> int:
        """periods, throttledPeriods, or throttledTime in nanoseconds."""
        return int(self._get("cpu", "throttling").get(key, 0))

    def pids_peak(self) -> int | None:
        """The most processes and threads at a time; None where the kernel does not keep it (before 6.1, v1)."""
        return self._get("pids").get("peak")

    def pids_limit(self) -> int | None:
        """Most processes and threads; None for no limit."""
        return self._get("pids").get("limit")

    def pids(self) -> int:
        """Processes and threads."""
        return int(self._get("pids").get("current", 0))

    def io(self, op: str) -> int:
        """Bytes of block I/O; op is Read, Write or Discard."""
        return self._blocks("ioServiceBytesRecursive", op)

    def operations(self, op: str) -> int:
        """Operations of block I/O."""
        return self._blocks("ioServicedRecursive", op)

    def _blocks(self, key: str, op: str) -> int:
        entries = self._get("blkio").get(key) or []
        return sum(entry["value"] for entry in entries if entry["op"] == op)

    def pressure(self, section: str) -> float | None:
        """Percentage of the last ten seconds in which some process waited; section is cpu, memory or blkio."""
        some = self.waits(section).get("some")
        return None if some is None else float(some["avg10"])

    def waits(self, section: str) -> dict[str, Any]:
        """Pressure of a section by kind, some and full; empty where the kernel counts none."""
        return self._get(section, "psi")

    def _get(self, *keys: str) -> dict[str, Any]:
        value = cast("dict[str, Any]", self.stats or {})
        for key in keys:
            value = value.get(key) or {}
        return value


class Rates:
    """What happened each second between two readings of a container; cpu is a percentage of one processor."""

    __slots__ = ("cpu", "read", "write")

    def __init__(self, before: Reading, now: Reading) -> None:
        seconds = max(now.when - before.when, 1e-9)
        self.cpu = max(0.0, now.cpu_seconds() - before.cpu_seconds()) / seconds * 100
        self.read = max(0, now.io("Read") - before.io("Read")) / seconds
        self.write = max(0, now.io("Write") - before.io("Write")) / seconds


def read(runtime: Runtime, names: list[str], stopped: bool) -> list[Reading]:
    """A reading of each named container, of all without names; stopped ones among all only if wanted.

    Errors: Error for a name that does not exist.
    """
    states = [runtime.state(name) for name in names] if names else runtime.list()[0]
    readings = []
    for state in states:
        stats: Stats | None = None
        status = state["status"]
        if status != "stopped":
            try:
                stats = runtime.stats(state["id"])
            except Error as problem:
                if problem.kind in ("not_running", "not_found"):
                    status = "stopped"  # between the two calls
                elif names:
                    raise
        if status != "stopped" or names or stopped:
            readings.append(Reading(state["id"], status, stats, time.monotonic()))
    return readings
