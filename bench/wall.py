"""Whole commands, as engines run them: pyoci, runc and crun in turn on the same bundle."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.clock import Failed, turns
from bench.contender import Contender
from bench.report import TIMED, Chart, Result, Table, timed_rows
from bench.world import World

Actions = dict[str, Callable[[], float]]
SERIAL = 100
PARALLEL = 50


class Case(NamedTuple):
    """rounds: how often each contender acts; quick: the same with --quick."""

    name: str
    title: str
    rounds: int
    quick: int
    actions: "Callable[[World], contextlib.AbstractContextManager[Actions]]"


def measure(world: World, case: Case, rounds: int) -> Result:
    """Runs a case and makes its page."""
    with case.actions(world) as actions:
        samples = turns(rounds, actions)
    result = Result(
        case.name,
        case.title,
        f"Wall time of whole processes, {rounds} rounds; in each every runtime has its turn, the order alternating. "
        "The ratio is formed in each round before the median is taken.",
    )
    if world.left_out:
        result.about += " Not compared: " + "; ".join(world.left_out) + "."
    result.tables.append(Table(case.title, TIMED, timed_rows(samples)))
    medians = {name: [sample.median * 1000] for name, sample in samples.items()}
    result.charts.append(Chart(case.name, case.title, "ms", "bars", [""], medians))
    for name, sample in samples.items():
        result.figures[f"{name} ms"] = sample.median * 1000
        if name != "pyoci":
            result.figures[f"of {name}"] = samples["pyoci"].over(sample).median
    return result


def _each(world: World, action: Callable[[Contender], float]) -> Actions:
    def bound(contender: Contender) -> Callable[[], float]:
        return lambda: action(contender)

    return {contender.name: bound(contender) for contender in world.all}


def _runs(world: World, bundle: Path) -> Actions:
    return _each(world, lambda contender: contender.run(bundle, world.name()).seconds)


@contextlib.contextmanager
def run_true(world: World) -> Iterator[Actions]:
    yield _runs(world, world.bundle("true"))


@contextlib.contextmanager
def create_start_delete(world: World) -> Iterator[Actions]:
    bundle = world.bundle("true")

    yield _each(world, lambda contender: contender.life(bundle, world.name()))


@contextlib.contextmanager
def _beside_a_running_one(world: World, words: Callable[[str], list[str]]) -> Iterator[Actions]:
    """A command on a container that runs all the while, each runtime's own: cgroups are named after the id."""
    bundle = world.bundle("sleep", "100000")
    names = {contender.name: world.name() for contender in world.all}
    created = []
    try:
        for contender in world.all:
            contender.create(bundle, names[contender.name])
            created.append(contender)
            contender.start(names[contender.name])
        yield _each(world, lambda contender: contender.call(*words(names[contender.name])).seconds)
    finally:
        for contender in created:
            contender.remove(names[contender.name])


def state(world: World) -> "contextlib.AbstractContextManager[Actions]":
    return _beside_a_running_one(world, lambda name: ["state", name])


def exec_true(world: World) -> "contextlib.AbstractContextManager[Actions]":
    return _beside_a_running_one(world, lambda name: ["exec", name, "true"])


@contextlib.contextmanager
def serial(world: World) -> Iterator[Actions]:
    bundle = world.bundle("true")
    yield _each(world, lambda contender: sum(contender.run(bundle, world.name()).seconds for _ in range(SERIAL)))


@contextlib.contextmanager
def parallel(world: World) -> Iterator[Actions]:
    bundle = world.bundle("true")
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]

    def crowd(contender: Contender) -> float:
        lines = [contender.words("run", "--bundle", str(bundle), world.name()) for _ in range(PARALLEL)]
        begin = time.perf_counter()
        pids = [os.posix_spawn(words[0], words, os.environ, file_actions=quiet) for words in lines]
        ended = [os.waitpid(pid, 0)[1] for pid in pids]
        took = time.perf_counter() - begin
        if any(ended):
            raise Failed(f"{contender.name}: {PARALLEL} at once: statuses {ended}")
        return took

    yield _each(world, crowd)


def _engine(recording: str) -> "Callable[[World], contextlib.AbstractContextManager[Actions]]":
    @contextlib.contextmanager
    def actions(world: World) -> Iterator[Actions]:
        yield _runs(world, world.engine_bundle(recording, "/bin/true"))

    return actions


@contextlib.contextmanager
def podman_first(world: World) -> Iterator[Actions]:
    bundle = world.engine_bundle(PODMAN, "/bin/true")
    yield _each(world, lambda contender: world.fresh(contender).run(bundle, world.name()).seconds)


PODMAN, CONTAINERD = "podman58-run-create", "containerd21-opts-create"
CASES = [
    Case("run-true", "`run true`, the spec bundle", 60, 5, run_true),
    Case("create-start-delete", "`create` + `start` + `delete`, the spec bundle", 40, 5, create_start_delete),
    Case("state", "`state` of a running container", 100, 5, state),
    Case("exec-true", "`exec true` in a running container", 60, 5, exec_true),
    Case("serial", f"{SERIAL} containers one after another: `run true`", 3, 1, serial),
    Case("parallel", f"{PARALLEL} containers at once: `run true`", 7, 1, parallel),
    Case("podman", "`run true`, podman's config with its seccomp profile", 40, 5, _engine(PODMAN)),
    Case("podman-first", "the same, the profile never seen before", 20, 3, podman_first),
    Case("containerd", "`run true`, containerd's config with its seccomp profile", 40, 5, _engine(CONTAINERD)),
]
