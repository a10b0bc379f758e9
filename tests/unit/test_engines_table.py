"""docs/engines-table.md is made of the pages of docs/engines."""

import runpy
from pathlib import Path

HOME = Path(__file__).parents[2]


def test_the_table_is_of_todays_pages() -> None:
    made = runpy.run_path(str(HOME / "tests" / "tools" / "engines_table.py"))["text"]()
    assert (HOME / "docs" / "engines-table.md").read_text() == made, "run: python3 tests/tools/engines_table.py"
