"""kill: one signal to the first process, or to every process of the container."""

import posix

from pyoci import _shim
from pyoci.container.state import Entry, open_process, start_time
from pyoci.errors import Error

_SIGKILL = 9


def kill(entry: Entry, signal: int) -> None:
    """Sends a signal to the container's first process; SIGKILL to all where it has no pid namespace of its own, for
    nothing else ends the others there, be the first alive or not. Errors: Error "container not running"."""
    if signal != _SIGKILL or entry.record["own_pids"]:
        _signal_first(entry, signal)
    elif not kill_everything(entry, signal):
        raise Error("container not running", kind="not_running")


def _signal_first(entry: Entry, signal: int) -> None:
    pid = entry.pid()
    if not pid:
        raise Error("container not running", kind="not_running")
    pidfd = open_process(pid)
    if pidfd < 0 or start_time(pid) != entry.record["init_process_start"]:
        raise Error("container not running", kind="not_running")
    try:
        result = _shim.pidfd_signal(pidfd, signal)
    finally:
        posix.close(pidfd)
    if result < 0:
        import errno

        if result == -errno.ESRCH:
            raise Error("container not running", kind="not_running")
        raise Error("send the signal", errno=-result)
    if signal == _SIGKILL:
        entry.manager().release()


def kill_everything(entry: Entry, signal: int) -> bool:
    """Sends a signal to every process in the container's cgroup, also after its first process has ended. Where it has
    no cgroup of its own, the first process is all that is known. Returns whether there was any process."""
    manager = entry.manager()
    if not manager.empty():
        manager.kill(signal)
    elif entry.pid():
        _signal_first(entry, signal)
    else:
        return False
    return True
