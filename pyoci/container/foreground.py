"""Stands between the caller and a process in the foreground: passes on signals and the terminal, waits for the end."""

import posix
import select

import pyoci
from pyoci._shim import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Optional

    from pyoci.container.notify import Notify
    from pyoci.container.terminal import Terminal
    from pyoci.launch import Process
else:
    import _signal  # `signal` is the same behind enumerations, which cost as much as half of our start

# Not passed on: what concerns our own children, our runtime, or cannot be caught
_OWN = (_signal.SIGCHLD, _signal.SIGURG, _signal.SIGKILL, _signal.SIGSTOP, _signal.SIGWINCH)
_FAULTS = (_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL)


class Foreground:
    """Catches signals from its making on, so that none is lost between the start of the process and the wait."""

    __slots__ = ("notify", "reader", "writer")

    def __init__(self) -> None:
        self.notify: "Optional[Notify]" = None
        self.reader, self.writer = posix.pipe()
        posix.set_blocking(self.reader, False)
        posix.set_blocking(self.writer, False)
        for number in _signal.valid_signals():
            if number not in (*_FAULTS, _signal.SIGKILL, _signal.SIGSTOP):
                _signal.signal(number, _caught)
        _signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)

    def wait(self, process: "Process", master: int) -> int:
        """Waits for the process; the exit status as a shell gives it: 128 and the signal's number when killed.

        master: the pty's, which is copied from and to our own streams; -1 for none
        """
        pyoci.mark("wait")
        if master < 0:
            return self._loop(process, None)
        from pyoci.container.terminal import Terminal

        terminal = Terminal(master)
        try:
            terminal.resize()
            return self._loop(process, terminal)
        finally:
            terminal.close()

    def _loop(self, process: "Process", terminal: "Optional[Terminal]") -> int:
        status = None
        while status is None:
            self._serve(process, terminal)
            status = _reap(process.pid)
        if terminal is not None:
            terminal.drain()
        return 128 + (status & 0x7F) if status & 0x7F else status >> 8

    def _serve(self, process: "Process", terminal: "Optional[Terminal]") -> None:
        """Waits until something happens, and does what that asks for."""
        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        poll.register(process.pidfd, select.POLLIN)
        if self.notify is not None:
            poll.register(self.notify, select.POLLIN)
        if terminal is not None:
            terminal.register(poll)
        ready = dict(poll.poll())
        if terminal is not None:
            terminal.serve(ready)
        if self.notify is not None and self.notify.fileno() in ready and self.notify.serve():
            self.notify.close()
            self.notify = None
        if self.reader in ready:
            self._pass_on(process, terminal)

    def _pass_on(self, process: "Process", terminal: "Optional[Terminal]") -> None:
        for number in posix.read(self.reader, 4096):
            if number == _signal.SIGWINCH and terminal is not None:
                terminal.resize()
            elif number not in _OWN:
                lib.shim_pidfd_signal(process.pidfd, number)


def _caught(_number: int, _frame: object) -> None:
    """The wakeup pipe has taken note already."""


def _reap(pid: int) -> "Optional[int]":
    """Takes the status of every ended child (as a subreaper we inherit some); that of pid is returned."""
    while True:
        try:
            ended, status = posix.waitpid(-1, posix.WNOHANG)
        except ChildProcessError:
            return 0
        if ended == 0:
            return None
        if ended == pid:
            return status
