"""The rule for the ids of containers."""

from pyoci.errors import Error

_ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-"
_ID_LONGEST = 255  # NAME_MAX: the id is the name of the state directory


def check_id(name: str) -> str:
    """Returns a container's id if it is one: ASCII letters, digits and `_+.-`, not `.` or `..`, at most 255 long.

    Raises Error. The id becomes a directory's name and a part of cgroup and keyring names.
    """
    if not 0 < len(name) <= _ID_LONGEST or name in (".", "..") or name.strip(_ID_CHARACTERS):
        shown = name if len(name) <= 80 else name[:77] + "..."
        raise Error(
            f'invalid container ID format: "{shown}"',
            hint="use 1 to 255 of the characters A-Z a-z 0-9 _ + . -",
            kind="refused",
        )
    return name
