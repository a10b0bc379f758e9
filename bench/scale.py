"""Many containers alive at once: what the next one costs, and each of them holds."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.clock import Sample
from bench.contender import Contender
from bench.processes import available
from bench.report import Chart, Result, Table, milliseconds
from bench.world import World

ABOUT = """So many containers of the spec bundle run `sleep`; then some more are created and started one after
another, all are listed each time, and they are deleted one after another; the medians are taken. A create right after
a delete would wait for the kernel, which takes cgroups apart when rmdir has returned, the longer the more there are:
that is the deleted container's cost, not the next one's. Few are measured before the many and once more after them, and
together: the machine's own speed changes meanwhile by more than what is looked for. Memory is how much less the machine
had available than before the first, for each: processes, namespaces and cgroups in the kernel."""
LEVELS = (1, 10, 100, 1000)
OPERATIONS = ("create", "start", "list", "delete")
REPEATS = 20
TELLING = 100  # below so many, what the machine does besides is more than what they hold


def measure(world: World, most: int) -> Result:
    """Measures with ever more containers alive, `most` at most."""
    result = Result("scale", "Many containers at once", ABOUT)
    levels = [level for level in LEVELS if level <= most]
    for contender in (one for one in world.all if not one.newer):
        _climb(world, contender, levels, result)
    return result


def _climb(world: World, contender: Contender, levels: list[int], result: Result) -> None:
    took, held = _measure(world, contender, levels)
    medians = [{name: Sample(times[name]).median for name in OPERATIONS} for times in took]
    columns = ["containers alive", *(f"{name}, ms" for name in OPERATIONS), "memory of each, KiB"]
    rows = [[str(n), *map(milliseconds, each.values()), kib] for n, each, kib in zip(levels, medians, held)]
    result.tables.append(Table(contender.name, columns, rows))
    points = [str(level) for level in levels]
    series = {name: [each[name] * 1000 for each in medians] for name in OPERATIONS}
    title = f"{contender.name}: the next one"
    result.charts.append(Chart(f"scale-{contender.name}", title, "ms", "lines", points, series))
    if levels[-1] < LEVELS[-1]:
        return
    first, *_, last = (sum(each[name] for name in OPERATIONS if name != "list") for each in medians)
    result.figures[f"{contender.name}: last of first"] = last / first
    result.figures[f"{contender.name}: list, s"] = medians[-1]["list"]


def _measure(world: World, contender: Contender, levels: list[int]) -> tuple[list[dict[str, list[float]]], list[str]]:
    """For each level the seconds of every operation, and KiB that a container holds, "" where that cannot be told."""
    bundle = world.bundle("sleep", "100000")
    alive: list[str] = []
    took: list[dict[str, list[float]]] = []
    held: list[str] = []
    try:
        _next(world, contender, 1)  # what the first of all has to make is not the first container's cost
        free = available()
        for level in levels:
            _fill(world, contender, bundle, alive, level)
            took.append(_next(world, contender, REPEATS))
            held.append(str((free - available()) // level) if level >= TELLING else "")
        _empty(contender, alive, levels[0])
        for name, times in _next(world, contender, REPEATS).items():
            took[0][name] += times
    finally:
        _empty(contender, alive, 0)
    return took, held


def _empty(contender: Contender, alive: list[str], level: int) -> None:
    """Fewer containers, two at a time, until so many are alive."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(contender.remove, alive[level:]))
    del alive[level:]


def _fill(world: World, contender: Contender, bundle: Path, alive: list[str], level: int) -> None:
    """More containers, two at a time, until so many are alive."""
    names = [world.name() for _ in range(level - len(alive))]
    alive += names

    def begin(name: str) -> None:
        contender.create(bundle, name)
        contender.start(name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(begin, names))


def _next(world: World, contender: Contender, count: int) -> dict[str, list[float]]:
    """Seconds of some more containers' create and start, of list while they are there, and of their delete."""
    bundle, names = world.bundle("true"), [world.name() for _ in range(count)]
    took: dict[str, list[float]] = {operation: [] for operation in OPERATIONS}
    for name in names:
        took["create"].append(contender.create(bundle, name).seconds)
        took["start"].append(contender.start(name).seconds)
        took["list"].append(contender.call("list").seconds)
    for name in names:
        took["delete"].append(contender.delete(name).seconds)
    return took
