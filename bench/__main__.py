"""The command line: `python -m bench [--quick] [BENCHMARK]...`."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench import density, goals, in_process, instructions, machine, memory, phases, plot, plugin, sandbox, scale, wall
from bench.compiler import HERE
from bench.report import Chart, Result
from bench.world import World

PRIVATE = "PYOCI_BENCH_PRIVATE"


def main() -> None:
    """Runs the benchmarks asked for, or all but density, and writes what they found."""
    known = _benchmarks()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("benchmark", nargs="*", help=f"which, of {', '.join(known)}; all but density without")
    parser.add_argument("--quick", action="store_true", help="a few rounds: to see that it works, not for figures")
    beside = str(Path(sys.executable).parent / "pyoci")
    parser.add_argument("--pyoci", default=beside, help="the program to be measured")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where the pages are written")
    parser.add_argument("--peers", type=Path, default=HERE.parent / "build/peers/bin", help="newer runtimes to compare")
    parser.add_argument("--machines", type=int, default=10, help="density: how many applications")
    parser.add_argument("--draw", action="store_true", help="measure nothing: draw the pictures of the results again")
    given = parser.parse_args()
    if given.draw:
        _draw_again(given.results)
        return
    unknown = set(given.benchmark) - set(known)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    _be_private()
    given.results.mkdir(exist_ok=True)
    facts = machine.facts(given.pyoci, sys.executable)
    for name in given.benchmark or [name for name in known if name != "density"]:
        world = World(given.pyoci, sys.executable, given.peers)
        try:
            result = known[name](world, given)
        finally:
            world.close()
        result.write(given.results, facts)
        for chart in result.charts:
            _draw(chart, given.results)
        print(result.markdown(facts), flush=True)
    (given.results / "README.md").write_text(goals.overview(given.results))


def _benchmarks() -> "dict[str, Callable[[World, argparse.Namespace], Result]]":
    """Every benchmark by its name, in the order in which they run."""

    def of_case(case: wall.Case) -> "Callable[[World, argparse.Namespace], Result]":
        return lambda world, given: wall.measure(world, case, case.quick if given.quick else case.rounds)

    return {
        **{case.name: of_case(case) for case in wall.CASES},
        "in-process": lambda world, given: in_process.measure(world, 5 if given.quick else 60),
        "sandbox": lambda world, given: sandbox.measure(world, 5 if given.quick else 60),
        "instructions": lambda world, given: instructions.measure(world),
        "phases": lambda world, given: phases.measure(world, 2 if given.quick else 15),
        "memory": lambda world, given: memory.peaks(world, 1 if given.quick else 3),
        "memory-limit": lambda world, given: memory.limits(world),
        "plugin": lambda world, given: plugin.measure(world, given.quick),
        "scale": lambda world, given: scale.measure(world, 10 if given.quick else 1000),
        "density": lambda world, given: density.measure(world, given.machines),
    }


def _draw_again(directory: Path) -> None:
    for path in sorted(directory.glob("*.json")):
        for kept in json.loads(path.read_text())["charts"]:
            plot.draw(Chart(**kept), directory)


def _draw(chart: Chart, directory: Path) -> None:
    try:
        plot.draw(chart, directory)
    except ImportError:
        print("no plot: matplotlib is not installed", file=sys.stderr)


def _be_private() -> None:
    """Goes into a mount namespace of our own. On hybrid hosts the cgroup2 tree beside cgroup v1 is left out there, as
    crun refuses to run with both. Where /run is no tmpfs (a machine without an init system), it becomes one, for that
    is where runtimes keep their state."""
    if os.environ.get(PRIVATE):
        return
    beside = "/sys/fs/cgroup/unified"
    memory = '[ "$(stat -f -c %T /run)" = tmpfs ] || mount -t tmpfs -o mode=755 tmpfs /run'
    script = f'umount {beside} 2>/dev/null; {memory}; exec "$@"'
    os.environ[PRIVATE] = "1"
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    os.execvp(words[0], [*words, sys.executable, "-m", "bench", *sys.argv[1:]])


main()
