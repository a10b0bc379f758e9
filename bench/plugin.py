"""containerd's plugin beside containerd's own with runc, on one containerd."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.clock import Failed, Sample
from bench.node import OURS, REFERENCE, Cost, Node, cpu_of
from bench.processes import resident
from bench.report import Chart, Result, Table, milliseconds, ratio, spread
from bench.world import World

ABOUT = """`io.containerd.pyoci.v1` and `io.containerd.runc.v2` with runc, in turn, on one containerd. Processor time is
that of a cgroup around containerd, in which plugins and runtimes are and containers are not, less containerd's own; for
the figures of output it is the shim's own. Memory is the proportional set of all shims, pyoci's template with them; for
one pod, divided by the number of pods."""

_OUTPUT = "dd if=/dev/zero bs=65536 count=16384 2>/dev/null"  # 1 GiB
_LINES = (
    "while :; do n=0; while [ $n -lt 100 ]; do echo a line of a log, as containers write them; n=$((n+1)); done; "
    "sleep 0.5; done"
)
_NAMES = {OURS: "pyoci", REFERENCE: "runc"}
_KINDS = {"cpu": "processor time", "wall": "wall time"}


class Sizes:
    """How much is measured."""

    def __init__(self, quick: bool) -> None:
        self.rounds, self.seconds, self.pods, self.crowd, self.writers = (
            (3, 5, 10, 20, 5) if quick else (30, 60, 50, 100, 50)
        )


def measure(world: World, quick: bool) -> Result:
    """All of it."""
    sizes = Sizes(quick)
    result = Result("plugin", "containerd's plugin", ABOUT)
    node = Node(f"pyoci-bench-{os.getpid()}-node", Path(world.program).parent)
    try:
        _whole_commands(node, sizes, result)
        _probes(node, sizes, result)
        _output(node, result)
        _lines(node, sizes, result)
        _memory(node, sizes, result)
    finally:
        node.close()
    return result


def _in_turn(rounds: int, action: "Callable[[str, int], Cost]") -> "dict[str, list[Cost]]":
    found: "dict[str, list[Cost]]" = {OURS: [], REFERENCE: []}
    for number in range(-1, rounds):
        for runtime in list(found) if number % 2 else list(found)[::-1]:
            cost = action(runtime, number)
            if number >= 0:
                found[runtime].append(cost)
    return found


def _whole_commands(node: Node, sizes: Sizes, result: Result) -> None:
    """`ctr run --rm true`, `ctr task exec true`."""

    def run(runtime: str, number: int) -> Cost:
        return node.cost(lambda: node.run(runtime, f"{_NAMES[runtime]}{number}", "true", flags=("--rm",)))

    def execute(runtime: str, number: int) -> Cost:
        several = node.cost(lambda: _execute(node, _NAMES[runtime], 5))
        return Cost(several.cpu / 5, several.wall / 5)

    found = {"ctr run --rm true": _in_turn(sizes.rounds, run)}
    _up(node)
    found["ctr task exec true"] = _in_turn(sizes.rounds, execute)
    _down(node)
    for kind, word in _KINDS.items():
        rows = []
        for title, costs in found.items():
            samples = {runtime: Sample([getattr(cost, kind) for cost in costs[runtime]]) for runtime in costs}
            over = samples[OURS].over(samples[REFERENCE])
            rows.append(
                [f"`{title}`", *(f"{milliseconds(s.median)} ({spread(s)})" for s in samples.values()), ratio(over)]
            )
            result.figures[f"{title}: {kind}"] = over.median
        result.tables.append(Table(f"{word}, ms: median (middle half)", ["", "pyoci", "runc", "pair by pair"], rows))


def _execute(node: Node, container: str, count: int) -> None:
    for _ in range(count):
        node.execute(container, "true")


def _up(node: Node) -> None:
    """A container of each that runs."""
    for runtime, name in _NAMES.items():
        node.run(runtime, name, "sleep", "100000", flags=("-d", "--null-io"))


def _down(node: Node) -> None:
    for name in _NAMES.values():
        node.remove(name)


def _row(result: Result, title: str, values: "dict[str, float]", unit: str, figure: str) -> None:
    over = values[OURS] / values[REFERENCE]
    result.figures[figure] = over
    cells = [f"{values[OURS]:.2f}", f"{values[REFERENCE]:.2f}", f"{over:.3f}"]
    result.tables.append(Table(title, ["", "pyoci", "runc", "pyoci takes of it"], [[unit, *cells]]))
    result.charts.append(
        Chart(
            f"plugin-{figure.replace(' ', '-')}",
            title,
            unit,
            "bars",
            [""],
            {_NAMES[who]: [values[who]] for who in values},
        )
    )


def _probes(node: Node, sizes: Sizes, result: Result) -> None:
    _up(node)
    values = {}
    for runtime, name in _NAMES.items():

        def probe(name: str = name) -> None:
            begin = time.monotonic()
            for number in range(sizes.seconds * 10):
                node.execute(name, "true")
                time.sleep(max(0.0, begin + (number + 1) / 10 - time.monotonic()))

        values[runtime] = node.cost(probe).cpu / sizes.seconds * 1000
    _down(node)
    _row(
        result, f"ten probes (`task exec true`) a second for {sizes.seconds} s", values, "ms of CPU a second", "probes"
    )


def _output(node: Node, result: Result) -> None:
    _up(node)
    values = {}
    for runtime, name in _NAMES.items():
        shim = node.shim_of(name)
        before = cpu_of(shim)
        node.execute(name, "sh", "-c", _OUTPUT)
        values[runtime] = (cpu_of(shim) - before) * 1000
    _down(node)
    _row(result, "an exec that writes 1 GiB, its shim", values, "ms of CPU", "output")


def _lines(node: Node, sizes: Sizes, result: Result) -> None:
    values = {}
    for runtime in _NAMES:
        names = [f"lines{number}" for number in range(sizes.writers)]
        words = [node.words_of_run(runtime, name, "sh", "-c", _LINES) for name in names]
        quiet = subprocess.DEVNULL
        readers = [subprocess.Popen(one, stdin=quiet, stdout=quiet, stderr=quiet) for one in words]
        _await(node, names)
        time.sleep(2)  # what comes with a start is over
        shims = [node.shim_of(name) for name in names]
        before = [cpu_of(shim) for shim in shims]
        time.sleep(10)
        values[runtime] = sum(cpu_of(shim) - first for shim, first in zip(shims, before)) * 100
        for name in names:
            node.ctr("task", "kill", "-s", "SIGKILL", name)
        for reader in readers:
            reader.wait()
        for name in names:
            node.ctr("containers", "rm", name)
    _row(
        result,
        f"200 lines a second from each of {sizes.writers} containers, their shims",
        values,
        "ms of CPU a second",
        "lines",
    )


def _await(node: Node, names: "list[str]") -> None:
    """Until all of them run."""
    deadline = time.monotonic() + 120  # a guard
    while True:
        done = subprocess.run(node.words("task", "ls"), capture_output=True, check=True).stdout.decode()
        running = {line.split()[0] for line in done.splitlines() if line.endswith("RUNNING")}
        if running.issuperset(names):
            return
        if time.monotonic() > deadline:
            raise Failed(f"only {len(running)} of {len(names)} containers run")
        time.sleep(0.1)


def _memory(node: Node, sizes: Sizes, result: Result) -> None:
    """One shim a pod, and one for all."""
    pods, crowd = {}, {}
    for runtime in _NAMES:
        pods[runtime] = _resident(node, runtime, sizes.pods, ())
        flags = ("--annotation", "io.pyoci.shim=namespace") if runtime == OURS else ()
        crowd[runtime] = _resident(node, runtime, sizes.crowd, flags)
    _row(result, f"memory of a pod's shim, {sizes.pods} alive", pods, "MiB", "memory of a pod")
    title = f"memory of all shims with {sizes.crowd} containers, pyoci with one shim a namespace"
    _row(result, title, {who: value * sizes.crowd for who, value in crowd.items()}, "MiB", "memory of a crowd")


def _resident(node: Node, runtime: str, count: int, flags: "tuple[str, ...]") -> float:
    names = [f"still{number}" for number in range(count)]
    for name in names:
        node.run(runtime, name, "sleep", "100000", flags=("-d", "--null-io", *flags))
    time.sleep(1)  # as pods are most of the time: nothing happens
    total = sum(resident(pid).pss for pid in node.shims()) / 1024 / count
    for name in names:
        node.remove(name)
    return total
