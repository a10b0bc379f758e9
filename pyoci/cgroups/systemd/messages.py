"""D-Bus messages, made and read by libsystemd (man 3 sd-bus), which lies wherever systemd does.

Values are Python's: an array is a list (of bytes: bytes), a struct a tuple, a variant the pair (signature, value).
"""

import errno

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIBRARY = "libsystemd.so.0"

_C_TYPES = {
    "y": "uint8_t *",
    "b": "int *",
    "n": "int16_t *",
    "q": "uint16_t *",
    "i": "int32_t *",
    "u": "uint32_t *",
    "x": "int64_t *",
    "t": "uint64_t *",
    "d": "double *",
}
_TEXTS = "sog"


_opened: "list[Library]" = []


def library() -> "Library":
    """libsystemd, which is opened once."""
    if not _opened:
        _opened.append(Library())
    return _opened[0]


class Library:
    """libsystemd, opened. call: its functions; ffi: cffi's."""

    __slots__ = ("call", "ffi")

    def __init__(self) -> None:
        from pyoci.cgroups.systemd._library import ffi

        self.ffi = ffi
        try:
            self.call = ffi.dlopen(LIBRARY)
        except OSError:
            hint = "install libsystemd (Debian: libsystemd0); without, cgroups are made directly"
            raise Error(f"the library {LIBRARY} is not installed", step="systemd", hint=hint, kind="missing") from None

    # making

    def append(self, message: "Any", signature: str, values: "tuple[Any, ...] | list[Any]") -> None:
        """Adds values, one for each whole type of the signature."""
        at = 0
        for value in values:
            end = _end_of_type(signature, at)
            self._append_one(message, signature[at:end], value)
            at = end

    def _append_one(self, message: "Any", kind: str, value: "Any") -> None:
        call = self.call
        if kind == "ay":
            check(call.sd_bus_message_append_array(message, b"y", value, len(value)))
        elif kind in _TEXTS:
            check(call.sd_bus_message_append_basic(message, kind.encode(), self._text(value)))
        elif kind in _C_TYPES:
            check(call.sd_bus_message_append_basic(message, kind.encode(), self._number(kind, value)))
        else:
            self._append_container(message, kind, value)

    def _append_container(self, message: "Any", kind: str, value: "Any") -> None:
        letter, contents = b"a", kind[1:]
        if kind == "v":
            letter, (contents, value) = b"v", value
        elif kind[0] == "(":
            letter, contents = b"r", kind[1:-1]
        check(self.call.sd_bus_message_open_container(message, letter, contents.encode()))
        if letter == b"a":
            for item in value:
                self._append_one(message, contents, item)
        else:
            self.append(message, contents, value if letter == b"r" else (value,))
        check(self.call.sd_bus_message_close_container(message))

    def _number(self, kind: str, value: "Any") -> "Any":
        try:
            return self.ffi.new(_C_TYPES[kind], value)
        except OverflowError:
            raise OSError(errno.ERANGE, "") from None

    def _text(self, value: str) -> "Any":
        try:
            text = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise OSError(errno.EINVAL, "") from None
        if b"\0" in text:
            raise OSError(errno.EINVAL, "")  # D-Bus has no such strings, and C would see the first half of it
        return self.ffi.new("char[]", text)

    # reading

    def read(self, message: "Any") -> "tuple[Any, ...]":
        """What is left in a message, or in the container of it that was entered."""
        letter, contents, found = self.ffi.new("char *"), self.ffi.new("char **"), []
        while check(self.call.sd_bus_message_peek_type(message, letter, contents)):
            kind = letter[0].decode()
            found.append(self._read_basic(message, kind) if not contents[0] else self._read_in(message, kind, contents))
        return tuple(found)

    def _read_basic(self, message: "Any", kind: str) -> "Any":
        into = self.ffi.new("char **" if kind in _TEXTS else _C_TYPES[kind])
        check(self.call.sd_bus_message_read_basic(message, kind.encode(), into))
        return self.text(into[0]) if kind in _TEXTS else bool(into[0]) if kind == "b" else into[0]

    def _read_in(self, message: "Any", kind: str, contents: "Any") -> "Any":
        signature = self.text(contents[0])
        check(self.call.sd_bus_message_enter_container(message, kind.encode(), contents[0]))
        found = self.read(message)
        check(self.call.sd_bus_message_exit_container(message))
        return list(found) if kind == "a" else (signature, found[0]) if kind == "v" else found

    def text(self, string: "Any") -> str:
        """A string of C's."""
        return str(self.ffi.string(string).decode("utf-8", "surrogateescape"))


def _end_of_type(signature: str, at: int) -> int:
    """Where a whole type ends: an array goes on with that of its items, a struct to its bracket."""
    while signature[at] == "a":
        at += 1
    depth = 0
    while True:
        depth += {"(": 1, ")": -1}.get(signature[at], 0)
        at += 1
        if depth == 0:
            return at


def check(result: int) -> int:
    """What a function of libsystemd returned. Errors: OSError when it is below 0."""
    if result < 0:
        raise OSError(-result, "")
    return result
