"""No test's profile names only calls that x86 has and arm64 lacks: there it would filter nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls import missing, rule

TOP = Path(__file__).parents[2]
PLACES = ("tests/integration", "tests/security", "conformance")
FILES = [path for place in PLACES for path in (TOP / place).rglob("*.py")]


def lists(path: Path) -> Iterator[list[str]]:
    """What stands in a file as {"names": [...]}."""
    for node in ast.walk(ast.parse(path.read_text())):
        for key, value in zip(node.keys, node.values) if isinstance(node, ast.Dict) else ():
            if isinstance(key, ast.Constant) and key.value == "names" and isinstance(value, ast.List):
                names = [part.value for part in value.elts if isinstance(part, ast.Constant)]
                if names and len(names) == len(value.elts):
                    yield names


def test_every_rule_means_something_on_every_machine() -> None:
    found = [(path.name, names) for path in FILES for names in lists(path)]
    assert [(name, names) for name, names in found if missing(*names)] == []


def test_a_rule_that_arm64_would_not_have_is_refused() -> None:
    assert rule("mkdir", "mkdirat")["names"] == ["mkdir", "mkdirat"]
    with pytest.raises(AssertionError, match="AARCH64"):
        rule("mkdir")
