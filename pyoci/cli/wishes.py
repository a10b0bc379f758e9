"""How the wishes of `sandbox` and `spec` are written on a command line: binds, tmpfs, variables, numbers."""

from __future__ import annotations

from pyoci.cli.call import Call, absolute
from pyoci.cli.parse import Usage


def decimal(call: Call, flag: str) -> float | None:
    """The value of a flag that takes a number with a fraction, None when it was not given. Raises Usage."""
    text = call.text(flag)
    if not text:
        return None
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()) or len(text) > 20:
        raise _wrong(call, flag, text)
    return float(text)


def bind(call: Call, text: str) -> tuple[str, tuple[str, str]]:
    """Reads SOURCE[:DESTINATION][:ro|:rw]: (source, (destination, mode)), the source made absolute. Raises Usage."""
    parts = text.split(":")
    mode = parts.pop() if len(parts) > 1 and parts[-1] in ("ro", "rw") else "ro"
    if not 1 <= len(parts) <= 2 or not parts[0]:  # nothing is a variable that was not set, no wish for where we are
        raise _wrong(call, "bind", text)
    source = absolute(parts[0])
    return source, (parts[1] if len(parts) == 2 else source, mode)


def tmpfs(text: str) -> tuple[str, str]:
    """Reads PLACE[:SIZE]."""
    path, _, size = text.partition(":")
    return path, size or "64M"


def variable(call: Call, text: str) -> tuple[str, str]:
    """Reads NAME=VALUE. Raises Usage."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise _wrong(call, "env", text)
    return name, value


def _wrong(call: Call, flag: str, text: str) -> Usage:
    said = f'invalid value "{text}" for flag -{flag}: parse error'
    return Usage(said, headline=f"Incorrect Usage: {said}", command=call.command)
