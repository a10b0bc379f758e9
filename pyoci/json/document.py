"""Strict JSON in, plain JSON out, without the json package: importing that costs more than the interpreter's start.

Refused on the way in: what JSON forbids, and what two readers may understand differently: duplicate keys, NaN, byte
order marks, invalid UTF-8, lone surrogates, integers outside of int64 and uint64, absurd size and depth.
"""

import sys

from pyoci.errors import Error
from pyoci.json import INT_MAX, INT_MIN, MAX_DEPTH

try:
    from _json import encode_basestring, make_encoder, make_scanner
except ImportError:  # an interpreter without the C accelerator
    make_encoder = make_scanner = None  # type: ignore[misc, assignment]
    from json.encoder import encode_basestring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

MAX_BYTES = 8 * 1024 * 1024  # engines write 3 to 20 KB; a config that lists every syscall with arguments, 1 MB
MAX_VALUES = 250_000  # each costs microseconds in every check; the config with all those syscalls has a tenth of it

_NOT_BRACKETS = bytes(range(256)).translate(None, b"[]{}")


# The scanner's hooks refuse with a plain ValueError; pyoci.json.positions then finds the place and the words.
def _object(pairs: "list[tuple[str, object]]") -> "dict[str, object]":
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _integer(text: str) -> int:
    if len(text) < 19:
        return int(text)
    if len(text) > 20:  # int() itself refuses thousands of digits, in other words in each version
        raise ValueError
    value = int(text)
    if value < INT_MIN or value > INT_MAX:
        raise ValueError
    return value


def _float(text: str) -> float:
    value = float(text)
    if value - value != 0.0:  # 1e999 is infinity
        raise ValueError
    return value


def _constant(_name: str) -> "NoReturn":
    raise ValueError


# For an error of its own the scanner, which is C, wants JSONDecodeError of json.decoder. Python 3.11 takes it only
# where somebody has imported that, else fails without an exception, which is a SystemError; later ones import it.
_SCANNER_SAYS_NO = (ValueError, StopIteration, RecursionError, SystemError, ImportError, OSError)

Namespace: "Any" = type(sys.implementation)  # types.SimpleNamespace: a tenth of what a class costs
# What make_scanner reads its settings from
_HOOKS = Namespace(
    strict=True,
    object_hook=None,
    object_pairs_hook=_object,
    array_hook=None,  # from Python 3.15 on
    parse_float=_float,
    parse_int=_integer,
    parse_constant=_constant,
)


def parse(data: bytes, *, name: str = "config.json") -> object:
    """The value of a JSON document (RFC 8259), read strictly.

    data: the document's bytes, UTF-8
    name: what to call the document in an error

    Raises Error with line and column for anything JSON or the list at the top of this module forbids. Time is linear in
    len(data), which is refused above MAX_BYTES; values are refused above MAX_VALUES, nesting above MAX_DEPTH.
    """
    excess = too_large(data)
    if excess:
        raise Error(excess, location=name)
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        raise _utf8_error(data, problem.start, name) from None
    if make_scanner is None or _may_be_deep(data) or text[:1] == "\ufeff":
        return _parse_slowly(text, name)
    # The scanner wants its first character to be the value's.
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        value, end = make_scanner(_HOOKS)(text, start)
    except _SCANNER_SAYS_NO:
        return _parse_slowly(text, name)
    if end != len(text) and text[end:].strip(" \t\r\n"):
        return _parse_slowly(text, name)
    if "\\" in text and ("\\ud" in text or "\\uD" in text):
        return _parse_slowly(text, name)
    return value


def too_large(data: bytes) -> str:
    """Why a document is not even looked at, or nothing."""
    if len(data) > MAX_BYTES:
        return f"{len(data)} bytes are more than the {MAX_BYTES} a document may have"
    if data.count(b",") > MAX_VALUES:
        import re

        commas = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", data, flags=re.DOTALL).count(b",")
        if commas > MAX_VALUES:
            return f"{commas} values are more than the {MAX_VALUES} a document may have"
    return ""


def _may_be_deep(data: bytes) -> bool:
    """Whether the brackets alone, those in strings included, nest deeper than MAX_DEPTH or do not pair up."""
    brackets = data.translate(None, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(shorter) == len(brackets):
            return True
        brackets = shorter
    return bool(brackets)


def _parse_slowly(text: str, name: str) -> object:
    from pyoci.json.positions import scan

    result = scan(text, limit=1)
    if result.problems:
        problem = result.problems[0]
        raise Error(problem.text, location=f"{name}: line {problem.line}, column {problem.column}")
    return result.value


def _utf8_error(data: bytes, offset: int, name: str) -> Error:
    line = data.count(b"\n", 0, offset) + 1
    column = len(data[data.rfind(b"\n", 0, offset) + 1 : offset].decode(errors="replace")) + 1
    place = f"{name}: line {line}, column {column}"
    return Error(f"invalid UTF-8: byte 0x{data[offset]:02x}", location=place)


def _unknown(value: object) -> "NoReturn":
    raise TypeError(f"{type(value).__name__} is no JSON value")


def dump(value: object) -> str:
    """The value as JSON in one line without spaces, keys in their order, other scripts as they are.

    value: of dict, list, str, int, float, bool and None; anything else raises TypeError, and NaN ValueError.
    """
    if make_encoder is None:
        import json

        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(make_encoder(None, _unknown, encode_basestring, None, ":", ",", False, False, False)(value, 0))


def dump_pretty(value: object, indent: str) -> str:
    """The value as JSON laid out as Go's MarshalIndent does: one item a line, `"key": value`, `[]` and `{}` when empty.

    indent: the text of one level, such as two spaces; no newline ends the result.
    """
    parts: "list[str]" = []
    _pretty(value, "\n", indent, parts)
    return "".join(parts)


def _pretty(value: object, newline: str, indent: str, parts: "list[str]") -> None:
    if isinstance(value, dict) and value:
        inner = newline + indent
        opening = "{"
        for key, item in value.items():
            parts.append(f"{opening}{inner}{encode_basestring(key)}: ")
            _pretty(item, inner, indent, parts)
            opening = ","
        parts.append(newline + "}")
    elif isinstance(value, list) and value:
        inner = newline + indent
        opening = "["
        for item in value:
            parts.append(opening + inner)
            _pretty(item, inner, indent, parts)
            opening = ","
        parts.append(newline + "]")
    elif isinstance(value, str):
        parts.append(encode_basestring(value))
    else:
        parts.append(dump(value))
