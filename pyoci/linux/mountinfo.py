"""The lines of /proc/PID/mountinfo (proc_pid_mountinfo(5))."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Mount:
    """One mount.

    device:  major:minor of the filesystem, as text
    root:    the directory of the filesystem that is mounted
    point:   where; relative to the root of the process
    kind:    the filesystem's type
    options: the superblock's
    """

    __slots__ = ("device", "kind", "options", "point", "root")

    def __init__(self, device: str, root: str, point: str, kind: str, options: str) -> None:
        self.device = device
        self.root = root
        self.point = point
        self.kind = kind
        self.options = options


def mounts(text: str, kind: str = "") -> "Iterator[Mount]":
    """The mounts in the text of a mountinfo, in its order.

    kind: only of types that begin with it: most callers look for a few lines among hundreds
    """
    for line in text.split("\n"):
        if kind and f" - {kind}" not in line:
            continue
        left, _, right = line.partition(" - ")
        if not right.startswith(kind):  # in the words of some other mount
            continue
        before, after = left.split(" "), right.split(" ")
        if len(before) > 5 and len(after) > 2:
            yield Mount(before[2], _plain(before[3]), _plain(before[4]), after[0], after[2])


def _plain(field: str) -> str:
    """The kernel writes space, tab, newline, backslash and # as three octal digits."""
    if "\\" not in field:
        return field
    head, *rest = field.split("\\")
    return head + "".join(_character(part[:3]) + part[3:] for part in rest)


def _character(octal: str) -> str:
    return chr(int(octal, 8)) if octal and not octal.strip("01234567") else octal
