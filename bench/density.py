"""Applications as virtual machines, each with a kernel of its own, and as containers on one kernel."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bench.clock import Failed
from bench.compiler import HERE
from bench.processes import available
from bench.report import Chart, Result, Table
from bench.world import World
from tests.support.leftovers import descendants

ABOUT = """The same application {count} times: busybox's httpd, which answers a request for a page. Once each in a
virtual machine of its own (tests/vm: Debian 12 with systemd under QEMU; {count} of them resumed, one after
another, from one saved state in which they have booted already), once each in a container of pyoci. This host has
no hardware virtualization, QEMU emulates the processor: that makes the machines' times many times longer than
they would be with it, and costs them some memory; a container has no such handicap. Memory is what the host has
less available when all answer; disk is the image or rootfs, which all share, and what they write; idle is
processor time of all together in {idle} seconds without a request."""
IDLE = 20
PAGE = "pyoci-bench.html"
ASK = f"until busybox wget -q -O - http://127.0.0.1:8080/{PAGE}; do :; done"
SERVE = ["busybox", "httpd", "-p", "8080", "-h", "/etc"]
MEASURES = ["memory, MiB", "disk, MiB", "processor when idle, %", "until all answer, s"]


class Host(NamedTuple):
    """A moment of the host: KiB of memory available, bytes of disk free, seconds."""

    memory: int
    disk: int
    time: float

    @staticmethod
    def now() -> "Host":
        return Host(available(), shutil.disk_usage("/var/tmp").free, time.monotonic())


def measure(world: World, count: int) -> Result:
    result = Result("density", "As virtual machines and as containers", ABOUT.format(count=count, idle=IDLE))
    found = {"virtual machines": _machines(world, count), "containers": _containers(world, count)}
    rows = [[measure, *(f"{values[n]:.1f}" for values in found.values())] for n, measure in enumerate(MEASURES)]
    result.tables.append(Table(f"{count} applications", ["", *found], rows))
    result.charts.append(Chart("density", f"{count} applications", "", "panels", MEASURES, found))
    return result


def _machines(world: World, count: int) -> list[float]:
    store = Path(os.environ.get("PYOCI_VM", Path.home() / ".cache" / "pyoci-vm"))
    lives = [world.place / f"machine-{number}" for number in range(count)]
    shared = sum(path.stat().st_blocks * 512 for path in store.glob("saved-v2.*"))
    before, earlier = Host.now(), descendants()
    try:
        for live in lives:
            _vm(live, "start", "-d", str(world.place))
            _vm(live, "exec", f"echo here > /etc/{PAGE}; {' '.join(SERVE)}; {ASK}")
        return _account(before, shared, earlier)
    finally:
        for live in lives:
            _vm(live, "stop")


def _vm(live: Path, *words: str) -> None:
    """tests/vm/vm.sh for one machine of several; its output in a file, since the machine keeps it open."""
    with open(live.with_suffix(".log"), "ab") as log:
        environment = {**os.environ, "PYOCI_VM_LIVE": str(live)}
        script = str(HERE.parent / "tests" / "vm" / "vm.sh")
        if subprocess.call([script, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment):
            raise Failed(f"vm.sh {words[0]}: {live.with_suffix('.log').read_text()}")


def _containers(world: World, count: int) -> list[float]:
    (world.rootfs / "etc" / PAGE).write_text("here\n")
    bundle = world.bundle(SERVE[0], SERVE[1], "-f", *SERVE[2:])
    shared = sum(path.lstat().st_blocks * 512 for path in world.rootfs.rglob("*"))
    names = [world.name() for _ in range(count)]
    before, earlier = Host.now(), descendants()
    try:
        for name in names:
            world.pyoci.create(bundle, name)
            world.pyoci.start(name)
            world.pyoci.call("exec", name, "sh", "-c", ASK)
        return _account(before, shared, earlier)
    finally:
        for name in names:
            world.pyoci.remove(name)


def _account(before: Host, shared: int, earlier: set[int]) -> list[float]:
    """What all together take, in the order of MEASURES. shared: bytes of disk that are there once."""
    now = Host.now()
    ours = descendants() - earlier
    begin = sum(map(_processor, ours))
    time.sleep(IDLE)  # the measure itself
    busy = sum(map(_processor, ours)) - begin
    disk = shared + max(before.disk - now.disk, 0)
    return [(before.memory - now.memory) / 1024, disk / 2**20, busy / IDLE * 100, now.time - before.time]


def _processor(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
