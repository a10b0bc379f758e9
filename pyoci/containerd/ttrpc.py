"""ttrpc (containerd/ttrpc, PROTOCOL.md): frames, and connections of a server."""

import posix
import select

from pyoci.containerd import messages
from pyoci.containerd.codec import Malformed, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Optional

    from pyoci.containerd.loop import Loop

    # service, method, payload, and what answers: to be called once, with the payload, or with code and text; it says
    # whether there is still somebody to hear
    Answer = Callable[[bytes, int, str], bool]
    Handler = Callable[[str, str, bytes, Answer], None]

HEADER = 10
MAX_LENGTH = 4 << 20
REQUEST, RESPONSE, DATA = 1, 2, 3
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8
_CHUNK = 64 << 10
_MAX_BACKLOG = 16 << 20  # bytes of answers that a peer has not read: then we read no more of its requests


def frame(stream: int, kind: int, data: bytes, flags: int = 0) -> bytes:
    """A frame of these data."""
    return len(data).to_bytes(4, "big") + stream.to_bytes(4, "big") + bytes((kind, flags)) + data


class Frames:
    """Cuts what arrives into frames: (stream, kind, flags, data). Of one that is too large data is None, and its bytes
    are thrown away as they come: the length is whatever the peer has written."""

    __slots__ = ("_buffer", "_skip")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> "Iterator[tuple[int, int, int, Optional[bytes]]]":
        """The frames that are complete now."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._buffer
        buffer += data
        while len(buffer) >= HEADER:
            length = int.from_bytes(buffer[:4], "big")
            head = int.from_bytes(buffer[4:8], "big"), buffer[8], buffer[9]
            if length > MAX_LENGTH:
                here = min(length, len(buffer) - HEADER)
                self._skip = length - here
                del buffer[: HEADER + here]
                yield (*head, None)
                continue
            if len(buffer) < HEADER + length:
                return
            body = bytes(buffer[HEADER : HEADER + length])
            del buffer[: HEADER + length]
            yield (*head, body)


class Connection:
    """One peer's connection: requests in, answers out in any order."""

    __slots__ = ("_backlog", "_fd", "_frames", "_handler", "_last", "_loop", "_mask", "_on_close")

    def __init__(self, loop: "Loop", fd: int, handler: "Handler", on_close: "Callable[[Connection], None]") -> None:
        posix.set_blocking(fd, False)
        self._loop, self._fd, self._handler, self._on_close = loop, fd, handler, on_close
        self._frames = Frames()
        self._backlog = bytearray()
        self._last = 0
        self._mask = select.EPOLLIN
        loop.watch(fd, self._mask, self._ready)

    def _ready(self, mask: int) -> None:
        if mask & select.EPOLLOUT:
            self._send()
        if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self._receive()

    def _receive(self) -> None:
        try:
            data = posix.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        for stream, kind, _flags, body in self._frames.feed(data):
            self._take(stream, kind, body)

    def _take(self, stream: int, kind: int, body: "Optional[bytes]") -> None:
        if kind != REQUEST:
            return  # no method of ours has a stream of data
        if not stream & 1 or stream <= self._last:
            self._refuse(stream, INVALID_ARGUMENT, f"stream {stream} is not a new odd number")
            return
        self._last = stream
        if body is None:
            self._refuse(stream, RESOURCE_EXHAUSTED, f"the message is larger than {MAX_LENGTH} bytes")
            return
        try:
            request = decode(messages.REQUEST, body)
        except Malformed as problem:
            self._refuse(stream, INVALID_ARGUMENT, f"the request is malformed: {problem}")
            return
        self._handler(request["service"], request["method"], request["payload"], self._answerer(stream))

    def _answerer(self, stream: int) -> "Answer":
        return lambda payload, code, text: self._answer(stream, payload, code, text)

    def _refuse(self, stream: int, code: int, text: str) -> None:
        self._answer(stream, b"", code, text)

    def _answer(self, stream: int, payload: bytes, code: int, text: str) -> bool:
        if len(payload) > MAX_LENGTH - 64:
            payload, code, text = b"", RESOURCE_EXHAUSTED, "the answer is too large for one message"
        status = {"code": code, "message": text[:65536]} if code else None
        data = encode(messages.RESPONSE, {"status": status, "payload": payload})
        if self._fd >= 0:
            self._backlog += frame(stream, RESPONSE, data)
            self._send()
        return self._fd >= 0

    def _send(self) -> None:
        try:
            while self._backlog:
                sent = posix.write(self._fd, self._backlog)
                del self._backlog[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        mask = select.EPOLLOUT if self._backlog else 0
        if len(self._backlog) < _MAX_BACKLOG:
            mask |= select.EPOLLIN
        if mask != self._mask:
            self._mask = mask
            self._loop.change(self._fd, mask)

    def close(self) -> None:
        """The requests of a connection that is gone go on; nobody hears their answers."""
        if self._fd >= 0:
            self._loop.forget(self._fd)
            posix.close(self._fd)
            self._fd = -1
            self._on_close(self)
