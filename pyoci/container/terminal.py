"""The caller's terminal and a container's pty: raw mode, window size, bytes both ways."""

import fcntl
import posix
import select
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


_PIECE = 4096  # a pipe or socket that poll calls writable takes as much without waiting


class Terminal:
    """Copies between standard streams and a pty's master, which it owns. It never waits in a read or a write: signals
    have to be passed on meanwhile.

    pending: for the container; waiting: for the reader of our output
    window:  the caller's terminal, from which the size is taken; -1 for none
    out:     where output goes to; -1 when nobody reads it any more: then it is thrown away, and the container goes on
    """

    __slots__ = ("before", "input", "master", "open", "out", "pending", "waiting", "window")

    def __init__(self, master: int) -> None:
        self.master = master
        self.open = True
        self.input = True
        self.pending = self.waiting = b""
        self.before: "Optional[list[Any]]" = None
        self.window = _find_window()
        self.out = _output()
        posix.set_blocking(master, False)
        if posix.isatty(0):
            try:
                self.before = termios.tcgetattr(0)
                termios.tcsetattr(0, termios.TCSADRAIN, _raw(self.before))
            except (OSError, termios.error):  # it has hung up
                self.before = None

    def close(self) -> None:
        """Gives the caller its terminal back as it was."""
        if self.before is not None:
            try:
                termios.tcsetattr(0, termios.TCSADRAIN, self.before)
            except (OSError, termios.error):  # it has hung up
                pass
        if self.out > 1:
            posix.close(self.out)
        posix.close(self.master)
        _leave_window(self.window)

    def resize(self) -> None:
        """Gives the pty the size of the caller's window."""
        _copy_size(self.window, self.master)

    def register(self, poll: "select.poll") -> None:
        """Says what to wait for."""
        wanted = (0 if self.waiting else select.POLLIN) | (select.POLLOUT if self.pending else 0)
        if self.open and wanted:
            poll.register(self.master, wanted)
        if self.waiting:
            poll.register(self.out, select.POLLOUT)
        if self.input and not self.pending:
            poll.register(0, select.POLLIN)

    def serve(self, ready: "dict[int, int]") -> None:
        """Copies what is there."""
        if self.waiting:
            self._to_caller()
        elif self.master in ready:
            self._from_container()
        if 0 in ready:
            self._from_caller()
        if self.pending:
            self._to_container()

    def drain(self) -> bool:
        """Copies what the ended process has left, as far as it is read; whether something waits for a reader."""
        while True:
            if self.waiting:
                self._to_caller()
            if self.waiting or not self.open or not _is_ready(self.master, select.POLLIN):
                return bool(self.waiting)
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
        if self.out >= 0:
            self.waiting = data
            self._to_caller()

    def _to_caller(self) -> None:
        while self.waiting and _is_ready(self.out, select.POLLOUT):
            try:
                self.waiting = self.waiting[posix.write(self.out, self.waiting[:_PIECE]) :]
            except BlockingIOError:
                return
            except OSError:  # nobody reads it, or the disk is full
                if self.out > 1:
                    posix.close(self.out)
                self.out, self.waiting = -1, b""

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
    if window < 0:
        return
    try:
        size = fcntl.ioctl(window, termios.TIOCGWINSZ, b"\0" * 8)
        if size[:4] != b"\0" * 4:
            fcntl.ioctl(master, termios.TIOCSWINSZ, size)
    except OSError:  # it has hung up
        pass


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


def _output() -> int:
    """Where our output goes. A terminal is opened anew: to one that is stopped a write waits, and the caller's own
    descriptor must stay as it is."""
    if posix.isatty(1):
        try:
            flags = posix.O_WRONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
            return posix.open("/proc/self/fd/1", flags)
        except OSError:
            pass
    return 1


def _is_ready(fd: int, event: int) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(0))


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
