"""What a container is known by when state.json is damaged: for `delete --force`, which must lose no process."""

import posix

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.container.state import Entry


def recover(entry: "Entry", problem: Error) -> "dict[str, Any]":
    """The record in the copy of state.json; that it was needed is said on standard error.

    problem: why state.json itself cannot be read
    Errors: Error when the copy cannot be, either, or they are of another version.
    """
    if problem.kind == "version":  # it may say what this one cannot know
        raise problem
    try:
        record = entry.read_copy()
    except Error as refusal:
        record = None
        problem.text += f"; nor can its copy be read: {refusal}"
    if record is None:
        problem.hint = (
            f"its process may live, so nothing was removed; {entry.path}/config.json names its cgroup: end what is in "
            f"there, then remove {entry.path}"
        )
        raise problem
    text = f"warning: {problem}: going by its copy\n"
    posix.write(2, text.encode("utf-8", "replace"))
    return record
