"""The mistakes that tests/data/mistakes.json judges (tests/integration/test_mistakes.py makes them): all are there."""

import json
from pathlib import Path
from typing import Any

import pytest

MISTAKES: "dict[str, dict[str, Any]]" = json.loads((Path(__file__).parents[1] / "data" / "mistakes.json").read_text())
KNOWN = 119


def test_every_mistake_has_been_judged() -> None:
    assert {int(name.split()[0]) for name in MISTAKES} == set(range(1, KNOWN + 1))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_or_it_is_told_why_not(name: str) -> None:
    mistake = MISTAKES[name]
    said = mistake["line"] + "".join(mistake.get("warnings", []))
    assert said or mistake["why"]
    assert mistake["status"] in range(256)  # -1: nobody has made it
    assert "internal error" not in said and "Traceback" not in said
