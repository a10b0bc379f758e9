"""ttrpc: frames however they arrive, and a server that no peer can bring out of step."""

import socket
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pyoci.containerd import messages
from pyoci.containerd.codec import decode, encode
from pyoci.containerd.loop import Loop, Turn, Waiting
from pyoci.containerd.ttrpc import MAX_LENGTH, REQUEST, Connection, Frames, frame

FRAMES = some.lists(
    some.tuples(some.integers(0, 2**32 - 1), some.integers(0, 255), some.binary(max_size=40), some.integers(0, 255)),
    max_size=6,
)


@given(FRAMES, some.lists(some.integers(1, 30), max_size=40))
def test_frames_in_any_pieces(given: "list[tuple[int, int, bytes, int]]", cuts: "list[int]") -> None:
    data = b"".join(frame(*one) for one in given)
    frames, found = Frames(), []
    while data:
        size = cuts.pop() if cuts else len(data)
        found += list(frames.feed(data[:size]))
        data = data[size:]
    assert found == [(stream, kind, flags, body) for stream, kind, body, flags in given]


@pytest.mark.parametrize("length", [MAX_LENGTH + 1, 2**32 - 1])
def test_a_frame_that_is_too_large_is_thrown_away(length: int) -> None:
    frames = Frames()
    header = length.to_bytes(4, "big") + bytes((0, 0, 0, 7, REQUEST, 0))
    assert list(frames.feed(header + b"x" * 100)) == [(7, REQUEST, 0, None)]
    left = length - 100
    if left < 1 << 23:
        assert list(frames.feed(b"y" * left)) == []
        assert list(frames.feed(frame(9, REQUEST, b"next"))) == [(9, REQUEST, 0, b"next")]
    else:
        assert list(frames.feed(b"y" * (1 << 20))) == []
        assert len(frames._buffer) == 0  # nothing of it is kept


class Server:
    """A connection to a handler that echoes, in this thread: `turn` lets the loop work."""

    def __init__(self) -> None:
        self.problems: "list[BaseException]" = []
        self.loop = Loop(self.problems.append)
        self.peer, theirs = socket.socketpair()
        self.peer.setblocking(False)
        self.closed: "list[Connection]" = []
        self.kept: "list[Any]" = []
        self.connection = Connection(self.loop, theirs.detach(), self.handle, self.closed.append)
        self.frames = Frames()

    def handle(self, service: str, method: str, payload: bytes, answer: "Any") -> None:
        if method == "later":
            self.kept.append((payload, answer))
        else:
            answer(payload, 0, "")

    def request(self, stream: int, method: str, payload: bytes = b"") -> None:
        data = encode(messages.REQUEST, {"service": "s", "method": method, "payload": payload})
        self.send(frame(stream, REQUEST, data))

    def send(self, data: bytes) -> None:
        while data:
            try:
                data = data[self.peer.send(data) :]
            except BlockingIOError:
                pass
            self.turn()

    def turn(self) -> None:
        self.loop.later(0, lambda: setattr(self.loop, "stopped", True))
        self.loop.stopped = False
        self.loop.run()

    def answers(self) -> "list[tuple[int, int, bytes]]":
        """stream, code, payload."""
        found = []
        while True:
            self.turn()
            try:
                data = self.peer.recv(1 << 20)
            except BlockingIOError:
                return found
            for stream, _, _, body in self.frames.feed(data):
                response = decode(messages.RESPONSE, body or b"")
                found.append((stream, (response["status"] or {"code": 0})["code"], response["payload"]))


@pytest.fixture
def server() -> "Iterator[Server]":
    server = Server()
    yield server
    assert not server.problems


def test_answers_in_any_order(server: Server) -> None:
    server.request(1, "later", b"one")
    server.request(3, "now", b"two")
    assert server.answers() == [(3, 0, b"two")]
    payload, answer = server.kept.pop()
    answer(payload, 0, "")
    assert server.answers() == [(1, 0, b"one")]


def test_streams_are_odd_and_new(server: Server) -> None:
    server.request(3, "now")
    server.request(2, "now")
    server.request(3, "now")
    server.request(1, "now")
    assert server.answers() == [(3, 0, b""), (2, 3, b""), (3, 3, b""), (1, 3, b"")]


def test_what_is_too_large_is_refused_and_the_next_is_served(server: Server) -> None:
    server.send((MAX_LENGTH + 1).to_bytes(4, "big") + bytes((0, 0, 0, 1, REQUEST, 0)) + bytes(MAX_LENGTH + 1))
    server.request(3, "now", b"x")
    assert server.answers() == [(1, 8, b""), (3, 0, b"x")]


def test_nonsense_is_a_status(server: Server) -> None:
    server.send(frame(1, REQUEST, b"\xff\xff\xff"))
    server.send(frame(3, 77, b"of no kind"))
    server.request(5, "now", b"x")
    assert server.answers() == [(1, 3, b""), (5, 0, b"x")]


def test_an_answer_for_a_peer_that_is_gone(server: Server) -> None:
    server.request(1, "later")
    server.peer.close()
    server.turn()
    assert server.closed == [server.connection]
    server.kept.pop()[1](b"x", 0, "")


def test_a_peer_that_does_not_read_blocks_nobody(server: Server) -> None:
    for stream in range(1, 400, 2):
        server.request(stream, "now", bytes(10_000))
    assert [stream for stream, _, _ in server.answers()] == list(range(1, 400, 2))


def test_turns() -> None:
    """One after the other, and what has happened before anybody waits is not lost."""
    loop, order, ends = Loop(lambda problem: pytest.fail(str(problem))), [], []
    turn, gate = Turn(), Waiting()

    def steps(name: str) -> "Iterator[Any]":
        yield turn.take()
        order.append(f"{name} begins")
        if name == "first":
            yield gate
        order.append(f"{name} ends")
        turn.leave()

    for name in ("first", "second"):
        loop.go(steps(name), lambda value, problem: ends.append(problem))  # type: ignore[arg-type]
    assert order == ["first begins"]
    gate.resume()
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert ends == [None, None]


def test_a_thousand_that_leave_at_once() -> None:
    """As many Starts of a process that runs already: each is refused in its turn."""
    loop, ends = Loop(lambda problem: pytest.fail(str(problem))), []
    turn, gate = Turn(), Waiting()

    def steps(first: bool) -> "Iterator[Any]":
        yield turn.take()
        try:
            if first:
                yield gate
            raise ValueError("refused")
        finally:
            turn.leave()

    for number in range(1000):
        loop.go(steps(number == 0), lambda value, problem: ends.append(problem))  # type: ignore[arg-type]
    gate.resume()
    assert [type(problem) for problem in ends] == [ValueError] * 1000
    assert turn.take()._happened


def test_a_thousand_for_whom_there_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hears it."""
    loop, ends = Loop(lambda problem: pytest.fail(str(problem))), []

    def refuse(*_: "Any") -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("pyoci.containerd.loop._thread", Namespace(start_new_thread=refuse))

    def steps() -> "Iterator[Any]":
        yield lambda: None

    def end(_: "Any", problem: "Any") -> None:
        ends.append(problem.errno)
        loop.stopped = len(ends) == 1000

    loop._crowd._begun = dict.fromkeys(range(-4, 0), time.monotonic())  # so many that work
    for _ in range(1000):
        loop.go(steps(), end)  # type: ignore[arg-type]
    loop.run()
    assert ends == [11] * 1000


def test_work_is_done_beside_the_loop_and_its_failure_comes_back() -> None:
    import threading

    loop = Loop(lambda problem: pytest.fail(str(problem)))
    found: "list[Any]" = []

    def steps() -> "Iterator[Any]":
        found.append((yield threading.get_ident))
        try:
            yield lambda: 1 / 0
        except ZeroDivisionError:
            found.append("failed")
        loop.stopped = True

    loop.go(steps(), lambda value, problem: None)  # type: ignore[arg-type]
    loop.run()
    assert found[0] != threading.get_ident()
    assert found[1] == "failed"


def test_a_thread_that_is_called_may_come_too_late() -> None:
    """Its work is taken by another that has just become free: it ends, and is counted no more."""
    loop = Loop(lambda problem: pytest.fail(str(problem)))
    loop.threads = 1
    found: "list[Any]" = []

    class Called:
        """The spare one's lock: while it waits, work comes for it, and is taken."""

        def acquire(self, *wait: "Any") -> bool:
            if wait:
                loop._work(lambda: 1, lambda value, problem: None)
                found.append(loop._queue.pop(0))
            return True

        def release(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pyoci.containerd.loop._thread.allocate_lock", Called)
        assert loop._more() is None
    assert len(found) == 1
    assert loop.threads == 0
