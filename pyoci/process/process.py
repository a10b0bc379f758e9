"""A container's process as a program has it in hand: `subprocess.Popen` is the model."""

import os
import select
from _thread import allocate_lock

import pyoci
from pyoci import _shim
from pyoci.container.state import begin_time, open_process
from pyoci.errors import Error
from pyoci.init.launch import Process as Child
from pyoci.process.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from resource import struct_rusage
    from types import TracebackType
    from typing import IO, Any, Optional, Union

    from pyoci.container.create import Created
    from pyoci.container.exec import Joined
    from pyoci.container.state import Entry


UNKNOWN = 255  # what engines report for a status that was lost

_SIGKILL, _SIGTERM = 9, 15


class Text:
    """How pipes are read and written as text."""

    __slots__ = ("encoding", "errors")

    def __init__(self, encoding: "Optional[str]", errors: "Optional[str]") -> None:
        self.encoding = encoding
        self.errors = errors


class Process:
    """The first process of a container, or one that `popen` has started in it.

    container:  the container's id
    pid:        as we see it
    pidfd:      readable once the process has ended, for select, epoll and event loops; -1 after close()
    stdin, stdout, stderr: our ends of its pipes, where PIPE was asked for
    terminal:   the master of its terminal, a descriptor; -1 without one, or where a console socket got it
    returncode: its status once poll() or wait() has seen the end, as subprocess has it: -N when signal N has ended it;
                255 where it cannot be known, because the process was not our child or somebody else took its status
    is_status_known: False in that case
    rusage:     what it and the children that it has waited for have used (getrusage(2)), once its status is known; of
                memory the largest is ours, which it shared until it executed

    A process object may be used from several threads. As a context manager it closes our ends and waits for the end.
    """

    __slots__ = (
        "__weakref__", "_lock", "args", "container", "is_status_known", "pid", "pidfd", "returncode", "rusage",
        "stderr", "stdin", "stdout", "terminal",
    )  # fmt: skip

    def __init__(
        self,
        container: str,
        child: "Child",
        master: int,
        streams: "Streams",
        text: "Optional[Text]" = None,
    ) -> None:
        self.container = container
        self.args: "Any" = container  # what TimeoutExpired names
        self.pid, self.pidfd = child.pid, child.pidfd
        child.pidfd = -1
        self.terminal = master
        self.returncode: "Optional[int]" = None
        self.is_status_known = True
        self.rusage: "Optional[struct_rusage]" = None
        self._lock = allocate_lock()
        self.stdin, self.stdout, self.stderr = [_file(streams, number, text) for number in range(3)]
        pyoci.children[self.pid] = self

    # The end

    def poll(self) -> "Optional[int]":
        """The status if the process has ended, else None."""
        with self._lock:
            if self.returncode is None and self.pidfd >= 0:
                self._take()
        return self.returncode

    def _take(self) -> None:
        """Takes the status, if it has ended. The pidfd says whether it is our child; until its status is taken the pid
        is nobody else's."""
        try:
            ended = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            _, status, self.rusage = os.wait4(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        except ChildProcessError:  # not our child, or somebody has taken its status: os.wait(), SIG_IGN for SIGCHLD
            if _shim.poll([self.pidfd], 0) <= 0:
                return
            self.returncode, self.is_status_known = UNKNOWN, False
        if pyoci.children.get(self.pid) is self:
            del pyoci.children[self.pid]

    def wait(self, timeout: "Optional[float]" = None) -> int:
        """Waits for the end; returns the status. Errors: subprocess.TimeoutExpired after timeout seconds."""
        while (status := self.poll()) is None:
            if not self.has_ended(timeout):
                from subprocess import TimeoutExpired

                raise TimeoutExpired(self.args, timeout or 0)
        return status

    def has_ended(self, timeout: "Optional[float]") -> bool:
        """Waits for the end that long, None for ever; whether it has ended. Its status is then there to be taken."""
        if self.returncode is not None:
            return True
        if self.pidfd < 0:
            raise Error("the process object is closed", kind="state")
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(0, timeout * 1000)))

    async def wait_async(self) -> int:
        """The same in asyncio, where nothing else waits meanwhile, and no thread is needed."""
        import asyncio

        loop = asyncio.get_running_loop()
        while (status := self.poll()) is None:
            if self.pidfd < 0:
                raise Error("the process object is closed", kind="state")
            ended = loop.create_future()
            own = os.dup(self.pidfd)  # a loop has one reader for each descriptor
            try:
                loop.add_reader(own, _resolve, ended)
                await ended
            finally:
                loop.remove_reader(own)
                os.close(own)
        return status

    def on_end(self, callback: "Callable[[Process], object]") -> None:
        """Calls callback with this object once the process has ended and its status is known, in a thread that all
        processes share; at once if it has ended already. What the callback raises goes to threading.excepthook."""
        from pyoci.process.watch import watch

        watch(self, callback)

    # Signals

    def send_signal(self, number: int) -> None:
        """Sends it a signal; nothing when it has ended."""
        with self._lock:
            if self.returncode is None and self.pidfd >= 0:
                sent = _shim.pidfd_signal(self.pidfd, number)
                if sent < 0 and not isinstance(OSError(-sent, ""), ProcessLookupError):
                    raise Error(f"signal process {self.pid}", errno=-sent)

    def terminate(self) -> None:
        """Asks it to end (SIGTERM)."""
        self.send_signal(_SIGTERM)

    def kill(self) -> None:
        """Ends it (SIGKILL)."""
        self.send_signal(_SIGKILL)

    # Streams

    def communicate(
        self, input: "Union[str, bytes, None]" = None, timeout: "Optional[float]" = None
    ) -> "tuple[Any, Any]":
        """Writes input, reads both outputs to their ends, waits; returns them, None for one that is no pipe.

        Errors: subprocess.TimeoutExpired after timeout seconds, with what was read until then in output and stderr.
        """
        from pyoci.process.exchange import communicate

        return communicate(self, input, timeout)

    def resize(self, columns: int, rows: int) -> None:
        """Tells its terminal the size of a window."""
        if self.terminal < 0:
            raise Error("the process has no terminal", kind="state")
        import termios

        termios.tcsetwinsize(self.terminal, (rows, columns))

    def fileno(self) -> int:
        """The pidfd, for select and selectors."""
        return self.pidfd

    def close(self) -> None:
        """Closes pipes, terminal and pidfd; the process goes on. Its status is then taken by nobody but `delete`."""
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                try:
                    file.close()
                except BrokenPipeError:
                    pass
        self.poll()
        with self._lock:
            if pyoci.children.get(self.pid) is self:
                del pyoci.children[self.pid]
            for fd in (self.pidfd, self.terminal):
                if fd >= 0:
                    os.close(fd)
            self.pidfd = self.terminal = -1

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: "Optional[type[BaseException]]", value: "Optional[BaseException]", trace: "Optional[TracebackType]"
    ) -> None:
        """As subprocess: closes the pipes, waits for the end."""
        try:
            if self.stdin is not None:
                self.stdin.close()
            if kind is None:
                self.wait()
        finally:
            self.close()

    def __del__(self) -> None:
        if getattr(self, "pidfd", -1) >= 0:
            self.close()

    def __repr__(self) -> str:
        status = "runs" if self.returncode is None else f"ended with {self.returncode}"
        return f"<pyoci.Process {self.pid} of {self.container}: {status}>"


# For `delete`: it leaves the status of a process that somebody has in hand to that one
if not pyoci.is_command:  # which ends with its work, and does without what the module loads
    import weakref

    pyoci.children = weakref.WeakValueDictionary()


def _resolve(future: "Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _file(streams: "Streams", number: int, text: "Optional[Text]") -> "Optional[IO[Any]]":
    """Our end of a pipe as a file, which then owns the descriptor."""
    fd = streams.ours[number]
    if fd < 0:
        return None
    streams.ours[number] = -1
    mode = "w" if number == 0 else "r"
    if text is None:
        return open(fd, f"{mode}b")
    file = open(fd, mode, encoding=text.encoding, errors=text.errors)
    if number == 0:
        file.reconfigure(write_through=True)  # type: ignore[attr-defined]
    return file


def hold(
    container: str,
    made: "Union[Created, Joined]",
    streams: "Streams",
    text: bool = False,
    encoding: "Optional[str]" = None,
    errors: "Optional[str]" = None,
) -> Process:
    """A new process of a container, for the program."""
    is_text = text or encoding is not None or errors is not None
    return Process(container, made.process, made.master, streams, Text(encoding, errors) if is_text else None)


def attach(entry: "Entry") -> Process:
    """The first process of a container that exists. Raises Error of the kind not_running when it has ended."""
    pid = entry.record["init_process_pid"]
    if pid in pyoci.children:
        return pyoci.children[pid]
    pidfd = open_process(pid) if pid else -1
    if pidfd < 0 or begin_time(pid) != entry.record["init_process_start"]:
        if pidfd >= 0:
            os.close(pidfd)
        raise Error(f"container {entry.container} is not running", kind="not_running")
    return Process(entry.container, Child(pid, pidfd), -1, Streams())
