"""The template of containerd's plugin: shims are forks of it where it may be their parent."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyoci.containerd import template as template_module
from tests.integration.test_containerd_shim import PYOCI, Shim, spec, wait_until
from tests.support import leftovers
from tests.support.box import Box
from tests.support.shim_client import PROGRAM, TEMPLATES, Client, Template, start

pytestmark = pytest.mark.root


@pytest.fixture
def forks(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Template]":
    made = Template(tmp_path_factory.mktemp("forks"))
    yield made
    made.close()


@pytest.fixture
def shim(forks: Template, box: Box, tmp_path: Path) -> "Iterator[Shim]":
    made = Shim(box, tmp_path)
    yield made
    made.close()
    forks.kill()


def fields(pid: int) -> "list[str]":
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent(pid: int) -> int:
    return int(fields(pid)[1])


def shim_of(shim: Shim, container: str, **more: object) -> int:
    """Starts a shim for a container that is not made yet; its pid."""
    client = shim.begin(shim.bundle("true", name=container), container, **more)
    return int(client("Connect", id="")["shim_pid"])


def listening(pid: int) -> "set[str]":
    """The paths of the sockets that it listens on."""
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {line[7] for line in lines if len(line) > 7 and line[3] == "00010000" and f"socket:[{line[6]}]" in held}


def test_a_shim_is_a_fork(shim: Shim, forks: Template) -> None:
    pid = shim_of(shim, "c")
    assert {parent(pid)} == forks.pids()
    assert (leftovers.name_of(pid), int(fields(pid)[3])) == ("containerd-shim", pid)  # of a session of its own
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    assert words[:5] == ["containerd-shim-pyoci-v1", "-namespace", shim.namespace, "-id", "c"]
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    open_files = {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)}
    assert open_files == {"/dev/null"}
    assert (
        "SigIgn:\t0000000000010000" not in Path(f"/proc/{pid}/status").read_text()
    )  # not SIGCHLD, as the template does


def test_nobody_listens_for_another(shim: Shim, forks: Template) -> None:
    """Who holds the socket of a shim that has ended would seem to serve."""
    before = forks.pids()
    first = shim_of(shim, "a", prefix=("nice", "-n", "4"))  # it leaves a template behind
    wait_until(lambda: forks.pids() - before)
    second = shim_of(shim, "b", prefix=("nice", "-n", "4"))
    (template,) = forks.pids() - before
    assert parent(second) == template
    held = [listening(pid) for pid in (first, second, template)]
    assert [len(names) for names in held] == [1, 1, 1]
    assert len(set.union(*held)) == 3


def test_it_has_containers(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    for number in range(20):
        client("Exec", id="c", exec_id=f"e{number}", spec=spec("sh", "-c", f"exit {number}"))
        client("Start", id="c", exec_id=f"e{number}")
        assert client("Wait", id="c", exec_id=f"e{number}")["exit_status"] == number
    client("Kill", id="c", signal=9)
    assert client("Wait", id="c")["exit_status"] == 137
    client("Delete", id="c")


def test_a_failed_start_says_why(shim: Shim) -> None:
    words = [PROGRAM, "-namespace", shim.namespace, "-address", TEMPLATES[-1], "-id", "a/b", "start"]
    bundle = shim.bundle("true").path
    done = subprocess.run(words, cwd=bundle, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == b"containerd-shim-pyoci-v1: neither namespace nor id may have a /\n"


@pytest.mark.parametrize(
    "prefix",
    [
        ("sh", "-c", 'umask 77; exec "$@"', "sh"),
        ("nice", "-n", "3"),
        ("prlimit", "--nofile=900:900"),
        ("setpriv", "--no-new-privs"),
        ("setpriv", "--groups", "77"),
        ("setpriv", "--bounding-set", "-net_raw"),
        ("taskset", "1"),
        ("chrt", "--batch", "0"),
    ],
    ids=lambda prefix: "-".join(prefix[:3]),
)
def test_a_caller_that_is_not_like_it_starts_its_own(shim: Shim, forks: Template, prefix: "tuple[str, ...]") -> None:
    before = forks.pids()
    alone = shim_of(shim, "c", prefix=prefix)
    assert parent(alone) not in before
    wait_until(lambda: len(forks.pids()) == 2)  # and leaves one behind that is like it
    wait_until(lambda: parent(shim_of(shim, f"d{time.monotonic_ns()}", prefix=prefix)) in forks.pids() - before)


def test_one_that_was_changed_makes_no_shims(shim: Shim, forks: Template) -> None:
    """They would have its limits."""
    (template,) = forks.pids()
    resource.prlimit(template, resource.RLIMIT_NOFILE, (900, 900))
    alone = shim_of(shim, "c")
    assert parent(alone) != template
    assert resource.prlimit(alone, resource.RLIMIT_NOFILE) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_other_namespaces_have_another(shim: Shim, forks: Template) -> None:
    before = forks.pids()
    alone = shim_of(shim, "c", prefix=("unshare", "--uts"))
    assert parent(alone) not in before
    assert parent(shim_of(shim, "d")) in before


def test_the_score_of_the_caller(shim: Shim, forks: Template) -> None:
    pid = shim_of(shim, "c", prefix=("sh", "-c", 'echo 321 >/proc/self/oom_score_adj; exec "$@"', "sh"))
    assert parent(pid) in forks.pids()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "322\n"


def test_without(shim: Shim, forks: Template) -> None:
    pid = shim_of(shim, "c", variables={"CONTAINERD_SHIM_PYOCI_TEMPLATE": "off"})
    assert parent(pid) not in forks.pids()
    assert len(forks.pids()) == 1


def test_it_is_killed_or_stopped(shim: Shim, forks: Template) -> None:
    (first,) = forks.pids()
    living = shim_of(shim, "c")
    os.kill(first, signal.SIGSTOP)
    assert parent(shim_of(shim, "d")) != first
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert Client(next(iter(shim.addresses)))("Connect", id="")["shim_pid"]
    assert leftovers.name_of(living) == "containerd-shim"
    assert parent(shim_of(shim, "e")) != first
    wait_until(forks.pids)
    wait_until(lambda: parent(shim_of(shim, f"f{time.monotonic_ns()}")) in forks.pids())


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 4, b"\0\0\0\4abc", b"\0\0\0\4abcd", b"\0\1\0\0" + b"a" * 65536])
def test_nonsense(shim: Shim, forks: Template, data: bytes) -> None:
    (path,) = set.union(*map(listening, forks.pids()))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(30)
        peer.connect(path)
        assert peer.recv(1) == b"y"
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(10) == b""
    assert parent(shim_of(shim, "c")) in forks.pids()


def test_memory_is_given_back_at_rest(shim: Shim) -> None:
    """And it works as before, again and again."""
    client = shim.running("sleep", "100")
    (pid,) = shim.pids

    def own() -> int:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))

    for number in range(4):
        client("Exec", id="c", exec_id=f"e{number}", spec=spec("true"))
        client("Start", id="c", exec_id=f"e{number}")
        assert client("Wait", id="c", exec_id=f"e{number}")["exit_status"] == 0
        client("Delete", id="c", exec_id=f"e{number}")
        busy = own()
        wait_until(lambda: own() < busy - 300)  # noqa: B023


def test_it_ends_when_nobody_needs_it(shim: Shim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not while a fork of it lives."""
    monkeypatch.setattr(template_module, "_PATIENCE", 0.05)
    monkeypatch.setattr(template_module, "rehearse", lambda: None)
    path = f"{tmp_path}/pyoci-template"
    os.chmod(tmp_path, 0o700)
    before = leftovers.descendants()
    template_module.leave_behind(path, lambda words, tell: None)
    (pid,) = leftovers.descendants() - before
    assert os.path.exists(path)
    os.waitpid(pid, 0)
    assert not os.path.exists(path)


@pytest.mark.parametrize("lacking", ["fork", "umask"])
def test_a_start_does_not_fail_for_want_of_it(lacking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its shim serves already."""

    def refuse(*_: object) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    os.chmod(tmp_path, 0o700)
    monkeypatch.setattr(template_module.posix, lacking, refuse)
    template_module.leave_behind(f"{tmp_path}/pyoci-template", lambda words, tell: None)
    assert list(tmp_path.iterdir()) == []


def test_a_fork_that_is_killed_amid_its_work(shim: Shim, forks: Template) -> None:
    """It has read the input, and perhaps answered: a second answer would make nonsense of the first."""
    (template,) = forks.pids()
    (path,) = listening(template)
    os.kill(template, signal.SIGKILL)
    os.waitpid(template, 0)
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        words = [PROGRAM, "-namespace", shim.namespace, "-address", TEMPLATES[-1], "-id", "c", "start"]
        streams: "dict[str, Any]" = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(words, cwd=shim.bundle("true").path, **streams) as launcher:
            with listener.accept()[0] as peer:
                peer.sendall(b"y")
                _, _, files = template_module.receive(peer)
                peer.sendall(b"b")
                os.write(files[1], b"answer")
                for fd in files:
                    os.close(fd)
            said = launcher.communicate()
    os.unlink(path)
    assert (launcher.returncode, said[0]) == (1, b"answer")
    assert said[1] == b"containerd-shim-pyoci-v1: the process that was to become the shim has ended\n"


def test_start_is_heard_once(shim: Shim) -> None:
    """Two starts of one group at once have one shim."""
    bundle = shim.bundle("true")
    assert len({start(bundle.path, "c", shim.events, namespace=shim.namespace) for _ in range(3)}) == 1
    shim.connect(start(bundle.path, "c", shim.events, namespace=shim.namespace).decode())


def listed(*flags: str) -> str:
    done = subprocess.run([PYOCI, "shim", "list", *flags], capture_output=True, check=True)
    return done.stdout.decode()


def entry(pid: int) -> "dict[str, Any]":
    (found,) = [one for one in json.loads(listed("--format", "json")) if one["pid"] == pid]
    return dict(found)


def test_shims_are_listed(shim: Shim, forks: Template) -> None:
    client = shim.running("sleep", "100")
    client("Exec", id="c", exec_id="e", spec=spec("true"))
    client.send("Wait", id="c")
    client("State", id="c")  # after it
    (pid,) = shim.pids
    found = entry(pid)
    assert (found["kind"], found["namespace"]) == ("shim", shim.namespace)
    assert f"unix://{found['address']}" in shim.addresses
    assert found["containers"] == [{"id": "c", "status": "running", "execs": 1}]
    assert [(one["method"], one["id"]) for one in found["requests"]] == [("Wait", "c")]
    assert 0 <= found["age"] < 1000
    assert found["measure"] == "pss"
    assert 100_000 < found["memory"] < 50_000_000
    (line,) = [line for line in listed().splitlines() if line.startswith(f"{pid} ")]
    assert line.split()[1] == shim.namespace
    assert line.endswith("c (running, 1 exec)")  # who waits for an end is no sign of trouble
    for template in forks.pids():
        assert entry(template)["kind"] == "template"
        assert any(line.startswith(f"{template} ") and "(the template)" in line for line in listed().splitlines())


def test_a_request_in_flight(shim: Shim) -> None:
    """A hook that hangs is to be found."""
    fifo = shim.fifo("never")
    bundle = shim.box.bundle("c").args("true")
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"cat {fifo}"]}]}
    bundle.write()
    client = shim.begin(bundle)
    stream = client.send("Create", id="c", bundle=str(bundle.path))
    (pid,) = shim.pids
    wait_until(lambda: [one["method"] for one in entry(pid).get("requests", ())] == ["Create"])
    assert entry(pid)["containers"] == [{"id": "c", "status": "creating", "execs": 0}]
    table = listed()
    Path(fifo).write_text("")
    assert re.search(rf"^{pid} .*  c \(creating\) +Create c \d+s$", table, re.MULTILINE)
    client.answer(stream, "Create")


def test_a_shim_that_does_not_answer(shim: Shim) -> None:
    pid = shim_of(shim, "c")
    os.kill(pid, signal.SIGSTOP)
    assert entry(pid)["problem"] == "no answer: timed out"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


STRANGER = """
import os, socket, sys, time
from pyoci.containerd.process import rename
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
rename("containerd-shim", "containerd-shim-pyoci-v1 -id x")
os.setuid(int(sys.argv[2]))
print("ready", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize(("uid", "problem"), [(65534, None), (0, "no socket")])
def test_a_stranger_of_the_name(uid: int, problem: "str | None", tmp_path: Path, shim: Shim) -> None:
    """Another user is not seen, and nobody connects to a socket that lies elsewhere, say in a container."""
    shim_of(shim, "c")  # then the directory is there
    path = f"/run/containerd/s/../../..{tmp_path}/x"
    words = [sys.executable, "-c", STRANGER, path, str(uid)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as stranger:
        assert stranger.stdout is not None and stranger.stdout.readline() == b"ready\n"
        found = [one.get("problem") for one in json.loads(listed("--format", "json")) if one["pid"] == stranger.pid]
        stranger.kill()
    assert found == ([] if problem is None else [problem])


def test_sockets_of_any_name(shim: Shim) -> None:
    """The kernel's list has the names as they are, which anybody may choose."""
    pid = shim_of(shim, "c")
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        one.bind(b"\0pyoci-\xff")
        other.bind(b"\0pyoci-x\n1 2 3 no number 6 7 8")
        assert entry(pid)["namespace"] == shim.namespace


def test_another_word_than_list() -> None:
    done = subprocess.run([PYOCI, "shim", "kill"], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"it is `pyoci shim list`" in done.stderr
