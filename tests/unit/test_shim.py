"""The shim's functions as Python sees them (pyoci/_shim.py): what is no argument for one is refused, and nothing
outside of what was given is read or written."""

import array
import errno
import fcntl
import inspect
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pyoci import _shim

CSRC = Path(__file__).parents[2] / "csrc"
NAMES = [name for name, one in vars(_shim).items() if inspect.isfunction(one) and not name.startswith("_")]
FUNCTIONS: "dict[str, Any]" = {name: getattr(_shim, name) for name in NAMES}
NUMBER, TEXT, TEXTS, INTS, BUFFER, ROOM = object(), object(), object(), object(), object(), object()

# What each function takes, a kind of argument after the other
TAKES: "dict[str, list[object]]" = {
    "seal": [TEXT],
    "spawn": [*[NUMBER] * 7, INTS],
    "socketpair": [],
    "listen": [NUMBER, TEXT],
    "connect": [NUMBER, TEXT, NUMBER],
    "send": [NUMBER, BUFFER, INTS],
    "receive": [NUMBER, ROOM],
    "flock": [NUMBER] * 2,
    "prctl": [NUMBER] * 2,
    "prlimit": [NUMBER] * 4,
    "pidfd_open": [NUMBER],
    "pidfd_signal": [NUMBER] * 2,
    "poll": [INTS, NUMBER],
    "signalfd": [],
    "openat2": [NUMBER, TEXT, NUMBER, NUMBER, NUMBER],
    "bpf_load": [BUFFER],
    "bpf_open": [NUMBER],
    "bpf_attach": [NUMBER] * 4,
    "bpf_detach": [NUMBER] * 2,
    "bpf_attached": [NUMBER, ROOM],
    "namespace_type": [NUMBER],
    "netlink": [NUMBER],
    "pin": [NUMBER, NUMBER, TEXT],
    "unpin": [NUMBER, TEXT],
    "clone_mount": [TEXT, NUMBER, NUMBER, NUMBER, NUMBER],
    "user_namespace": [TEXT] * 2,
    "seccomp_knows": [NUMBER],
    "hook": [TEXT, TEXTS, TEXTS, TEXT, BUFFER, NUMBER, NUMBER],
    "mount": [TEXT, TEXT, TEXT, NUMBER, TEXT],
    "unmount": [TEXT, NUMBER],
    "own_directory": [],
    "sched_core": [],
    "pack": [INTS],
}
# None that is taken for a number can do harm: no descriptor, no process, no command
GOOD: "dict[object, Any]" = {
    NUMBER: 1 << 30, TEXT: b"/nowhere/x", TEXTS: (b"x",), INTS: [1 << 30], BUFFER: b"bytes", ROOM: bytearray(8),
}  # fmt: skip


class Index:
    """Could be made an int."""

    def __index__(self) -> int:
        return 0


BAD: "dict[object, list[tuple[Any, type[Exception]]]]" = {
    NUMBER: [(1 << 70, OverflowError), (-1 << 70, OverflowError), (None, TypeError), (1.0, TypeError),
             (Index(), TypeError)],
    TEXT: [("text", TypeError), (b"a\0b", ValueError), (bytearray(b"x"), TypeError), (None, TypeError)],
    TEXTS: [([b"x"], TypeError), (("x",), TypeError), ((b"x", b"a\0b"), ValueError), (b"x", TypeError),
            ((b"x", 1), TypeError)],
    INTS: [(3, TypeError), ([3, "4"], TypeError), ((1 << 70,), OverflowError),
           ([Index()], TypeError)],
    BUFFER: [("text", TypeError), (None, TypeError), (memoryview(b"abcdef")[::2], BufferError)],
    ROOM: [(b"read only", BufferError), (memoryview(b"read only"), BufferError), ("text", TypeError), (8, TypeError)],
}  # fmt: skip


def test_every_function_is_there() -> None:
    """One that no test knows is a way around the checks; one that Python does not call is none."""
    assert sorted(TAKES) == sorted(NAMES)
    for name, function in FUNCTIONS.items():
        assert len(inspect.signature(function).parameters) == len(TAKES[name]), name
    prototypes = re.findall(r"\bshim_\w+(?=\()", (CSRC / "shim" / "shim.h").read_text())
    called = re.findall(r"\blib\.(\w+)", inspect.getsource(_shim))
    assert sorted(prototypes) == sorted(called)


def test_only_the_shim_has_the_functions_in_hand() -> None:
    """They believe what they are told of pointers and lengths."""
    package = CSRC.parent / "pyoci"
    callers = [path.name for path in package.rglob("*.py") if "pyoci._native" in path.read_text()]
    assert sorted(callers) == ["_shim.py", "boot.py"]


@pytest.mark.parametrize("name", NAMES)
def test_wrong_arguments(name: str) -> None:
    """One wrong argument among good ones, and a wrong number of them."""
    good = [GOOD[kind] for kind in TAKES[name]]
    for number, kind in enumerate(TAKES[name]):
        for bad, problem in BAD[kind]:
            with pytest.raises(problem):
                FUNCTIONS[name](*good[:number], bad, *good[number + 1 :])
    for given in (good[:-1] if good else [1], [*good, 1]):
        with pytest.raises(TypeError):
            FUNCTIONS[name](*given)
    if good:
        with pytest.raises(TypeError):
            FUNCTIONS[name](**dict.fromkeys("abcdefgh"[: len(good)], 1))


RANGES: "list[tuple[Callable[[int], int], int, int]]" = [
    (_shim.namespace_type, -1 << 31, (1 << 31) - 1),
    (_shim.seccomp_knows, 0, (1 << 32) - 1),
    (lambda n: _shim.prctl(1 << 30, n), 0, (1 << 64) - 1),
    (lambda n: _shim.openat2(-1, b"x", n, 0, 0), 0, (1 << 64) - 1),
    (lambda n: _shim.poll([n], 0), -1 << 31, (1 << 31) - 1),
    (lambda n: len(_shim.pack([n])), -1 << 63, (1 << 63) - 1),
]


@pytest.mark.parametrize(("call", "least", "most"), RANGES)
def test_the_ranges_of_numbers(call: "Callable[[int], int]", least: int, most: int) -> None:
    for fits, outside in ((least, least - 1), (most, most + 1)):
        call(fits)
        with pytest.raises(OverflowError):
            call(outside)


def test_results_beside_the_result() -> None:
    result, ours, theirs = _shim.socketpair()
    assert result == 0 and ours != theirs
    try:
        with open(os.devnull) as file:
            assert _shim.send(ours, memoryview(b"hello"), (file.fileno(),)) == 5
        room = bytearray(b"." * 8)
        got, passed = _shim.receive(theirs, room)
        assert (got, bytes(room)) == (5, b"hello...")
        assert os.readlink(f"/proc/self/fd/{passed}") == os.devnull
        os.close(passed)
        assert _shim.send(ours, b"longer than the room", []) == 20
        got, passed = _shim.receive(theirs, memoryview(room)[2:5])
        assert (got, passed, bytes(room)) == (3, -1, b"helon...")
        assert _shim.receive(-1, room) == (-errno.EBADF, -1)
        assert _shim.send(ours, b"", [0] * 65) == _shim.poll([0] * 9, 0) == -errno.E2BIG
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_hook_gets_words_and_gives_the_end_of_its_output() -> None:
    script = b'printf "%s %s|" "$1" "$V"; cat; exit 3'
    args, env = (b"sh", b"-c", script, b"x", b"one two"), (b"V=v", b"PATH=/bin:/usr/bin")
    assert _shim.hook(b"/bin/sh", args, env, b"/", b"sta\0te", 0, -1) == (0, 3 << 8, 0, b"one two v|sta\0te")
    state = b"much" * 1000 + b"\xff\0end"
    assert _shim.hook(b"/bin/cat", (b"cat",), (), b"/", state, 0, -1) == (0, 0, 0, state[-1024:])
    assert _shim.hook(b"/bin/sh", (), (), b"/nowhere", b"", 0, -1) == (-errno.ENOENT, 127 << 8, 0, b"")


def test_a_hook_that_has_had_its_time_is_killed_with_what_it_said() -> None:
    args = (b"sh", b"-c", b"echo begun; sleep 100")
    assert _shim.hook(b"/bin/sh", args, (), b"/", b"", 200, -1) == (0, signal.SIGKILL, 1, b"begun\n")


class Stuck:
    """Calls that wait for something, and what ends the wait."""

    def __init__(self, place: Path) -> None:
        _, self.ours, self.theirs = _shim.socketpair()
        self.held, self.wanted = (os.open(place, os.O_RDONLY) for _ in range(2))
        self.files = [self.ours, self.theirs, self.held, self.wanted]

    def close(self) -> None:
        for file in self.files:
            os.close(file)

    def flock(self) -> "tuple[Callable[[], Any], Callable[[], object], Any]":
        fcntl.flock(self.held, fcntl.LOCK_EX)
        return lambda: _shim.flock(self.wanted, fcntl.LOCK_EX), lambda: fcntl.flock(self.held, fcntl.LOCK_UN), 0

    def receive(self) -> "tuple[Callable[[], Any], Callable[[], object], Any]":
        return lambda: _shim.receive(self.theirs, bytearray(8)), lambda: os.write(self.ours, b"go"), (2, -1)

    def send(self) -> "tuple[Callable[[], Any], Callable[[], object], Any]":
        os.set_blocking(self.ours, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.ours, b"x")
        os.set_blocking(self.ours, True)
        return lambda: _shim.send(self.ours, b"last", ()), self._drain, 4

    def _drain(self) -> None:
        os.set_blocking(self.theirs, False)
        with suppress(BlockingIOError):
            while os.read(self.theirs, 8):
                pass

    def hook(self) -> "tuple[Callable[[], Any], Callable[[], object], Any]":
        os.mkfifo("fifo")
        fifo = os.open("fifo", os.O_RDWR)
        self.files.append(fifo)
        words = (b"sh", b"-c", b"read -r x <fifo")
        call = lambda: _shim.hook(b"/bin/sh", words, (), os.getcwdb(), b"", 0, -1)  # noqa: E731
        return call, lambda: os.write(fifo, b"x\n"), (0, 0, 0, b"")


def children() -> "list[str]":
    return [number for path in Path("/proc/self/task").glob("*/children") for number in path.read_text().split()]


@pytest.fixture
def stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Stuck]":
    monkeypatch.chdir(tmp_path)
    made = Stuck(tmp_path)
    yield made
    made.close()


Alarms = Callable[[Callable[[int, Any], None]], None]  # of conftest.py
WAITING = ["flock", "receive", "send", "hook"]


@pytest.mark.parametrize("name", WAITING)
def test_a_call_that_waits_goes_on_after_a_signal(stuck: Stuck, alarms: Alarms, name: str) -> None:
    """What it waits for is done by the third signal's handler: by then it was interrupted twice. Handlers run with
    no signal blocked."""
    call, release, result = getattr(stuck, name)()
    seen: "list[set[Any]]" = []

    def handler(number: int, frame: object) -> None:
        seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        if len(seen) == 3:
            release()

    alarms(handler)
    assert call() == result and len(seen) >= 3
    assert set() in seen


def test_a_hook_is_waited_for_with_signals_blocked(stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait lets them come. One that came just before would not end it, and what Python does at it would be late."""

    class Lib:
        def __getattr__(self, name: str) -> Any:
            if name == "shim_hook_watch":
                blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
            return getattr(lib, name)

    blocked: "list[set[Any]]" = []
    lib = _shim.lib
    monkeypatch.setattr(_shim, "lib", Lib())
    call, release, result = stuck.hook()
    release()
    assert call() == result
    assert blocked == [signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.parametrize("after", ["shim_hook_start", "shim_hook_watch"])
def test_a_hook_is_killed_where_a_handler_raises(stuck: Stuck, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """Between its calls as well: the first one's end is the first moment for it."""

    class Lib:
        def __getattr__(self, name: str) -> Any:
            return raising if name == after else getattr(lib, name)

    def raising(*given: Any) -> int:
        if after == "shim_hook_start":
            assert getattr(lib, after)(*given) == 0
        raise InterruptedError("by the handler")

    lib = _shim.lib
    monkeypatch.setattr(_shim, "lib", Lib())
    call, _, _ = stuck.hook()
    before = children()
    with pytest.raises(InterruptedError, match="by the handler"):
        call()
    assert children() == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.parametrize("name", WAITING)
def test_a_call_that_waits_ends_where_a_handler_raises(stuck: Stuck, alarms: Alarms, name: str) -> None:
    call, _, _ = getattr(stuck, name)()
    before = children()

    def handler(number: int, frame: object) -> None:
        if called:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise InterruptedError("by the handler")

    called: "list[bool]" = []
    alarms(handler)
    with pytest.raises(InterruptedError, match="by the handler"):
        called.append(True)
        call()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    assert children() == before, "a hook has been killed, and waited for"


def test_pack_writes_numbers_as_c_has_them() -> None:
    numbers = [0, 1, -1, (1 << 63) - 1, -(1 << 63)]
    assert _shim.pack(numbers) == array.array("q", numbers).tobytes()
    assert _shim.pack([]) == b""


@contextmanager
def meanwhile(action: "Callable[[], object]") -> "Iterator[None]":
    """Does something in another thread once this one lets it run, which the shim's functions do."""
    wait = threading.Lock()

    def act() -> None:
        with wait:
            action()

    interval, thread = sys.getswitchinterval(), threading.Thread(target=act)
    sys.setswitchinterval(1000)  # no thread gets a turn but where one gives it away
    try:
        with wait:
            thread.start()
        yield
    finally:
        sys.setswitchinterval(interval)
    thread.join()


def test_other_threads_run_meanwhile() -> None:
    """The call returns only because another thread does something during it."""
    read, write = os.pipe()
    try:
        with meanwhile(lambda: os.write(write, b"x")):
            assert _shim.poll([read], 20000) == 1
    finally:
        os.close(read)
        os.close(write)


def test_a_buffer_keeps_its_size_during_a_call_and_not_longer() -> None:
    room = bytearray(8)
    result, ours, theirs = _shim.socketpair()
    problems: "list[BaseException]" = []

    def shrink() -> None:
        try:
            room.pop()
        except BufferError as problem:
            problems.append(problem)
        os.write(ours, b"go")

    try:
        with meanwhile(shrink):
            assert (result, _shim.receive(theirs, room)) == (0, (2, -1))
    finally:
        os.close(ours)
        os.close(theirs)
    assert problems and bytes(room) == b"go\0\0\0\0\0\0"
    room.append(room.pop())


def test_nothing_is_kept_of_what_was_given() -> None:
    text, texts, room = b"/nowhere/%d" % os.getpid(), (b"x%d" % os.getpid(), b"y"), bytearray(8)
    numbers = [1 << 60]
    given = [text, texts, texts[0], room, numbers, numbers[0]]
    before = [sys.getrefcount(one) for one in given]
    for _ in range(100):
        assert _shim.seal(text) == -errno.ENOENT
        _shim.pack(numbers)
        with pytest.raises(TypeError):
            _shim.hook(text, texts, (text, 1), b"/", room, 0, -1)  # type: ignore[arg-type]
    assert before == [sys.getrefcount(one) for one in given]
