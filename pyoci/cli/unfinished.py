"""The commands that are not there yet: refused by name before anything happens; their help and flags are there."""

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call


def checkpoint(call: "Call") -> int:
    """Refuses."""
    raise Error("checkpoint is not implemented yet")


def restore(call: "Call") -> int:
    """Refuses."""
    raise Error("restore is not implemented yet")
