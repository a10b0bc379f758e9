"""What the kernel has killed for lack of memory ends in silence: here it gets a voice. Asked only of what has ended."""

from pyoci.container.state import end_signal
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.container.state import Entry

TOO_LOW = "container init was OOM-killed (memory limit too low?)"  # scripts know it from runc and crun
_SIGKILL = 9
_LIMIT = "linux.resources.memory.limit"


def kills(entry: "Entry") -> int:
    """How many processes of a container were killed so; 0 where that cannot be known."""
    try:
        return entry.manager().oom_kills() or 0
    except (Error, OSError):
        return 0


def refuse_killed(entry: "Entry", pid: int, text: str = TOO_LOW) -> None:
    """Errors: Error when a process that has just been told to go on was killed so: its program cannot be started. The
    container may have lost others before, so this one must have been ended by SIGKILL."""
    if end_signal(pid) == _SIGKILL and kills(entry):
        raise Error(text, location=_LIMIT, kind="host")


def hint(entry: "Entry") -> str:
    """Why a container, or a process of it, may have ended; or nothing."""
    number = kills(entry)
    text = f"for lack of memory the kernel has killed {number} of the container's processes: is {_LIMIT} too low?"
    return text if number else ""
