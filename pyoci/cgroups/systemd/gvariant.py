"""GVariant text, as the annotations org.systemd.property.* are written: ``'TimeoutStopSec'``, ``uint64 5``, ``['a']``.

(GLib: GVariant text format.) A value comes out as (D-Bus signature, value), a variant.
"""

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEYWORDS = {
    "boolean": "b",
    "byte": "y",
    "int16": "n",
    "uint16": "q",
    "int32": "i",
    "uint32": "u",
    "int64": "x",
    "uint64": "t",
    "double": "d",
    "string": "s",
    "objectpath": "o",
    "signature": "g",
}
_RANGES = {
    "y": (0, 2**8),
    "n": (-(2**15), 2**15),
    "q": (0, 2**16),
    "i": (-(2**31), 2**31),
    "u": (0, 2**32),
    "x": (-(2**63), 2**63),
    "t": (0, 2**64),
}
_DEEPEST = 64  # D-Bus: 32 arrays and 32 structs
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}


def parse(text: str, location: str) -> "tuple[str, Any]":
    """The value of a whole text; refuses what is left over."""
    reader = _Reader(text, location)
    value = reader.value("")
    reader.space()
    if reader.at < len(text):
        reader.refuse("something follows the value")
    return value


class _Reader:
    def __init__(self, text: str, location: str) -> None:
        self.text = text
        self.location = location
        self.at = 0
        self.depth = 0

    def refuse(self, why: str) -> None:
        raise Error(f"{self.text!r} is not a value in GVariant's text format: {why}", location=self.location)

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t\n":
            self.at += 1

    def peek(self) -> str:
        self.space()
        return self.text[self.at] if self.at < len(self.text) else ""

    def word(self) -> str:
        """Letters, digits and what numbers are made of."""
        start = self.at
        while self.at < len(self.text) and (self.text[self.at].isalnum() or self.text[self.at] in "+-._"):
            self.at += 1
        if start == self.at:
            self.refuse(f"unexpected {self.text[start : start + 1]!r}")
        return self.text[start : self.at]

    def value(self, wanted: str) -> "tuple[str, Any]":
        """One value, of a type if one is wanted. What D-Bus allows to nest is less than Python's own limit."""
        self.depth += 1
        if self.depth > _DEEPEST:
            self.refuse("it nests too deep")
        found = self._value(wanted)
        self.depth -= 1
        return found

    def _value(self, wanted: str) -> "tuple[str, Any]":
        first = self.peek()
        if first == "@":
            self.at += 1
            end = self.text.find(" ", self.at)
            wanted, self.at = self.text[self.at : end], end
            if end < 0:
                self.refuse("a type without a value")
            return self.value(wanted)
        if first in ("'", '"'):
            return self.typed(wanted or "s", self.string(first))
        if first == "[":
            return self.array(wanted)
        if first == "(":
            return self.tuple(wanted)
        word = self.word()
        if word in _KEYWORDS:
            return self.value(_KEYWORDS[word])
        if word in ("true", "false"):
            return self.typed(wanted or "b", word == "true")
        return self.number(word, wanted)

    def typed(self, signature: str, value: "Any") -> "tuple[str, Any]":
        expected = bool if signature == "b" else str
        if not isinstance(value, expected) or signature not in ("b", "s", "o", "g"):
            self.refuse(f"{value!r} is not of type {signature!r}")
        return signature, value

    def number(self, word: str, wanted: str) -> "tuple[str, Any]":
        try:
            if wanted == "d" or (not wanted and "." in word):
                return "d", float(word)
            value = int(word, 0)
        except ValueError:
            self.refuse(f"unexpected {word!r}")
            raise
        signature = wanted or "i"
        low, high = _RANGES.get(signature, (0, 0))
        if not low <= value < high:
            self.refuse(f"{value} is not of type {signature!r}")
        return signature, value

    def string(self, quote: str) -> str:
        self.at += 1
        out: "list[str]" = []
        while self.at < len(self.text):
            character = self.text[self.at]
            self.at += 1
            if character == quote:
                return "".join(out)
            if character == "\\":
                out.append(self.escape())
            else:
                out.append(character)
        self.refuse("a quote is missing")
        return ""

    def escape(self) -> str:
        code = self.text[self.at : self.at + 1]
        self.at += 1
        if code in ("u", "U"):
            digits = self.text[self.at : self.at + (4 if code == "u" else 8)]
            self.at += len(digits)
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                self.refuse(f"\\{code}{digits} is not a character")
        return _ESCAPES.get(code, code)

    def items(self, close: str, wanted: "list[str]") -> "list[tuple[str, Any]]":
        """The values up to a bracket; each of its wanted type, the last of which goes for all that follow."""
        self.at += 1
        found: "list[tuple[str, Any]]" = []
        while self.peek() != close:
            if found:
                if self.peek() != ",":
                    self.refuse("a comma is missing")
                self.at += 1
                if self.peek() == close:
                    break  # (1,) is a tuple of one
            kind = wanted[min(len(found), len(wanted) - 1)] if wanted else ""
            found.append(self.value(kind))
        self.at += 1
        return found

    def array(self, wanted: str) -> "tuple[str, Any]":
        if wanted and not wanted.startswith("a"):
            self.refuse(f"an array is not of type {wanted!r}")
        found = self.items("]", [wanted[1:]] if wanted else [])
        kinds = {kind for kind, _ in found}
        if not found and not wanted:
            self.refuse("an empty array needs its type, such as @as []")
        if len(kinds) > 1:
            self.refuse("an array has values of one type")
        kind = kinds.pop() if kinds else wanted[1:]
        values = [value for _, value in found]
        return "a" + kind, bytes(values) if kind == "y" else values

    def tuple(self, wanted: str) -> "tuple[str, Any]":
        inner = _split(wanted[1:-1]) if wanted else []
        found = self.items(")", inner)
        if wanted and len(found) != len(inner):
            self.refuse(f"a tuple of {len(found)} is not of type {wanted!r}")
        return "(" + "".join(kind for kind, _ in found) + ")", tuple(value for _, value in found)


def _split(signature: str) -> "list[str]":
    """The complete types of a signature."""
    parts, at = [], 0
    while at < len(signature):
        end = at
        while signature[end : end + 1] == "a":
            end += 1
        if signature[end : end + 1] == "(":
            depth = 0
            while end < len(signature):
                depth += {"(": 1, ")": -1}.get(signature[end], 0)
                if not depth:
                    break
                end += 1
        parts.append(signature[at : end + 1])
        at = end + 1
    return parts
