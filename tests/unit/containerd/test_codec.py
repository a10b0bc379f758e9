"""protobuf's wire format by tables: what others write is read, what we write is read by others, nonsense is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pyoci.containerd import messages
from pyoci.containerd.codec import BOOL, BYTES, MANY, MAP, MESSAGE, TEXT, UINT, Malformed, decode, encode

INNER = {1: ("text", TEXT, None), 2: ("numbers", UINT | MANY, None)}
OUTER = {
    1: ("number", UINT, None),
    2: ("yes", BOOL, None),
    3: ("text", TEXT, None),
    4: ("bytes", BYTES, None),
    5: ("inner", MESSAGE, INNER),
    6: ("many", MESSAGE | MANY, INNER),
    7: ("map", MAP, None),
}


def test_bytes_of_the_documentation() -> None:
    """protobuf.dev, Encoding: a number of two bytes, a string, a message within, packed numbers."""
    assert decode(OUTER, b"\x08\x96\x01")["number"] == 150
    assert encode(OUTER, {"number": 150}) == b"\x08\x96\x01"
    assert encode(INNER, {"text": "testing"}) == b"\x0a\x07testing"
    assert encode(OUTER, {"inner": {"text": "testing"}}) == b"\x2a\x09\x0a\x07testing"
    assert decode(INNER, b"\x12\x06\x03\x8e\x02\x9e\xa7\x05")["numbers"] == [3, 270, 86942]
    assert decode(INNER, b"\x10\x03\x10\x8e\x02")["numbers"] == [3, 270]


def test_what_is_absent_has_its_default() -> None:
    empty = {"number": 0, "yes": False, "text": "", "bytes": b"", "inner": None, "many": [], "map": {}}
    assert decode(OUTER, b"") == empty
    assert encode(OUTER, empty) == b""
    assert encode(OUTER, {"inner": {}}) == b"\x2a\x00"  # a message that is there, and empty


def test_unknown_fields_are_passed_over() -> None:
    known = encode(OUTER, {"text": "x"})
    for unknown in (b"\xf8\x01\x05", b"\xf9\x01" + bytes(8), b"\xfd\x01" + bytes(4), b"\xfa\x01\x02ab"):
        assert decode(OUTER, unknown + known + unknown)["text"] == "x"


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # no value
        b"\x08\xff",  # cut off
        b"\x08" + b"\xff" * 10 + b"\x01",  # longer than ten bytes
        b"\x1a\x05ab",  # shorter than it says
        b"\x1a\xff\xff\xff\xff\x0f",  # 4 GiB
        b"\x1a\x02\xff\xfe",  # no UTF-8
        b"\x1a\x01\x00",  # a NUL in a text
        b"\x18\x01",  # a number where text belongs
        b"\x0a\x01a",  # text where a number belongs
        b"\x0b",  # a group
        b"\x0e",  # no wire type
        b"\x00\x00",  # field 0
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(OUTER, data)


def test_nesting_has_a_limit() -> None:
    table: "dict[int, tuple[str, int, object]]" = {}
    table[1] = ("inner", MESSAGE, table)
    data = b""
    for _ in range(100):
        data = encode({1: ("inner", BYTES, None)}, {"inner": data or b"\x0a\x00"})
    with pytest.raises(Malformed, match="deep"):
        decode(table, data)  # type: ignore[arg-type]


WORDS = some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]))
INNERS = some.fixed_dictionaries({"text": WORDS, "numbers": some.lists(some.integers(0, 2**64 - 1))})
OUTERS = some.fixed_dictionaries(
    {
        "number": some.integers(0, 2**64 - 1),
        "yes": some.booleans(),
        "text": WORDS,
        "bytes": some.binary(),
        "inner": some.none() | INNERS,
        "many": some.lists(INNERS, max_size=3),
        "map": some.dictionaries(WORDS, WORDS, max_size=3),
    }
)


@given(OUTERS)
def test_what_was_written_is_read(message: "dict[str, object]") -> None:
    assert decode(OUTER, encode(OUTER, message)) == message


@given(some.binary(max_size=200))
@settings(max_examples=500)
def test_bytes_are_a_message_or_malformed(data: bytes) -> None:
    for table in (OUTER, messages.CREATE, messages.REQUEST, messages.BOOTSTRAP, messages.STATE):
        try:
            decode(table, data)
        except Malformed:
            pass


def test_as_the_library_has_it() -> None:
    """The types that google.protobuf itself brings, both ways."""
    any_pb2 = pytest.importorskip("google.protobuf.any_pb2", reason="python3-protobuf is not installed")
    timestamp_pb2 = pytest.importorskip("google.protobuf.timestamp_pb2")
    theirs = any_pb2.Any(type_url="containerd.events.TaskExit", value=bytes(range(200)))
    ours = {"type_url": theirs.type_url, "value": theirs.value}
    assert decode(messages.ANY, theirs.SerializeToString()) == ours
    assert encode(messages.ANY, ours) == theirs.SerializeToString()
    time = timestamp_pb2.Timestamp(seconds=1_790_000_000, nanos=999_999_999)
    assert encode(messages.TIME, messages.timestamp(1_790_000_000_999_999_999)) == time.SerializeToString()
