"""What benchmarks make of their figures: turns, medians, ratios, limits, pages."""

import json
from pathlib import Path

import pytest

from bench.clock import Sample, turns
from bench.goals import GOALS, overview
from bench.memory import smallest_limit
from bench.plot import COLOURS, COMMANDS, colour
from bench.report import Chart, Result, Table, timed_rows

FACTS = {"date": "today", "load before": "0.10", "commit": "abc", "runc": ""}


def test_everybody_has_a_turn_in_each_round_and_the_order_alternates() -> None:
    seen: list[str] = []

    def action(name: str) -> float:
        seen.append(name)
        return float(len(seen))

    found = turns(3, {"a": lambda: action("a"), "b": lambda: action("b")})
    assert "".join(seen) == "ab" + "ba" + "ab" + "ba"
    assert found["a"].values == [4.0, 5.0, 8.0], "the first round does not count"
    assert found["b"].values == [3.0, 6.0, 7.0]


def test_ratios_are_formed_pair_by_pair() -> None:
    """A moment in which the machine was ten times slower says nothing about either."""
    mine, theirs = Sample([1.0, 10.0, 1.0]), Sample([2.0, 20.0, 4.0])
    assert mine.over(theirs).values == [0.5, 0.5, 0.25]
    assert mine.over(theirs).median == 0.5
    assert Sample([1.0, 2.0, 3.0, 4.0, 5.0]).quartiles == (2.0, 4.0)
    assert Sample([7.0]).quartiles == (7.0, 7.0)


@pytest.mark.parametrize("need", [1, 64 << 10, 1 << 20, (1 << 20) + 1, 5_000_000, 60 << 20])
def test_the_smallest_limit(need: int) -> None:
    found = smallest_limit(lambda limit: limit >= need)
    assert found >= need and found - need < (64 << 10) + (0 if need > 64 << 10 else 64 << 10)


def test_a_command_has_one_colour_and_no_runtime_has_it() -> None:
    assert colour("create", 0) == colour("create", 7)
    assert len({colour(name, 0) for name in (*COLOURS, *COMMANDS)}) >= len(COMMANDS) + len({*COLOURS.values()})
    assert colour("runc", 0) != colour("runc-1.3.6", 4) != colour("runc-1.4.3", 5) != colour("runc", 1)


def test_the_pictures_that_are_kept() -> None:
    """Each is made of what is kept beside it, so that it can be drawn again; that of the machines says "emulated"."""
    results = Path(__file__).parents[2] / "bench" / "results"
    charts = [Chart(**kept) for path in results.glob("*.json") for kept in json.loads(path.read_text())["charts"]]
    assert {chart.name for chart in charts} == {path.stem for path in results.glob("*.svg")}
    for chart in charts:
        picture = (results / f"{chart.name}.svg").read_text()
        missing = [name for name in chart.series if not any(word in picture for word in name.split(", "))]
        assert missing == [], f"{chart.name}: python -m bench --draw"
    assert ">emulated<" in (results / "density.svg").read_text()


def test_pages(tmp_path: Path) -> None:
    result = Result("run-true", "A title", "About it.")
    samples = {"pyoci": Sample([0.010, 0.020]), "runc": Sample([0.040, 0.040])}
    result.tables.append(Table("Times", ["", "ms", "half", "of it"], timed_rows(samples)))
    result.charts.append(Chart("run-true", "A title", "ms", "bars", [""], {"pyoci": [1.0]}))
    result.figures = {"of runc": 0.375, "pyoci ms": 15.0, "runc ms": 40.0}
    result.write(tmp_path, FACTS)
    page = (tmp_path / "run-true.md").read_text()
    assert "| pyoci | 15.0 | 12.5 to 17.5 |  |" in page
    assert "| runc | 40.0 | 40.0 to 40.0 | 0.38 (0.31 to 0.44) |" in page
    assert "![A title](run-true.svg)" in page and "date: today; load before: 0.10; commit: abc" in page
    assert json.loads((tmp_path / "run-true.json").read_text())["figures"] == result.figures
    first = overview(tmp_path)
    assert "| 0.50 | 0.38 | yes |" in first
    assert "| [A title](run-true.md) | 15.0 | 40.0 |  |" in first
    result.figures["of runc"] = 0.6
    result.write(tmp_path, FACTS)
    assert "| 0.50 | 0.60 | **no** |" in overview(tmp_path)


def test_every_goal_has_a_benchmark() -> None:
    from bench.wall import CASES

    others = {"instructions", "in-process", "memory", "plugin", "sandbox", "scale"}
    assert {goal.benchmark for goal in GOALS} <= {case.name for case in CASES} | others


def test_newer_peers_have_columns_of_their_own(tmp_path: Path) -> None:
    result = Result("run-true", "title", "about")
    result.figures = {"pyoci ms": 1.0, "runc ms": 2.0, "of runc": 0.5, "runc-1.4.3 ms": 3.25}
    result.write(tmp_path, FACTS)
    page = overview(tmp_path)
    assert "| milliseconds (median) | pyoci | runc | crun | runc-1.4.3 |\n| --- | ---: | ---: | ---: | ---: |\n" in page
    assert "| 1.0 | 2.0 |  | 3.2 |" in page
