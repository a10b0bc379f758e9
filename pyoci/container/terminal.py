"""The caller's terminal and a container's pty: raw mode, window size, bytes both ways."""

import fcntl
import posix
import select
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


class Terminal:
    """Copies between standard streams and a pty's master, which it owns.

    window: the caller's terminal, from which the size is taken; -1 for none
    """

    __slots__ = ("before", "input", "master", "open", "pending", "window")

    def __init__(self, master: int) -> None:
        self.master = master
        self.open = True
        self.input = True
        self.pending = b""
        self.before: "Optional[list[Any]]" = None
        self.window = _find_window()
        posix.set_blocking(master, False)
        if posix.isatty(0):
            self.before = termios.tcgetattr(0)
            termios.tcsetattr(0, termios.TCSADRAIN, _raw(self.before))

    def close(self) -> None:
        """Gives the caller its terminal back as it was."""
        if self.before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self.before)
        posix.close(self.master)
        _leave_window(self.window)

    def resize(self) -> None:
        """Gives the pty the size of the caller's window."""
        _copy_size(self.window, self.master)

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


def prepare(master: int) -> None:
    """Gives a pty the size of the caller's window, and lets it pass on newlines without a carriage return before each:
    the caller's terminal adds its own, and a file or a pipe wants none."""
    mode = termios.tcgetattr(master)
    mode[1] &= ~termios.ONLCR
    termios.tcsetattr(master, termios.TCSANOW, mode)
    window = _find_window()
    _copy_size(window, master)
    _leave_window(window)


def _copy_size(window: int, master: int) -> None:
    if window >= 0:
        size = fcntl.ioctl(window, termios.TIOCGWINSZ, b"\0" * 8)
        if size[:4] != b"\0" * 4:
            fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def _find_window() -> int:
    """The caller's terminal: a standard stream, else the controlling terminal, opened; -1 where there is none."""
    for fd in (0, 1, 2):
        if posix.isatty(fd):
            return fd
    try:
        return posix.open("/dev/tty", posix.O_RDWR | posix.O_NOCTTY | posix.O_CLOEXEC)
    except OSError:
        return -1


def _leave_window(window: int) -> None:
    if window > 2:
        posix.close(window)


def _raw(mode: "list[Any]") -> "list[Any]":
    """cfmakeraw(3), but for what is done to output: the container's pty leaves newlines alone, so this one must not."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, chars = mode
    iflag &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
        | termios.ICRNL | termios.IXON
    )  # fmt: skip
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    chars = list(chars)
    chars[termios.VMIN], chars[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, chars]
