"""docs/engines-table.md is made of the pages of docs/engines."""

import runpy
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]


def test_the_table_is_of_todays_pages() -> None:
    made = runpy.run_path(str(HOME / "tests" / "tools" / "engines_table.py"))["text"]()
    assert (HOME / "docs" / "engines-table.md").read_text() == made, "run: python3 tests/tools/engines_table.py"


def test_a_page_keeps_engines_that_were_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HOME / "tests" / "callers"))
    made = runpy.run_path(str(HOME / "tests" / "callers" / "table.py"))
    monkeypatch.setitem(made["Collector"]._sections.__globals__, "_first_line", lambda words: "some version")

    def page(engine: str, verdict: str, before: str) -> str:
        collector = made["Collector"](None)
        collector.rows, collector.versions = {engine: {"run: x|y": [verdict, "a reason"]}}, {engine: f"{engine} 1"}
        return str(collector.text(before))

    first = page("b (one)", "same", "")
    both = page("a, two", "different", first)
    assert both.index("## a, two") < both.index("## b (one)")
    assert "| a, two | a, two 1 | 0 | 1 | 0 |\n| b (one) | b (one) 1 | 1 | 0 | 0 |\n\n## a" in both
    assert both.count("Written on") == 2
    assert page("a, two", "different", both) == both
    old = first.replace("## b", "Written on a day.\n\n## b", 1).replace("\n\n" + first.split("\n\n")[4], "", 1)
    assert "## b (one)\n\nWritten on a day.\n\n| operation" in page("c", "same", old)
