"""events: statistics now and then, and each out-of-memory kill, until the container ends."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyoci.container import resctrl
from pyoci.container.state import Entry
from pyoci.errors import Error

if TYPE_CHECKING:
    from pyoci.cgroups import Manager

    Emit = Callable[[dict[str, Any]], None]


def statistics(entry: Entry) -> dict[str, Any]:
    """What the container has used, in the shape of runc's events. Errors: Error when it does not run."""
    _running(entry)
    return _with_resctrl(entry, entry.manager().stats())


def _with_resctrl(entry: Entry, stats: dict[str, Any]) -> dict[str, Any]:
    if entry.record.get("resctrl"):
        stats["intel_rdt"] = resctrl.statistics(entry)
    return stats


def _running(entry: Entry) -> int:
    pid = entry.pid()
    if not pid:
        raise Error(f"container with id {entry.container} is not running", kind="not_running")
    return pid


def watch(entry: Entry, interval: float, emit: Emit) -> None:
    """Calls emit with each event, {"type": "stats" | "oom", "id": ..., "data": ...}; returns when the container ends.

    interval: seconds between two statistics
    """
    pidfd = os.pidfd_open(_running(entry))
    manager = entry.manager()
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    notices = Notices(manager)
    try:
        if notices.fd >= 0:
            poll.register(notices.fd, notices.mask)
        due = time.monotonic() + interval
        while True:
            ready = dict(poll.poll(max(0.0, due - time.monotonic()) * 1000))
            for _ in range(notices.take()):
                emit({"type": "oom", "id": entry.container})
            if pidfd in ready:
                return
            if time.monotonic() >= due:
                emit({"type": "stats", "id": entry.container, "data": _with_resctrl(entry, manager.stats())})
                due += interval
    finally:
        notices.close()
        os.close(pidfd)


class Notices:
    """The kernel's word that a process was killed for memory. fd: to poll for `mask`, -1 if nobody counts memory.

    v1 signals an eventfd each time the limit was fatal (kernel: cgroup-v1/memory.rst, OOM Control), and once when the
    cgroup goes; on v2 any change of memory.events ends a poll. How many kills there were is then read.
    """

    __slots__ = ("_known", "_manager", "_v2", "fd", "mask")

    def __init__(self, manager: Manager) -> None:
        paths = manager.record()["cgroup_paths"]
        self._manager = manager
        self._v2 = "memory" not in paths
        self.mask = select.POLLPRI if self._v2 else select.POLLIN
        self.fd = _open_or_none(paths.get("", "") + "/memory.events") if self._v2 else _eventfd_for(paths["memory"])
        self._known = manager.oom_kills() or 0
        self._settle()

    def _settle(self) -> None:
        """Reads the descriptor: only then does the next poll wait for news."""
        if self.fd >= 0:
            try:
                os.pread(self.fd, 4096, 0) if self._v2 else os.read(self.fd, 8)
            except OSError:
                pass  # no news; or the cgroup is gone

    def take(self) -> int:
        """How many kills there were since the last call."""
        self._settle()
        now = self._manager.oom_kills() or 0
        new = max(0, now - self._known)
        self._known = max(now, self._known)
        return new

    def close(self) -> None:
        """Closes the descriptor; v1 then forgets us."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _open_or_none(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return -1


def _eventfd_for(path: str) -> int:
    control = os.open(path + "/memory.oom_control", os.O_RDONLY)
    try:
        fd = _eventfd()
        target = os.open(path + "/cgroup.event_control", os.O_WRONLY)
        try:
            os.write(target, f"{fd} {control}".encode())
        finally:
            os.close(target)
    finally:
        os.close(control)
    return fd


def _eventfd() -> int:
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
