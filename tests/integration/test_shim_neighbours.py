"""What one container does to the others of its shim: nothing. A flood of creates or execs, output that nobody reads, a
hook that hangs, a frozen container, CRIU at work; State, Exec and Kill of a neighbour go on meanwhile.

Each test prints how long State took (`pytest -rP`): docs/shim.md has the figures of a quiet machine."""

import copy
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyoci.containerd import messages
from pyoci.containerd.codec import encode
from tests.integration.test_checkpoint import CRIU, why_not
from tests.integration.test_containerd_shim import OPTIONS, Shim, spec
from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.shim_client import Client, Status

pytestmark = [pytest.mark.root, pytest.mark.slow]
POD = {"io.kubernetes.cri.sandbox-id": "pod"}
WIDTH, EXECS = 100, 50


class Pod:
    """Containers of one shim; `n` is the neighbour."""

    def __init__(self, shim: Shim) -> None:
        self.shim = shim
        self.client = self.running("n", "sleep", "1000")

    def bundle(self, name: str, *words: str) -> Bundle:
        bundle = self.shim.box.bundle(name).args(*words)
        bundle.config["annotations"] = POD
        return bundle

    def running(self, name: str, *words: str, **more: Any) -> Client:
        bundle = self.bundle(name, *words)
        bundle.write()
        client = self.shim.begin(bundle, name)
        client("Create", id=name, bundle=str(bundle.path), **more)
        client("Start", id=name)
        return client

    def connect(self) -> Client:
        return self.shim.connect(next(iter(self.shim.addresses)))

    def while_(self, trouble: "Callable[[], Any]") -> None:
        """The neighbour does well while trouble is made in a thread, and once more when it is over."""
        states: "list[float]" = []
        failed: "list[BaseException]" = []

        def make() -> None:
            try:
                trouble()
            except BaseException as problem:
                failed.append(problem)

        thread = threading.Thread(target=make)
        client = self.connect()
        thread.start()
        turn = 0
        while thread.is_alive() or turn == 0:
            turn += 1
            for _ in range(20):
                begun = time.monotonic()
                assert client("State", id="n")["status"] == 2
                states.append(time.monotonic() - begun)
            self.execute(client, f"x{turn}")
        thread.join()
        assert not failed, failed
        states.sort()
        half, most = states[len(states) // 2], states[len(states) * 99 // 100]
        print(f"State: {len(states)} times, median {half * 1000:.2f} ms, p99 {most * 1000:.1f} ms")
        self.execute(client, "last")
        client("Kill", id="n", signal=9)
        assert client("Wait", id="n")["exit_status"] == 137
        client("Delete", id="n")

    def execute(self, client: Client, name: str, container: str = "n") -> None:
        client("Exec", id=container, exec_id=name, spec=spec("true"))
        client("Start", id=container, exec_id=name)
        assert client("Wait", id=container, exec_id=name)["exit_status"] == 0
        client("Delete", id=container, exec_id=name)


@pytest.fixture
def pod(box: Box, tmp_path: Path) -> "Iterator[Pod]":
    leftovers.adopt_orphans()
    shim = Shim(box, tmp_path)
    yield Pod(shim)
    assert len(shim.pids) == 1
    shim.close()


def all_of(client: Client, method: str, names: "list[str]", **more: Any) -> None:
    """Asks at once, then waits for all answers."""
    streams = [client.send(method, id=name, **more) for name in names]
    for stream in streams:
        client.answer(stream, method)


def test_a_hundred_creates_at_once(pod: Pod) -> None:
    names = [f"c{number}" for number in range(WIDTH)]
    first = pod.bundle("c0", "sleep", "1000")
    for name in names:
        path = pod.shim.box.path / name
        path.mkdir(exist_ok=True)
        config = copy.deepcopy({**first.config, "root": {"path": str(first.path / "rootfs")}})
        config["linux"]["cgroupsPath"] += name
        (path / "config.json").write_text(json.dumps(config))

    def trouble() -> None:
        client = pod.connect()
        streams = [client.send("Create", id=name, bundle=str(pod.shim.box.path / name)) for name in names]
        for stream in streams:
            assert client.answer(stream, "Create")["pid"]
        all_of(client, "Start", names)
        all_of(client, "Kill", names, signal=9)
        all_of(client, "Wait", names)
        all_of(client, "Delete", names)

    pod.while_(trouble)
    for name in names:
        pod.shim.events.wait_for("delete", container_id=name)


def test_fifty_execs_at_once(pod: Pod) -> None:
    pod.running("c", "sleep", "1000")

    def trouble() -> None:
        client = pod.connect()
        for turn in range(3):
            names = [f"e{turn}-{number}" for number in range(EXECS)]
            for name in names:
                client("Exec", id="c", exec_id=name, spec=spec("sh", "-c", "exit 7"))
            for method in ("Start", "Wait", "Delete"):
                streams = [client.send(method, id="c", exec_id=name) for name in names]
                answers = [client.answer(stream, method) for stream in streams]
                assert method == "Start" or {answer["exit_status"] for answer in answers} == {7}

    pod.while_(trouble)


@pytest.mark.parametrize("terminal", [False, True])
def test_output_that_nobody_reads(pod: Pod, terminal: bool) -> None:
    out = pod.shim.fifo("out")
    bundle = pod.bundle("c", "sh", "-c", "echo begun > /begun; exec yes")
    bundle.process["terminal"] = terminal
    bundle.write()
    client = pod.shim.begin(bundle, "c")
    client("Create", id="c", bundle=str(bundle.path), stdout=out, terminal=terminal)
    client("Start", id="c")

    def trouble() -> None:
        mine = pod.connect()
        for turn in range(20):
            pod.execute(mine, f"e{turn}", "c")
        mine("Kill", id="c", signal=9)
        assert mine("Wait", id="c")["exit_status"] == 137

    pod.while_(trouble)


def test_a_hook_that_hangs(pod: Pod) -> None:
    gate = pod.shim.fifo("gate")
    names = [f"h{number}" for number in range(20)]
    for name in names:
        bundle = pod.bundle(name, "true")
        bundle.hook("prestart", "/bin/sh", args=["sh", "-c", f"read x <{gate}"])
        bundle.write()

    def trouble() -> None:
        client = pod.connect()
        streams = [client.send("Create", id=name, bundle=str(pod.shim.box.path / name)) for name in names]
        other = pod.connect()
        for turn in range(20):
            pod.execute(other, f"o{turn}")
        writer = os.open(gate, os.O_RDWR)
        for stream in streams:
            os.write(writer, b"go\n" * 40)  # whoever reads takes as much as it likes
            client.answer(stream, "Create")
        os.close(writer)
        all_of(client, "Delete", names)

    pod.while_(trouble)


def test_a_frozen_container(pod: Pod) -> None:
    """With an exec that cannot begin."""
    pod.running("c", "sleep", "1000")

    def trouble() -> None:
        client = pod.connect()
        for turn in range(5):
            client("Pause", id="c")
            assert client("State", id="c")["status"] == 4
            client("Exec", id="c", exec_id=f"f{turn}", spec=spec("true"))
            with pytest.raises(Status):
                client("Start", id="c", exec_id=f"f{turn}")
            client("Resume", id="c")
        client("Pause", id="c")
        client("Kill", id="c", signal=9)  # which thaws it
        assert client("Wait", id="c")["exit_status"] == 137

    pod.while_(trouble)


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_criu_at_work(pod: Pod) -> None:
    options = {"type_url": OPTIONS, "value": encode(messages.OPTIONS, {"criu_path": CRIU})}
    pod.running("c", "sh", "-c", "mkfifo /w; read x <> /w", options=options)

    def trouble() -> None:
        client = pod.connect()
        for turn in range(5):
            client("Checkpoint", id="c", path=str(pod.shim.directory / f"images{turn}"))
        assert client("State", id="c")["status"] == 2

    pod.while_(trouble)
