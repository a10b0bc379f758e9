"""pyoci as a library in a Python program that runs all the time, against the floor and against whole processes."""

import subprocess

from bench.clock import Failed, turns
from bench.compiler import HERE
from bench.report import TIMED, Chart, Result, Table, milliseconds, ratio, spread
from bench.world import World

ABOUT = """A Python service that has started already makes containers with `pyoci.Runtime`: create + start +
delete of the spec bundle with `true`. Beside it, in turn: a C program that makes the same namespaces, mounts and
pivot with no runtime around it (`bench/floor.c`: the floor, it also waits for the program, which the service's
figure leaves out), and the same three operations as commands, whole processes, of pyoci, runc and crun."""


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

    actions = {"in process": in_service, "floor": floor}
    for contender in world.all:
        actions[contender.name] = lambda own=contender: own.life(bundle, world.name())  # type: ignore[misc]
    try:
        samples = turns(rounds, actions)
    finally:
        requests.close()
        service.wait()
    result = Result("in-process", "pyoci in a Python program", ABOUT)
    own = samples["in process"]
    against = [[name, ratio(own.over(sample))] for name, sample in samples.items() if name != "in process"]
    rows = [[name, milliseconds(sample.median), spread(sample)] for name, sample in samples.items()]
    result.tables.append(Table("create + start + delete", TIMED[:3], rows))
    result.tables.append(Table("What the service takes of it, pair by pair", ["", "ratio"], against))
    medians = {name: [sample.median * 1000] for name, sample in samples.items()}
    result.charts.append(Chart("in-process", "create + start + delete", "ms", "bars", [""], medians))
    for name, sample in samples.items():
        result.figures[f"{name} ms"] = sample.median * 1000
        if name != "in process":
            result.figures[f"of {name}"] = own.over(sample).median
    return result
