"""The descriptors that a process starts with, chosen as with `subprocess`."""

import os

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol, Union

    class HasFileno(Protocol):
        """A file object, a socket."""

        def fileno(self) -> int:
            """Its descriptor."""

    Stream = Union[None, int, HasFileno]

PIPE, STDOUT, DEVNULL = -1, -2, -3  # the numbers that `subprocess` gives them
_NAMES = ("stdin", "stdout", "stderr")


class Streams:
    """Descriptors for one process, and our ends of its pipes.

    files: what becomes its 0, 1, 2 and following ones; -1 for what it inherits
    ours:  our ends, -1 where there is no pipe
    """

    __slots__ = ("_theirs", "files", "ours")

    def __init__(
        self, stdin: "Stream" = None, stdout: "Stream" = None, stderr: "Stream" = None, passed: "Iterable[int]" = ()
    ) -> None:
        self._theirs: "list[int]" = []
        self.ours = [-1, -1, -1]
        try:
            given = [self._open(n, stream) for n, stream in enumerate((stdin, stdout, stderr))]
            if stderr == STDOUT:
                given[2] = given[1] if given[1] >= 0 else 1
        except BaseException:
            self.close()
            raise
        self.files = (*given, *passed)

    def _open(self, number: int, stream: "Stream") -> int:
        if stream is None:
            return -1
        if not isinstance(stream, int):
            return stream.fileno()
        if stream == PIPE:
            return self._pipe(number)
        if stream == DEVNULL:
            fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            self._theirs.append(fd)
            return fd
        if stream >= 0 or (stream == STDOUT and number == 2):
            return stream
        raise ValueError(
            f"{_NAMES[number]}={stream} is none of a descriptor, a file, PIPE, DEVNULL and, for stderr, STDOUT"
        )

    def _pipe(self, number: int) -> int:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        theirs, ours = (reader, writer) if number == 0 else (writer, reader)
        self._theirs.append(theirs)
        self.ours[number] = ours
        return theirs

    def check(self, terminal: bool, console_socket: str) -> None:
        """Refuses what does not go together with a terminal, or without one. Raises Error."""
        if terminal and max(self.files[:3]) >= 0:
            raise Error(
                "a process with a terminal has no other streams",
                location="process.terminal",
                hint="leave out stdin, stdout and stderr: Process.terminal is the master; or set terminal to false",
            )
        if console_socket and not terminal:
            raise Error(
                "a console socket is of no use without a terminal",
                location="process.terminal",
                hint="drop console_socket, or set terminal to true",
            )

    def __enter__(self) -> "Streams":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """The process has its own copies; when there is none, nobody needs ours."""
        self._close_theirs()
        if kind is not None:
            self.close()

    def _close_theirs(self) -> None:
        while self._theirs:
            os.close(self._theirs.pop())

    def close(self) -> None:
        """Closes all that was opened here."""
        self._close_theirs()
        for number, fd in enumerate(self.ours):
            if fd >= 0:
                self.ours[number] = -1
                os.close(fd)
