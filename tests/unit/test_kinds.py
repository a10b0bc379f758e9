"""Kinds of errors: one table, and nothing in pyoci that decides by an error's words."""

import ast
import re
from pathlib import Path

import pytest

import pyoci
from pyoci.kinds import GRPC, KINDS, exit_status, kind_of
from tests.support.decisions import decisions

TREE = Path(__file__).parents[2]
SOURCES = sorted((TREE / "pyoci").rglob("*.py"))

# Not decisions: words that are taken apart to be told in another order, numbers, and what one names to the other
TOLD_AGAIN = {
    ("pyoci/init/failures.py", "_error"),  # the destination in a place, for runc's words
    ("pyoci/init/failures.py", "_known"),  # kind and path of a namespace in a place, likewise
    ("pyoci/init/failures.py", "_known_by_plan"),  # whose the step is: the config's place is the fact itself
    ("pyoci/init/failures.py", "_hook_error"),  # KIND and N of a place
    ("pyoci/sandbox/sandbox.py", "_give_up"),  # which limit: likewise
    ("pyoci/sandbox/sandbox.py", "_is_of_limits"),
    ("pyoci/cli/trace.py", "step"),  # two numbers
}


def test_each_kind_has_its_line() -> None:
    (kinds,) = re.findall(r"Kind = Literal\[(.*?)\]", (TREE / "pyoci" / "errors.py").read_text(), re.DOTALL)
    assert list(ast.literal_eval(f"[{kinds}]")) == list(KINDS)
    for kind, row in KINDS.items():
        assert row.meaning and row.grpc in GRPC and exit_status(kind) > 0, kind


def test_the_page_has_the_table() -> None:
    rows = []
    for kind, row in KINDS.items():
        others = {command: status for command, status in row.exits.items() if command and status != row.exits[""]}
        exits = [str(row.exits[""]), *[f"{command} {status}" for command, status in others.items()]]
        texts = ", ".join(f"`{text.strip()}`" for text in row.texts)
        rows.append(f"| `{kind}` | {row.meaning} | {', '.join(exits)} | {row.grpc} ({GRPC[row.grpc]}) | {texts} |")
    page = (TREE / "docs" / "api.md").read_text()
    assert "\n".join(rows) + "\n" in page, "docs/api.md has to say:\n" + "\n".join(rows)


def test_pages_have_every_exit_status() -> None:
    statuses = {status for row in KINDS.values() for status in row.exits.values()}
    page, manual = [(TREE / name).read_text() for name in ("docs/commands.md", "man/pyoci.8")]
    assert [n for n in statuses if f"\n| {n} | " not in page or f"\n.B {n}\n" not in manual] == []


def test_the_public_names() -> None:
    assert pyoci.KINDS is KINDS and pyoci.kind_of is kind_of and pyoci.exit_status is exit_status


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (pyoci.Error("no"), "refused"),
        (pyoci.Error("no", errno=13), "host"),
        (pyoci.Error("no", errno=13, kind="hook"), "hook"),
        (KeyboardInterrupt(), "interrupted"),
        (MemoryError(), "host"),
        (OSError(13, "no"), "host"),
        (OSError("odd"), "internal"),
        (ModuleNotFoundError(name="json"), "missing"),
        (RecursionError(), "refused"),
        (ZeroDivisionError(), "internal"),
    ],
)
def test_kind_of_whatever_a_command_ends_with(problem: BaseException, kind: str) -> None:
    assert kind_of(problem) == kind


def test_nothing_decides_by_words() -> None:
    found = {(str(path.relative_to(TREE)), name) for path in SOURCES for name, _ in decisions(path.read_text())}
    assert found - TOLD_AGAIN == set(), "go by problem.kind or .errno, by message.call, .detail or .number"


@pytest.mark.parametrize(
    "line",
    [
        'problem.location.startswith("hooks.")',
        '"of format" in problem.text',
        '"exists" in str(problem)',
        'str(problem).endswith("x")',
        'problem.text == "container not running"',
        'problem.text[:5] == "send "',
        'problem.step in ("a", "b")',
        're.search("x", str(problem))',
        '"x" in f"{problem}"',
        '"x" in problem.text.lower()',
        'problem.args[0] == "x"',
    ],
)
def test_a_decision_by_words_is_found(line: str) -> None:
    caught = f"def f():\n    try:\n        g()\n    except Error as problem:\n        if {line}:\n            raise\n"
    handed = f'def f(problem: "Error"):\n    return {line}\n'
    assert list(decisions(caught)) and list(decisions(handed))
    assert not list(decisions(caught.replace(line, 'problem.kind == "hook"')))


def test_a_decision_by_a_copy_of_words_is_found() -> None:
    code = """
def undo(problem: BaseException):
    location = problem.location if isinstance(problem, Error) else ""
    return location.startswith("hooks.")
"""
    assert list(decisions(code)) == [("undo", 4)]


def test_an_error_says_its_kind_where_neither_place_nor_errno_tell() -> None:
    """With an errno it is the host's, with a place in the config or a flag alone a refusal; else it must be said."""
    silent = []
    for path in SOURCES:
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for node in [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "Error"]:
            if not {"kind", "errno", "location"} & {word.arg for word in node.keywords}:
                silent.append(f"{path.relative_to(TREE)}:{node.lineno}")
    assert silent == []
