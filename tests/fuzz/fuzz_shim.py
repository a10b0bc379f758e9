"""containerd's plugin: whoever speaks to its socket, in frames, lengths, numbers and streams of any kind; containerd's
answers to events; what `start` reads. Each request has one answer, none is our mistake, no descriptor is left open."""

import os
import socket
from types import SimpleNamespace
from typing import Any

from pyoci.containerd import children, command, messages, mounts
from pyoci.containerd.codec import MANY, MAP, MESSAGE, Malformed, decode, encode
from pyoci.containerd.events import Publisher
from pyoci.containerd.log import Log
from pyoci.containerd.loop import Loop
from pyoci.containerd.service import METHODS, SERVICES, Service
from pyoci.containerd.streams import Streams
from pyoci.containerd.task import RUNNING, Member, Task
from pyoci.containerd.ttrpc import DATA, HEADER, MAX_LENGTH, REQUEST, RESPONSE, Connection, Frames, frame
from pyoci.errors import Error

_BATCH = 200  # frames of one input: what follows is more of the same
_TABLES = [table for row in METHODS.values() for table in row[:2]]
_TABLES += [messages.REQUEST, messages.RESPONSE, messages.FORWARD, messages.BOOTSTRAP, messages.OPTIONS, messages.ANY]
_TABLES += [messages.OLD_OPTIONS, messages.CHECKPOINT_OPTIONS, messages.RUNTIME_INFO]


def _request(stream: int, method: str, **fields: Any) -> bytes:
    payload = encode(METHODS[method][0], fields) if method in METHODS else b""
    request = {"service": SERVICES[0], "method": method, "payload": payload, "timeout_nano": 10**9}
    return frame(stream, REQUEST, encode(messages.REQUEST, request))


def seeds() -> "list[bytes]":
    """The first byte says what is fed, the second in which pieces."""
    spec = {"type_url": "x/Process", "value": b'{"args":["true"],"cwd":"/"}'}
    more: "dict[str, dict[str, Any]]" = {
        "Exec": {"spec": spec, "exec_id": "f"}, "Kill": {"signal": 9, "all": True}, "CloseIO": {"stdin": True},
        "Update": {"resources": {"type_url": "x", "value": b"{}"}, "annotations": {"a": "b"}},
        "Create": {"id": "d", "bundle": "/b", "rootfs": [{"type": "overlay", "options": ["lowerdir=/a:/b", "ro"]}],
                   "options": {"type_url": "containerd.runc.v1.Options", "value": b"\x08\x01\x3a\x02/r"}},
        "Checkpoint": {"path": "/i", "options": {"type_url": "x", "value": b"\x08\x01"}}, "Shutdown": {"now": True},
    }  # fmt: skip
    all_at_once, found = b"", []
    for number, method in enumerate([*METHODS, "Nonsense"]):
        data = _request(2 * number + 1, method, **{"id": "c", "exec_id": "e", **more.get(method, {})})
        all_at_once += data
        found.append(b"\0\0" + data)
    found += [b"\0\x05" + all_at_once, b"\0\xff" + all_at_once]
    for length in (0, 1, MAX_LENGTH, MAX_LENGTH + 1, 2**32 - 1):
        found.append(b"\0\x03" + length.to_bytes(4, "big") + bytes((0, 0, 0, 1, REQUEST, 0)) + b"abc")
    found += [b"\0\0" + frame(stream, kind, b"\x0a\x01x") for stream in (0, 2, 2**32 - 1) for kind in (1, 2, 3, 255)]
    found += [b"\0\0" + _request(1, "State", id="c") + frame(1, DATA, b"x", 1) + _request(1, "Wait", id="c")]
    for number, table in enumerate(_TABLES):
        found.append(bytes((1, number)) + _whole(table))
    found += [b"\2\0" + frame(1, RESPONSE, b""), b"\2\x02" + frame(3, RESPONSE, b"\x0a\x02\x08\x05")]
    found.append(b"\3\0" + encode(messages.ANY, {"type_url": "containerd.runc.v1.Options", "value": b"\x08\x01"}))
    fields = {"instance_id": "c", "namespace": "n", "containerd_ttrpc_address": "/a"}
    found.append(b"\3\0" + encode(messages.BOOTSTRAP, fields))
    found.append(b'\3\0{"instanceID": "c", "namespace": "n", "containerd_grpc_address": "/a"}')
    options = (b"ro,nosuid,rbind", b"rslave,uidmap=0:1:1", b"lowerdir=/a/1:/a/2,X-containerd.y=1")
    return found + [b"\4\0" + words for words in options] + [b"\5\0a\nb\x1b[2J\xff"]


def _whole(table: Any, depth: int = 0) -> bytes:
    """A message with something in each field."""
    values: "dict[str, Any]" = {}
    for name, kind, inner in table.values():
        plain = kind & ~MANY
        one = (7, True, "text", b"bytes")[plain] if plain < MESSAGE else {"a": "b"} if kind == MAP else None
        if plain == MESSAGE:
            one = decode(inner, _whole(inner, depth + 1)) if depth < 3 else {}
        values[name] = [one] if kind & MANY else one
    return encode(table, values)


# ----------------------------------------------------------------------------------------------------------- requests


class _Loop(Loop):
    """Whatever would have a thread is done at once."""

    def _work(self, function: "Any", then: "Any") -> None:
        try:
            value, problem = function(), None
        except Exception as raised:
            value, problem = None, raised
        then(value, problem)

    def turn(self) -> None:
        self.later(0, lambda: setattr(self, "stopped", True))
        self.stopped = False
        self.run()

    def close(self) -> None:
        self._epoll.close()
        for fd in (self._woken, self.waker):
            os.close(fd)


class _Silent(Log):
    """Our mistakes are what is looked for."""

    def __init__(self) -> None:
        super().__init__("/nowhere")

    def mistake(self, text: str, problem: "BaseException | None" = None, **fields: str) -> None:
        raise AssertionError(text) from problem


def _refuse(*_: "Any", **__: "Any") -> "Any":
    raise Error("no", kind="refused")


class _Runtime:
    """It refuses what it does not do."""

    store = SimpleNamespace(path="/r", look=_refuse)
    cgroup_manager = "cgroupfs"
    pause = resume = kill = update = lambda *_: None
    start = checkpoint = ps = _refuse

    def delete(self, container: str, force: bool) -> None:
        pass


class _Child:
    """A process that runs."""

    pid, pidfd, master, returncode = 7, -1, -1, None

    def poll(self) -> None:
        pass

    def close(self) -> None:
        pass

    def signal(self, number: int) -> bool:
        return True


def _service(loop: Loop) -> Service:
    Service._make = _refuse  # type: ignore[method-assign]
    Streams.open = lambda *_: None  # type: ignore[method-assign]
    children.execute = _refuse
    service = Service(loop, _Silent(), Publisher(loop, "", "n"), "n")
    task = Task(loop, service.publisher, _Runtime(), {"id": "c", "bundle": "/b", "rootfs": []})  # type: ignore[arg-type]
    task.options = decode(messages.OPTIONS, b"")
    task.is_ready = True
    for name in ("", "e"):
        member = Member(task, name, Streams(("", "", ""), False))
        member.child, member.pid, member.status = _Child(), 7, RUNNING  # type: ignore[assignment]
        if name:
            task.execs[name] = member
        else:
            task.first = member
    service.tasks["c"] = task
    return service


def _pieces(data: bytes, size: int) -> "list[bytes]":
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


def _socket(data: bytes, size: int) -> None:
    loop = _Loop(_raise)
    near, far = socket.socketpair()
    service = _service(loop)
    closed: "list[Connection]" = []
    connection = Connection(loop, far.detach(), service.handle, closed.append)
    sent = list(Frames().feed(data))[:_BATCH]
    near.setblocking(False)
    answered, frames = 0, Frames()
    try:
        for piece in _pieces(data, max(size, len(data) // _BATCH)):
            while piece:
                piece = piece[near.send(piece) :]
                loop.turn()
                answered += _answers(near, frames)
        if len(sent) < _BATCH:
            wanted = sum(1 for _, kind, _, _ in sent if kind == REQUEST)
            assert answered + service.in_flight == wanted, (answered, service.in_flight, wanted)
    finally:
        connection.close()
        for task in service.tasks.values():
            for member in task.members():
                member.child = None
            task.close()
        near.close()
        loop.close()


def _raise(problem: BaseException) -> None:
    raise AssertionError from problem


def _answers(near: "socket.socket", frames: Frames) -> int:
    count = 0
    while True:
        try:
            data = near.recv(1 << 16)
        except BlockingIOError:
            return count
        for _, kind, _, body in frames.feed(data):
            assert kind == RESPONSE
            assert body is not None
            status = decode(messages.RESPONSE, body)["status"]
            assert status is None or status["code"] != 13, status
            count += 1


# -------------------------------------------------------------------------------------------------------- other readers


def _codec(data: bytes, number: int) -> None:
    """What is read can be written, and read again the same."""
    table = _TABLES[number % len(_TABLES)]
    message = decode(table, data)
    again = encode(table, message)
    assert decode(table, again) == message
    frames = Frames()
    whole = list(frames.feed(data))
    assert len(frames._buffer) <= MAX_LENGTH + HEADER
    pieces, parts = Frames(), []
    for piece in _pieces(data, number % 7 + 1):
        parts += list(pieces.feed(piece))
    assert parts == whole


def _events(data: bytes, size: int) -> None:
    """A containerd that answers anything."""
    loop = _Loop(_raise)
    publisher = Publisher(loop, "/nowhere", "n")
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    publisher._connect = lambda: _adopt(publisher, far)  # type: ignore[method-assign]
    try:
        for number in range(3):
            publisher.publish("/tasks/start", {"container_id": "c", "pid": number})
        for piece in _pieces(data, max(size, len(data) // _BATCH))[:_BATCH]:
            try:
                near.send(piece)
            except OSError:
                break
            loop.turn()
        assert len(publisher._kept) <= 3
    finally:
        publisher._disconnect()
        near.close()
        far.close()
        loop.close()


def _adopt(publisher: Publisher, far: "socket.socket") -> None:
    publisher._fd = os.dup(far.fileno())
    publisher._frames, publisher._stream = Frames(), -1
    publisher._loop.watch(publisher._fd, 1, publisher._ready)


def _start(data: bytes, _: int) -> None:
    wish = command.Wish(command.Words(["-namespace", "n", "-id", "c", "start"]), data)
    assert wish.container
    assert wish.namespace
    assert "/" not in wish.container + wish.namespace


def _mount(data: bytes, _: int) -> None:
    options = data.decode("utf-8", "replace").split(",")
    flags, propagation, rest = mounts._sort(options)
    assert 0 <= flags < 1 << 32
    assert 0 <= propagation < 1 << 32
    for option in rest:
        if option.startswith(mounts._LAYERS):
            layers = option[len(mounts._LAYERS) :].split(":")
            common = mounts._common(layers)
            assert not common or all(layer.startswith(f"{common}/") for layer in layers)


def _log(data: bytes, _: int) -> None:
    reader, writer = os.pipe()
    log = Log(f"/proc/self/fd/{writer}")
    log.warn(data.decode("utf-8", "surrogateescape"), id=data[:50].decode("latin-1"))
    line = os.read(reader, 1 << 16)
    for fd in (log.fd, reader, writer):
        os.close(fd)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert b"\x1b" not in line


_PARTS = [_socket, _codec, _events, _start, _mount, _log]


def test(data: bytes) -> None:
    """One peer."""
    part, number = _PARTS[(data[:1] or b"\0")[0] % len(_PARTS)], (data[1:2] or b"\0")[0]
    before = os.listdir("/proc/self/fd")
    try:
        part(data[2:], number)
    except (Error, Malformed):
        pass
    after = os.listdir("/proc/self/fd")
    assert after == before, (before, after)
