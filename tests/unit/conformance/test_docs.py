"""docs/conformance.md has the coverage that the tests have."""

from pathlib import Path

from conformance.coverage import table

DOCS = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"


def test_the_coverage_table_is_of_today() -> None:
    text = DOCS.read_text(encoding="utf-8")
    begin = text.index("<!-- coverage: python -m conformance --coverage -->")
    inside = text[begin : text.index("<!-- end of coverage -->")].split("\n", 1)[1]
    assert inside == table(), "write what `python -m conformance --coverage` prints between the marks"
