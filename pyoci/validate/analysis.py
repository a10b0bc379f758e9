"""All problems of a document at once: the schema's, the rules', the recommendations', each with its place."""

from __future__ import annotations

import bisect
import copy
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pyoci.errors import Error
from pyoci.json.document import dump, too_large
from pyoci.json.positions import Result, scan
from pyoci.validate import musts, musts_documents, shoulds
from pyoci.validate.catalog import CATALOG, ERRORS, NOT_REFUSED
from pyoci.validate.nulls import drop
from pyoci.validate.pointer import dotted, json_pointer
from pyoci.validate.schema import MOST, Reader
from pyoci.validate.zeros import fill

if TYPE_CHECKING:
    from pyoci.validate import Further
    from pyoci.validate.musts import Finding, Path

    Rules = Callable[[dict[str, Any], list[Finding]], None]


class Problem:
    """One thing that is wrong with a document.

    code:    stable name of the rule, see docs/validation.md
    level:   MUST, RUNTIME or SHOULD
    path:    keys and indexes from the top of the document
    text:    one sentence
    hint:    what to do, where that is clear
    title:   what the place is for
    spec:    section of the runtime specification
    line, column: where it stands in the text, from 1; 0 where there is no text
    """

    __slots__ = ("code", "column", "hint", "level", "line", "path", "spec", "text", "title")

    def __init__(self, finding: Finding, title: str, spec: str) -> None:
        self.code, self.path, self.text, self.hint = finding
        self.level = CATALOG[self.code][0]
        self.title = title
        self.spec = spec
        self.line = self.column = 0

    @property
    def place(self) -> str:
        """Such as mounts[3].destination."""
        return dotted(self.path)

    @property
    def pointer(self) -> str:
        """RFC 6901."""
        return json_pointer(self.path)


def analyse_text(raw: bytes, kind: str, further: Further | None = None) -> list[Problem]:
    """Every problem of a document's text, in its order, with line and column.

    raw:     the bytes
    kind:    config, process, state or features
    further: asked of a config that the rules find right
    """
    excess = too_large(raw)
    if excess:
        return [_unread("json-size", excess, raw[:0])]
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return [_unread("json-utf8", f"invalid UTF-8: byte 0x{raw[error.start]:02x}", raw[: error.start])]
    read = scan(text)
    problems = [] if read.broken else analyse(read.value, kind, further)
    places = scan(text, wanted={path for item in problems for path in _upwards(item.path)})
    lines = [-1, *(match.start() for match in re.finditer("\n", text))]
    for problem in problems:
        offset = next(place for path in _upwards(problem.path) for place in (_offset(places, path),) if place >= 0)
        problem.line = bisect.bisect_left(lines, offset)
        problem.column = offset - lines[problem.line - 1]
    for found in read.problems:
        problem = Problem((found.code, found.path, found.text, ""), "", CATALOG[found.code][1])
        problem.line, problem.column = found.line, found.column
        problems.append(problem)
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return problems


def located(raw: bytes, findings: list[Finding]) -> list[Problem]:
    """Findings about a text that can be read, with their places."""
    text = raw.decode()
    places = scan(text, wanted={path for item in findings for path in _upwards(item[1])})
    problems = [Problem(item, "", CATALOG[item[0]][1]) for item in findings]
    for problem in problems:
        offset = next(place for path in _upwards(problem.path) for place in (_offset(places, path),) if place >= 0)
        problem.line = text.count("\n", 0, offset) + 1
        problem.column = offset - text.rfind("\n", 0, offset)
    return problems


def missing_process(raw: bytes) -> list[Problem]:
    """The one problem more that a config has where start is asked for: no process."""
    read = scan(raw.decode("utf-8", "replace"))
    if not isinstance(read.value, dict) or "process" in read.value:
        return []
    sentence = "process property must not be empty: start needs it"
    problem = Problem(("process-required", ("process",), sentence, ""), "", CATALOG["process-required"][1])
    problem.line = problem.column = 1
    return [problem]


def _unread(code: str, text: str, before: bytes) -> Problem:
    """A problem that comes before reading; `before` is all that stands before its place."""
    problem = Problem((code, (), text, ""), "", CATALOG[code][1])
    problem.line = before.count(b"\n") + 1
    problem.column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
    return problem


def _upwards(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]


def _offset(places: Result, path: Path) -> int:
    """Where a place begins, the name of a member before its value; -1 where the text has no such place."""
    return places.keys.get(path, places.places.get(path, -1))


def analyse(document: object, kind: str, further: Further | None = None) -> list[Problem]:
    """Every problem of a parsed document, in its order."""
    reader = Reader(kind)
    whole = document
    said: list[Finding] = []
    written = document
    if kind in ("config", "process"):
        written, nulls = _null_findings(document)
        document, zeros = _zero_findings(written, kind)
        said = nulls + zeros
    found = _violations(document, kind, reader) + said
    if document is not None:
        found += reader.unknown(written)  # a name that was left out may be the right one
        if not reader.cut:
            found += _rule_findings(document, _advice(kind), _bad(found))
            refused = [item for item in found if CATALOG[item[0]][0] in ERRORS and item[0] not in NOT_REFUSED]
            if kind == "config" and further is not None and isinstance(document, dict) and not refused:
                found += further(document, found)
        if reader.cut or len(found) >= MOST:
            sentence = f"there may be more problems than are told: each sort is looked for {MOST} times"
            found.append(("cut-short", (), sentence, ""))
    return _in_order(whole, reader, found)


def _zero_findings(document: object, kind: str) -> tuple[object, list[Finding]]:
    """The document as the commands take it, and what the specification says of each number that is absent."""
    places: list[Path] = []
    whole = copy.deepcopy(document)
    fill(whole, kind, places)
    said = "is required; create and exec read its absence as zero"
    return whole, [("zero-property", path[:-1], f'"{path[-1]}" {said}', "") for path in places[:MOST]]


def _null_findings(document: object) -> tuple[object, list[Finding]]:
    """The document as the commands take it, and a warning for each property that is null."""
    places: list[Path] = []
    plain = copy.deepcopy(document)
    drop(plain, places)
    return plain, [("null-property", path, "null counts as absent", "") for path in places[:MOST]]


def _in_order(document: object, reader: Reader, found: list[Finding]) -> list[Problem]:
    problems = [_problem(reader, item) for item in found]
    order = _Order(document)
    problems.sort(key=lambda problem: order.of(problem.path))
    return problems


def _violations(document: object, kind: str, reader: Reader) -> list[Finding]:
    """What must not be: in the schema's words, the rules', and characters that the kernel ends strings with."""
    if document is None:
        return [("document-null", (), f"{kind} cannot be null", "")]
    found = reader.errors(document)
    if not reader.cut:  # else there is more that is wrong, and the rules would meet what they do not expect
        found += _rule_findings(document, _rules(kind), _bad(found))
    return found + _nul_findings(document, kind)


def _bad(found: list[Finding]) -> set[Path]:
    """Places that the rules are to be spared: theirs is what is there and fits its schema."""
    return {item[1] for item in found if item[0].startswith("schema-") and item[0] != "schema-required"}


def _problem(reader: Reader, finding: Finding) -> Problem:
    if finding[0] == "unknown-property":  # the schema's words are about the object around it
        return Problem(finding, "", CATALOG[finding[0]][1])
    described = reader.describe(finding[1])
    spec = described["spec"] if finding[0].startswith(("schema-", "nul-")) else CATALOG[finding[0]][1]
    return Problem(finding, described["title"], spec)


class _Findings(list):  # type: ignore[type-arg]
    """Takes so many findings, then has enough: a suggestion for each of a hundred thousand typos takes a while."""

    def append(self, item: Finding) -> None:
        list.append(self, item)
        if len(self) >= MOST:
            raise _Enough


class _Enough(Exception):
    pass


def _rules(kind: str) -> Rules:
    rules: dict[str, Rules] = {
        "config": musts.config_rules,
        "process": lambda document, out: musts.process_rules(document, "linux", (), out),
        "state": musts_documents.state_rules,
        "features": musts_documents.features_rules,
    }
    return rules[kind]


def _advice(kind: str) -> Rules:
    advice: dict[str, Rules] = {
        "config": shoulds.config_advice,
        "process": lambda document, out: shoulds.process_advice(document, (), out),
        "state": shoulds.state_advice,
        "features": shoulds.features_advice,
    }
    return advice[kind]


def _rule_findings(document: object, rules: Rules, bad: set[Path]) -> list[Finding]:
    """What rules say to the part of a document that fits its schema: without the places `bad`."""
    if not isinstance(document, dict):
        return []
    moved: dict[Path, list[int]] = {}
    part: Any = pruned(document, (), (), bad, moved) if bad else document
    found: list[Finding] = _Findings()
    try:
        rules(part, found)
    except _Enough:
        pass
    placed = [(code, restored(path, moved), text, hint) for code, path, text, hint in found]
    # What is wrong is not called missing as well; what is missing has no place but that of the object around it.
    return [(code, _existing(document, path), text, hint) for code, path, text, hint in placed if path not in bad]


def pruned(value: object, old: Path, new: Path, bad: set[Path], moved: dict[Path, list[int]]) -> object:
    """A copy without the bad places; `moved` keeps which item of a shortened list was which."""
    if isinstance(value, dict):
        return {
            name: pruned(item, (*old, name), (*new, name), bad, moved)
            for name, item in value.items()
            if (*old, name) not in bad
        }
    if isinstance(value, list):
        kept = [number for number in range(len(value)) if (*old, number) not in bad]
        if len(kept) != len(value):
            moved[new] = kept
        return [pruned(value[number], (*old, number), (*new, i), bad, moved) for i, number in enumerate(kept)]
    return value


def restored(path: Path, moved: dict[Path, list[int]]) -> Path:
    """Where something stands in the document that such a copy was made of."""
    if not moved:
        return path
    result: Path = ()
    for depth, step in enumerate(path):
        known = moved.get(path[:depth])
        result += (known[step] if known is not None and isinstance(step, int) else step,)
    return result


def _existing(document: Any, path: Path) -> Path:
    """The path as far as the document goes."""
    for depth, step in enumerate(path):
        if isinstance(document, dict) and step not in document:
            return path[:depth]
        document = document[step]
    return path


def _nul_findings(document: object, kind: str) -> list[Finding]:
    """NUL characters in all that reaches the kernel: everything but what is passed on as JSON."""
    if kind not in ("config", "process") or "\\u0000" not in dump(document):
        return []
    found: list[Finding] = []
    rest: list[tuple[Path, object]] = [((), document)]
    while rest:
        path, value = rest.pop()
        if path in (("annotations",), ("linux", "seccomp", "listenerMetadata")):
            continue
        if isinstance(value, dict):
            rest += [((*path, name), item) for name, item in value.items()]
            rest += [((*path, name), name) for name in value if "\0" in name]
        elif isinstance(value, list):
            rest += [((*path, number), item) for number, item in enumerate(value)]
        elif isinstance(value, str) and "\0" in value:
            text = "must not contain a NUL character"
            if "env" in path[-2:-1]:
                known = value.replace("\0", "\\x00")
                text = f'environment variable value can\'t contain null(\\x00): "{known}": {text}'
            found.append(("nul-character", path, text, ""))
    return found


class _Order:
    """Where paths stand in a document, for sorting; a missing member comes after all others."""

    __slots__ = ("document", "numbers")

    def __init__(self, document: object) -> None:
        self.document = document
        self.numbers: dict[Path, dict[str, int]] = {}

    def of(self, path: Path) -> tuple[int, ...]:
        order: tuple[int, ...] = ()
        place: Any = self.document
        for depth, step in enumerate(path):
            if isinstance(step, str):
                if path[:depth] not in self.numbers:
                    self.numbers[path[:depth]] = {name: number for number, name in enumerate(place)}
                order += (self.numbers[path[:depth]].get(step, len(place)),)
            else:
                order += (step,)
            place = place[step]
        return order


def refusal(document: object, kind: str, name: str) -> Error | None:
    """The error a command ends with: the first violation of a MUST, and how many more there are."""
    reader = Reader(kind)
    everything = _in_order(document, reader, _violations(document, kind, reader))
    problems = [item for item in everything if item.level in ERRORS and item.code not in NOT_REFUSED]
    if not problems:
        return None
    first = problems[0]
    place = dotted(("process", *first.path)) if kind == "process" else first.place or name
    more = len(problems) - 1
    text = first.text if not more else f"{first.text}, and {more} more problem{'s' if more > 1 else ''}"
    hint = f"{first.hint}; " if first.hint and not more else ""
    return Error(text, location=place, hint=f"{hint}`pyoci validate` {'shows all' if more else 'shows where'}")
