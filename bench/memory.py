"""Memory: peaks of commands, what containers keep resident, and the smallest limit under which `true` starts."""

from collections.abc import Callable

from bench.clock import Failed
from bench.contender import Contender
from bench.processes import command, resident
from bench.report import Chart, Result, Table
from bench.world import World
from tests.support.leftovers import descendants

PEAKS = """The peak of resident memory of each whole command, KiB, the largest of a few runs (`ru_maxrss` of
wait4(2), which covers the children it has waited for). In brackets under "resident" what is counted fully once
per container, its proportional share (PSS); pages shared with others count less there."""
LIMITS = """The smallest `linux.resources.memory.limit` under which `run true` succeeds on this host's cgroups, found by
halving, then refined to 64 KiB; a limit counts when it let three runs of three succeed."""
FINEST = 64 << 10
TRIES = 3


def peaks(world: World, runs: int) -> Result:
    """Peak of each command, and what stays."""
    result = Result("memory", "Memory of commands and containers", PEAKS)
    by_command: dict[str, dict[str, int]] = {}
    stays: list[list[str]] = []
    for contender in world.all:
        largest: dict[str, int] = {}
        for _ in range(runs):
            for name, peak in _life(world, contender, stays if not largest else []).items():
                largest[name] = max(peak, largest.get(name, 0))
        by_command[contender.name] = largest
    names = list(by_command)
    rows = [[f"`{name}`", *(str(by_command[who][name]) for who in names)] for name in by_command["pyoci"]]
    result.tables.append(Table("Peak of a command, KiB", ["", *names], rows))
    columns = ["runtime, container", "processes", "resident, KiB", "(PSS)"]
    result.tables.append(Table("What a detached container keeps", columns, stays))
    series = {who: [float(value) for value in by_command[who].values()] for who in names}
    result.charts.append(Chart("memory", "Peak of resident memory", "KiB", "bars", list(by_command["pyoci"]), series))
    if "runc" in by_command:
        shares = [peak / by_command["runc"][name] for name, peak in by_command["pyoci"].items()]
        result.figures["largest share of runc's"] = max(shares)
    return result


def _life(world: World, contender: Contender, stays: list[list[str]]) -> dict[str, int]:
    """Peaks of the commands of one life; to stays goes what is resident in between."""
    bundle, name = world.bundle("sleep", "100000"), world.name()
    before = descendants()
    found = {"create": contender.create(bundle, name).peak, "state": contender.call("state", name).peak}
    stays.append([f"{contender.name}, created", *_resident(descendants() - before)])
    found["start"] = contender.start(name).peak
    stays.append([f"{contender.name}, running", *_resident(descendants() - before)])
    found["exec"] = contender.call("exec", name, "true").peak
    found["kill"] = contender.call("kill", name, "KILL").peak
    found["delete"] = contender.delete(name).peak
    found["run"] = contender.run(world.bundle("true"), world.name()).peak
    return found


def _resident(pids: set[int]) -> list[str]:
    sizes = [resident(pid) for pid in sorted(pids)]
    names = ", ".join(f"`{command(pid)}`" for pid in sorted(pids))
    return [names, str(sum(size.rss for size in sizes)), str(sum(size.pss for size in sizes))]


def limits(world: World) -> Result:
    """The smallest limit."""
    result = Result("memory-limit", "The smallest memory limit under which true starts", LIMITS)
    rows = []
    for contender in world.all:
        smallest = smallest_limit(lambda limit, own=contender: _starts(world, own, limit))  # type: ignore[misc]
        rows.append([contender.name, f"{smallest >> 10}"])
        result.figures[f"{contender.name} KiB"] = smallest >> 10
    result.tables.append(Table("Smallest limit", ["", "KiB"], rows))
    return result


def smallest_limit(starts: Callable[[int], bool]) -> int:
    """The smallest limit in bytes that is enough."""
    enough = 64 << 20
    while enough > FINEST and starts(enough // 2):
        enough //= 2
    low = enough // 2
    while enough - low > FINEST:
        middle = (low + enough) // 2 // FINEST * FINEST
        if starts(middle):
            enough = middle
        else:
            low = middle
    return enough


def _starts(world: World, contender: Contender, limit: int) -> bool:
    bundle = world.bundle("true", memory=limit)
    for _ in range(TRIES):
        name = world.name()
        try:
            contender.run(bundle, name)
        except Failed:
            contender.forget(name)
            return False
    return True
