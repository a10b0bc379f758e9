"""containerd's side of a shim, small: it starts one, asks, and takes the events."""

import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Optional

from pyoci.containerd import messages
from pyoci.containerd.codec import decode, encode
from pyoci.containerd.service import METHODS
from pyoci.containerd.ttrpc import REQUEST, RESPONSE, Frames, frame
from tests.support import leftovers

PROGRAM = os.environ.get("PYOCI_PLUGIN", str(Path(__file__).parents[2] / "build" / "bin" / "containerd-shim-pyoci-v1"))
PATIENCE = 30.0  # a guard


class Status(Exception):
    """A gRPC status that is not OK."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Client:
    """A connection to a shim; requests may be sent before others are answered."""

    def __init__(self, address: str, service: str = "containerd.task.v2.Task") -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address.removeprefix("unix://"))
        self.service = service
        self._frames = Frames()
        self._stream = -1
        self._answers: "dict[int, bytes]" = {}

    def send(self, method: str, **fields: Any) -> int:
        """Sends a request; returns its stream, for answer()."""
        table = METHODS[method][0] if method in METHODS else messages.EMPTY
        return self.send_raw(method, encode(table, fields))

    def send_raw(self, method: str, payload: bytes, service: str = "") -> int:
        self._stream += 2
        request = {"service": service or self.service, "method": method, "payload": payload}
        self.socket.sendall(frame(self._stream, REQUEST, encode(messages.REQUEST, request)))
        return self._stream

    def answer(self, stream: int, method: str = "") -> "dict[str, Any]":
        """Waits for an answer. Raises Status."""
        while stream not in self._answers:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the shim has closed the connection")
            for number, kind, _, body in self._frames.feed(data):
                assert kind == RESPONSE
                assert body is not None
                self._answers[number] = body
        response = decode(messages.RESPONSE, self._answers.pop(stream))
        status = response["status"]
        if status and status["code"]:
            raise Status(status["code"], status["message"])
        return decode(METHODS[method][1] if method in METHODS else messages.EMPTY, response["payload"])

    def __call__(self, method: str, **fields: Any) -> "dict[str, Any]":
        return self.answer(self.send(method, **fields), method)

    def close(self) -> None:
        self.socket.close()


class Events:
    """containerd's service for events."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: "list[tuple[str, dict[str, Any]]]" = []
        self._changed = threading.Condition()
        self._socket: "Optional[socket.socket]" = None
        self._peers: "list[socket.socket]" = []
        self.begin()

    def begin(self) -> None:
        """Listens; also again, after end()."""
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def end(self) -> None:
        """As a containerd that has ended."""
        assert self._socket is not None
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        peers, self._peers = self._peers, []
        for peer in peers:
            peer.shutdown(socket.SHUT_RDWR)
            peer.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        frames = Frames()
        try:
            while data := peer.recv(1 << 16):
                for stream, _, _, body in frames.feed(data):
                    if peer not in self._peers:
                        return  # we have ended
                    self._take(decode(messages.REQUEST, body or b""))
                    peer.sendall(frame(stream, RESPONSE, b""))
        except OSError:
            return

    def _take(self, request: "dict[str, Any]") -> None:
        envelope = decode(messages.FORWARD, request["payload"])["envelope"]
        table = messages.EVENTS[envelope["topic"]][1]
        with self._changed:
            self.heard.append((envelope["topic"], decode(table, envelope["event"]["value"])))
            self._changed.notify_all()

    def topics(self) -> "list[str]":
        return [topic.removeprefix("/tasks/") for topic, _ in self.heard]

    def wait_for(self, topic: str, **fields: Any) -> "dict[str, Any]":
        """Waits until there has been such an event; returns its fields."""

        def found() -> "Optional[dict[str, Any]]":
            for name, event in list(self.heard):
                if name == f"/tasks/{topic}" and all(event[key] == value for key, value in fields.items()):
                    return event
            return None

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, PATIENCE), (topic, fields, self.topics())
        event = found()
        assert event is not None
        return event


def start(
    bundle: Path,
    container: str,
    events: "Events",
    *,
    namespace: str,
    data: bytes = b"",
    variables: "Any" = None,
    prefix: "tuple[str, ...]" = (),
) -> bytes:
    """Calls the plugin's `start` as containerd does; returns what it says. prefix: words that start it.

    Where TEMPLATES names no address, it is to do without a template."""
    environment = {"PATH": os.environ["PATH"], "TTRPC_ADDRESS": str(events.path), **(variables or {})}
    if not TEMPLATES:
        environment["CONTAINERD_SHIM_PYOCI_TEMPLATE"] = "off"
    address = TEMPLATES[-1] if TEMPLATES else f"{events.path}.grpc"
    words = [*prefix, PROGRAM, "-namespace", namespace, "-address", address, "-publish-binary", "/nowhere"]
    done = subprocess.run(
        [*words, "-id", container, "start"], cwd=bundle, env=environment, input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


TEMPLATES: "list[str]" = []  # the last one is the address of containerd that `start` is told


class Template:
    """While it is open, shims are forks of a template of its own, which is left behind by the first that it starts."""

    def __init__(self, directory: Path) -> None:
        leftovers.adopt_orphans()
        TEMPLATES.append(f"{directory}/template.grpc")
        self._before = self._all()
        events = Events(directory / "template.sock")
        (directory / "config.json").write_text("{}")
        client = Client(start(directory, "none", events, namespace="template").decode())
        pid = client("Connect", id="")["shim_pid"]
        client.close()
        leftovers.kill({pid})
        os.waitpid(pid, 0)
        events.end()
        deadline = time.monotonic() + PATIENCE
        while not self.pids():
            assert time.monotonic() < deadline, "no template"
            time.sleep(0.01)

    def _all(self) -> "set[int]":
        return {pid for pid in leftovers.descendants() if leftovers.name_of(pid) == "pyoci-template"}

    def pids(self) -> "set[int]":
        """Of the templates that live since."""
        return self._all() - self._before

    def close(self) -> None:
        TEMPLATES.pop()
        self.kill()

    def kill(self) -> None:
        """Ends it, and those that came after it."""
        pids = self.pids()
        leftovers.kill(pids)
        for pid in pids:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass  # a fork that was ending: it was the template's child


def delete(bundle: Path, container: str, events: "Events", *, namespace: str) -> "dict[str, Any]":
    """Calls its `delete`."""
    words = [
        PROGRAM,
        "-namespace",
        namespace,
        "-address",
        f"{events.path}.grpc",
        "-bundle",
        str(bundle),
        "-id",
        container,
    ]
    done = subprocess.run([*words, "delete"], cwd=bundle, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return decode(messages.DELETED, done.stdout)
