"""Input and output of a process, to their ends: `communicate`."""

import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Optional, Union

    from pyoci.process.process import Process

_PIECE = 65536


class Exchange:
    """What is written to a process and read from it.

    limit:      bytes kept of each output, -1 for all; what comes after them is read and thrown away
    whole:      whether to read until all have closed the pipes, which a process may leave to its children; else its own
                end ends it
    was_cut:    whether something was thrown away
    """

    def __init__(
        self, process: "Process", input: "Union[str, bytes, None]", limit: int = -1, whole: bool = True
    ) -> None:
        self.process = process
        self.limit = limit
        self.whole = whole
        self.was_cut = False
        self.kept: "dict[int, bytearray]" = {}
        self.readers: "dict[int, bytearray]" = {}
        for file in (process.stdout, process.stderr):
            if file is not None and not file.closed:
                os.set_blocking(file.fileno(), False)
                self.kept[file.fileno()] = self.readers[file.fileno()] = bytearray()
        self.pending = memoryview(self._encoded(input))
        self.writer = self._open_writer()

    def _encoded(self, input: "Union[str, bytes, None]") -> bytes:
        if isinstance(input, str):
            file: "Any" = self.process.stdin
            return input.encode(getattr(file, "encoding", None) or "utf-8", getattr(file, "errors", None) or "strict")
        return input or b""

    def _open_writer(self) -> int:
        stdin = self.process.stdin
        if stdin is None or stdin.closed:
            if self.pending:
                raise ValueError("input is given, but stdin is not an open pipe")
            return -1
        try:
            stdin.flush()
        except BrokenPipeError:
            self.pending = self.pending[:0]
        if not self.pending:
            self._close_writer()
            return -1
        os.set_blocking(stdin.fileno(), False)
        return stdin.fileno()

    def _close_writer(self) -> None:
        self.writer = -1
        try:
            self.process.stdin.close()  # type: ignore[union-attr]
        except BrokenPipeError:
            pass

    def read(self, fd: int) -> bool:
        """Reads a piece; False when there is nothing now, or will be nothing any more."""
        try:
            data = os.read(fd, _PIECE)
        except BlockingIOError:
            return False
        if not data:
            self.readers.pop(fd, None)
            return False
        kept = self.kept[fd]
        room = len(data) if self.limit < 0 else self.limit - len(kept)
        kept += data[:room] if room > 0 else b""
        self.was_cut = self.was_cut or room < len(data)
        return True

    def write(self) -> None:
        """Writes a piece."""
        try:
            self.pending = self.pending[os.write(self.writer, self.pending[:_PIECE]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.pending = self.pending[:0]
        if not self.pending:
            self._close_writer()

    def is_done(self) -> bool:
        """Whether nothing is left to be written or read."""
        return self.writer < 0 and not self.readers

    def finish(self) -> None:
        """Takes what the ended process has left in its pipes, and no more than that: others may go on writing."""
        if self.writer >= 0:
            self._close_writer()
        for fd in list(self.readers):
            pieces = 64  # a pipe holds 16 of them; one that was made larger, 16 times as much
            while pieces and self.read(fd):
                pieces -= 1
            self.readers.pop(fd, None)

    def results(self) -> "tuple[Any, Any]":
        """Both outputs, text where the pipes are text; None for one that is no pipe."""
        return _result(self.process.stdout, self.kept), _result(self.process.stderr, self.kept)

    def run(self, timeout: "Optional[float]") -> bool:
        """Exchanges until all is done; False when the time was over before."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_done():
            ready = self._poll(deadline)
            if ready is None:
                return False
            for fd in ready:
                self.serve(fd)
        left = None if deadline is None else max(0, deadline - time.monotonic())
        return self.process.has_ended(left) and self.process.poll() is not None

    def _poll(self, deadline: "Optional[float]") -> "Optional[list[int]]":
        poll = select.poll()
        for fd in self.readers:
            poll.register(fd, select.POLLIN)
        if self.writer >= 0:
            poll.register(self.writer, select.POLLOUT)
        if not self.whole:
            poll.register(self.process.pidfd, select.POLLIN)
        left = None if deadline is None else max(0, deadline - time.monotonic()) * 1000
        ready = [fd for fd, _ in poll.poll(left)]
        return ready if ready or left is None else None

    def serve(self, fd: int) -> None:
        """Does what a descriptor is ready for."""
        if fd == self.process.pidfd:
            self.finish()
        elif fd == self.writer:
            self.write()
        elif fd in self.readers:
            self.read(fd)

    async def run_async(self, timeout: "Optional[float]") -> bool:
        """run() in asyncio, without a thread."""
        import asyncio

        try:
            await asyncio.wait_for(self._exchange_async(), timeout)
        except TimeoutError:
            return False
        return True

    async def _exchange_async(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        done = loop.create_future()
        watched: "set[int]" = set(self.readers)
        writer, end = self.writer, -1

        def serve(fd: int, own: int) -> None:
            try:
                self.serve(own)
            except BaseException as problem:
                if not done.done():
                    done.set_exception(problem)
                return
            if fd in watched and fd not in self.readers:
                loop.remove_reader(fd)
                watched.discard(fd)
            if fd == writer and self.writer < 0:
                loop.remove_writer(fd)
            if self.is_done() and not done.done():
                done.set_result(None)

        for fd in self.readers:
            loop.add_reader(fd, serve, fd, fd)
        if writer >= 0:
            loop.add_writer(writer, serve, writer, writer)
        if not self.whole:
            end = os.dup(self.process.pidfd)
            loop.add_reader(end, serve, end, self.process.pidfd)
        try:
            if not self.is_done():
                await done
        finally:
            for fd in watched:
                loop.remove_reader(fd)
            if writer >= 0:
                loop.remove_writer(writer)
            if end >= 0:
                loop.remove_reader(end)
                os.close(end)
        await self.process.wait_async()


def _result(file: "Optional[IO[Any]]", kept: "dict[int, bytearray]") -> "Any":
    if file is None:
        return None
    data = bytes(kept.get(-1 if file.closed else file.fileno(), b""))
    encoding = getattr(file, "encoding", None)
    if encoding is None:
        return data
    return data.decode(encoding, file.errors or "strict").replace("\r\n", "\n").replace("\r", "\n")  # type: ignore[attr-defined]


def communicate(process: "Process", input: "Union[str, bytes, None]", timeout: "Optional[float]") -> "tuple[Any, Any]":
    """Process.communicate()."""
    exchange = Exchange(process, input)
    if not exchange.run(timeout):
        from subprocess import TimeoutExpired

        assert timeout is not None
        raise TimeoutExpired(process.args, timeout, *exchange.results())
    return exchange.results()
