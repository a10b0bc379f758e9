"""Each kind of error, as a real command ends with it: kind, exit status, and the words that callers look for."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import pyoci
from pyoci.kinds import KINDS, exit_status
from tests.support.box import Box
from tests.support.bundle import Bundle

pytestmark = pytest.mark.root
TREE = Path(pyoci.__file__).parents[1]

# The program as it is, that says in a file of which kind its error was
TELLING = """
import sys
import pyoci.cli, pyoci.kinds
report = pyoci.cli._report
def tell(call, problem):
    with open(sys.argv[1], "w") as file:
        file.write(pyoci.kinds.kind_of(problem))
    return report(call, problem)
pyoci.cli._report = tell
sys.exit(pyoci.cli.main(sys.argv[2:]))
"""


class Teller:
    """Runs commands that fail; kind() gives what kind the last one's error was."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.file = box.path / "kind"

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "PYTHONPATH": str(TREE)}
        command = [sys.executable, "-c", TELLING, str(self.file), "--root", str(self.box.root), *words]
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def check(self, kind: str, command: str, process: "subprocess.Popen[str]") -> str:
        said = process.communicate(timeout=60)[1]
        assert self.file.exists(), said
        assert (self.file.read_text(), process.returncode) == (kind, exit_status(kind, command)), said  # type: ignore[arg-type]
        texts = KINDS[kind].texts  # type: ignore[index]
        assert not texts or any(text in said.replace('\\"', '"') for text in texts), said
        self.file.unlink()
        return said

    def fails(self, kind: str, command: str, *words: str) -> str:
        return self.check(kind, command, self.begin(command, *words))

    def create(self, kind: str, bundle: Bundle, command: str = "create") -> str:
        bundle.write()
        return self.fails(kind, command, "--bundle", str(bundle.path), "c")


@pytest.fixture
def teller(box: Box) -> Teller:
    return Teller(box)


def test_the_command_line(teller: Teller) -> None:
    teller.fails("usage", "state")
    teller.fails("usage", "exec", "--nosuch")
    teller.fails("usage", "validate", "--nosuch")
    teller.fails("unknown_command", "nosuch")
    teller.fails("unknown_command", "help", "nosuch")
    teller.fails("refused", "validate", "--format", "x")
    teller.fails("refused", "state", "a/b")
    teller.fails("host", "validate", "/nosuch")


def test_no_such_container(teller: Teller, box: Box) -> None:
    box.root.mkdir()
    for command in ("state", "start", "kill", "delete", "pause", "ps"):
        teller.fails("not_found", command, "nosuch")
    teller.fails("not_found", "exec", "nosuch", "true")


def test_what_create_refuses(teller: Teller, box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.config["root"] = {"path": "nosuch"}
    teller.create("refused", bundle)
    bundle = box.bundle().args("true")
    bundle.linux["netDevices"] = {"pyoci-nosuch": {}}
    teller.create("missing", bundle)
    bundle = box.bundle().args("true")
    bundle.config["mounts"].append({"destination": "/mnt", "type": "nosuch", "source": "x"})
    teller.create("host", bundle)
    teller.create("program", box.bundle().args("/nosuch"))
    teller.create("program", box.bundle().args("/tmp"), "run")
    assert box.left() == []


@pytest.mark.parametrize("name", ["execve: /bin/true", "/x, under the seccomp filter"])
def test_a_program_may_be_called_like_words_of_ours(teller: Teller, box: Box, name: str) -> None:
    said = teller.create("program", box.bundle().args(name))
    assert f'exec: "{name}"' in said.replace('\\"', '"')


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"])
@pytest.mark.parametrize("path", ["/bin/false", "/nosuch"])
def test_a_hook_that_fails(teller: Teller, box: Box, kind: str, path: str) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.config["hooks"] = {kind: [{"path": path}], "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", "exit 0"]}]}
    said = teller.create("hook", bundle, "run")
    assert f"hooks.{kind}[0]" in said
    assert box.left() == []


def test_states_of_a_container(teller: Teller, box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    box.started(bundle)
    teller.create("exists", bundle)
    teller.fails("state", "start", "c")
    teller.fails("state", "delete", "c")
    teller.fails("state", "resume", "c")
    teller.fails("program", "exec", "c", "nosuch")
    box.ok("kill", "c", "KILL")
    box.state()
    for command in ("kill", "pause"):
        teller.fails("not_running", command, "c")
    teller.fails("not_running", "update", "--pids-limit", "5", "c")
    teller.fails("not_running", "events", "--stats", "c")
    teller.fails("state", "exec", "c", "true")
    file = box.root / "c" / "state.json"
    file.write_text(file.read_text().replace('"format":1', '"format":2'))
    teller.fails("version", "state", "c")
    file.write_text("{}")
    teller.fails("damaged", "state", "c")
    file.write_text("{")
    teller.fails("damaged", "state", "c")


def test_the_interrupt_key(teller: Teller, box: Box) -> None:
    fifo = box.path / "fifo"
    os.mkfifo(fifo)
    bundle = box.bundle().args("sleep", "1000")
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"echo here > {fifo}; exec sleep 1000"]}
    bundle.config["hooks"] = {"poststart": [hook]}
    box.made_container(bundle, "c")
    starting = teller.begin("start", "c")
    assert fifo.read_text() == "here\n"
    starting.send_signal(signal.SIGINT)
    teller.check("interrupted", "start", starting)


def test_init_that_sends_what_is_no_report(teller: Teller, box: Box) -> None:
    box.made_container(box.bundle().args("sleep", "1000"), "c")
    place = box.root / "c" / "start"
    place.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(place))
        listener.listen()
        starting = teller.begin("start", "c")
        peer, _ = listener.accept()
        with peer:
            peer.send(b"x")
            teller.check("internal", "start", starting)


def test_every_kind_is_produced() -> None:
    """By the tests above, each of which checks what it names."""
    named = re.findall(r'teller\.(?:fails|create|check)\(\s*"(\w+)"', Path(__file__).read_text())
    assert set(named) == set(KINDS)
