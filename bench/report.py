"""Results: tables, charts, and figures that goals are held against; written as markdown, and for the overview."""

import json
from pathlib import Path
from typing import NamedTuple

from bench import machine
from bench.clock import Sample


class Table(NamedTuple):
    """title: what the rows are about; rows: as many cells as there are columns."""

    title: str
    columns: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        lines = [self.columns, ["---"] + ["---:"] * (len(self.columns) - 1), *self.rows]
        return f"### {self.title}\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


class Chart(NamedTuple):
    """kind: "bars" (points are labelled), "lines" (points are numbers), "stack" (a bar for each label, made of the
    series) or "panels" (each point has a unit of its own); series: for each line or colour its value at each point."""

    name: str
    title: str
    unit: str
    kind: str
    points: "list[str]"
    series: "dict[str, list[float]]"


class Result:
    """What a benchmark found.

    figures: by name, what goals are held against
    about:   how it was measured, a paragraph
    """

    def __init__(self, name: str, title: str, about: str) -> None:
        self.name = name
        self.title = title
        self.about = about
        self.tables: list[Table] = []
        self.charts: list[Chart] = []
        self.figures: dict[str, float] = {}

    def markdown(self, known: machine.Facts) -> str:
        parts = [f"# {self.title}\n", f"{self.about}\n", f"Measured with {machine.line(known)}.\n"]
        parts += [table.markdown() for table in self.tables]
        parts += [f"![{chart.title}]({chart.name}.svg)\n" for chart in self.charts]
        return "\n".join(parts)

    def write(self, directory: Path, known: machine.Facts) -> None:
        """Writes the page, and beside it the figures for the overview and for drawing the pictures again."""
        (directory / f"{self.name}.md").write_text(self.markdown(known))
        charts = [chart._asdict() for chart in self.charts]
        kept = {"title": self.title, "facts": known, "figures": self.figures, "charts": charts}
        (directory / f"{self.name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def spread(sample: Sample) -> str:
    low, high = sample.quartiles
    return f"{milliseconds(low)} to {milliseconds(high)}"


def ratio(sample: Sample) -> str:
    low, high = sample.quartiles
    return f"{sample.median:.2f} ({low:.2f} to {high:.2f})"


TIMED = ["", "ms (median)", "middle half", "pyoci takes of it, pair by pair"]


def timed_rows(samples: dict[str, Sample]) -> list[list[str]]:
    """For each contender its median, its spread, and what pyoci takes of it."""
    rows = []
    for name, sample in samples.items():
        against = "" if name == "pyoci" else ratio(samples["pyoci"].over(sample))
        rows.append([name, milliseconds(sample.median), spread(sample), against])
    return rows
