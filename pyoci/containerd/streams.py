"""The streams of one process, as containerd names them: FIFOs, files, logger programs, a terminal.

A process gets the FIFO itself: nobody copies. We hold both ends of it, so that a client that goes and comes back
neither ends nor blocks the process. Only a terminal's bytes go through us.
"""

import posix
import select

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    from pyoci.containerd.loop import Loop

_CHUNK = 32 << 10
_TYPE, _FIFO = 0o170000, 0o010000  # of st_mode; the module stat would bring half of Python with it
_PATIENCE = 2.0  # seconds for a terminal that somebody keeps open after its process has ended
_LOGGER_PATIENCE = 10.0
_FIONREAD = 0x541B
_OUT_OF_THE_WAY = 10  # a logger's descriptors are lifted above those that it is given
_NAMES = ("stdin", "stdout", "stderr")


class Owner:
    """Who may open a FIFO by /dev/stdout: user and group as the host sees them."""

    __slots__ = ("gid", "uid")

    def __init__(self, uid: int, gid: int) -> None:
        self.uid, self.gid = uid, gid


class Streams:
    """Opened for one process. uris: of stdin, stdout, stderr, "" for none.

    given: what the process gets, three descriptors to be closed once it has them; -1 with a terminal
    """

    def __init__(self, uris: "tuple[str, str, str]", is_terminal: bool) -> None:
        self.uris = uris
        self.is_terminal = is_terminal
        self.given = [-1, -1, -1]
        self._held: "dict[int, list[int]]" = {0: [], 1: [], 2: []}  # our ends, by stream
        self._copiers: "list[Copier]" = []

    def open(self, owner: "Optional[Owner]", environment: "dict[str, str]") -> None:
        """Opens all. To be called in a thread: a FIFO's file system, or a logger, may not answer. Raises Error."""
        try:
            if self.uris[1].startswith("binary"):
                self._open_logger(environment)
            for number in range(3):
                if not (self.uris[1].startswith("binary") and number) and not (self.is_terminal and number == 2):
                    self._open(number, owner)
        except OSError as problem:
            self.close()
            name = problem.filename or ", ".join(uri for uri in self.uris if uri)
            raise Error(f"open {name}", step="streams", errno=problem.errno or 0) from None
        except BaseException:
            self.close()
            raise

    def _open(self, number: int, owner: "Optional[Owner]") -> None:
        path = self.uris[number]
        kind, _, rest = path.partition("://")
        if rest and kind not in ("fifo", "file"):
            raise Error(f"{_NAMES[number]}: {kind} is not a known kind of stream", step="streams", kind="refused")
        path = rest or path
        if not path:
            if not self.is_terminal:
                self.given[number] = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
            return
        if kind == "file" and rest:
            directory = path.rpartition("/")[0]
            posix.stat(directory or "/")
            flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT
            self._give(number, posix.open(path, flags | posix.O_CLOEXEC, 0o644))
            return
        if posix.stat(path).st_mode & _TYPE != _FIFO:
            if self.is_terminal and number == 0:
                if path == "/dev/null":
                    return
                raise Error(f"{path}: a terminal's input is a FIFO", step="streams", kind="refused")
            flags = posix.O_RDONLY if number == 0 else posix.O_WRONLY | posix.O_APPEND
            self._give(number, posix.open(path, flags | posix.O_CLOEXEC))
            return
        self._open_fifo(number, path, owner)

    def _open_fifo(self, number: int, path: str, owner: "Optional[Owner]") -> None:
        reader = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
        self._held[number].append(reader)
        writer = posix.open(path, posix.O_WRONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
        self._held[number].append(writer)
        if self.is_terminal:
            return
        if owner is not None:
            try:
                posix.chown(writer, owner.uid, owner.gid)
            except OSError:
                pass  # then only what is open already can be used, as without us
        flags = posix.O_RDONLY if number == 0 else posix.O_WRONLY
        self.given[number] = posix.open(path, flags | posix.O_CLOEXEC)

    def _give(self, number: int, fd: int) -> None:
        if self.is_terminal:
            self._held[number].append(fd)
        else:
            self.given[number] = fd

    def _open_logger(self, environment: "dict[str, str]") -> None:
        """Pipes to a program that keeps the output (containerd's logging plugins)."""
        kind, _, rest = self.uris[1].partition("://")
        path, _, query = rest.partition("?")
        args = [path]
        for pair in query.split("&") if query else ():
            key, _, value = pair.partition("=")
            args += [_unquote(key), _unquote(value)] if value else [_unquote(key)]
        ends: "list[int]" = []
        for number in (1, 2):
            reader, writer = posix.pipe2(posix.O_CLOEXEC)
            ends.append(reader)
            if self.is_terminal and number == 2:
                posix.close(writer)
            else:
                self._give(number, writer)
        ready, told = posix.pipe2(posix.O_CLOEXEC)
        ends.append(told)
        try:
            _start(path, args, ends, environment)
        finally:
            for fd in ends:
                posix.close(fd)
        _await_logger(ready, kind)

    def start_copying(self, loop: "Loop", master: int) -> None:
        """Joins a terminal and the streams."""
        if not self.is_terminal or master < 0:
            return
        if self._held[1]:
            posix.set_blocking(self._held[1][-1], False)
        self._copiers.append(Copier(loop, master, self._held[1][-1] if self._held[1] else -1))
        if self._held[0]:
            self._copiers.append(Copier(loop, self._held[0][0], posix.dup(master)))

    def close_given(self) -> None:
        """The process has its own."""
        for number, fd in enumerate(self.given):
            if fd >= 0:
                self.given[number] = -1
                posix.close(fd)

    def close_input(self) -> None:
        """No more input: the process finds the end once the client has closed its end, too."""
        if not self.is_terminal:
            self._close_held(0)

    def finish(self, loop: "Loop", then: "Callable[[], None]") -> None:
        """The process has ended: hands over what a terminal still has, then calls then."""
        copier = self._copiers[0] if self._copiers else None
        if copier is None or copier.is_done:
            then()
            return
        timer = 0

        def once() -> None:
            loop.cancel(timer)
            copier.on_end = None
            then()

        timer = loop.later(_PATIENCE, once)
        copier.on_end = once

    def let_go(self) -> None:
        """Our ends of outputs, for readers to find the end; but not what nobody has begun to read: with the last end
        of a FIFO go its bytes."""
        for number in (1, 2):
            held = self._held[number]
            if len(held) == 2 and not self._copiers:
                posix.close(held.pop(0))
                if _has_unread(held[0]) and not _has_reader(held[0]):
                    continue
            self._close_held(number)
        self._close_held(0)

    def _close_held(self, number: int) -> None:
        held = self._held[number]
        while held:
            posix.close(held.pop())

    def close(self) -> None:
        """Closes all that is still open."""
        for copier in self._copiers:
            copier.stop()
        if len(self._copiers) > 1:
            posix.close(self._copiers[1].sink)
        self._copiers = []
        self.close_given()
        for number in range(3):
            self._close_held(number)


class Copier:
    """Copies from one descriptor to another, no faster than the slower one. Without a sink (-1) it throws away."""

    def __init__(self, loop: "Loop", source: int, sink: int) -> None:
        posix.set_blocking(source, False)
        if sink >= 0:
            posix.set_blocking(sink, False)
        self._loop, self._source, self.sink = loop, source, sink
        self._rest = b""
        self.is_done = False
        self.on_end: "Optional[Callable[[], None]]" = None
        loop.watch(source, select.EPOLLIN, self._read)

    def _read(self, mask: int) -> None:
        for _ in range(8):  # then it is another one's turn
            try:
                data = posix.read(self._source, _CHUNK)
            except BlockingIOError:
                return
            except OSError:  # EIO: nobody has the terminal open any more
                data = b""
            if not data:
                self._end()
                return
            if self.sink >= 0 and not self._write(data):
                return

    def _write(self, data: bytes) -> bool:
        """Whether all could be written. The rest is written when the sink is ready; until then nothing is read."""
        try:
            sent = posix.write(self.sink, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return True  # nobody reads any more
        if sent == len(data):
            return True
        self._rest = data[sent:]
        self._loop.forget(self._source)
        self._loop.watch(self.sink, select.EPOLLOUT, self._resume)
        return False

    def _resume(self, _mask: int) -> None:
        rest, self._rest = self._rest, b""
        self._loop.forget(self.sink)
        if self._write_again(rest):
            self._loop.watch(self._source, select.EPOLLIN, self._read)

    def _write_again(self, rest: bytes) -> bool:
        try:
            sent = posix.write(self.sink, rest)
        except BlockingIOError:
            sent = 0
        except OSError:
            return True
        if sent == len(rest):
            return True
        self._rest = rest[sent:]
        self._loop.watch(self.sink, select.EPOLLOUT, self._resume)
        return False

    def _end(self) -> None:
        self.stop()
        if self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end()

    def stop(self) -> None:
        """Copies no more."""
        if not self.is_done:
            self.is_done = True
            self._loop.forget(self._source)
            if self._rest:
                self._loop.forget(self.sink)


def _has_unread(fd: int) -> bool:
    import fcntl

    count = fcntl.ioctl(fd, _FIONREAD, b"\0\0\0\0")
    return count != b"\0\0\0\0"


def _has_reader(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return not any(mask & select.POLLERR for _, mask in poll.poll(0))


def _unquote(text: str) -> str:
    """What %XX and + stand for in a query; urllib would bring half of Python with it."""
    first, *others = text.replace("+", " ").encode("utf-8", "surrogateescape").split(b"%")
    for other in others:
        try:
            first += bytes((int(other[:2], 16),)) + other[2:] if other[:2].isalnum() and other[1:] else b"%" + other
        except ValueError:
            first += b"%" + other
    return first.decode("utf-8", "replace")


def _start(path: str, args: "list[str]", ends: "list[int]", environment: "dict[str, str]") -> int:
    import fcntl

    lifted = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY) for fd in ends]
    try:
        actions = [(posix.POSIX_SPAWN_DUP2, fd, 3 + number) for number, fd in enumerate(lifted)]
        return posix.posix_spawn(path, args, environment, file_actions=actions, setpgroup=0)
    finally:
        for fd in lifted:
            posix.close(fd)


def _await_logger(ready: int, kind: str) -> None:
    try:
        if not select.select([ready], [], [], _LOGGER_PATIENCE)[0]:
            raise Error(
                f"the logger does not say that it is ready within {_LOGGER_PATIENCE:.0f} s", step="streams", kind="host"
            )
        if not posix.read(ready, 1) and kind == "binary-v2":
            raise Error("the logger has ended before it was ready", step="streams", kind="host")
    finally:
        posix.close(ready)
