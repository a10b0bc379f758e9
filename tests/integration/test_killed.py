"""kill -9 of pyoci in the middle of its work: `delete --force` then leaves no process, mount, cgroup or state.

A tracer kills the runtime as it enters one of its system calls: create and start at some that are drawn, with a fixed
seed, from those after the first that changes anything; the shorter commands at every one that changes something.
"""

import os
import random
import select
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PATIENCE, Result, at_each_call, run

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")]
INSTANTS = 50
PARTS = 5  # for workers to share


def rich_bundle(box: Box) -> Bundle:
    """Something of everything that has to be taken back: limits, hooks, mounts."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.linux["resources"] = {"pids": {"limit": 100}, "memory": {"limit": 64 << 20}}
    bundle.mount("/tmp", type="tmpfs", source="tmpfs")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro"])
    for kind in ("createRuntime", "createContainer", "poststart", "poststop"):
        bundle.hook(kind, "/bin/true")
    bundle.linux["maskedPaths"] = ["/proc/kcore", "/sys/firmware"]
    return bundle


Instant = tuple[str, int]  # the n-th call of a name


def trace(box: Box, words: list[str], since: str) -> list[Instant]:
    """Runs a command; the system calls of its main process from the first on whose line has a text."""
    log = box.path / "log"
    result = run(["strace", "-qq", "-o", str(log), *box.words(*words)])
    assert result.ok, result
    seen: Counter[str] = Counter()
    found: list[Instant] = []
    for line in log.read_text(errors="replace").split("\n"):
        name = line.partition("(")[0]
        if not name.isidentifier():
            continue
        seen[name] += 1
        if found or since in line:
            found.append((name, seen[name]))
    assert found, "nothing was traced"
    return found


def run_killed(box: Box, words: list[str], instant: Instant) -> Result:
    """Runs a command that is killed at an instant."""
    name, number = instant
    inject = f"inject={name}:signal=KILL:when={number}"
    return run(["strace", "-qq", "-o", "/dev/null", "-e", inject, *box.words(*words)])


def draw(command: str, part: int, among: list[Instant]) -> list[Instant]:
    """This part's share of the instants: more than are needed, since how often a command waits, polls or is told
    something is not the same each time, and an instant that does not come kills nobody."""
    assert len(among) > INSTANTS, "hardly anything was traced"
    return random.Random(command).sample(among, min(len(among), 2 * INSTANTS))[part::PARTS]


def check_cleanable(box: Box, what: str) -> None:
    result = box.call("delete", "--force", "c")
    assert result.ok, (what, result)
    assert box.left() == [], what


@pytest.mark.parametrize("part", range(PARTS))
def test_create_killed(box: Box, part: int) -> None:
    bundle = rich_bundle(box)
    bundle.write()
    words = ["create", "--bundle", str(bundle.path), "c"]
    among = trace(box, words, f'mkdir("{box.root}')
    box.ok("delete", "--force", "c")
    killed = 0
    for instant in draw("create", part, among):
        killed += run_killed(box, words, instant).status != 0
        check_cleanable(box, f"create killed at {instant}")
        if killed == INSTANTS // PARTS:
            break
    assert killed >= 8, "the tracer hit too few"
    box.ok(*words)


@pytest.mark.parametrize("part", range(PARTS))
def test_start_killed(box: Box, part: int) -> None:
    bundle = rich_bundle(box)
    bundle.write()
    create = ["create", "--bundle", str(bundle.path), "c"]
    box.ok(*create)
    among = trace(box, ["start", "c"], "flock(")
    box.ok("delete", "--force", "c")
    killed = 0
    for instant in draw("start", part, among):
        box.ok(*create)
        killed += run_killed(box, ["start", "c"], instant).status != 0
        assert box.state()["status"] in ("created", "running"), instant
        check_cleanable(box, f"start killed at {instant}")
        if killed == INSTANTS // PARTS:
            break
    assert killed >= 8, "the tracer hit too few"


CHANGING = {
    "write", "rename", "renameat", "renameat2", "rmdir", "mkdir", "unlink", "unlinkat", "kill", "pidfd_send_signal",
    "sendto", "sendmsg", "clone", "clone3", "vfork", "wait4", "waitid", "clock_nanosleep", "poll", "exit_group",
}  # fmt: skip
UPDATE = ["update", "--pids-limit", "50", "--memory", "96000000", "--cpu-share", "512", "c"]
# What is killed, and what is done before
STEPPED = {
    "pause": [["pause", "c"]],
    "resume": [["resume", "c"], ["pause", "c"]],
    "update": [UPDATE],
    "update, paused": [UPDATE, ["pause", "c"]],
    "kill, paused": [["kill", "c", "KILL"], ["pause", "c"]],
    "kill all": [["kill", "--all", "c", "KILL"]],
    "delete": [["delete", "c"], ["kill", "c", "KILL"]],
    "delete by force": [["delete", "--force", "c"]],
    "delete by force, paused": [["delete", "--force", "c"], ["pause", "c"]],
}


@pytest.mark.parametrize("what", STEPPED)
def test_killed_at_every_change(box: Box, what: str) -> None:
    """Killed as it enters each call that changes something, or waits. Calls that only look leave the host as it was: to
    be killed there is the same as at the next change."""
    bundle = rich_bundle(box).shell("sleep 1000 & wait")
    bundle.write()
    words, *before = STEPPED[what]

    def begin() -> None:
        box.ok("run", "--detach", "--bundle", str(bundle.path), "c")
        first = os.pidfd_open(box.state()["pid"])
        for each in before:
            box.ok(*each)
        if any("KILL" in each for each in before):
            assert select.select([first], [], [], PATIENCE)[0], "it does not end"
        os.close(first)
        leftovers.settle()

    def attempt(tracer: list[str]) -> bool:
        begin()
        done = run([*tracer, *box.words(*words)])
        assert done.status in (0, -signal.SIGKILL), (what, done)
        check_cleanable(box, f"{what}: {done}")
        return done.ok

    begin()
    called = {name for name, _ in trace(box, words, since="execve(")}
    check_cleanable(box, what)
    assert at_each_call(CHANGING & called, attempt) >= 2, "it was hardly killed"


def hanging_hook(box: Box, kind: str) -> tuple[Bundle, Path]:
    """A bundle with a hook that never ends by itself, and the fifo that it opens when it runs."""
    bundle = box.bundle().args("sleep", "1000")
    fifo = bundle.rootfs / "up"
    os.mkfifo(fifo)
    path = "/up" if kind == "startContainer" else fifo
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", f"echo $$ > {path}; exec sleep 1000"])
    bundle.write()
    return bundle, fifo


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_delete_by_force_while_a_hook_hangs(box: Box, kind: str) -> None:
    """create, or start, holds the container's lock, and waits for a hook, as init does."""
    bundle, fifo = hanging_hook(box, kind)
    words = ["create", "--bundle", str(bundle.path), "c"]
    if kind == "startContainer":
        box.ok(*words)
        words = ["start", "c"]
    hanging = box.begin(*words)
    fifo.read_text()
    assert box.state()["status"] in ("creating", "created")
    box.ok("delete", "--force", "c")
    result = hanging.finish()
    if kind != "startContainer":  # to `start` a program that was killed at once and one never begun look alike
        assert result.status == 1, result
    if kind in ("prestart", "createRuntime"):
        assert f"hooks.{kind}[0]" in result.err and "first process has ended" in result.err, result
    assert box.left() == []


def test_kill_while_a_hook_hangs(box: Box) -> None:
    """The program never was: create fails, and takes everything back."""
    bundle, fifo = hanging_hook(box, "createRuntime")
    hanging = box.begin("create", "--bundle", str(bundle.path), "c")
    fifo.read_text()
    box.ok("kill", "c", "KILL")
    assert hanging.finish().status == 1
    assert box.left() == []


@pytest.mark.parametrize("words", [["delete", "--force", "c"], ["kill", "c", "KILL"]])
def test_nobody_waits_for_a_poststart_hook(box: Box, words: list[str]) -> None:
    """It may outlive the program. start goes on waiting for it; everybody else gets at the container."""
    bundle, fifo = hanging_hook(box, "poststart")
    box.ok("create", "--bundle", str(bundle.path), "c")
    hanging = box.begin("start", "c")
    hook = os.pidfd_open(int(fifo.read_text()))
    box.ok(*words)
    if words[0] == "kill":
        box.ok("delete", "--force", "c")
    assert box.names() == []
    signal.pidfd_send_signal(hook, signal.SIGKILL)
    result = hanging.finish()
    assert result.status == 1 and "hooks.poststart[0]" in result.err and "killed by signal 9" in result.err, result
    os.close(hook)
    assert box.left() == []


def test_run_killed_in_the_foreground(box: Box) -> None:
    """The container goes on; it is not orphaned from its state."""
    bundle = box.bundle().shell("echo up > /up; exec sleep 1000")
    os.mkfifo(bundle.rootfs / "up")
    bundle.write()
    running = box.begin("run", "--bundle", str(bundle.path), "c")
    assert (bundle.rootfs / "up").read_text() == "up\n"
    running.process.kill()
    running.finish()
    assert box.state()["status"] == "running"
    check_cleanable(box, "run")
