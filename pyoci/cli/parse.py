"""Reads a command line the way Go programs do: `--flag`, `-flag`, `--flag=value`, `--flag value`.

runc's callers rely on these habits: containerd's library passes `-no-subreaper` with one dash and flags after the id.
"""

from pyoci.cli.table import BOOL, DURATION, FIRST, LIST, NUMBER
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyoci.cli.table import Flag

_YES = ("1", "t", "T", "TRUE", "true", "True")
_NO = ("0", "f", "F", "FALSE", "false", "False")


class Usage(Error):
    """The command line itself is wrong, so its help is shown as well.

    headline: what is printed above the help
    command:  whose help, "" for the program's
    """

    def __init__(self, text: str, *, headline: str = "", command: str = "") -> None:
        super().__init__(text, kind="usage")
        self.headline = headline
        self.command = command


def parse(words: "Sequence[str]", flags: "tuple[Flag, ...]", order: str) -> "tuple[dict[str, Any], list[str]]":
    """Splits words into the values of the flags given and the arguments.

    order: FIRST when the first argument ends the flags, MIXED when flags may follow arguments; `--` ends them in both.
    Raises Usage.
    """
    values: "dict[str, Any]" = {}
    arguments: "list[str]" = []
    position = 0
    count = len(words)
    while position < count:
        word = words[position]
        position += 1
        if word == "--":
            arguments.extend(words[position:])
            break
        if len(word) < 2 or word[0] != "-":
            arguments.append(word)
            if order == FIRST:
                arguments.extend(words[position:])
                break
            continue
        name, equals, value = word[2 if word[1] == "-" else 1 :].partition("=")
        name, kind = _look_up(word, name, flags)
        if kind == BOOL:
            values[name] = _truth(name, value) if equals else True
            continue
        if not equals:
            if position == count:
                raise Usage(f"flag needs an argument: -{name}")
            value = words[position]
            position += 1
        _store(values, name, kind, value)
    return values, arguments


def _look_up(word: str, name: str, flags: "tuple[Flag, ...]") -> "tuple[str, str]":
    """The full name and the kind of a flag given by its name or its letter."""
    if not name or name[0] == "-":
        raise Usage(f"bad flag syntax: {word}")
    for long, short, kind in flags:
        if name in (long, short):
            return long, kind
    from pyoci.spelling import suggestion

    hint = suggestion(name, [long for long, _, _ in flags], "--")
    raise Usage(f"flag provided but not defined: -{name}" + (f" ({hint})" if hint else ""))


def _truth(name: str, value: str) -> bool:
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise Usage(f'invalid boolean value "{value}" for -{name}: parse error')


def _store(values: "dict[str, Any]", name: str, kind: str, value: str) -> None:
    if kind == LIST:
        values.setdefault(name, []).append(value)
    elif kind == NUMBER:
        number = decimal(value, 2**31 - 1)
        if number < 0:
            raise Usage(f'invalid value "{value}" for flag -{name}: parse error')
        values[name] = number
    elif kind == DURATION:
        from pyoci.cli.duration import seconds

        length = seconds(value)
        if length < 0:
            raise Usage(f'invalid value "{value}" for flag -{name}: parse error')
        values[name] = length
    else:
        values[name] = value


def decimal(text: str, most: int) -> int:
    """The value of a plain decimal number from 0 to most, or -1.

    int() alone would let through other scripts' digits, underscores, signs and spaces; a user id read that way has
    been a way to root (CVE-2024-40635, CVE-2026-30892).
    """
    if not text or len(text) > 20 or not (text.isascii() and text.isdigit()):
        return -1
    number = int(text)
    return number if number <= most else -1
