"""docs/spec.md: no empty cell, no test that is gone, of today; and the check itself is alive."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import spec_table


def test_the_page_is_of_today_and_has_no_empty_cell() -> None:
    text, problems = spec_table.page()
    assert problems == []
    assert spec_table.PAGE.read_text() == text, f"run {spec_table.__file__}"
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert len(rows) > 450
    assert [row for row in rows if not all(cell.strip() for cell in row.split("|")[1:4])] == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("linux.memoryPolicy.nodes |", "linux.memoryPolicy.nodez |", "linux.memoryPolicy.nodez: no property"),
        ("test_time_offsets\n", "test_no_such\n", "linux.timeOffsets: there is no test 'test_no_such'"),
        ("hostname | needs a UTS namespace of the container's |", "hostname | |", "hostname: no words"),
        ("hostname | needs", "hostnam | needs", "hostname: no line in"),
    ],
)
def test_what_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, problem: str
) -> None:
    text = spec_table.WORDS.read_text()
    assert text.count(before) == 1
    (tmp_path / "words.txt").write_text(text.replace(before, after))
    monkeypatch.setattr(spec_table, "WORDS", tmp_path / "words.txt")
    assert any(line.startswith(problem) for line in spec_table.page()[1])
