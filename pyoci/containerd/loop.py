"""The shim's one thread that waits: descriptors, times, and what worker threads have finished.

All of the shim's state is changed in this thread alone. What may take long (a hook, a mount, the freezer, CRIU) is a
function without such state that a thread of its own runs. A request is a generator: it yields such a function, and goes
on here with what that returned or raised; or it yields a Waiting, and goes on when somebody calls its `resume`.
"""

import _signal  # type: ignore[import-not-found]
import _thread
import posix
import select
import time

from pyoci.containerd.crowd import Crowd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Optional

    Then = Callable[[Any, Optional[BaseException]], None]
    Steps = Generator[Any, Any, Any]

MAX_THREADS = 128
REST = 0.5  # seconds in which nothing happens
_STACK = 512 << 10


class Waiting:
    """Something that a generator waits for. What happens before anybody waits is not lost."""

    __slots__ = ("_happened", "_then", "_value")

    def __init__(self) -> None:
        self._then: "Optional[Callable[[Any], None]]" = None
        self._happened = False
        self._value: "Any" = None

    def resume(self, value: "Any" = None) -> None:
        """It has happened."""
        self._happened, self._value = True, value
        if self._then is not None:
            then, self._then = self._then, None
            then(value)

    def await_by(self, then: "Callable[[Any], None]") -> None:
        """Calls then with the value, at once if it has happened."""
        if self._happened:
            then(self._value)
        else:
            self._then = then


class Turn:
    """Lets one generator after the other do something: `yield turn.take()`, and at the end `turn.leave()`."""

    __slots__ = ("_handing", "_taken", "_waiting")

    def __init__(self) -> None:
        self._taken = self._handing = False
        self._waiting: "list[Waiting]" = []

    def take(self) -> Waiting:
        """It is the caller's turn when this has happened."""
        waiting = Waiting()
        if self._taken:
            self._waiting.append(waiting)
        else:
            self._taken = True
            waiting.resume()
        return waiting

    def leave(self) -> None:
        """The next one's turn. One that leaves at once comes back here, and the first call goes on with all that wait:
        each by a call of its own, a thousand would be too deep for Python, and the turn would be taken for ever."""
        self._taken = False
        if self._handing:
            return
        self._handing = True
        try:
            while self._waiting and not self._taken:
                self._taken = True
                self._waiting.pop(0).resume()
        finally:
            self._handing = False


class Loop:
    """Waits, and calls. complain is told of what a callback raised."""

    def __init__(self, complain: "Callable[[BaseException], None]") -> None:
        self._complain = complain
        self._epoll = select.epoll()
        self._called: "dict[int, Callable[[int], None]]" = {}
        self._timers: "list[tuple[float, int, Callable[[], None]]]" = []
        self._count = 0
        self._posted: "list[Callable[[], None]]" = []
        self._queue: "list[tuple[Callable[[], Any], Then]]" = []
        self._spare: "Optional[_thread.LockType]" = None  # of a thread that waits for more work: to be released
        self._idle = _thread.allocate_lock()  # held while threads and queue are changed
        self.threads = 0
        self.stopped = False
        self.on_rest: "Callable[[], None]" = lambda: None  # called when nothing has happened for a while
        self._is_rested = True
        self._crowd = Crowd(self, self._work)
        self._woken, self.waker = posix.pipe()  # not inheritable, as all that Python opens
        for fd in (self._woken, self.waker):
            posix.set_blocking(fd, False)
        self.watch(self._woken, select.EPOLLIN, lambda _: self._drain())
        _thread.stack_size(_STACK)

    def watch(self, fd: int, mask: int, callback: "Callable[[int], None]") -> None:
        """Calls callback with the mask of what is ready, until forget(fd), which comes before close."""
        self._epoll.register(fd, mask)
        self._called[fd] = callback

    def change(self, fd: int, mask: int) -> None:
        """Waits for something else of it."""
        self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Waits for it no more."""
        if self._called.pop(fd, None) is not None:
            try:
                self._epoll.unregister(fd)
            except OSError:
                pass  # closed

    def later(self, seconds: float, callback: "Callable[[], None]") -> int:
        """Calls callback once after that time; returns a number for cancel()."""
        self._count += 1
        self._timers.append((time.monotonic() + seconds, self._count, callback))
        self._timers.sort(key=lambda timer: timer[:2])
        return self._count

    def cancel(self, number: int) -> None:
        """Does not."""
        self._timers = [timer for timer in self._timers if timer[1] != number]

    def post(self, callback: "Callable[[], None]") -> None:
        """Calls callback in the loop's thread; from any thread."""
        self._posted.append(callback)
        try:
            posix.write(self.waker, b"\0")
        except BlockingIOError:
            pass  # it is awake

    def go(self, steps: "Steps", then: "Then") -> None:
        """Runs a generator to its end, then calls then with what it returned or raised."""
        self._step(steps, then, None, None)

    def _step(self, steps: "Steps", then: "Then", value: "Any", problem: "Optional[BaseException]") -> None:
        try:
            wish = steps.send(value) if problem is None else steps.throw(problem)
        except StopIteration as end:
            then(end.value, None)
        except BaseException as raised:
            then(None, raised)
        else:
            if isinstance(wish, Waiting):
                wish.await_by(lambda value: self._step(steps, then, value, None))
            else:
                self._crowd.enter(wish, lambda value, problem: self._step(steps, then, value, problem))

    def _work(self, function: "Callable[[], Any]", then: "Then") -> None:
        with self._idle:
            if self.threads >= MAX_THREADS:
                self._queue.append((function, then))
                return
            self.threads += 1
            if self._spare is not None:
                self._queue.append((function, then))
                self._spare.release()
                self._spare = None
                return
        try:
            _thread.start_new_thread(self._worker, (function, then))
        except RuntimeError as problem:  # the kernel, or a limit, has no thread for us
            with self._idle:
                self.threads -= 1
            # Later: who hears it begins the next one, which has no thread either, and so on, ever deeper
            self.post(_bind(then, None, OSError(11, f"start a thread: {problem}")))

    def _worker(self, function: "Callable[[], Any]", then: "Then") -> None:
        while True:
            try:
                value, problem = function(), None
            except BaseException as raised:
                value, problem = None, raised
            self.post(_bind(then, value, problem))
            del function, then, value, problem  # nothing of it is kept while we wait
            more = self._more()
            if more is None:
                return
            function, then = more
            del more

    def _more(self) -> "Optional[tuple[Callable[[], Any], Then]]":
        """Work for a thread that has done its own: one waits for it as long as the loop does not rest, since to start
        another costs as much as a small request."""
        turn = _thread.allocate_lock()
        with self._idle:
            if self._queue:
                return self._queue.pop(0)
            self.threads -= 1
            if self._spare is not None:
                return None
            self._spare = turn
            turn.acquire()
        is_called = turn.acquire(True, REST)
        with self._idle:
            if not is_called and self._spare is turn:
                self._spare = None
                return None
            if self._queue:
                return self._queue.pop(0)
            self.threads -= 1  # we were called, and another that has just become free was quicker
            return None

    def signal(self, number: int, callback: "Callable[[], None]") -> None:
        """Calls callback in the loop after a signal."""
        # Python has written to the waker by itself (set_wakeup_fd)
        _signal.signal(number, lambda *_: self._posted.append(callback))

    def _drain(self) -> None:
        try:
            posix.read(self._woken, 4096)
        except BlockingIOError:
            pass

    def run(self) -> None:
        """Until `stopped` is true."""
        while not self.stopped:
            ready = self._wait()
            for fd, mask in ready:
                called = self._called.get(fd)
                if called is not None:
                    self._call(lambda called=called, mask=mask: called(mask))  # type: ignore[misc]
            for _ in range(len(self._posted)):  # others add to it meanwhile
                self._call(self._posted.pop(0))
            while self._timers and self._timers[0][0] <= time.monotonic():
                self._call(self._timers.pop(0)[2])

    def _wait(self) -> "list[tuple[int, int]]":
        due: "Optional[float]" = None
        if self._posted:
            due = 0
        elif self._timers:
            due = max(0.0, self._timers[0][0] - time.monotonic())
        if not self._is_rested and not self.threads and (due is None or due >= REST):
            ready = self._epoll.poll(REST)
            if ready:
                return ready
            self._is_rested = True
            self.on_rest()
            return []
        ready = self._epoll.poll(due)
        self._is_rested = self._is_rested and not ready
        return ready

    def _call(self, callback: "Callable[[], Any]") -> None:
        try:
            callback()
        except Exception as problem:  # a fault of one request must not end all containers' shim
            self._complain(problem)


def _bind(then: "Then", value: "Any", problem: "Optional[BaseException]") -> "Callable[[], None]":
    return lambda: then(value, problem)
