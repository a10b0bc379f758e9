"""protobuf's wire format (protobuf.dev, Encoding) for messages described by tables: a tenth of what the library costs
to import, and each pod's process would pay it.

A table is {field number: (name, kind, table of the message within, or None)}; a message is a dict by names. Kinds:
UINT (uint32, uint64, int32, enum), BOOL, TEXT, BYTES, MESSAGE; with MANY added repeated ones; MAP: map<string, string>.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    Table = dict[int, tuple[str, int, Optional[dict[int, Any]]]]
    Message = dict[str, Any]

UINT, BOOL, TEXT, BYTES, MESSAGE, MAP = range(6)
MANY = 8
DEFAULTS: "tuple[Any, ...]" = (0, False, "", b"", None, None)
_MAX_DEPTH = 32
_LARGEST = 2**64 - 1


class Malformed(Exception):
    """The bytes are no such message."""


# By the address of a table, with the table, so that it stays: a message with nothing in it, and the fields that need an
# object of their own
_EMPTY: "dict[int, tuple[Table, Message, list[tuple[str, Any]]]]" = {}


def _empty(table: "Table") -> "Message":
    known = _EMPTY.get(id(table))
    if known is None:
        plain: "Message" = {name: None if kind & MANY else DEFAULTS[kind] for name, kind, _ in table.values()}
        made: "list[tuple[str, Any]]" = [
            (name, dict if kind == MAP else list) for name, kind, _ in table.values() if kind & MANY or kind == MAP
        ]
        known = _EMPTY[id(table)] = table, plain, made
    message = known[1].copy()
    for name, kind in known[2]:
        message[name] = kind()
    return message


def decode(table: "Table", data: bytes, depth: int = 0) -> "Message":
    """The message in the bytes; absent fields have their defaults, unknown ones are passed over. Raises Malformed.

    What is short, as almost all is, is read here: each request is read once, and most are for a state."""
    if depth > _MAX_DEPTH:
        raise Malformed("nested too deep")
    message = _empty(table)
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        if key < 0x80:
            at += 1
        else:
            key, at = _varint(data, at)
        if key & 7 == 2 and at < end and data[at] < 0x80:
            stop = at + 1 + data[at]
            if stop > end:
                raise Malformed("a field is cut off")
            value: "Any" = data[at + 1 : stop]
            at = stop
        else:
            value, at = _value(key & 7, data, at, end)
        field = table.get(key >> 3)
        if field is None:
            if not key >> 3:
                raise Malformed("a field has the number 0")
        elif field[1] == TEXT and key & 7 == 2:
            message[field[0]] = _text(value, field[0])
        else:
            _put(message, field, key & 7, value, depth)
    return message


def _put(message: "Message", field: "tuple[str, int, Any]", wire: int, value: "Any", depth: int) -> None:
    name, kind, table = field
    plain = kind & ~MANY
    if plain <= BOOL:
        if wire == 2 and kind & MANY:  # packed
            at = 0
            while at < len(value):
                number, at = _varint(value, at)
                message[name].append(number)
            return
        if wire != 0:
            raise Malformed(f"{name} is not a number")
        value = value != 0 if plain == BOOL else value
    elif wire != 2:
        raise Malformed(f"{name} has no length")
    elif plain == TEXT:
        value = _text(value, name)
    elif plain == MESSAGE:
        value = decode(table, value, depth + 1)
    elif plain == MAP:
        pair = decode(_PAIR, value, depth + 1)
        message[name][pair["key"]] = pair["value"]
        return
    if kind & MANY:
        message[name].append(value)
    else:
        message[name] = value


def _text(value: bytes, name: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{name} is no UTF-8") from None
    if "\0" in text:  # it names something, and no name can have one
        raise Malformed(f"{name} has a NUL")
    return text


def _varint(data: bytes, at: int) -> "tuple[int, int]":
    number = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise Malformed("a number is longer than ten bytes")
    except IndexError:
        raise Malformed("a number is cut off") from None
    return number & _LARGEST, at


def _value(wire: int, data: bytes, at: int, end: int) -> "tuple[Any, int]":
    if wire == 0:
        return _varint(data, at)
    if wire == 2:
        length, at = _varint(data, at)
    elif wire in (1, 5):
        length = 8 if wire == 1 else 4
    else:
        raise Malformed(f"wire type {wire}")
    if length > end - at:
        raise Malformed("a field is cut off")
    return data[at : at + length], at + length


def encode(table: "Table", message: "Message") -> bytes:
    """The bytes of a message; what it lacks, and what has its default value, is left out."""
    out = bytearray()
    for number, (name, kind, inner) in table.items():
        value = message.get(name)
        if not value and not (kind == MESSAGE and value is not None):
            continue
        if kind <= BOOL:
            _append(out, number << 3)
            _append(out, int(value) & _LARGEST)
            continue
        if kind == MAP:
            value, kind, inner = [{"key": key, "value": text} for key, text in value.items()], MESSAGE | MANY, _PAIR
        if kind & MANY:
            for one in value:
                if kind & ~MANY <= BOOL:
                    _append(out, number << 3)
                    _append(out, int(one) & _LARGEST)
                else:
                    _append_piece(out, number, _bytes(kind & ~MANY, inner, one))
        else:
            _append_piece(out, number, _bytes(kind, inner, value))
    return bytes(out)


def _bytes(kind: int, inner: "Any", value: "Any") -> bytes:
    if kind == TEXT:
        return value.encode("utf-8", "replace")  # type: ignore[no-any-return]
    return value if kind == BYTES else encode(inner, value)


def _append_piece(out: bytearray, number: int, data: bytes) -> None:
    length = len(data)
    if number < 16 and length < 0x80:
        out.append(number << 3 | 2)
        out.append(length)
    else:
        _append(out, number << 3 | 2)
        _append(out, length)
    out += data


def _append(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


_PAIR: "Table" = {1: ("key", TEXT, None), 2: ("value", TEXT, None)}
