"""sd_notify(3) for containers: a socket of our own stands for the caller's, and readiness is passed on.

The container finds it at /run/notify/notify.sock. What it says is not trusted: only that it is ready gets through, with
the pid that we know.
"""

from __future__ import annotations

import os
import select
import socket

from pyoci.container.state import NOTIFY, Entry

_SOCKET = "notify.sock"


class Notify:
    """Listens for one container.

    target: the caller's NOTIFY_SOCKET
    stays:  our own process stays until the container ends, and ends as it did. systemd then must not hear of the
            container's: of one that is no child of its own it does not notice the end
    """

    __slots__ = ("listener", "pid", "stays", "target")

    def __init__(self, entry: Entry, target: str, stays: bool = False) -> None:
        self.target = target
        self.stays = stays
        self.pid = int(entry.record["init_process_pid"])
        directory = os.open(NOTIFY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=entry.fd)
        try:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.listener.bind(f"/proc/self/fd/{directory}/{_SOCKET}")
            os.chmod(_SOCKET, 0o777, dir_fd=directory)  # whatever user the program becomes may speak
        finally:
            os.close(directory)
        self.listener.setblocking(False)

    def fileno(self) -> int:
        """For poll."""
        return self.listener.fileno()

    def close(self) -> None:
        """Stops listening."""
        self.listener.close()

    def serve(self) -> bool:
        """Reads what has come; True when the container said that it is ready, which has been passed on."""
        while True:
            try:
                message = self.listener.recv(4096)
            except BlockingIOError:
                return False
            if b"READY=1" in message.split(b"\n"):
                self._tell(b"READY=1\n")
                if not self.stays:
                    self._tell(f"MAINPID={self.pid}\n".encode())
                return True

    def wait(self, pidfd: int) -> None:
        """Waits until the container is ready, or its process has ended."""
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self.fileno() in ready and self.serve():
                return
            if pidfd in ready:
                return

    def _tell(self, message: bytes) -> None:
        """A manager that has gone meanwhile is no reason to end a container that runs."""
        name = self.target
        address = "\0" + name[1:] if name.startswith("@") else name
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(message, address)
            except OSError:
                return
