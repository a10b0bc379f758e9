"""Where each command's time goes, by pyoci's own --trace."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import median

from bench.report import Chart, Result, Table
from bench.world import World

ABOUT = """From `pyoci --trace FILE` (docs/speed.md): milliseconds of each phase, the median of {runs} runs on the
spec bundle. The phases of one run follow one another without a gap. "trace" is what the tracing itself begins
with; "init" is the time in which the command waits for init, whose own steps are in the second table, for
`create`, in microseconds."""
RUNTIME, INIT = 1, 2  # rows of a trace
MOST_STEPS = 12

Spent = dict[str, float]


def measure(world: World, runs: int) -> Result:
    result = Result("phases", "Where the time goes", ABOUT.format(runs=runs))
    found: dict[str, list[Spent]] = defaultdict(list)
    steps: list[Spent] = []
    for _ in range(runs):
        for name, path in _life(world):
            found[name].append(_spent(path, RUNTIME))
            if name == "create":
                steps.append(_spent(path, INIT))
    medians = {name: _medians(spent) for name, spent in found.items()}
    phases = list(dict.fromkeys(phase for spent in medians.values() for phase in spent))
    rows = [[phase, *(_cell(spent.get(phase, 0) / 1000) for spent in medians.values())] for phase in phases]
    rows.append(["**all**", *(f"{sum(spent.values()) / 1000:.2f}" for spent in medians.values())])
    result.tables.append(Table("Phases, ms", ["", *(f"`{name}`" for name in medians)], rows))
    longest = sorted(_medians(steps).items(), key=lambda item: -item[1])[:MOST_STEPS]
    rows = [[name, f"{duration:.0f}"] for name, duration in longest]
    result.tables.append(Table("Init's longest steps during create, µs", ["all steps of a kind", "µs"], rows))
    series = {phase: [spent.get(phase, 0) / 1000 for spent in medians.values()] for phase in phases}
    result.charts.append(Chart("phases", "Where the time goes", "ms", "stack", list(medians), series))
    return result


def _life(world: World) -> "list[tuple[str, Path]]":
    """One container's life: the commands and the traces they have left."""
    pyoci, name = world.pyoci, world.name()
    bundle, short = world.bundle("sleep", "100000"), world.bundle("true")
    traces = []
    for command, words in (
        ("create", ["--bundle", str(bundle), name]), ("state", [name]), ("start", [name]), ("exec", [name, "true"]),
        ("kill", [name, "KILL"]), ("delete", ["--force", name]), ("run", ["--bundle", str(short), world.name()]),
    ):  # fmt: skip
        file = world.place / f"{command}.json"
        pyoci.call("--trace", str(file), command, *words)
        traces.append((command, file))
    return traces


def _spent(path: Path, row: int) -> Spent:
    """Microseconds by name of the events in a row; waits for the runtime are no steps."""
    spent: Spent = defaultdict(float)
    for event in json.loads(path.read_text())["traceEvents"]:
        if event["ph"] == "X" and event["tid"] == row and event["name"] != "wait for the runtime":
            spent[event["name"]] += event["dur"]
    return spent


def _medians(runs: list[Spent]) -> Spent:
    names = dict.fromkeys(name for spent in runs for name in spent)
    return {name: median(spent.get(name, 0) for spent in runs) for name in names}


def _cell(milliseconds: float) -> str:
    return f"{milliseconds:.2f}" if milliseconds else ""
