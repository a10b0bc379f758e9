"""A JSON reader that knows where everything stands: slow, exact, used for error messages and reports only."""

from __future__ import annotations

import re
from json.decoder import scanstring  # type: ignore[attr-defined]

from pyoci.json import INT_MAX, INT_MIN, MAX_DEPTH

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))((?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
_WORD = re.compile(r"[-+\w.]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONSTANTS = {"true": True, "false": False, "null": None}


class Problem:
    """What JSON itself forbids: a stable code, a sentence, the place in the text and in the document."""

    __slots__ = ("code", "column", "line", "path", "text")

    def __init__(self, code: str, text: str, line: int, column: int, path: Path) -> None:
        self.code = code
        self.text = text
        self.line = line
        self.column = column
        self.path = path


class Result:
    """What a scan found.

    value:    the document; None when `broken`
    broken:   the text ends or stops being JSON somewhere, so `value` is not there
    problems: at most as many as asked for
    places:   of each wanted path the offset of its value
    keys:     of each wanted path that is a member of an object the offset of its name
    """

    __slots__ = ("broken", "keys", "places", "problems", "value")

    def __init__(self) -> None:
        self.value: object = None
        self.broken = False
        self.problems: list[Problem] = []
        self.places: dict[Path, int] = {}
        self.keys: dict[Path, int] = {}


class _Stop(Exception):
    """The text is not JSON from here on, or enough problems were found."""


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, the column in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def scan(text: str, *, limit: int = 100, wanted: set[Path] | None = None) -> Result:
    """Reads a JSON text and tells every duplicate key, impossible number, lone surrogate, and the first syntax error.

    text:   the document
    limit:  stop after so many problems
    wanted: paths (tuples of keys and indexes) whose places are to be noted
    """
    reader = _Reader(text, limit, wanted or set())
    try:
        reader.run()
    except _Stop:
        reader.result.broken = True
    return reader.result


class _Reader:
    """The state of one scan: an explicit stack, so that depth costs no recursion."""

    __slots__ = ("at", "containers", "limit", "path", "result", "text", "wanted")

    def __init__(self, text: str, limit: int, wanted: set[Path]) -> None:
        self.text = text
        self.limit = limit
        self.wanted = wanted
        self.at = 0
        self.path: list[str | int] = []
        self.containers: list[dict[str, object] | list[object]] = []
        self.result = Result()

    def problem(self, code: str, text: str, offset: int) -> None:
        line, column = line_and_column(self.text, offset)
        self.result.problems.append(Problem(code, text, line, column, tuple(self.path)))
        if len(self.result.problems) >= self.limit:
            raise _Stop

    def syntax(self, text: str, offset: int) -> _Stop:
        self.problem("json-syntax", text, offset)
        return _Stop()

    def skip(self) -> str:
        """Moves past white space and gives the character there, or nothing at the end."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def run(self) -> None:
        if self.text[:1] == "\ufeff":
            self.problem("json-bom", "a byte order mark may not begin a JSON document", 0)
            self.at = 1
        if not self.skip():
            raise self.syntax("the document is empty", self.at)
        self.result.value = self.value()
        while self.containers:
            if isinstance(self.containers[-1], dict):
                self.member()
            else:
                self.item()
        if self.skip():
            raise self.syntax("text after the end of the document", self.at)

    def opened(self, container: dict[str, object] | list[object]) -> object:
        if len(self.containers) >= MAX_DEPTH:
            raise self.syntax(f"nested deeper than {MAX_DEPTH} levels", self.at)
        self.containers.append(container)
        self.at += 1
        return container

    def value(self) -> object:
        """The value at this place; of a container only its beginning, the caller goes on inside it."""
        char = self.skip()
        if self.wanted and tuple(self.path) in self.wanted:
            self.result.places[tuple(self.path)] = self.at
        if char == "{":
            return self.opened({})
        if char == "[":
            return self.opened([])
        if char == '"':
            return self.string()
        return self.scalar()

    def close(self) -> None:
        self.at += 1
        self.containers.pop()
        if self.path:
            self.path.pop()

    def member(self) -> None:
        """One step inside the innermost object: its end, or a name and the beginning of its value."""
        container = self.containers[-1]
        assert isinstance(container, dict)
        char = self.skip()
        if char == "}":
            return self.close()
        if container:
            if char != ",":
                raise self.syntax("expected ',' or '}'", self.at)
            self.at += 1
            char = self.skip()
        if char != '"':
            raise self.syntax("expected a property's name in double quotes", self.at)
        self.named(container)
        return None

    def named(self, container: dict[str, object]) -> None:
        start = self.at
        key = self.string()
        self.path.append(key)
        if key in container:
            self.problem("json-duplicate-key", f'duplicate key "{key}"', start)
        if self.wanted and tuple(self.path) in self.wanted:
            self.result.keys[tuple(self.path)] = start
        if self.skip() != ":":
            raise self.syntax("expected ':'", self.at)
        self.at += 1
        self.enter(container, key)

    def item(self) -> None:
        """One step inside the innermost array: its end, or the beginning of an item."""
        container = self.containers[-1]
        assert isinstance(container, list)
        char = self.skip()
        if char == "]":
            return self.close()
        if container:
            if char != ",":
                raise self.syntax("expected ',' or ']'", self.at)
            self.at += 1
        self.path.append(len(container))
        container.append(None)
        self.enter(container, len(container) - 1)
        return None

    def enter(self, container: object, key: str | int) -> None:
        depth = len(self.containers)
        value = self.value()
        container[key] = value  # type: ignore[index]
        if len(self.containers) == depth:
            self.path.pop()

    def string(self) -> str:
        start = self.at
        try:
            value, self.at = scanstring(self.text, start + 1, True)
        except ValueError as problem:
            offset = getattr(problem, "pos", start)
            raise self.syntax(_words(getattr(problem, "msg", str(problem))), offset) from None
        if _SURROGATE.search(value):
            self.problem("json-surrogate", "half of a surrogate pair is not a character", start)
        return str(value)

    def scalar(self) -> object:
        start = self.at
        match = _NUMBER.match(self.text, start)
        if match:
            self.at = match.end()
            return self.number(match.group(1), match.group(2), start)
        found = _WORD.match(self.text, start)
        word = found.group() if found else self.text[start : start + 1]
        if word in _CONSTANTS:
            self.at = start + len(word)
            return _CONSTANTS[word]
        if word in ("NaN", "Infinity", "-Infinity"):
            self.at = start + len(word)
            self.problem("json-number", f"{word} is no JSON number", start)
            return 0
        raise self.syntax("expected a value" if word else "the document ends before its last value does", start)

    def number(self, integer: str, rest: str, start: int) -> object:
        if rest:
            value = float(integer + rest)
            if value - value != 0.0:
                self.problem("json-number", f"{_short(integer + rest)} is beyond the range of a number", start)
                return 0
            return value
        whole = int(integer) if len(integer) <= 20 else INT_MAX + 1
        if whole < INT_MIN or whole > INT_MAX:
            self.problem("json-number", f"{_short(integer)} is beyond the range of a 64-bit integer", start)
            return 0
        return whole


def _short(digits: str) -> str:
    return digits if len(digits) <= 40 else f"{digits[:20]}... ({len(digits)} digits)"


def _words(message: str) -> str:
    """The decoder's words on a string, made to follow ours."""
    if message.startswith("Unterminated string"):
        return "a string that does not end"
    if message.startswith("Invalid control character"):
        return "a control character inside a string must be escaped"
    return "invalid escape in a string"
