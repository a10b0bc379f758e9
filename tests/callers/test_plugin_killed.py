"""kill -9 of our plugin's shim, of containerd, of both, at any instant: containers go on or are cleaned up, what
`ctr task ls` says is true, ends are told after the restart, and nothing is left after the removal.

The instants are drawn: $PYOCI_SEED repeats a draw that failed, $PYOCI_KILLS says how many there are for each victim."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.containerd import ContainerdShim

from pyoci.containerd.sockets import name_for
from tests.support import leftovers

KILLS = int(os.environ.get("PYOCI_KILLS", "6"))
SEED = int(os.environ.get("PYOCI_SEED", "0")) or time.time_ns() % 1_000_000
PATIENCE = float(os.environ.get("PYOCI_PATIENCE", "60"))  # a guard
LIFE = (
    "$K -d --null-io $I {id} sleep {mark}; $C task exec $F --exec-id e {id} true; $C task pause {id}; "
    "$C task resume {id}; $C task kill -s KILL {id}; $C task rm -f {id}; $C c rm {id}"
)
RUN = "$K -d --null-io $I {id} sleep {mark}"
ENDED = (
    "$C events >ev & p=$!; until_ '$C images label $I n=$(date +%N) >/dev/null; grep -q /images/update ev'; "
    "$C task kill -s KILL {id}; until_ 'grep tasks/exit ev | grep -q {id}'; kill $p; $C task rm {id} 2>&1"
)


def until(what: "Callable[[], Any]") -> "Any":
    """Waits for it. Returns what it is at last."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        if time.monotonic() > deadline:
            return found
        leftovers.reap()
        time.sleep(0.02)
    return found


class Round:
    """One container, and what is there of it."""

    def __init__(self, engine: ContainerdShim, number: int) -> None:
        self.engine = engine
        self.id = f"k{number}"
        self.mark = str(10**8 + number)  # seconds that no other sleep has

    def script(self, text: str) -> "Any":
        return self.engine.script(text.format(id=self.id, mark=self.mark))

    def _with(self, *words: str) -> "list[int]":
        found = []
        for pid in leftovers.descendants():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if all(word in line for word in words):
                found.append(pid)
        return found

    def processes(self) -> "list[int]":
        return self._with(f"sleep {self.mark} ")

    def shims(self) -> "list[int]":
        return self._with("containerd-shim", f"-id {self.id} ", f"{self.engine.directory}/")

    def status(self) -> str:
        """What containerd says of it, "" when it knows none."""
        listed = self.script("$C task ls")
        for line in listed.out.splitlines():
            if line.split()[0] == self.id:
                return str(line.split()[2])
        return "" if listed.status == 0 else "no answer"

    def is_true(self) -> bool:
        """What is told is so."""
        return self.status() in (("RUNNING", "PAUSED") if self.processes() else ("", "STOPPED", "CREATED"))

    def strike(self, victim: str) -> None:
        shims = self.shims() if victim != "containerd" else []
        if victim != "shim" and self.engine.daemon is not None:
            self.engine.daemon.process.kill()
        for pid in shims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def left(self) -> "list[str]":
        """Of what was removed."""
        space, state = self.engine.space, f"{self.engine.directory}/state"
        socket = f"/run/containerd/s/{name_for(f'{self.engine.directory}/c.sock', space, self.id)}"
        places = [f"/run/containerd/pyoci/{space}/{self.id}", socket]
        places.append(f"{state}/io.containerd.runtime.v2.task/{space}/{self.id}")
        places += [f"/sys/fs/cgroup/{top}/{space}/{self.id}" for top in ("", *os.listdir("/sys/fs/cgroup"))]
        found = [path for path in places if os.path.exists(path)]
        found += [path for path in leftovers.mounts_below(state) if f"/{self.id}/" in path]
        return found + [leftovers.describe(pid) for pid in (*self.processes(), *self.shims())]


def one(engine: ContainerdShim, number: int, victim: str, script: str, delay: float) -> "list[str]":
    """A container's life, and the blow; what is wrong afterwards."""
    there = Round(engine, number)
    life = threading.Thread(target=there.script, args=(script,))
    life.start()
    time.sleep(delay)
    there.strike(victim)
    if victim != "shim":
        assert engine.daemon is not None
        engine.daemon.end(signal.SIGKILL)
        engine.begin()
    life.join()
    wrong = []
    if not until(there.is_true):
        wrong.append(f"told: {there.status() or 'nothing'}; processes {there.processes()}, shims {there.shims()}")
    elif there.processes():
        if there.status() == "PAUSED":
            there.script("$C task resume {id}")
        outcome = there.script("$C task exec $F --exec-id e2 {id} true")
        wrong += [f"exec: {outcome}"] if outcome.status else []
        outcome = there.script(ENDED)
        wrong += [] if "code 137" in outcome.out else [f"the end: {outcome}"]
    there.script("$C task rm -f {id}; $C c rm {id}")
    if until(lambda: not [line for line in there.left() if "/s/" not in line]):
        Round(engine, number + 500).script(LIFE)  # the end of any shim takes sockets of the dead with it
    return wrong + [f"left: {line}" for line in there.left()]


@pytest.fixture(scope="module")
def engine(engines: "Callable[..., Any]") -> ContainerdShim:
    found: ContainerdShim = engines(ContainerdShim)[1]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["shim", "containerd", "both"])
def test_killed_at_any_instant(engine: ContainerdShim, victim: str) -> None:
    draws = random.Random(f"{SEED} {victim}")
    base = 2000 * ["shim", "containerd", "both"].index(victim)
    begun = time.monotonic()
    Round(engine, base).script(LIFE)
    whole = time.monotonic() - begun
    problems = []
    for number in range(1, KILLS + 1):
        script, most = (LIFE, whole) if draws.random() < 0.6 else (RUN, whole / 2)
        delay = draws.uniform(0, most)
        found = one(engine, base + number, victim, script, delay)
        problems += [
            f"draw {number}, {delay:.3f} s into {'a life' if script is LIFE else 'run'}: {line}" for line in found
        ]
        if len(problems) > 10:
            break
    assert not problems, f"PYOCI_SEED={SEED}, {victim}:\n" + "\n".join(problems)
