"""containerd's runtime plugin without containerd: a small client drives it as an engine does."""

import errno
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyoci.containerd import messages, sockets
from pyoci.containerd.codec import encode
from pyoci.containerd.ttrpc import MAX_LENGTH, REQUEST, frame
from pyoci.json.document import dump
from tests.integration.test_checkpoint import CRIU, why_not
from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.shim_client import Client, Events, Status, Template, delete, start

pytestmark = pytest.mark.root
PROCESS = {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}
OPTIONS = "containerd.runc.v1.Options"
SPEC = "types.containerd.io/opencontainers/runtime-spec/1/Process"


class Shim:
    """A shim with its bundle; ctl() is a new connection."""

    def __init__(self, box: Box, directory: Path) -> None:
        self.box = box
        self.directory = directory
        self.events = Events(directory / "events.sock")
        self.namespace = f"test-{os.getpid()}-{directory.name}"
        self.root = f"/run/containerd/pyoci/{self.namespace}"
        self.addresses: "set[str]" = set()
        self.pids: "set[int]" = set()
        self.clients: "list[Client]" = []

    def bundle(self, *words: str, name: str = "") -> Bundle:
        bundle = self.box.bundle(name).args(*words)
        bundle.write()
        return bundle

    def path(self, container: str) -> Path:
        """Where created() has its bundle."""
        return self.box.path / container

    def begin(self, bundle: Bundle, container: str = "c", **more: Any) -> Client:
        said = start(bundle.path, container, self.events, namespace=self.namespace, **more).decode()
        return self.connect(said)

    def connect(self, address: str) -> Client:
        self.addresses.add(address)
        client = Client(address)
        self.clients.append(client)
        self.pids.add(client("Connect", id="")["shim_pid"])
        return client

    def created(self, *words: str, container: str = "c", **more: Any) -> Client:
        bundle = self.bundle(*words, name=container)
        client = self.begin(bundle, container)
        client("Create", id=container, bundle=str(bundle.path), **more)
        return client

    def running(self, *words: str, container: str = "c", **more: Any) -> Client:
        client = self.created(*words, container=container, **more)
        client("Start", id=container)
        return client

    def fifo(self, name: str) -> str:
        path = str(self.directory / name)
        os.mkfifo(path)
        return path

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for pid in self.pids:
            try:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if os.path.isdir(self.root):
            for name in os.listdir(self.root):
                if not name.startswith("@"):
                    subprocess.run([PYOCI, "--root", self.root, "delete", "--force", name], check=False)
            subprocess.run(["rm", "-rf", self.root], check=False)
        for address in self.addresses:
            Path(address.removeprefix("unix://")).unlink(missing_ok=True)
        self.events.end()


PYOCI = str(Path(__file__).parents[2] / "build" / "bin" / "pyoci")


@pytest.fixture(scope="module", autouse=True)
def forks(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Template]":
    """All shims but a few are forks of it, as under containerd."""
    made = Template(tmp_path_factory.mktemp("shim-template"))
    yield made
    made.close()


@pytest.fixture
def shim(box: Box, tmp_path: Path) -> "Iterator[Shim]":
    leftovers.adopt_orphans()
    shim = Shim(box, tmp_path)
    yield shim
    shim.close()


def spec(*words: str, **more: Any) -> "dict[str, Any]":
    return {"type_url": SPEC, "value": dump({**PROCESS, "args": list(words), **more}).encode()}


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(what: "Any") -> None:
    deadline = time.monotonic() + 30  # a guard
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_life_and_its_events_in_order(shim: Shim) -> None:
    client = shim.created("sh", "-c", "exit 7")
    assert client("State", id="c")["status"] == 1
    waiting = client.send("Wait", id="c")
    pid = client("Start", id="c")["pid"]
    assert client.answer(waiting, "Wait")["exit_status"] == 7
    shim.events.wait_for("exit", container_id="c", id="c", exit_status=7)
    deleted = client("Delete", id="c")
    assert (deleted["pid"], deleted["exit_status"]) == (pid, 7)
    shim.events.wait_for("delete")
    assert shim.events.topics() == ["create", "start", "exit", "delete"]
    with pytest.raises(Status, match="not found") as refused:
        client("State", id="c")
    assert refused.value.code == 5
    client("Shutdown", id="c")
    wait_until(lambda: all(gone(pid) for pid in shim.pids))
    assert not any(os.path.exists(address.removeprefix("unix://")) for address in shim.addresses)


def test_signals_and_what_they_say_afterwards(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    with pytest.raises(Status) as refused:
        client("Delete", id="c")
    assert refused.value.code == 9
    client("Kill", id="c", signal=9, all=True)
    assert client("Wait", id="c")["exit_status"] == 137
    with pytest.raises(Status, match="process already finished") as refused:
        client("Kill", id="c", signal=15)
    assert refused.value.code == 5
    client("Delete", id="c")
    client("Create", id="c", bundle=str(shim.path("c")))  # the same id again


def test_exec(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    for number, status in enumerate((0, 9)):
        exec_id = f"e{number}"
        client("Exec", id="c", exec_id=exec_id, spec=spec("sh", "-c", f"exit {status}"))
        assert client("State", id="c", exec_id=exec_id)["status"] == 1
        pid = client("Start", id="c", exec_id=exec_id)["pid"]
        assert client("Wait", id="c", exec_id=exec_id)["exit_status"] == status
        shim.events.wait_for("exit", id=exec_id, exit_status=status, pid=pid)
        client("Delete", id="c", exec_id=exec_id)
    names = [event.get("exec_id") or event.get("id") for topic, event in shim.events.heard if "c" not in topic[7:8]]
    assert [name for name in names if name == "e0"] == ["e0"] * 3  # added, started, exit
    client("Exec", id="c", exec_id="e", spec=spec("sleep", "100"))
    with pytest.raises(Status) as refused:
        client("Exec", id="c", exec_id="e", spec=spec("true"))
    assert refused.value.code == 6
    client("Start", id="c", exec_id="e")
    details = [entry["info"] for entry in client("Pids", id="c")["processes"]]
    assert {"type_url": "containerd.runc.v1.ProcessDetails", "value": b"\x0a\x01e"} in details
    client("Kill", id="c", exec_id="e", signal=9)
    assert client("Wait", id="c", exec_id="e")["exit_status"] == 137


def test_an_exec_that_cannot_be_started(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    client("Exec", id="c", exec_id="e", spec=spec("/nosuch"))
    with pytest.raises(Status, match='exec: "/nosuch": stat /nosuch: no such file or directory'):
        client("Start", id="c", exec_id="e")
    client("Delete", id="c", exec_id="e")
    client("Exec", id="c", exec_id="e", spec=spec("true"))
    client("Start", id="c", exec_id="e")


def test_many_execs_at_once(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    ids = [f"e{number}" for number in range(30)]
    for exec_id in ids:
        client("Exec", id="c", exec_id=exec_id, spec=spec("true"))
    streams = [client.send("Start", id="c", exec_id=exec_id) for exec_id in ids]
    for stream in streams:
        client.answer(stream, "Start")
    for exec_id in ids:
        assert client("Wait", id="c", exec_id=exec_id)["exit_status"] == 0
        shim.events.wait_for("exit", id=exec_id)
    order = [topic for topic, event in shim.events.heard if "e7" in (event.get("exec_id"), event.get("id"))]
    assert order == ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"]


def test_the_fifo_itself_is_the_output(shim: Shim) -> None:
    out = shim.fifo("out")
    reader = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    client = shim.running("sh", "-c", "echo said; readlink /proc/self/fd/1; echo by name >/dev/stdout", stdout=out)
    client("Wait", id="c")
    data = b""
    while piece := os.read(reader, 4096):  # to the end: we have let go
        data += piece
    assert data.startswith(b"said\n")
    assert data.endswith(b"by name\n")
    assert b"/out" in data.splitlines()[1]


def test_output_that_nobody_reads_yet_is_not_lost(shim: Shim) -> None:
    out = shim.fifo("out")
    client = shim.running("echo", "early", stdout=out)
    client("Wait", id="c")
    with open(out, "rb", buffering=0) as reader:
        assert reader.read(100) == b"early\n"


def test_input_stays_open_until_close_io(shim: Shim) -> None:
    into, out = shim.fifo("in"), shim.fifo("out")
    reader = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    client = shim.running("cat", stdin=into, stdout=out)
    for word in (b"one", b"two"):  # a client that comes back
        with open(into, "wb", buffering=0) as writer:
            writer.write(word)
        assert os.read(reader, 100) == word
    client("CloseIO", id="c", stdin=True)
    assert client("Wait", id="c")["exit_status"] == 0


def test_a_file_is_appended_to(shim: Shim) -> None:
    path = shim.directory / "log"
    path.write_text("before\n")
    client = shim.running("sh", "-c", "echo out; echo err >&2", stdout=f"file://{path}", stderr=f"file://{path}")
    client("Wait", id="c")
    assert path.read_text() == "before\nout\nerr\n"


def test_a_logger_program(shim: Shim) -> None:
    program, kept = shim.directory / "logger", shim.directory / "kept"
    program.write_text(
        f"#!/bin/sh\nexec >{kept}\necho $CONTAINER_ID $CONTAINER_NAMESPACE $*\nexec 5>&-\ncat <&3\ncat <&4\necho end\n"
    )
    program.chmod(0o755)
    uri = f"binary://{program}?a=b%20c"
    client = shim.running("sh", "-c", "echo out; echo err >&2", stdout=uri, stderr=uri)
    client("Wait", id="c")
    wait_until(lambda: kept.read_text().endswith("end\n"))
    assert kept.read_text() == f"c {shim.namespace} a b c\nout\nerr\nend\n"


def test_a_terminal(shim: Shim) -> None:
    into, out = shim.fifo("in"), shim.fifo("out")
    reader = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    bundle = shim.box.bundle("c").args("sh", "-c", "read x; stty size; echo got $x; exit 3")
    bundle.process["terminal"] = True
    bundle.write()
    client = shim.begin(bundle)
    client("Create", id="c", bundle=str(bundle.path), terminal=True, stdin=into, stdout=out)
    client("Start", id="c")
    client("ResizePty", id="c", width=101, height=37)
    with open(into, "wb", buffering=0) as writer:
        writer.write(b"word\n")
    assert client("Wait", id="c")["exit_status"] == 3
    data = b""
    while piece := os.read(reader, 4096):
        data += piece
    assert b"37 101" in data
    assert b"got word" in data


def test_pause_limits_figures(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    client("Pause", id="c")
    assert client("State", id="c")["status"] == 4
    client("Resume", id="c")
    assert client("State", id="c")["status"] == 2
    stats = client("Stats", id="c")["stats"]
    assert stats["type_url"].startswith("io.containerd.cgroups.v")
    assert stats["value"]
    client("Update", id="c", resources={"type_url": "x", "value": b'{"pids":{"limit":77}}'})
    shim.events.wait_for("resumed")
    assert [topic for topic in shim.events.topics() if "e" in topic][-2:] == ["paused", "resumed"]


@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("Create", {"id": "a/b", "bundle": "/x"}, 3),
        ("Create", {"id": "../b", "bundle": "/x"}, 3),
        ("Create", {"id": "b", "bundle": "relative"}, 3),
        ("Create", {"id": "b", "bundle": "/nowhere"}, 2),
        ("Create", {"id": "c", "bundle": "/x"}, 6),
        ("Create", {"id": "b", "bundle": "/x", "options": {"type_url": "strange", "value": b""}}, 3),
        ("Create", {"id": "b", "bundle": "/x", "options": {"type_url": OPTIONS, "value": b"\xff"}}, 3),
        ("Exec", {"id": "c", "exec_id": "", "spec": spec("true")}, 3),
        ("Exec", {"id": "c", "exec_id": "a/b", "spec": spec("true")}, 3),
        ("Exec", {"id": "c", "exec_id": "e"}, 3),
        ("Exec", {"id": "c", "exec_id": "e", "spec": {"type_url": SPEC, "value": b"[]"}}, 3),
        ("Exec", {"id": "c", "exec_id": "e", "spec": {"type_url": SPEC, "value": b"\xff"}}, 3),
        ("Start", {"id": "nobody"}, 5),
        ("Start", {"id": "c", "exec_id": "nobody"}, 5),
        ("Start", {"id": "c"}, 9),
        ("Kill", {"id": "c", "signal": 0}, 3),
        ("Kill", {"id": "c", "signal": 70}, 3),
        ("Update", {"id": "c"}, 3),
        ("Create", {"id": "b", "bundle": "/x", "stdout": "a\0b"}, 3),
        ("Create", {"id": "b", "bundle": "/x\0"}, 3),
        ("Nonsense", {}, 12),
        ("Wait", {"id": "x" * 100_000}, 5),
    ],
)  # fmt: skip
def test_bad_requests_are_a_status(shim: Shim, method: str, fields: "dict[str, Any]", code: int) -> None:
    client = shim.running("sleep", "100")
    with pytest.raises(Status) as refused:
        client(method, **fields)
    assert refused.value.code == code
    assert "Traceback" not in refused.value.text
    assert client("State", id="c")["status"] == 2


def test_a_terminal_whose_input_is_no_fifo(shim: Shim) -> None:
    bundle = shim.bundle("sleep", "100", name="c")
    bundle.config["process"]["terminal"] = True
    bundle.write()
    client = shim.begin(bundle, "c")
    with pytest.raises(Status, match="a terminal's input is a FIFO"):
        client("Create", id="c", bundle=str(bundle.path), terminal=True, stdin="/etc/passwd")
    client("Create", id="c", bundle=str(bundle.path), terminal=True, stdin="/dev/null", stdout="/dev/null")
    assert client("State", id="c")["status"] == 1
    client("Delete", id="c")


def test_garbage_on_the_socket(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    path = next(iter(shim.addresses)).removeprefix("unix://")
    too_large = (MAX_LENGTH + 1).to_bytes(4, "big") + bytes((0, 0, 0, 1, REQUEST, 0)) + bytes(1000)
    request = encode(messages.REQUEST, {"service": client.service, "method": "State", "payload": b"\xff\xff"})
    for data in (
        b"\xff" * 5000,
        b"GET / HTTP/1.1\r\n\r\n",
        too_large,
        frame(1, REQUEST, b"\xff"),
        frame(1, REQUEST, request),
    ):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            peer.sendall(data)
        assert client("State", id="c")["status"] == 2
    with pytest.raises(Status) as refused:
        client.answer(client.send_raw("State", b"", "no.such.Service"))
    assert refused.value.code == 12


def test_another_user_cannot_connect(shim: Shim) -> None:
    shim.running("sleep", "100")
    path = next(iter(shim.addresses)).removeprefix("unix://")
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0
    program = "import socket, sys; sys.exit(socket.socket(socket.AF_UNIX).connect_ex(sys.argv[1]))"
    words = ["/usr/bin/env", "python3", "-c", program, path]
    assert subprocess.run(words, check=False).returncode == 0
    assert subprocess.run(words, user=65534, group=65534, extra_groups=[], check=False).returncode == errno.EACCES


def test_a_bundle_that_vanishes(shim: Shim) -> None:
    """After the start, and before a create: a status, and the others go on."""
    client = shim.running("sleep", "100")
    other = shim.bundle("sleep", "100", name="d")
    shutil.rmtree(shim.path("c"))
    assert client("State", id="c")["status"] == 2
    client("Exec", id="c", exec_id="e", spec=spec("true"))
    with pytest.raises(Status, match="ENOENT"):  # its root went, too
        client("Start", id="c", exec_id="e")
    shutil.rmtree(other.path)
    with pytest.raises(Status) as refused:
        client("Create", id="d", bundle=str(other.path))
    assert refused.value.code == 2
    assert "internal" not in refused.value.text
    client("Kill", id="c", signal=9)
    client("Wait", id="c")
    client("Delete", id="c")
    assert not os.path.exists(f"{shim.root}/c")


def test_what_ps_shows(shim: Shim) -> None:
    shim.running("sleep", "100")
    words = Path(f"/proc/{next(iter(shim.pids))}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert words[:5] == [b"containerd-shim-pyoci-v1", b"-namespace", shim.namespace.encode(), b"-id", b"c"]


def test_options_of_an_old_client(shim: Shim) -> None:
    """Their numbers are others: 13 is a path where there is none in the new ones, 8 no new keyring."""
    value = b"\x40\x01\x50\xe8\x07\x6a\x04/img"
    client = shim.created("true", options={"type_url": "containerd.linux.runc.CreateOptions", "value": value})
    assert client("State", id="c")["status"] == 1


def test_out_of_memory_is_an_event(shim: Shim) -> None:
    bundle = shim.box.bundle("c").args("sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); sleep 100")
    bundle.linux.setdefault("resources", {})["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    bundle.write()
    client = shim.begin(bundle)
    client("Create", id="c", bundle=str(bundle.path))
    client("Start", id="c")
    shim.events.wait_for("oom", container_id="c")


def test_the_same_under_both_names(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    client.service = "containerd.task.v3.Task"
    assert client("State", id="c")["status"] == 2


@pytest.mark.parametrize(
    ("variables", "said"),
    [({}, "unix:"), ({"MAX_SHIM_VERSION": "2"}, '{"version":2'), ({"MAX_SHIM_VERSION": "3"}, '{"version":3')],
)
def test_how_start_answers(shim: Shim, variables: "dict[str, str]", said: str) -> None:
    bundle = shim.bundle("true")
    data = encode(messages.ANY, {"type_url": "containerd.runc.v1.Options", "value": b""})
    found = start(bundle.path, "c", shim.events, namespace=shim.namespace, data=data, variables=variables).decode()
    assert found.startswith(said)
    shim.connect((bundle.path / "address").read_text())
    assert (bundle.path / "address").read_text() in found


def test_how_start_answers_parameters(shim: Shim) -> None:
    """containerd 2.3."""
    bundle = shim.bundle("true")
    fields = {"instance_id": "c", "namespace": shim.namespace, "containerd_ttrpc_address": str(shim.events.path)}
    data = encode(messages.BOOTSTRAP, {**fields, "containerd_grpc_address": "/nowhere"})
    found = start(bundle.path, "c", shim.events, namespace=shim.namespace, data=data)
    address = (bundle.path / "address").read_text()
    assert found == encode(messages.BOOTSTRAPPED, {"version": 3, "address": address, "protocol": "ttrpc"})
    shim.connect(address)


@pytest.mark.parametrize("annotation", [{"io.kubernetes.cri.sandbox-id": "pod"}, {"io.pyoci.shim": "namespace"}])
def test_containers_of_a_group_have_one_shim(shim: Shim, annotation: "dict[str, str]") -> None:
    for name in ("a", "b"):
        bundle = shim.box.bundle(name).args("sleep", "100")
        bundle.config["annotations"] = annotation
        bundle.write()
        client = shim.begin(bundle, name)
        client("Create", id=name, bundle=str(bundle.path))
        client("Start", id=name)
    assert len(shim.pids) == 1
    client("Kill", id="a", signal=9)
    client("Wait", id="a")
    client("Delete", id="a")
    client("Shutdown", id="a")
    assert client("State", id="b")["status"] == 2


def test_events_are_kept_while_containerd_is_away(shim: Shim) -> None:
    client = shim.running("sh", "-c", "exit 5", container="c")
    other = shim.created("sh", "-c", "exit 6", container="d")
    client("Wait", id="c")
    shim.events.wait_for("exit", id="c")
    shim.events.end()
    other("Start", id="d")
    other("Wait", id="d")
    shim.events.begin()
    shim.events.wait_for("exit", id="d", exit_status=6)
    assert [topic for topic, event in shim.events.heard if event["container_id"] == "d"] == [
        "/tasks/create",
        "/tasks/start",
        "/tasks/exit",
    ]


def test_delete_removes_what_a_killed_shim_has_left(shim: Shim) -> None:
    client = shim.running("sleep", "100")
    pid = client("State", id="c")["pid"]
    os.kill(next(iter(shim.pids)), 9)
    assert os.path.exists(next(iter(shim.addresses)).removeprefix("unix://"))
    deleted = delete(shim.path("c"), "c", shim.events, namespace=shim.namespace)
    assert not os.path.exists(next(iter(shim.addresses)).removeprefix("unix://"))
    assert deleted["exit_status"] == 137
    assert gone(pid)
    assert not os.path.exists(f"{shim.root}/c")
    assert delete(shim.path("c"), "c", shim.events, namespace=shim.namespace)["exit_status"] == 137


def test_a_hook_that_hangs_holds_up_nobody(shim: Shim) -> None:
    stuck = shim.box.bundle("stuck").args("true")
    gate = shim.fifo("gate")
    stuck.hook("prestart", "/bin/sh", args=["sh", "-c", f"read x <{gate}"])
    stuck.config["annotations"] = {"io.kubernetes.cri.sandbox-id": "pod"}
    stuck.write()
    other = shim.box.bundle("other").args("sleep", "100")
    other.config["annotations"] = {"io.kubernetes.cri.sandbox-id": "pod"}
    other.write()
    client = shim.begin(stuck, "stuck")
    creating = client.send("Create", id="stuck", bundle=str(stuck.path))
    shim.begin(other, "other")
    client("Create", id="other", bundle=str(other.path))
    client("Start", id="other")
    client("Exec", id="other", exec_id="e", spec=spec("true"))
    client("Start", id="other", exec_id="e")
    assert client("Wait", id="other", exec_id="e")["exit_status"] == 0
    client("Kill", id="other", signal=9)
    client("Delete", id="other") if client("Wait", id="other") else None
    Path(gate).write_text("go\n")
    assert client.answer(creating, "Create")["pid"]


def test_the_rootfs_is_mounted_and_taken_off(shim: Shim) -> None:
    bundle = shim.bundle("cat", "/here")
    source = shim.directory / "source"
    (bundle.path / "rootfs").rename(source)
    (bundle.path / "rootfs").mkdir()
    (source / "here").write_text("yes")
    out = shim.directory / "out"
    client = shim.begin(bundle)
    mount = {"type": "bind", "source": str(source), "options": ["rbind", "ro"]}
    client("Create", id="c", bundle=str(bundle.path), rootfs=[mount], stdout=f"file://{out}")
    client("Start", id="c")
    assert client("Wait", id="c")["exit_status"] == 0
    assert out.read_text() == "yes"
    client("Delete", id="c")
    assert os.listdir(bundle.path / "rootfs") == []
    with pytest.raises(Status, match="mount"):
        client("Create", id="c", bundle=str(bundle.path), rootfs=[{**mount, "source": "/nowhere"}])
    assert leftovers.mounts_below(str(bundle.path)) == []


def test_no_growth(shim: Shim) -> None:
    """Descriptors, threads and children after many execs are those after a few, or fewer: a thread that has nothing to
    do ends."""
    client = shim.running("sleep", "100")
    pid = next(iter(shim.pids))

    def work(count: int) -> "tuple[int, int, int]":
        for number in range(count):
            client("Exec", id="c", exec_id=f"e{number}", spec=spec("true"))
            client("Start", id="c", exec_id=f"e{number}")
            client("Wait", id="c", exec_id=f"e{number}")
            client("Delete", id="c", exec_id=f"e{number}")
        tasks = os.listdir(f"/proc/{pid}/task")
        children = "".join(Path(f"/proc/{pid}/task/{task}/children").read_text() for task in tasks)
        return len(os.listdir(f"/proc/{pid}/fd")), len(tasks), len(children.split())

    few, many = work(10), work(100)
    assert all(now <= before for now, before in zip(many, few)), (few, many)


COUNTING = "i=0; mkfifo /wait; while :; do i=$((i + 1)); echo $i; read -t 0.05 x <> /wait; done"


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_checkpoint_is_restored_by_start(shim: Shim) -> None:
    """As with containerd's own plugin: Create makes ready, Start restores; a process goes on where it was, and its
    output goes where the new task's goes."""
    out, images = shim.fifo("out"), shim.directory / "images"
    reader = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    options = {"type_url": OPTIONS, "value": encode(messages.OPTIONS, {"criu_path": CRIU})}
    client = shim.running("sh", "-c", COUNTING, stdout=out, options=options)
    first = os.read(reader, 1)
    assert first == b"1"
    value = encode(messages.CHECKPOINT_OPTIONS, {"exit": True})
    client("Checkpoint", id="c", path=str(images), options={"type_url": "x", "value": value})
    client("Wait", id="c")
    client("Delete", id="c")
    os.close(reader)
    again = shim.fifo("again")
    reader = os.open(again, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    bundle = str(shim.path("c"))
    assert client("Create", id="c", bundle=bundle, stdout=again, checkpoint=str(images), options=options) == {"pid": 0}
    assert client("State", id="c")["status"] == 1
    pid = client("Start", id="c")["pid"]
    assert client("State", id="c")["pid"] == pid
    assert int(os.read(reader, 100).split()[0]) > 1
    client("Kill", id="c", signal=9)
    assert client("Wait", id="c")["exit_status"] == 137
    client("Delete", id="c")
    client("Create", id="c", bundle=bundle, checkpoint=str(images))
    client("Delete", id="c")  # without a start


def test_a_container_that_comes_while_the_shim_ends(shim: Shim) -> None:
    """docker starts a container again under its id: a shim that a `start` has found does not end before it serves."""
    bundle = shim.bundle("true", name="c")
    client = shim.begin(bundle, "c")
    path = next(iter(shim.addresses)).removeprefix("unix://")
    with sockets.Lock(os.path.dirname(path)):  # a `start` that looks
        client("Shutdown", id="c")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)  # it has found somebody
        busy = time.monotonic() + 0.2
        while time.monotonic() < busy:
            client("Connect", id="")
    later = shim.connect(f"unix://{path}")
    later("Create", id="c", bundle=str(bundle.path))
    later("Delete", id="c")
    later("Shutdown", id="c")
    wait_until(lambda: all(gone(pid) for pid in shim.pids))


@pytest.mark.slow
@pytest.mark.parametrize("has_served", [False, True])
def test_a_shim_without_a_task_ends(shim: Shim, has_served: bool) -> None:
    """Its containerd was killed before Create, or before Shutdown; the next one's connection does not keep it."""
    bundle = shim.bundle("true", name="c")
    client = shim.begin(bundle, "c")
    if has_served:
        client("Create", id="c", bundle=str(bundle.path))
        client("Delete", id="c")
    wait_until(lambda: all(gone(pid) for pid in shim.pids))
    assert not any(os.path.exists(address.removeprefix("unix://")) for address in shim.addresses)


def test_a_container_nobody_waits_for_is_removed(shim: Shim) -> None:
    """containerd is killed during Create; the next one asks, hears that there is no task, and never comes back."""
    gate = shim.fifo("gate")
    bundle = shim.box.bundle("c").args("true")
    bundle.hook("prestart", "/bin/sh", args=["sh", "-c", f"read x <{gate}"])
    bundle.write()
    client = shim.begin(bundle, "c")
    client.send("Create", id="c", bundle=str(bundle.path))
    wait_until(lambda: os.path.exists(f"{shim.root}/c"))
    client.close()
    later = shim.connect(next(iter(shim.addresses)))
    with pytest.raises(Status, match="not found"):
        later("Delete", id="c")
    Path(gate).write_text("go\n")
    shim.events.wait_for("delete", container_id="c")
    assert not os.path.exists(f"{shim.root}/c")
    later("Shutdown", id="c")
    wait_until(lambda: all(gone(pid) for pid in shim.pids))
