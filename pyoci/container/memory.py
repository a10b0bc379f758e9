"""What the kernel has killed ends in silence: here it gets a voice. Asked only of what has ended."""

from pyoci.container.state import end_signal
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyoci.container.state import Entry

_OOM = "was OOM-killed (memory limit too low?)"
TOO_LOW = f"container init {_OOM}"  # scripts know it from runc and crun
_SIGKILL, _SIGSYS = 9, 31
_SIGNALLED = 128  # and the signal's number: the exit status of what a signal has ended
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
