"""A report in the forms of `pyoci validate`: for people, as JSON, and as SARIF for code scanners."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pyoci.validate.analysis import Problem
from pyoci.validate.catalog import CATALOG, ERRORS, MUST, RUNTIME, SHOULD

WIDTH = 100  # of the shown part of a line: engines write a whole config in one
SPEC_URL = "https://github.com/opencontainers/runtime-spec/blob/v1.3.0/"
WORDS = {MUST: "MUST", RUNTIME: "allowed, but pyoci refuses it", SHOULD: "SHOULD"}


class Report:
    """What was found in one document.

    name:     as given on the command line, - for the standard input
    kind:     config, process, state or features
    text:     the document
    problems: in the order of the text
    errors:   the levels that count as errors
    """

    __slots__ = ("errors", "kind", "name", "problems", "text")

    def __init__(self, name: str, kind: str, text: str, problems: list[Problem], errors: tuple[str, ...]) -> None:
        self.name = name
        self.kind = kind
        self.text = text
        self.problems = problems
        self.errors = errors

    def severity(self, problem: Problem) -> str:
        """error or warning."""
        return "error" if problem.level in self.errors else "warning"

    @property
    def valid(self) -> bool:
        """Whether no problem is an error."""
        return not any(problem.level in self.errors for problem in self.problems)


def human(report: Report) -> str:
    """Each problem with its place, the line it stands in, what is expected, and where the spec says so."""
    lines = report.text.split("\n")
    parts = []
    for problem in report.problems:
        place = f"{report.name}:{problem.line}:{problem.column}"
        parts.append(f"{place}: {report.severity(problem)}[{problem.code}]: {_said(problem)}\n")
        parts.append(_excerpt(lines, problem))
        if problem.title:
            parts.append(f"    expected: {problem.title}\n")
        if problem.hint:
            parts.append(f"    help: {problem.hint}\n")
        parts.append(f"    see: {problem.spec} ({WORDS[problem.level]})\n")
    errors = sum(report.severity(problem) == "error" for problem in report.problems)
    warnings = len(report.problems) - errors
    verdict = "valid" if report.valid else "not valid"
    counts = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    return "".join(parts) + f"{report.name}: {verdict} ({report.kind}): {counts}\n"


def _said(problem: Problem) -> str:
    return f"{problem.place}: {problem.text}" if problem.place else problem.text


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _excerpt(lines: list[str], problem: Problem) -> str:
    """The line with a mark under the place; of a long line the part around it."""
    if not 0 < problem.line <= len(lines):
        return ""
    line = lines[problem.line - 1]
    mark = min(problem.column - 1, len(line))
    start = max(0, mark - WIDTH // 3) if len(line) > WIDTH else 0
    shown = "".join(char if char.isprintable() else " " for char in line[start : start + WIDTH])
    before, after = ("..." if start else ""), ("..." if start + WIDTH < len(line) else "")
    gutter = f"{problem.line:>6} | "
    blank = " " * (len(gutter) - 2) + "| "
    return f"{gutter}{before}{shown}{after}\n{blank}{' ' * (len(before) + mark - start)}^\n"


def as_json(report: Report) -> dict[str, Any]:
    """The report as one JSON value; docs/validation.md promises these names."""
    return {
        "file": report.name,
        "kind": report.kind,
        "valid": report.valid,
        "problems": [
            {
                "code": problem.code,
                "severity": report.severity(problem),
                "level": problem.level,
                "pointer": problem.pointer,
                "place": problem.place,
                "line": problem.line,
                "column": problem.column,
                "message": problem.text,
                "expected": problem.title,
                "help": problem.hint,
                "spec": problem.spec,
            }
            for problem in report.problems
        ],
    }


def as_sarif(reports: list[Report]) -> dict[str, Any]:
    """SARIF 2.1.0: one run, a rule for each code that was met."""
    codes = sorted({problem.code for report in reports for problem in report.problems})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CATALOG[code][2]},
            "helpUri": SPEC_URL + CATALOG[code][1],
            "defaultConfiguration": {"level": "error" if CATALOG[code][0] in ERRORS else "warning"},
        }
        for code in codes
    ]
    results = [_result(report, problem, codes) for report in reports for problem in report.problems]
    driver = {"name": "pyoci validate", "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(report: Report, problem: Problem, codes: list[str]) -> dict[str, Any]:
    text = _said(problem) + (f" ({problem.hint})" if problem.hint else "")
    return {
        "ruleId": problem.code,
        "ruleIndex": codes.index(problem.code),
        "level": report.severity(problem),
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(report.name)},
                    "region": {"startLine": problem.line, "startColumn": problem.column},
                },
                "logicalLocations": [{"fullyQualifiedName": problem.pointer or "/"}],
            }
        ],
    }


def _uri(name: str) -> str:
    return "stdin" if name == "-" else quote(name, errors="surrogateescape")
