"""pause and resume: a container's processes as one body."""

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.container.state import Entry


def pause(entry: "Entry") -> None:
    """Stops every process; returns when all have stopped. Errors: Error "container not running"."""
    status = entry.status()
    if status not in ("running", "created"):
        raise Error("container not running", kind="not_running" if status == "stopped" else "state")
    entry.manager().freeze()


def resume(entry: "Entry") -> None:
    """Lets every process of a paused container go on. Errors: Error "container not paused"."""
    if entry.status() != "paused":
        raise Error("container not paused", kind="state")
    entry.manager().thaw()
