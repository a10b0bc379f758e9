"""Stands between the caller and a process in the foreground: passes on signals and the terminal, waits for the end."""

import posix
import sys

import pyoci
from pyoci import _shim
from pyoci.init.launch import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Optional

    from pyoci.container.notify import Notify
    from pyoci.container.terminal import Terminal
    from pyoci.init.launch import Process
else:
    import _signal  # `signal` is the same behind enumerations, which cost as much as half of our start

# Not passed on: what concerns our own children or our runtime
_OWN = (_signal.SIGCHLD, _signal.SIGURG, _signal.SIGWINCH)
_KERNELS = (_signal.SIGPIPE, _signal.SIGXFSZ)  # of our own writes; a program that has the runtime in it may send others
_RECORD = 128  # bytes of a struct signalfd_siginfo, which begins with the number; the sender's pid is at 12


class Foreground:
    """Holds signals back from its making on, so that none is lost between the start of the process and the wait."""

    __slots__ = ("before", "notify", "signals", "told")

    def __init__(self) -> None:
        self.notify: "Optional[Notify]" = None
        self.told = False  # to end, when there was nobody any more to pass the signal on to
        self.before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        self.signals = check(_shim.signalfd(), "ask for signals")

    def __enter__(self) -> "Foreground":
        return self

    def __exit__(self, *_: object) -> None:
        """Lets signals through again: a program that has the runtime in it goes on. A command ends: a signal that comes
        after the process's end is for nobody, and must not take its status away."""
        posix.close(self.signals)
        if not pyoci.is_command:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self.before)

    def wait(self, process: "Process", master: int) -> int:
        """Waits for the process; the exit status as a shell gives it: 128 and the signal's number when killed.

        master: the pty's, which is copied from and to our own streams; -1 for none
        """
        pyoci.mark("wait")
        try:
            if master < 0:
                return self._loop(process, None)
            return self._relay(process, master)
        except BaseException:  # a command that can no longer watch it must not leave it alone
            _shim.pidfd_signal(process.pidfd, _signal.SIGKILL)
            raise

    def _relay(self, process: "Process", master: int) -> int:
        from pyoci.container.terminal import Terminal

        terminal = Terminal(master)
        try:
            terminal.resize()
            status = self._loop(process, terminal)
            while terminal.drain() and not self.told:
                self._await_reader(terminal.out)
            return status
        finally:
            terminal.close()

    def _loop(self, process: "Process", terminal: "Optional[Terminal]") -> int:
        status = None
        while status is None:
            self._serve(process, terminal)
            status = _reap(process.pid)
        return 128 + (status & 0x7F) if status & 0x7F else status >> 8

    def _serve(self, process: "Process", terminal: "Optional[Terminal]") -> None:
        """Waits until something happens, and does what that asks for."""
        if terminal is not None or self.notify is not None:
            signalled = self._serve_more(process, terminal)
        else:
            signalled = bool(_shim.poll([self.signals, process.pidfd], -1) & 1)
        if signalled:
            self._pass_on(process, terminal)

    def _serve_more(self, process: "Process", terminal: "Optional[Terminal]") -> bool:
        """The same with a terminal, or somebody to notify; whether signals have come."""
        import select

        poll = select.poll()
        poll.register(self.signals, select.POLLIN)
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
        if self.signals in ready and process.pidfd in ready:
            self.told = not set(self._read()).issubset(_OWN)
            return False
        return self.signals in ready

    def _await_reader(self, out: int) -> None:
        """Waits until somebody reads what the process, which has ended, has left, or until a signal says not to: the
        reader may never come."""
        import select

        poll = select.poll()
        poll.register(self.signals, select.POLLIN)
        poll.register(out, select.POLLOUT)
        if self.signals in dict(poll.poll()):
            self.told = not set(self._read()).issubset(_OWN)

    def _read(self) -> "list[int]":
        """The signals that have come, without those that the kernel has for what we do ourselves."""
        data = posix.read(self.signals, 32 * _RECORD)
        us = posix.getpid()
        words = [
            (int.from_bytes(data[at : at + 4], sys.byteorder), int.from_bytes(data[at + 12 : at + 16], sys.byteorder))
            for at in range(0, len(data), _RECORD)
        ]
        return [number for number, sender in words if not (sender == us and number in _KERNELS)]

    def _pass_on(self, process: "Process", terminal: "Optional[Terminal]") -> None:
        for number in self._read():
            if number == _signal.SIGWINCH and terminal is not None:
                terminal.resize()
            elif number not in _OWN:
                _shim.pidfd_signal(process.pidfd, number)


def _reap(pid: int) -> "Optional[int]":
    """Takes the status of every ended child (as a subreaper we inherit some); that of pid is returned.

    The children of a program that has the runtime in it are that program's.
    """
    which = -1 if pyoci.is_command else pid
    while True:
        try:
            ended, status = posix.waitpid(which, posix.WNOHANG)
        except ChildProcessError:
            return 0
        if ended == 0:
            return None
        if ended == pid:
            return status
