"""pyoci as a library in a Python program that runs all the time, against the floor and against whole processes."""

import subprocess

from bench.clock import Failed, Sample, turns
from bench.compiler import HERE
from bench.contender import Contender
from bench.report import TIMED, Chart, Result, Table, milliseconds, ratio, spread
from bench.world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OWN = "in process"

ABOUT = """A Python service that has started already makes containers with `pyoci.Runtime`: create + start +
delete of the spec bundle with `true`. In turn with it, in one series a C program that makes the same namespaces, mounts
and pivot with no runtime around it (`bench/floor.c`: the floor, it also waits for the program, which the service's
figure leaves out); in another the same three operations as commands, whole processes, of pyoci, runc and crun. Those
keep the processors busy for a tenth of a second in each round, after which the service, like anybody, finds their
caches cold."""


def measure(world: World, rounds: int) -> Result:
    bundle = world.bundle("true")
    words = [world.python, "-I", str(HERE / "service.py"), str(world.states / "service"), str(bundle)]
    service = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert service.stdin is not None and service.stdout is not None
    requests, answers = service.stdin, service.stdout

    def in_service() -> float:
        print(world.name(), file=requests, flush=True)
        answer = answers.readline()
        if not answer:
            raise Failed("the service ended")
        return float(answer)

    def floor() -> float:
        return world.clock.run(world.floor, str(world.rootfs), "/bin/true").seconds

    def life(contender: Contender) -> "Callable[[], float]":
        return lambda: contender.life(bundle, world.name())

    commands = {contender.name: life(contender) for contender in world.all}
    try:
        series = [turns(rounds, {OWN: in_service, **others}) for others in ({"floor": floor}, commands)]
    finally:
        requests.close()
        service.wait()
    result = Result("in-process", "pyoci in a Python program", ABOUT)
    for samples, beside in zip(series, ("the floor", "whole processes")):
        _report(result, samples, beside)
    return result


def _report(result: Result, samples: "dict[str, Sample]", beside: str) -> None:
    title, own = f"create + start + delete, in turn with {beside}", samples[OWN]
    rows = [
        [name, milliseconds(sample.median), spread(sample), "" if name == OWN else ratio(own.over(sample))]
        for name, sample in samples.items()
    ]
    result.tables.append(Table(title, [*TIMED[:3], "the service takes of it, pair by pair"], rows))
    medians = {name: [sample.median * 1000] for name, sample in samples.items()}
    result.charts.append(Chart(f"in-process-{beside.rsplit(maxsplit=1)[-1]}", title, "ms", "bars", [""], medians))
    for name, sample in samples.items():
        result.figures.setdefault(f"{name} ms", sample.median * 1000)
        if name != OWN:
            result.figures[f"of {name}"] = own.over(sample).median
