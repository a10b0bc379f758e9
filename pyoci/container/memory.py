"""What the kernel has killed ends in silence: here it gets a voice. Asked only of what has ended."""

from pyoci.container.state import end_signal, open_process
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyoci.cgroups import Manager
    from pyoci.container.state import Entry

_OOM = "was OOM-killed (memory limit too low?)"
TOO_LOW = f"container init {_OOM}"  # scripts know it from runc and crun
_SIGKILL, _SIGSYS = 9, 31
_SIGNALLED = 128  # and the signal's number: the exit status of what a signal has ended
_MOMENT = 200  # milliseconds, in which a process that was sent SIGKILL has ended
_LIMIT = "linux.resources.memory.limit"
_FILTER = "ended by SIGSYS: a seccomp filter (linux.seccomp) kills for a system call that the program has made"


def kills(entry: "Entry") -> int:
    """How many processes of a container were killed so; 0 where that cannot be known."""
    try:
        return entry.manager().oom_kills() or 0
    except (Error, OSError):
        return 0


def refuse_killed(entry: "Entry", pid: int, what: str = "container init") -> None:
    """Errors: Error when a process that has just been told to go on was killed so: its program cannot be started. The
    container may have lost others before, so this one must have been ended by SIGKILL."""
    if end_signal(pid) == _SIGKILL and kills(entry):
        raise Error(f"{what} {_OOM}", location=_LIMIT, kind="host")


def tell_of_end(entry: "Entry", status: int, warn: "Callable[[str], None]") -> None:
    """Tells what killed a process that we have waited for, be it before its program's first line.

    status: its exit status, above 128
    """
    if status == _SIGNALLED + _SIGSYS:
        warn(_FILTER)
    if status == _SIGNALLED + _SIGKILL and (why := hint(entry)):
        warn(f"killed by SIGKILL; {why}")


def hint(entry: "Entry") -> str:
    """Why a container, or a process of it, may have ended; or nothing."""
    number = kills(entry)
    text = f"for lack of memory the kernel has killed {number} of the container's processes: is {_LIMIT} too low?"
    return text if number else ""


def limits_memory(resources: "dict[str, Any]") -> bool:
    """Whether an `update` asks for a limit that the kernel may have to kill for."""
    names = ("memory.max", "memory.swap.max")
    return bool(resources.get("memory")) or any(name in (resources.get("unified") or ()) for name in names)


def watching(entry: "Entry", manager: "Manager", update: "Callable[[], None]") -> "list[str]":
    """Does an update that the kernel may kill for, which it does before the write returns.

    Errors: Error when it has ended the first process; a warning is returned when others.
    """
    pid, before = entry.pid(), manager.oom_kills()
    try:
        update()
    except (Error, OSError):
        _refuse_ended(entry, pid)
        raise
    if manager.oom_kills() == before:
        return []
    _refuse_ended(entry, pid)
    return ["memory.limit: for lack of memory the kernel has killed processes of the container"]


def _refuse_ended(entry: "Entry", pid: int) -> None:
    """The end is waited for a moment, as the process may have been told only now."""
    import posix

    from pyoci import _shim

    pidfd = open_process(pid)
    if pidfd >= 0:
        _shim.poll([pidfd], _MOMENT)
        posix.close(pidfd)
    if not entry.pid():
        text = "the container was killed for lack of memory: it uses more than the new limit"
        hint = "checkBeforeUpdate in --resources refuses such a limit instead"
        raise Error(text, location="memory.limit", hint=hint, kind="host")
