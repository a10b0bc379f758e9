"""Calls to systemd's manager over D-Bus (man 5 org.freedesktop.systemd1), and waiting for the jobs they start.

jeepney builds and reads the messages. The connection is ours: root may reach systemd without a bus, on its private
socket, and inside a user namespace only the kernel knows the uid that the bus is to believe.
"""

import time

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Optional

CALL_SECONDS = 30.0
JOB_SECONDS = 30.0

SYSTEM_SOCKETS = ("/run/dbus/system_bus_socket", "/run/systemd/private")

_NAME = "org.freedesktop.systemd1"
_MANAGER = "/org/freedesktop/systemd1", _NAME + ".Manager"
_PROPERTIES = "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties"


class Refused(Exception):
    """An error reply; `name` is D-Bus's, such as org.freedesktop.systemd1.UnitExists."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name.rpartition(".")[2]
        self.text = text


class Bus:
    """A connection to a systemd manager; close() it."""

    def __init__(self, sockets: "tuple[str, ...]") -> None:
        import jeepney  # type: ignore[import-untyped]

        self._jeepney = jeepney
        self._parser = jeepney.Parser()
        self._serial = 0
        self._results: "dict[str, str]" = {}  # of finished jobs, by path
        self._socket, where = _connect(sockets)
        self._direct = where.endswith("/systemd/private")
        if not self._direct:
            self._call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", name="org.freedesktop.DBus")
            rule = f"type='signal',interface='{_MANAGER[1]}',member='JobRemoved'"
            self._call(
                "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", rule, name="org.freedesktop.DBus"
            )
            self.manager("Subscribe")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def manager(self, method: str, signature: str = "", *arguments: "Any") -> "tuple[Any, ...]":
        """Call a method of the manager; raises Refused for an error reply, Error for none."""
        return self._call(*_MANAGER, method, signature, *arguments)

    def property(self, name: str) -> "Any":
        """A property of the manager."""
        return self._call(*_PROPERTIES, "Get", "ss", _MANAGER[1], name)[0][1]

    def _call(
        self, path: str, interface: str, method: str, signature: str = "", *arguments: "Any", name: str = _NAME
    ) -> "tuple[Any, ...]":
        address = self._jeepney.DBusAddress(path, bus_name=None if self._direct else name, interface=interface)
        message = self._jeepney.new_method_call(address, method, signature or None, arguments)
        self._serial += 1
        serial = self._serial
        self._socket.sendall(message.serialise(serial=serial))
        deadline = time.monotonic() + CALL_SECONDS
        while True:
            reply = self._receive(deadline, f"systemd did not answer {method}")
            if reply.header.fields.get(self._jeepney.HeaderFields.reply_serial) != serial:
                continue
            if reply.header.message_type == self._jeepney.MessageType.error:
                error = str(reply.header.fields.get(self._jeepney.HeaderFields.error_name))
                raise Refused(error, str(reply.body[0]) if reply.body else error)
            return tuple(reply.body)

    def _receive(self, deadline: float, complaint: str) -> "Any":
        """The next message; results of jobs are noted on the way."""
        while (message := self._parser.get_next_message()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Error(f"{complaint} within {CALL_SECONDS:.0f} seconds", step="systemd", kind="host")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise Error("systemd closed the connection", step="systemd", kind="host")
            self._parser.add_data(data)
        if message.header.fields.get(self._jeepney.HeaderFields.member) == "JobRemoved":
            self._results[message.body[1]] = message.body[3]
        return message

    def wait(self, job: str, unit: str) -> str:
        """The result of a job: "done", or how it failed."""
        deadline = time.monotonic() + JOB_SECONDS
        while job not in self._results:
            self._receive(deadline, f"the job for unit {unit} did not finish")
        return self._results.pop(job)


def _connect(sockets: "tuple[str, ...]") -> "tuple[socket.socket, str]":
    import socket

    refused: "Optional[OSError]" = None
    for path in sockets:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(CALL_SECONDS)
            connection.connect(path)
            _authenticate(connection)
            return connection, path
        except OSError as error:
            connection.close()
            refused = refused or error
    number = refused.errno if refused is not None else 0
    hint = "is the bus running? `--systemd-cgroup` needs it; without, cgroups are made directly"
    raise Error(step=f"connect to systemd at {sockets[0]}", errno=number or 0, hint=hint, kind="host")


def _authenticate(connection: "socket.socket") -> None:
    """EXTERNAL without naming a uid: the other side asks the kernel (D-Bus specification, Authentication)."""
    for line, answer in ((b"\0AUTH EXTERNAL\r\n", b"DATA"), (b"DATA\r\n", b"OK")):
        connection.sendall(line)
        received = b""
        while not received.endswith(b"\r\n"):
            chunk = connection.recv(256)
            if not chunk:
                break
            received += chunk
        if not received.startswith(answer):
            raise PermissionError(13, "not authenticated")
    connection.sendall(b"BEGIN\r\n")


def user_sockets(environment: "dict[bytes, bytes]") -> "tuple[str, ...]":
    """Where the user's own manager listens."""
    found = []
    address = environment.get(b"DBUS_SESSION_BUS_ADDRESS", b"").decode("utf-8", "surrogateescape")
    for part in address.split(";"):
        if part.startswith("unix:path="):
            found.append(part[len("unix:path=") :].split(",")[0])
    runtime = environment.get(b"XDG_RUNTIME_DIR", b"").decode("utf-8", "surrogateescape")
    if runtime:
        found += [runtime + "/bus", runtime + "/systemd/private"]
    return tuple(dict.fromkeys(found))
