"""Instructions of commands: what pyoci costs whatever the machine does besides."""

from bench import machine
from bench.callgrind import Counter
from bench.report import Chart, Result, Table
from bench.world import World

ABOUT = """Instructions executed in user space, counted by valgrind's callgrind on the spec bundle, over every
process of the command but the container's own (`bench/callgrind.py`): `run` in the foreground with `true`, `exec true`,
`ps --format json`, `update --pids-limit`, the others as they stand. The measure is the bare isolated start of
the same interpreter, `python -I -S -c pass`. The counts vary by a few ten thousand from run to run, with
addresses and process ids."""


def measure(world: World) -> Result:
    counter = Counter(world.place / "valgrind")
    bare = counter.bare(machine.bare_interpreter(world.python))
    lasting, brief = world.bundle("sleep", "100000"), world.bundle("true")
    counts = counter.life(world.program, world.states / "counted", lasting, brief, world.name())
    result = Result("instructions", "Instructions by command", ABOUT)
    rows = [["`python -I -S -c pass`", f"{bare / 1e6:.1f}", "1.00"]]
    rows += [[f"`{name}`", f"{count / 1e6:.1f}", f"{count / bare:.2f}"] for name, count in counts.items()]
    result.tables.append(Table("Instructions", ["", "million", "times the bare start"], rows))
    series = {"bare start": [bare / 1e6], **{name: [count / 1e6] for name, count in counts.items()}}
    result.charts.append(Chart("instructions", "Instructions by command", "million", "bars", [""], series))
    result.figures = {name: count / bare for name, count in counts.items()}
    return result
