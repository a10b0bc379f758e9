"""Writes docs/spec.md: every property of the specification and every command and flag, what pyoci does with it, and the
tests that show it. `--check` changes nothing, and fails when the page is not of today.

The properties come from schemas/, commands and flags from pyoci/cli/, words and tests from spec_words.txt.
"""

import fnmatch
import json
import re
import sys
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[2]
PAGE = HOME / "docs" / "spec.md"
WORDS = Path(__file__).with_name("spec_words.txt")
SPEC = "https://github.com/opencontainers/runtime-spec/blob/v1.3.0"
sys.path.insert(0, str(HOME))

HEAD = """# The specification, property by property

What pyoci does with each property of runtime-spec 1.3.0 and with each command and flag, and the tests that show it.
Made by `tests/tools/spec_table.py`; a test fails when a cell is empty, a test is gone, or the page is not of today.
"""


# What is no property and no flag: lines of spec_words.txt that begin so have a table of their own
TOPICS = [
    ("terminal: ", "Terminals of run and exec", "what"),
    ("absent: ", "Required properties that are absent", "property"),
]


class Line:
    """A line of spec_words.txt."""

    def __init__(self, text: str) -> None:
        self.pattern, self.words, tests = [part.strip() for part in text.split("|")]
        self.tests = [name.strip() for name in tests.split(",")]
        self.used = False

    def fits(self, name: str) -> bool:
        # [ is part of names, and no set of characters
        return fnmatch.fnmatchcase(name, self.pattern.replace("[", "[[]"))


def lines() -> "list[Line]":
    return [Line(text) for text in WORDS.read_text().splitlines() if text and text[0] != "#"]


def schemas() -> "dict[str, Any]":
    return {path.name: json.loads(path.read_text()) for path in (HOME / "schemas").glob("*.json")}


def properties(documents: "dict[str, Any]", file: str) -> "list[tuple[str, str]]":
    """(path, section of the spec) of every property of a document, in the schema's order."""
    found: "list[tuple[str, str]]" = []

    def walk(part: "dict[str, Any]", here: str, path: str) -> None:
        while "$ref" in part:
            other, _, name = part["$ref"].partition("#/definitions/")
            here = other or here
            part = documents[here]["definitions"][name]
        for key, inner in (part.get("properties") or {}).items():
            found.append((f"{path}{key}", inner.get("spec", "")))
            walk(inner, here, f"{path}{key}.")
        for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
            if isinstance(part.get(key), dict):
                walk(part[key], here, f"{path[:-1]}{mark}.")
        for key in ("allOf", "anyOf", "oneOf"):
            for inner in part.get(key, ()):
                walk(inner, here, path)

    walk(documents[file], file, "")
    return list(dict.fromkeys(found))


def tests() -> "dict[str, list[str]]":
    """Where each test function is."""
    found: "dict[str, list[str]]" = {}
    for path in sorted((HOME / "tests").rglob("test_*.py")):
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE):
            found.setdefault(name, []).append(str(path.relative_to(HOME)))
    return found


class Table:
    """Rows of the page, and what is wrong with them."""

    def __init__(self) -> None:
        self.lines = lines()
        self.tests = tests()
        self.problems: "list[str]" = []

    def row(self, shown: str, name: str, words: str, section: str = "") -> str:
        """One row. name: what the patterns are for; words: where the line has none."""
        line = next((line for line in self.lines if line.fits(name)), None)
        if line is None:
            self.problems.append(f"{name}: no line in {WORDS.name}")
            return f"| `{shown}` | | |"
        line.used = True
        words = line.words or words
        if not words:
            self.problems.append(f"{name}: no words")
        places = [self.link(test, name) for test in line.tests]
        place = f"[`{shown}`]({SPEC}/{section})" if section else f"`{shown}`"
        return f"| {place} | {words} | {', '.join(places)} |"

    def link(self, test: str, name: str) -> str:
        places = self.tests.get(test)
        if not places:
            self.problems.append(f"{name}: there is no test {test!r}")
            return ""
        return f"[{test[5:].replace('_', ' ')}](../{places[0]})"

    def unused(self) -> None:
        idle = [line.pattern for line in self.lines if not line.used]
        self.problems += [f"{pattern}: no property or flag needs this line" for pattern in idle]


def page() -> "tuple[str, list[str]]":
    """The page, and what is wrong with it."""
    from pyoci.cli import table as commands
    from pyoci.cli import texts

    table, documents = Table(), schemas()
    parts = [HEAD]

    def section(title: str, first: str, rows: "list[str]") -> None:
        parts.append(f"\n## {title}\n\n| {first} | what pyoci does | shown by |\n|---|---|---|\n")
        parts.append("\n".join(rows) + "\n")

    rows = [table.row(path, path, "", spec) for path, spec in properties(documents, "config.json")]
    section("config.json", "property", rows)
    names = [path for path, _ in properties(documents, "config.json") if re.fullmatch(r"process\.\w+", path)]
    rows = [table.row(path, f"left out {path}", "") for path in [*names, "process.user.umask"]]
    section("`exec --process FILE`: what FILE leaves out", "property", rows)
    for title, file in (("The state", "state"), ("Features", "features")):
        names = properties(documents, f"{file}.json")
        section(title, "property", [table.row(path, f"{file} {path}", "", spec) for path, spec in names])
    rows = [table.row(f"--{flag[0]}", f"global --{flag[0]}", texts.of_flag("", flag[0])[1]) for flag in commands.GLOBAL]
    section("Global flags", "flag", rows)
    rows = []
    for name in commands.COMMANDS:
        rows.append(table.row(name, name, texts.COMMANDS[name][1]))
        for flag, _, _ in commands.flags_of(name):
            rows.append(table.row(f"{name} --{flag}", f"{name} --{flag}", texts.of_flag(name, flag)[1]))
    section("Commands", "command", rows)
    for prefix, title, first in TOPICS:
        names = [line.pattern for line in table.lines if line.pattern.startswith(prefix)]
        section(title, first, [table.row(name[len(prefix) :], name, "") for name in names])
    table.unused()
    return "".join(parts), table.problems


def main(words: "list[str]") -> int:
    text, problems = page()
    if "--check" in words:
        if not PAGE.exists() or PAGE.read_text() != text:
            problems.append(f"{PAGE.relative_to(HOME)} is not of today: run {Path(__file__).relative_to(HOME)}")
    else:
        PAGE.write_text(text)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
