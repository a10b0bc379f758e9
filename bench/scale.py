"""Many containers alive at once: what the next one costs, and each of them holds."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.clock import Sample
from bench.contender import Contender
from bench.processes import available
from bench.report import Chart, Result, Table, milliseconds
from bench.world import World

ABOUT = """So many containers of the spec bundle run `sleep`; then the next one is created, started, all are
listed, and it is deleted, a number of times, and the medians are taken. Memory is how much less the machine had
available than before the first, for each: processes, namespaces and cgroups in the kernel."""
LEVELS = (1, 10, 100, 1000)
OPERATIONS = ("create", "start", "list", "delete")
REPEATS = 11
TELLING = 100  # below so many, what the machine does besides is more than what they hold


def measure(world: World, most: int) -> Result:
    """most: how many containers at most"""
    result = Result("scale", "Many containers at once", ABOUT)
    levels = [level for level in LEVELS if level <= most]
    for contender in world.all:
        _climb(world, contender, levels, result)
    return result


def _climb(world: World, contender: Contender, levels: list[int], result: Result) -> None:
    bundle = world.bundle("sleep", "100000")
    alive: list[str] = []
    rows: list[list[str]] = []
    times: dict[str, list[float]] = {operation: [] for operation in OPERATIONS}
    try:
        _next(world, contender)  # what the first of all has to make is not the first container's cost
        free = available()
        for level in levels:
            _fill(world, contender, bundle, alive, level)
            rounds = [_next(world, contender) for _ in range(REPEATS)]
            medians = {name: Sample([took[name] for took in rounds]).median for name in OPERATIONS}
            for name, median in medians.items():
                times[name].append(median * 1000)
            held = str((free - available()) // level) if level >= TELLING else ""
            rows.append([str(level), *(milliseconds(medians[name]) for name in OPERATIONS), held])
    finally:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(contender.remove, alive))
    columns = ["containers alive", *(f"{name}, ms" for name in OPERATIONS), "memory of each, KiB"]
    result.tables.append(Table(contender.name, columns, rows))
    points = [str(level) for level in levels]
    title = f"{contender.name}: the next one"
    result.charts.append(Chart(f"scale-{contender.name}", title, "ms", "lines", points, times))
    if levels[-1] < LEVELS[-1]:
        return
    whole = [sum(times[name][n] for name in OPERATIONS if name != "list") for n in range(len(levels))]
    result.figures[f"{contender.name}: last of first"] = whole[-1] / whole[0]
    result.figures[f"{contender.name}: list, s"] = times["list"][-1] / 1000


def _fill(world: World, contender: Contender, bundle: Path, alive: list[str], level: int) -> None:
    """More containers, two at a time, until so many are alive."""
    names = [world.name() for _ in range(level - len(alive))]
    alive += names

    def begin(name: str) -> None:
        contender.create(bundle, name)
        contender.start(name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(begin, names))


def _next(world: World, contender: Contender) -> dict[str, float]:
    """One more container's create, start and delete, and list while it is there."""
    bundle, name = world.bundle("true"), world.name()
    took = {"create": contender.create(bundle, name).seconds, "start": contender.start(name).seconds}
    took["list"] = contender.call("list").seconds
    took["delete"] = contender.delete(name).seconds
    return took
