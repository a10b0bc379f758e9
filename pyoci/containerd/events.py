"""Events to containerd: one after the other in their order, kept while containerd is away."""

import _socket
import posix
import select
import time

from pyoci.containerd import messages
from pyoci.containerd.codec import encode
from pyoci.containerd.ttrpc import REQUEST, RESPONSE, Frames, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.containerd.loop import Loop

_SERVICE = "containerd.services.events.ttrpc.v1.Events"
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts to reach containerd
_PATIENCE = 10.0  # seconds for an answer
_MAX_KEPT = 20_000  # then the oldest go: containerd asks for states when it comes back


class Publisher:
    """Sends events. address: containerd's ttrpc socket, "" for nobody."""

    def __init__(self, loop: "Loop", address: str, namespace: str) -> None:
        self._loop = loop
        self._path = address.removeprefix("unix://")
        self._namespace = namespace
        self._kept: "list[bytes]" = []
        self._fd = -1
        self._frames = Frames()
        self._stream = -1  # of the event that waits for its answer; only one does, so that none overtakes
        self._is_waiting = False
        self._failures = 0
        self._timer = 0

    @property
    def kept(self) -> int:
        """How many wait for their turn, or for containerd."""
        return len(self._kept)

    @property
    def is_idle(self) -> bool:
        """Whether all has been heard."""
        return not self._kept

    def publish(self, topic: str, fields: "dict[str, Any]") -> None:
        """Sends an event, now or when containerd is there again."""
        if not self._path:
            return
        name, table = messages.EVENTS[topic]
        envelope = {
            "timestamp": messages.timestamp(time.time_ns()),
            "namespace": self._namespace,
            "topic": topic,
            "event": {"type_url": f"containerd.events.{name}", "value": encode(table, fields)},
        }
        self._kept.append(encode(messages.FORWARD, {"envelope": envelope}))
        if len(self._kept) > _MAX_KEPT:
            del self._kept[1 if self._is_waiting else 0]
        self._next()

    def _next(self) -> None:
        if not self._kept or self._is_waiting or self._timer:
            return
        try:
            if self._fd < 0:
                self._connect()
            self._stream += 2
            request = {"service": _SERVICE, "method": "Forward", "payload": self._kept[0]}
            data = frame(self._stream, REQUEST, encode(messages.REQUEST, request))
            if posix.write(self._fd, data) != len(data):
                raise OSError("containerd reads no events")
        except OSError:
            self._fail()
            return
        self._is_waiting = True
        self._timer = self._loop.later(_PATIENCE, self._fail)

    def _connect(self) -> None:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            connection.settimeout(1.0)
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        self._fd = connection.detach()
        posix.set_blocking(self._fd, False)
        self._frames, self._stream = Frames(), -1
        self._loop.watch(self._fd, select.EPOLLIN, self._ready)

    def _ready(self, _mask: int) -> None:
        try:
            data = posix.read(self._fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._fail() if self._is_waiting else self._disconnect()
            return
        for stream, kind, _flags, _body in self._frames.feed(data):
            if kind == RESPONSE and stream == self._stream and self._is_waiting:
                self._settle()
        self._next()

    def _settle(self) -> None:
        """Heard; that containerd refuses one says that it would do so again."""
        self._is_waiting, self._failures = False, 0
        self._loop.cancel(self._timer)
        self._timer = 0
        del self._kept[0]

    def _disconnect(self) -> None:
        if self._fd >= 0:
            self._loop.forget(self._fd)
            posix.close(self._fd)
            self._fd = -1

    def _fail(self) -> None:
        self._disconnect()
        self._is_waiting = False
        if self._timer:
            self._loop.cancel(self._timer)
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._timer = self._loop.later(pause, self._again)

    def _again(self) -> None:
        self._timer = 0
        self._next()
