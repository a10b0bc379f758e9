"""The caller's terminal and a container's pty: raw mode, window size, bytes both ways."""

import fcntl
import posix
import select
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


class Terminal:
    """Copies between standard streams and a pty's master, which it owns."""

    __slots__ = ("before", "input", "master", "open", "pending")

    def __init__(self, master: int) -> None:
        self.master = master
        self.open = True
        self.input = True
        self.pending = b""
        self.before: "Optional[list[Any]]" = None
        posix.set_blocking(master, False)
        if posix.isatty(0):
            self.before = termios.tcgetattr(0)
            termios.tcsetattr(0, termios.TCSADRAIN, _raw(self.before))

    def close(self) -> None:
        """Gives the caller its terminal back as it was."""
        if self.before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self.before)
        posix.close(self.master)

    def resize(self) -> None:
        """Gives the pty the size of the caller's window."""
        if posix.isatty(0):
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
            if size[:4] != b"\0" * 4:
                fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def register(self, poll: "select.poll") -> None:
        """Says what to wait for."""
        if self.open:
            poll.register(self.master, select.POLLIN | (select.POLLOUT if self.pending else 0))
        if self.input and not self.pending:
            poll.register(0, select.POLLIN)

    def serve(self, ready: "dict[int, int]") -> None:
        """Copies what is there."""
        if self.master in ready:
            self._from_container()
        if 0 in ready:
            self._from_caller()
        if self.pending:
            self._to_container()

    def drain(self) -> None:
        """Copies what the ended process has left."""
        while self.open:
            poll = select.poll()
            poll.register(self.master, select.POLLIN)
            if not poll.poll(0):
                return
            self._from_container()

    def _from_container(self) -> None:
        try:
            data = posix.read(self.master, 65536)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has it open on the other side
            data = b""
        if not data:
            self.open = False
        view = memoryview(data)
        while view:
            view = view[posix.write(1, view) :]

    def _from_caller(self) -> None:
        try:
            data = posix.read(0, 4096)
        except OSError:
            data = b""
        if not data:
            self.input = False
            data = b"\x04"  # the end of input is a character on a terminal
        self.pending += data

    def _to_container(self) -> None:
        try:
            self.pending = self.pending[posix.write(self.master, self.pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self.pending, self.open = b"", False


def _raw(mode: "list[Any]") -> "list[Any]":
    """cfmakeraw(3)."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, chars = mode
    iflag &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
        | termios.ICRNL | termios.IXON
    )  # fmt: skip
    oflag &= ~termios.OPOST
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    chars = list(chars)
    chars[termios.VMIN], chars[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, chars]
