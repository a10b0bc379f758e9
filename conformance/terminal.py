"""The caller's half of --console-socket: receives a terminal's master end, and reads what is written to it."""

import array
import json
import os
import select
import socket
from pathlib import Path
from types import TracebackType
from typing import Optional

from conformance.runtime import PATIENCE, Hang
from conformance.seen import Seen


class ConsoleSocket:
    """A listening UNIX socket at `path`. Use as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.payload = b""
        self.messages = 0
        self.descriptors: list[int] = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> "ConsoleSocket":
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.listener.settimeout(PATIENCE)
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.listener.close()
        for descriptor in self.descriptors:
            os.close(descriptor)

    def receive(self) -> int:
        """Takes the connection and all its messages; the one descriptor that came."""
        try:
            connection, _ = self.listener.accept()
        except TimeoutError:
            raise Hang("nobody connected to the console socket") from None
        with connection:
            connection.settimeout(PATIENCE)
            while True:
                found = array.array("i")
                data, extra, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(8 * found.itemsize))
                for level, kind, content in extra:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        found.frombytes(content[: len(content) - len(content) % found.itemsize])
                self.descriptors += found
                if not data:
                    break
                self.payload += data
                self.messages += 1
        if not self.descriptors:
            raise Hang("no descriptor came over the console socket")
        return self.descriptors[0]

    @staticmethod
    def text(master: int) -> str:
        """All that the terminal's programs wrote, once they have ended."""
        collected = b""
        while select.select([master], [], [], PATIENCE)[0]:
            try:
                more = os.read(master, 65536)
            except OSError:  # EIO: the last slave is closed
                break
            if not more:
                break
            collected += more
        return collected.decode("utf-8", "replace")

    @classmethod
    def report(cls, master: int) -> Seen:
        """The probe's report, out of the terminal."""
        lines = [line for line in cls.text(master).splitlines() if line.startswith("{")]
        if not lines:
            raise Hang("the program wrote no report to its terminal")
        return Seen(json.loads(lines[-1]))
