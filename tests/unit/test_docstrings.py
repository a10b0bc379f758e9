"""One voice: a docstring says in the third person what a function does, or names what it returns. Ruff holds their form
(pyproject.toml)."""

import ast
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
VERBS = """
    Add Answer Append Apply Ask Attach Bind Build Call Change Check Close Compile Compute Connect Convert Copy
    Create Decide Delete Do Drop Fill Find Forget Get Give Hand Hold Import Join Keep Kill Learn Leave Let Load Look
    Make Move Open Parse Print Put Raise Read Receive Record Refuse Remove Replace Return Run Say Search Send Set
    Show Skip Start Stop Store Take Tell Try Turn Undo Unmount Use Verify Wait Walk Write Yield
"""
IMPERATIVE = set(VERBS.split())


def commanding(source: str) -> "list[str]":
    """The functions whose docstring commands."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    first = {node.name: (ast.get_docstring(node) or "-").split()[0] for node in functions}
    return [f"{name}: {word}" for name, word in first.items() if word in IMPERATIVE]


@pytest.mark.parametrize("room", ["pyoci", "conformance", "csrc", "bench", "tests"])
def test_docstrings_tell_and_do_not_command(room: str) -> None:
    files = list((HOME / room).rglob("*.py"))
    assert files
    found = {str(path.relative_to(HOME)): commanding(path.read_text()) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


def test_a_command_is_found() -> None:
    assert commanding('def f():\n    """Return it."""') == ["f: Return"]
    assert commanding('def f():\n    """Returns it."""\ndef g():\n    """What it is."""\ndef h(): pass') == []
