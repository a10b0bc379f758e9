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
GREET_SECONDS = 10.0  # a bus that is stopped, not gone, still takes connections: the next socket is tried after that

SYSTEM_SOCKETS = ("/run/dbus/system_bus_socket", "/run/systemd/private")

_NAME = "org.freedesktop.systemd1"
_MANAGER = "/org/freedesktop/systemd1", _NAME + ".Manager"
_UNIT = _NAME + ".Unit"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_BUS = "/org/freedesktop/DBus", "org.freedesktop.DBus"


class Refused(Exception):
    """An error reply; `name` is D-Bus's, such as org.freedesktop.systemd1.UnitExists."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name.rpartition(".")[2]
        self.text = text


class Lost(Error):
    """The other side went away: a bus or a systemd that is started anew."""


class Bus:
    """A connection to a systemd manager; close() it."""

    _socket: "socket.socket"

    def __init__(self, sockets: "tuple[str, ...]") -> None:
        import jeepney  # type: ignore[import-untyped]

        self._jeepney = jeepney
        self._sockets = sockets
        self._serial = 0
        self._results: "dict[str, str]" = {}  # of finished jobs, by path
        self._connect()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def manager(self, method: str, signature: str = "", *arguments: "Any") -> "tuple[Any, ...]":
        """Call a method of the manager; raises Refused for an error reply, Error for none."""
        return self._call((_NAME, *_MANAGER), method, signature, *arguments)

    def property(self, name: str) -> "Any":
        """A property of the manager."""
        return self._property(*_MANAGER, name)

    def unit_property(self, path: str, name: str) -> "Any":
        """A property that units of all kinds have. path: what GetUnit or LoadUnit gave; systemd loads it again."""
        return self._property(path, _UNIT, name)

    def _property(self, path: str, interface: str, name: str) -> "Any":
        return self._call((_NAME, path, _PROPERTIES), "Get", "ss", interface, name)[0][1]

    def wait(self, job: str, unit: str, active: bool) -> str:
        """The result of a job: "done", or how it failed. active: what the unit is to be after it; that counts when the
        bus was started anew meanwhile, and nobody has told us."""
        deadline = time.monotonic() + JOB_SECONDS
        while job not in self._results:
            try:
                self._receive(deadline, f"the job for unit {unit} did not finish within {JOB_SECONDS:.0f} seconds")
            except Lost:
                self._connect()
                if not self._has_job(unit):
                    return "done" if self._is_active(unit) == active else "failed"
        return self._results.pop(job)

    def _has_job(self, unit: str) -> bool:
        try:
            return bool(self.unit_property(self.manager("GetUnit", "s", unit)[0], "Job")[0])
        except Refused:
            return False

    def _is_active(self, unit: str) -> bool:
        try:
            state = self.unit_property(self.manager("GetUnit", "s", unit)[0], "ActiveState")
        except Refused:
            return False
        return state not in ("inactive", "failed")

    # the connection

    def _connect(self) -> None:
        """The first socket behind which systemd answers: a bus may be there without it."""
        import socket

        first: "Optional[Exception]" = None
        for path in self._sockets:
            self._socket = socket.socket(socket.AF_UNIX)
            self._parser = self._jeepney.Parser()
            try:
                self._socket.settimeout(GREET_SECONDS)
                self._socket.connect(path)
                _authenticate(self._socket)
                self._greet(direct=path.endswith("/systemd/private"))
                return
            except (OSError, Error, Refused) as problem:
                self._socket.close()
                first = first or problem
        raise _unreachable(self._sockets[0], first)

    def _greet(self, direct: bool) -> None:
        """systemd tells everybody on its private socket of its jobs; on a bus one has to ask for it."""
        if direct:
            return
        name = _BUS[1]
        rule = f"type='signal',sender='{_NAME}',interface='{_MANAGER[1]}',member='JobRemoved'"
        self._ask((name, *_BUS), "Hello", "", (), GREET_SECONDS)
        self._ask((name, *_BUS), "AddMatch", "s", (rule,), GREET_SECONDS)
        self._ask((_NAME, *_MANAGER), "Subscribe", "", (), GREET_SECONDS)

    def _call(self, to: "tuple[str, str, str]", method: str, signature: str, *arguments: "Any") -> "tuple[Any, ...]":
        """Once more if the other side went away, except for what systemd may have done already, and would refuse."""
        try:
            return self._ask(to, method, signature, arguments, CALL_SECONDS)
        except Lost:
            if method == "StartTransientUnit":
                raise
        self._connect()
        return self._ask(to, method, signature, arguments, CALL_SECONDS)

    def _ask(
        self, to: "tuple[str, str, str]", method: str, signature: str, arguments: "tuple[Any, ...]", seconds: float
    ) -> "tuple[Any, ...]":
        """to: the name on the bus, the object's path, the interface. systemd's private socket takes the name, too."""
        name, path, interface = to
        address = self._jeepney.DBusAddress(path, bus_name=name, interface=interface)
        message = self._jeepney.new_method_call(address, method, signature or None, arguments)
        self._serial += 1
        serial = self._serial
        deadline, complaint = (
            time.monotonic() + seconds,
            f"systemd did not answer {method} within {seconds:.0f} seconds",
        )
        self._send(message.serialise(serial=serial), seconds, complaint)
        fields = self._jeepney.HeaderFields
        while True:
            reply = self._receive(deadline, complaint)
            if reply.header.fields.get(fields.reply_serial) != serial:
                continue
            if reply.header.message_type == self._jeepney.MessageType.error:
                error = str(reply.header.fields.get(fields.error_name))
                raise Refused(error, str(reply.body[0]) if reply.body else error)
            return tuple(reply.body)

    def _send(self, data: bytes, seconds: float, complaint: str) -> None:
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(data)
        except OSError as problem:
            raise _failed(problem, complaint) from None

    def _receive(self, deadline: float, complaint: str) -> "Any":
        """The next message; results of jobs are noted on the way."""
        while (message := self._parser.get_next_message()) is None:
            try:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._socket.settimeout(left)
                data = self._socket.recv(65536)
                if not data:
                    raise ConnectionResetError
            except OSError as problem:
                raise _failed(problem, complaint) from None
            self._parser.add_data(data)
        if message.header.fields.get(self._jeepney.HeaderFields.member) == "JobRemoved":
            self._results[message.body[1]] = message.body[3]
        return message


def _failed(problem: OSError, complaint: str) -> Error:
    """What became of a connection, as an error of ours."""
    if isinstance(problem, TimeoutError):
        hint = "`systemctl status` says whether systemd is well; nothing was waited for any longer"
        return Error(complaint, step="systemd", hint=hint, kind="host")
    if isinstance(problem, ConnectionError):
        return Lost("systemd closed the connection", step="systemd", hint="was it started anew? try again", kind="host")
    return Error(step="talk to systemd", errno=problem.errno or 0, kind="host")


def _unreachable(path: str, problem: "Optional[Exception]") -> Error:
    """problem: what happened at the first socket, whose fault it is that the others were tried."""
    hint = "is the bus running? `--systemd-cgroup` needs it; without, cgroups are made directly"
    step = f"connect to systemd at {path}"
    if isinstance(problem, OSError) and problem.errno:
        return Error(step=step, errno=problem.errno, hint=hint, kind="host")
    if isinstance(problem, OSError):
        return Error(f"no answer within {GREET_SECONDS:.0f} seconds", step=step, hint=hint, kind="host")
    return Error(str(problem), step=step, hint=hint, kind="host")


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
