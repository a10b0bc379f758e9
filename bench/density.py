"""Applications as virtual machines, each with a kernel of its own, and as containers on one kernel."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bench.clock import Failed
from bench.compiler import HERE
from bench.processes import resident
from bench.report import Chart, Result, Table
from bench.world import World
from tests.support.leftovers import descendants

ABOUT = """The same application {count} times: busybox's httpd, which answers a request for a page. Once each in a
virtual machine of its own (tests/vm: Debian 12 with systemd under QEMU, {machine} MiB of memory; {count} of them
resumed, one after another, from one saved state in which they have booted already), once each in a container of
pyoci. This host has no hardware virtualization, QEMU emulates the processor: that makes the machines' times many
times longer than they would be with it, and costs them some memory; a container has no such handicap. Memory is
what all their processes hold when all answer, shared pages counted once; disk is the image or rootfs, which all
share, and what they write; idle is processor time of all together in {idle} seconds without a request."""
EMULATED = "virtual machines, emulated"
IDLE = 20
MACHINE = 384  # MiB of memory of a virtual machine
PAGE = "pyoci-bench.html"
ASK = f"until busybox wget -q -O - http://127.0.0.1:8080/{PAGE}; do :; done"
SERVE = ["busybox", "httpd", "-p", "8080", "-h", "/etc"]
MEASURES = ["memory, MiB", "disk, MiB", "processor when idle, %", "until all answer, s"]


class Host(NamedTuple):
    """A moment of the host: bytes of disk free, seconds."""

    disk: int
    time: float

    @staticmethod
    def now() -> "Host":
        return Host(shutil.disk_usage("/var/tmp").free, time.monotonic())


def measure(world: World, count: int) -> Result:
    about = ABOUT.format(count=count, idle=IDLE, machine=MACHINE)
    result = Result("density", "As virtual machines and as containers", about)
    found = {EMULATED: _machines(world, count), "containers": _containers(world, count)}
    rows = [[measure, *(f"{values[n]:.1f}" for values in found.values())] for n, measure in enumerate(MEASURES)]
    result.tables.append(Table(f"{count} applications", ["", *found], rows))
    result.charts.append(Chart("density", f"{count} applications", "", "panels", MEASURES, found))
    return result


def _machines(world: World, count: int) -> list[float]:
    """tests/vm/vm.sh, with machines of less memory than the tests have, and so a saved state of their own."""
    store = _store(world.place / "machines")
    lives = [store / f"machine-{number}" for number in range(count)]
    _vm(store, lives[0], "save")
    shared = sum(path.stat().st_blocks * 512 for path in store.glob("saved-*"))
    before, earlier = Host.now(), descendants()
    try:
        for live in lives:
            _vm(store, live, "start", "-d", str(world.place))
            _vm(store, live, "exec", f"echo here > /etc/{PAGE}; {' '.join(SERVE)}; {ASK}")
        return _account(before, shared, earlier)
    finally:
        for live in lives:
            _vm(store, live, "stop")


def _store(store: Path) -> Path:
    """A store that has the image, kernel and emulator of the tests' one."""
    tests = Path(os.environ.get("PYOCI_VM", Path.home() / ".cache" / "pyoci-vm"))
    if not (tests / "disk.img").exists():
        raise Failed("there is no image of a machine: `tests/vm/vm.sh build` makes one")
    store.mkdir()
    for file in tests.iterdir():
        if not file.name.startswith(("saved", "live")):
            (store / file.name).symlink_to(file)
    return store


def _vm(store: Path, live: Path, *words: str) -> None:
    """One of the machines; its output in a file, since the machine keeps it open."""
    with open(live.with_suffix(".log"), "ab") as log:
        own = {"PYOCI_VM": str(store), "PYOCI_VM_LIVE": str(live), "PYOCI_VM_MEMORY": str(MACHINE)}
        words = (str(HERE.parent / "tests" / "vm" / "vm.sh"), *words)
        if subprocess.call(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **own}):
            raise Failed(f"{' '.join(words)}: {live.with_suffix('.log').read_text()}")


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
    memory = sum(resident(pid).pss for pid in ours)
    begin = sum(map(_processor, ours))
    time.sleep(IDLE)  # the measure itself
    busy = sum(map(_processor, ours)) - begin
    disk = shared + max(before.disk - now.disk, 0)
    return [memory / 1024, disk / 2**20, busy / IDLE * 100, now.time - before.time]


def _processor(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
