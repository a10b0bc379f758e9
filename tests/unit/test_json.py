"""The strict reader and the writer: what is refused and where, and that they agree with the slow reader and json."""

import json
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyoci.errors import Error
from pyoci.json import document, positions
from tests.support.bare import Bare

REFUSED = [
    (b"", "line 1, column 1: the document is empty"),
    (b" \n\t ", "line 2, column 3: the document is empty"),
    (b"{", "line 1, column 2: expected a property's name"),
    (b"[", "line 1, column 2: the document ends before"),
    (b"[1", "line 1, column 3: expected ',' or ']'"),
    (b'{"a"', "line 1, column 5: expected ':'"),
    (b'{"a":', "line 1, column 6: "),
    (b'{"a":1', "line 1, column 7: expected ',' or '}'"),
    (b"[1,]", "line 1, column 4: expected a value"),
    (b'{"a":0644}', "line 1, column 7: expected ',' or '}'"),
    (b'{"a":1 /* no */}', "line 1, column 8: expected ',' or '}'"),
    (b'{"a":"\t"}', "line 1, column 7: a control character"),
    (b'{"a":"\\x"}', "line 1, column 7: invalid escape in a string"),
    (b'{"a":1,}', "line 1, column 8: expected a property's name"),
    (b"{a:1}", "line 1, column 2: expected a property's name"),
    (b"{'a':1}", "line 1, column 2: expected a property's name"),
    (b"[1 2]", "line 1, column 4: expected ',' or ']'"),
    (b"[tru]", "line 1, column 2: expected a value"),
    (b"[truely]", "line 1, column 2: expected a value"),
    (b"[01]", "line 1, column 3: expected ',' or ']'"),
    (b"[1.]", "line 1, column 3: expected ',' or ']'"),
    (b"[.5]", "line 1, column 2: expected a value"),
    (b"[+1]", "line 1, column 2: expected a value"),
    (b"[-]", "line 1, column 2: expected a value"),
    (b"[0x10]", "line 1, column 3: expected ',' or ']'"),
    (b"{} {}", "line 1, column 4: text after the end"),
    (b"{}\n\nx", "line 3, column 1: text after the end"),
    (b"{} // no", "line 1, column 4: text after the end"),
    (b"/* no */ {}", "line 1, column 1: expected a value"),
    (b'{"a":1,"b":2,"a":3}', 'line 1, column 14: duplicate key "a"'),
    (b'{"x":{\n "a":1,\n "\\u0061":3}}', 'line 3, column 2: duplicate key "a"'),
    (b"[NaN]", "line 1, column 2: NaN is no JSON number"),
    (b"[Infinity]", "line 1, column 2: Infinity is no JSON number"),
    (b"[-Infinity]", "line 1, column 2: -Infinity is no JSON number"),
    (b"[1e999]", "line 1, column 2: 1e999 is beyond"),
    (b"[-1e999]", "line 1, column 2: -1e999 is beyond"),
    (b"[18446744073709551616]", "line 1, column 2: 18446744073709551616 is beyond"),
    (b"[-9223372036854775809]", "line 1, column 2: -9223372036854775809 is beyond"),
    (b"[" + b"9" * 5000 + b"]", "99... (5000 digits) is beyond"),
    (b"\xef\xbb\xbf{}", "line 1, column 1: a byte order mark"),
    (b"\xff\xfe{\x00}\x00", "line 1, column 1: invalid UTF-8: byte 0xff"),
    (b'{"\xc3\xa9\xc3\xa9": "\xff"}', "line 1, column 9: invalid UTF-8: byte 0xff"),
    (b'["\xed\xa0\x80"]', "line 1, column 3: invalid UTF-8"),
    (b'["\\ud800"]', "line 1, column 2: half of a surrogate pair"),
    (b'{"\\uDC80": 1}', "line 1, column 2: half of a surrogate pair"),
    (b'["a\nb"]', "line 1, column 4: a control character"),
    (b'["a\x00b"]', "line 1, column 4: a control character"),
    (b'["\\x41"]', "invalid escape in a string"),
    (b'["\\u12g4"]', "invalid escape in a string"),
    (b'["abc]', "line 1, column 2: a string that does not end"),
    (b"[" * 101 + b"]" * 101, "line 1, column 101: nested deeper than 100 levels"),
    (b'{"a":' * 100_000, "nested deeper than 100 levels"),
    (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 100 levels"),
]


@pytest.mark.parametrize(("data", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused_with_place(data: bytes, words: str) -> None:
    with pytest.raises(Error) as caught:
        document.parse(data, name="process.json")
    assert str(caught.value).startswith("process.json: line ")
    assert words in str(caught.value)


@pytest.mark.parametrize(("data", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused_with_place_where_nothing_else_is_loaded(interpreter: Bare, data: bytes, words: str) -> None:
    kind, text = interpreter.call("pyoci.json.document", "parse", data, name="process.json")
    assert (kind, text[:19]) == ("Error", "process.json: line "), text
    assert words in text


ACCEPTED = [
    (b"null", None),
    (b" \r\n\t{ } ", {}),
    (b"[-9223372036854775808, 18446744073709551615]", [-(2**63), 2**64 - 1]),
    (b"[1.0, -0.5e-3, 1E2]", [1.0, -0.0005, 100.0]),
    (b'["]]]]{{{{"]', ["]]]]{{{{"]),
    (b'["\\ud83d\\ude00", "\\\\ud800"]', ["\U0001f600", "\\ud800"]),
    (b'{"a": {"b": 1}, "b": {"a": 1}}', {"a": {"b": 1}, "b": {"a": 1}}),
    (b'["\\u0000"]', ["\x00"]),
    (b"[" * 100 + b"]" * 100, None),
]


@pytest.mark.parametrize(("data", "value"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_accepted(data: bytes, value: object) -> None:
    parsed = document.parse(data)
    assert repr(parsed) == repr(value if value is not None else json.loads(data))


@pytest.mark.parametrize(("data", "value"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_accepted_where_nothing_else_is_loaded(interpreter: Bare, data: bytes, value: object) -> None:
    kind, parsed = interpreter.call("pyoci.json.document", "parse", data)
    assert kind == ""
    assert repr(parsed) == repr(value if value is not None else json.loads(data))
    text = interpreter.call("pyoci.json.document", "dump", parsed)[1]
    assert interpreter.call("pyoci.json.document", "parse", text.encode()) == ("", parsed)
    pretty = interpreter.call("pyoci.json.document", "dump_pretty", parsed, " ")[1]
    assert interpreter.call("pyoci.json.document", "parse", pretty.encode()) == ("", parsed)


def test_size_is_bounded_before_anything_is_done() -> None:
    data = b"[" + b"1," * 50_000_000 + b"1]"
    tracemalloc.start()
    with pytest.raises(Error, match="more than the 8388608 a document may have"):
        document.parse(data)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_depth_costs_no_memory_of_the_stack() -> None:
    tracemalloc.start()
    with pytest.raises(Error, match="nested deeper"):
        document.parse(b"[" * document.MAX_BYTES)
    assert tracemalloc.get_traced_memory()[1] < 12 * document.MAX_BYTES
    tracemalloc.stop()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    assert repr(document.parse(document.dump(value).encode())) == repr(value)
    assert repr(document.parse(document.dump_pretty(value, "\t").encode())) == repr(value)
    assert document.dump(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert document.dump_pretty(value, "   ") == json.dumps(value, ensure_ascii=False, indent=3)


PUNCTUATION = ["{", "}", "[", "]", ",", ":", " ", "\n", '"', "\\", "x", "é", "\ufeff"]
TEXTS = ['"a"', '"b"', '"\\ud800"', '"\\n"', '"\n"']
NUMBERS = ["1", "-1", "01", "1.5", "1e5", "1e999", "18446744073709551616", "NaN", "Infinity"]
TOKENS = st.sampled_from([*PUNCTUATION, *TEXTS, *NUMBERS, "true", "null", "nul"])


@settings(max_examples=1500, derandomize=True, deadline=None)
@given(st.lists(TOKENS, max_size=12).map("".join))
def test_quick_and_slow_reader_agree_on_any_text(text: str) -> None:
    slow = positions.scan(text, limit=1)
    try:
        value = document.parse(text.encode())
    except Error:
        assert slow.problems
        return
    assert not slow.problems
    assert repr(slow.value) == repr(value)
    assert repr(json.loads(text)) == repr(value)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(VALUES, st.data())
def test_readers_agree_on_damaged_documents(value: object, data: st.DataObject) -> None:
    text = document.dump(value)
    place = data.draw(st.integers(0, len(text)))
    damaged = text[:place] + data.draw(TOKENS) + text[place + data.draw(st.integers(0, 2)) :]
    slow = positions.scan(damaged, limit=1)
    try:
        assert repr(document.parse(damaged.encode())) == repr(slow.value)
    except Error:
        assert slow.problems


def test_without_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "make_scanner", None)
    monkeypatch.setattr(document, "make_encoder", None)
    assert document.parse(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    assert document.dump({"a": ["é", 1]}) == '{"a":["é",1]}'
    with pytest.raises(Error, match="duplicate key"):
        document.parse(b'{"a": 1, "a": 1}')


def test_scan_tells_all_soft_problems_and_goes_on() -> None:
    result = positions.scan('{"a": 1, "a": [NaN, 1e999, "\\ud800"], "b": {"a": 1, "a": 99999999999999999999}}')
    assert [(p.code, p.path) for p in result.problems] == [
        ("json-duplicate-key", ("a",)),
        ("json-number", ("a", 0)),
        ("json-number", ("a", 1)),
        ("json-surrogate", ("a", 2)),
        ("json-duplicate-key", ("b", "a")),
        ("json-number", ("b", "a")),
    ]
    assert not result.broken


def test_places_of_wanted_paths() -> None:
    text = '{\n  "a": [10, {"b": "x"}],\n  "c": {}\n}'
    result = positions.scan(text, wanted={("a", 1, "b"), ("a", 0), ("c",), ("nowhere",)})
    assert {path: text[offset] for path, offset in result.places.items()} == {
        ("a", 1, "b"): '"',
        ("a", 0): "1",
        ("c",): "{",
    }
    assert positions.line_and_column(text, result.keys[("a", 1, "b")]) == (2, 14)


def test_writer_refuses_what_is_no_json() -> None:
    with pytest.raises(TypeError):
        document.dump({"a": {1, 2}})
    with pytest.raises(ValueError):
        document.dump([float("nan")])
    with pytest.raises(TypeError):
        document.dump_pretty([b""], " ")


def test_layout_is_that_of_go() -> None:
    value = {"a": [], "b": {}, "c": [1, "x"], "d": {"e": None}}
    assert document.dump_pretty(value, "  ") == (
        '{\n  "a": [],\n  "b": {},\n  "c": [\n    1,\n    "x"\n  ],\n  "d": {\n    "e": null\n  }\n}'
    )


def test_reading_and_writing_import_nothing_of_the_library() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); from pyoci.json import document\n"
        "document.dump_pretty(document.parse(b'{\"a\": [1, 2.5, \"x\"]}'), ' '); document.dump([1])\n"
        "print(sorted(set(sys.modules) - before))"
    )
    root = document.__file__.rsplit("/", 3)[0]
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code, root], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['_json', 'pyoci', 'pyoci.errors', 'pyoci.json', 'pyoci.json.document']"
