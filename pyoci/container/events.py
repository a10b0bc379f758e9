"""events: statistics now and then, and each out-of-memory kill, until the container ends."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from pyoci.container import resctrl
from pyoci.container.notices import Notices
from pyoci.container.state import Entry
from pyoci.errors import Error

if TYPE_CHECKING:
    from pyoci.documents.results import Stats

    Emit = Callable[[dict[str, Any]], None]


def statistics(entry: Entry) -> Stats:
    """What the container has used, in the shape of runc's events. Errors: Error when it does not run."""
    _running(entry)
    return cast("Stats", _with_resctrl(entry, entry.manager().stats()))


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
