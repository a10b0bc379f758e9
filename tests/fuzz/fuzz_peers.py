"""All that speaks to us: an init that is not ours any more, a hook, a console's or agent's socket that is none, a
container at its notify socket. An Error or a result, one line of printable text, no descriptor left open."""

import os
import socket
import struct
from types import SimpleNamespace
from typing import Any

from pyoci.cli.log import one_line
from pyoci.container import files, hooks, notify, start
from pyoci.container.state import Entry
from pyoci.errors import Error
from pyoci.init import launch
from pyoci.plan import ops
from pyoci.plan.hooks import runtime_hooks
from pyoci.plan.model import Plan


def seeds() -> "list[bytes]":
    """The first byte says who speaks; then packets: length / 8, descriptors, bytes."""
    found = []
    for kind in range(ops.REPORT_START + 2):
        head = struct.pack("=IIiHH", kind, 3, 2, 4, 12) + b"mount: ENOENT"
        found += [bytes([who, 4, passed]) + head.ljust(32, b"\0") for who in (0, 1) for passed in (0, 1, 3)]
    paths = (b"s", b"x" * 200, b"../s", b"\0", b"full", b"fifo", b"link", b"file", b"closed", b"/")
    texts = (b"READY=1", b"READY=1\nMAINPID=1", b"\x1b[2J", b"\0\xff\n", b"a" * 3000)
    return [*found, *(b"\2" + path for path in paths), *(bytes([who]) + text for text in texts for who in (3, 4))]


def _packets(near: "socket.socket", data: bytes) -> None:
    at = 0
    while at + 2 <= len(data):
        size, count = data[at] * 8, data[at + 1] & 7
        try:
            socket.send_fds(near, [data[at + 2 : at + 2 + size]], [0] * count, socket.MSG_DONTWAIT)
        except OSError:
            return
        at += 2 + size
    near.close()


class _Launch(launch.Launch):
    """Its process is nobody's."""

    __slots__ = ()

    def _follow(self, pid: int) -> None:
        pass


def _init(data: bytes) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        _packets(near, data)
        made = _Launch(Plan())
        made.on_console = os.close
        made._talk(far.fileno())


class _Listening(Entry):
    """Its init is at the other end of the descriptor."""

    __slots__ = ()

    def connect(self) -> int:
        return self.fd


def _at_start(data: bytes) -> None:
    """Who listens on the start socket is init, until it is the program."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near:
        _packets(near, data)
        start._hand_on = lambda entry, listener: os.close(listener)  # type: ignore[assignment]
        start._go(_Listening("c", "/x", far.detach()))


def _listeners() -> "list[socket.socket]":
    """Once: sockets that nobody accepts at, one with a full queue; a pipe, a link, a file; one that is closed."""
    made = []
    for name in ("s", "full", "closed"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(name)
        one.listen(0 if name == "full" else 100000)
        made.append(one)
    made.pop().close()
    waiting = socket.socket(socket.AF_UNIX)
    waiting.setblocking(False)
    for _ in range(3):
        try:
            waiting.connect("full")
        except OSError:
            pass
    os.mkfifo("fifo")
    os.symlink("s", "link")
    open("file", "w").close()
    return [*made, waiting]


_standing: "list[socket.socket]" = []


def _console(data: bytes) -> None:
    if not _standing:
        _standing.extend(_listeners())
    path = os.fsdecode(data.split(b"\n")[0])
    if "\0" in path:  # execve lets none through
        return
    files.send_descriptor(f"{os.getcwd()}/{path}", "--console-socket", data[:100], 0)
    waiting, _ = _standing[0].accept()
    waiting.close()


def _hook(data: bytes) -> None:
    def hook(*given: Any) -> "tuple[int, int, int, bytes]":
        return 0, data[0] << 8 if data else 0, len(data) & 1, data

    hooks._shim = SimpleNamespace(hook=hook)  # type: ignore[assignment]
    entry = Entry("c", "c", -1)
    entry.record = {"oci_version": "1.0.2", "bundle": "/"}
    for _, where, fields in runtime_hooks({"hooks": {"poststop": [{"path": "/h"}]}}, "poststop"):
        hooks.run_hook(entry, 0, -1, where, fields)


def _notify(data: bytes) -> None:
    os.makedirs("c/notify", exist_ok=True)
    entry = Entry("c", "c", os.open("c", os.O_RDONLY))
    entry.record = {"init_process_pid": 7}
    kind = (socket.AF_UNIX, socket.SOCK_DGRAM)
    with socket.socket(*kind) as manager, socket.socket(*kind) as peer:
        manager.bind("manager")
        manager.setblocking(False)
        heard = notify.Notify(entry, f"{os.getcwd()}/manager")
        try:
            peer.sendto(data, "c/notify/notify.sock")
            ready = heard.serve()
            if ready:
                assert [manager.recv(100), manager.recv(100)] == [b"READY=1\n", b"MAINPID=7\n"]
            assert ready == (b"READY=1" in data[:4096].split(b"\n"))
        finally:
            heard.close()
            entry.close()
            os.unlink("c/notify/notify.sock")
            os.unlink("manager")


_SPEAKERS = [_init, _at_start, _console, _hook, _notify]


def test(data: bytes) -> None:
    """One peer."""
    speaker = _SPEAKERS[(data[:1] or b"\0")[0] % len(_SPEAKERS)]
    if speaker is _console and not _standing:
        _standing.extend(_listeners())
    before = os.listdir("/proc/self/fd")
    try:
        speaker(data[1:])
    except Error as refusal:
        assert "\n" not in one_line(str(refusal))
    after = os.listdir("/proc/self/fd")
    assert after == before, (before, after)
