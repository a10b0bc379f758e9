"""The caller's side of terminals: a real pty for `run -t` and `exec -t`, and the receiver of a console socket."""

import array
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import IO

from tests.support import leftovers
from tests.support.command import PATIENCE


class Screen:
    """The master of a pty: types into it, and waits for what appears."""

    def __init__(self, master: int) -> None:
        self.master = master
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, pattern: str) -> "re.Match[str]":
        """Reads until the pattern appears; what came before it is forgotten."""
        end = time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end() :]
                return found
            if not self._more(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} did not appear in {self.text!r}")

    def rest(self) -> str:
        """Everything until the other side closes."""
        end = time.monotonic() + PATIENCE
        while self._more(end - time.monotonic()):
            pass
        return self.text

    def _more(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], max(seconds, 0))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        os.close(self.master)


class Interactive:
    """A command on a pty of its own, as in a terminal window; stdin, stdout and stderr may be elsewhere."""

    def __init__(self, words: list[str], rows: int = 24, columns: int = 80, **streams: "int | IO[bytes]") -> None:
        master, self.slave = pty.openpty()
        self.screen = Screen(master)
        self.screen.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            words,
            stdin=streams.get("stdin", self.slave),
            stdout=streams.get("stdout", self.slave),
            stderr=streams.get("stderr", self.slave),
            preexec_fn=self._control,  # noqa: PLW1509
        )
        leftovers.OWN.add(self.process.pid)

    def _control(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs these tests in the background has it ignored
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def wait(self) -> int:
        status = self.process.wait(PATIENCE)
        leftovers.OWN.discard(self.process.pid)
        return status

    def mode(self) -> "list[object]":
        """The terminal's mode now."""
        return termios.tcgetattr(self.slave)

    def close(self) -> None:
        os.close(self.slave)
        self.screen.close()


class ConsoleSocket:
    """A socket that takes the master of a container's pty, as conmon and containerd have it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.listener.settimeout(PATIENCE)

    def receive(self) -> tuple[Screen, bytes]:
        """The master, and the bytes that came with it; exactly one descriptor must come."""
        peer, _ = self.listener.accept()
        room = array.array("i")
        data, control, _, _ = peer.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
        for level, kind, body in control:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            room.frombytes(body[: len(body) - len(body) % room.itemsize])
        assert len(room) == 1, room
        peer.close()
        return Screen(room[0]), data

    def close(self) -> None:
        self.listener.close()
