"""A seccomp agent for tests: takes the runtime's connection, and answers notifications of the kernel."""

import array
import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from conformance.runtime import PATIENCE

SECCOMP_IOCTL_NOTIF_RECV = 0xC0502100
SECCOMP_IOCTL_NOTIF_SEND = 0xC0182101
NOTIFICATION = 80  # sizeof(struct seccomp_notif)


class Agent:
    """Listens at `path`; every notified system call is answered with the error `errno`. Use as a context."""

    def __init__(self, path: Path, errno: int) -> None:
        self.path = path
        self.errno = errno
        self.messages: list[bytes] = []
        self.descriptors_by_message: list[int] = []
        self.descriptors: list[int] = []
        self.connections = 0
        self.closed_by_runtime = False
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.stop_reader, self.stop_writer = os.pipe()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> "Agent":
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.thread.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        os.write(self.stop_writer, b"x")
        self.thread.join(PATIENCE)
        for descriptor in (*self.descriptors, self.stop_reader, self.stop_writer):
            os.close(descriptor)
        self.listener.close()

    def serve(self) -> None:
        while True:
            waiting = [self.listener.fileno(), self.stop_reader, *self.descriptors]
            ready = select.select(waiting, [], [])[0]
            if self.stop_reader in ready:
                return
            if self.listener.fileno() in ready:
                self.take_connection()
            for descriptor in [one for one in self.descriptors if one in ready]:
                self.answer(descriptor)

    def take_connection(self) -> None:
        connection, _ = self.listener.accept()
        self.connections += 1
        with connection:
            connection.settimeout(PATIENCE)
            while True:
                try:
                    data, extra, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(32))
                except TimeoutError:
                    return
                found = array.array("i")
                for level, kind, content in extra:
                    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                        found.frombytes(content[: len(content) - len(content) % found.itemsize])
                if not data:
                    self.closed_by_runtime = True
                    return
                self.messages.append(data)
                self.descriptors_by_message.append(len(found))
                self.descriptors += found

    def answer(self, descriptor: int) -> None:
        buffer = ctypes.create_string_buffer(NOTIFICATION)
        try:
            fcntl.ioctl(descriptor, SECCOMP_IOCTL_NOTIF_RECV, buffer)
            cookie = struct.unpack_from("=Q", buffer.raw)[0]
            fcntl.ioctl(descriptor, SECCOMP_IOCTL_NOTIF_SEND, struct.pack("=QqiI", cookie, 0, -self.errno, 0))
        except OSError:  # the process has gone, and its descriptor says so for ever
            self.descriptors.remove(descriptor)
            os.close(descriptor)

    def state(self) -> dict[str, Any]:
        """The container process state that was sent; empty when it is no JSON object."""
        try:
            parsed = json.loads(b"".join(self.messages))
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}
