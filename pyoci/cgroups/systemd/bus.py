"""Calls to systemd's manager over D-Bus (man 5 org.freedesktop.systemd1), and waiting for the jobs they start.

libsystemd speaks D-Bus (messages.py). Its private socket is asked first: there is no bus in between, nobody is to be
greeted, and systemd tells everybody there of its jobs. Users without the right to that socket ask a bus.
"""

import errno
import time

from pyoci.cgroups.systemd.messages import check, library
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CALL_SECONDS = 30.0
JOB_SECONDS = 30.0
GREET_SECONDS = 10.0  # a bus that is stopped, not gone, still takes connections: the next socket is tried after that

SYSTEM_SOCKETS = ("/run/dbus/system_bus_socket", "/run/systemd/private")
_PRIVATE = "/systemd/private"

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

    def __init__(self, sockets: "tuple[str, ...]") -> None:
        self._library = library()
        self._sockets = sockets
        self._bus: "Any" = None
        self._results: "dict[str, str]" = {}  # of finished jobs, by path
        self._replies: "dict[int, tuple[str, tuple[Any, ...]]]" = {}  # by the call's cookie: error's name or "", body
        self._connect()

    def close(self) -> None:
        """Closes the connection."""
        if self._bus is not None:
            self._library.call.sd_bus_close(self._bus)
            self._library.call.sd_bus_unref(self._bus)
            self._bus = None

    def manager(self, method: str, signature: str = "", *arguments: "Any") -> "tuple[Any, ...]":
        """Calls a method of the manager; raises Refused for an error reply, Error for none."""
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
        problems: "dict[str, Exception]" = {}
        for path in sorted(self._sockets, key=_is_of_a_bus):
            self.close()
            try:
                self._open(path)
                return
            except (OSError, Error, Refused) as problem:
                problems[path] = problem
        self.close()
        raise _unreachable(self._sockets[0], problems[self._sockets[0]])

    def _open(self, path: str) -> None:
        call, made = self._library.call, self._library.ffi.new("sd_bus **")
        check(call.sd_bus_new(made))
        self._bus, self._replies = made[0], {}
        check(call.sd_bus_set_address(self._bus, b"unix:path=" + _escaped(path)))
        check(call.sd_bus_negotiate_fds(self._bus, 0))
        check(call.sd_bus_set_bus_client(self._bus, int(_is_of_a_bus(path))))
        check(call.sd_bus_start(self._bus))
        deadline, complaint = time.monotonic() + GREET_SECONDS, f"no answer within {GREET_SECONDS:.0f} seconds"
        while not check(call.sd_bus_is_ready(self._bus)):
            self._receive(deadline, complaint)
        if _is_of_a_bus(path):
            self._subscribe(deadline, complaint)

    def _subscribe(self, deadline: float, complaint: str) -> None:
        """Asks the bus to be told of jobs, and systemd to tell of them: in one go."""
        rule = f"type='signal',sender='{_NAME}',interface='{_MANAGER[1]}',member='JobRemoved'"
        sent = [
            self._send((_BUS[1], *_BUS), "AddMatch", "s", (rule,)),
            self._send((_NAME, *_MANAGER), "Subscribe", "", ()),
        ]
        for cookie in sent:
            self._reply(cookie, deadline, complaint)

    def _call(self, to: "tuple[str, str, str]", method: str, signature: str, *arguments: "Any") -> "tuple[Any, ...]":
        """Once more if the other side went away, except for what systemd may have done already, and would refuse."""
        try:
            return self._ask(to, method, signature, arguments)
        except Lost:
            if method == "StartTransientUnit":
                raise
        self._connect()
        return self._ask(to, method, signature, arguments)

    def _ask(
        self, to: "tuple[str, str, str]", method: str, signature: str, arguments: "tuple[Any, ...]"
    ) -> "tuple[Any, ...]":
        deadline = time.monotonic() + CALL_SECONDS
        cookie = self._send(to, method, signature, arguments)
        return self._reply(cookie, deadline, f"systemd did not answer {method} within {CALL_SECONDS:.0f} seconds")

    def _send(self, to: "tuple[str, str, str]", method: str, signature: str, arguments: "tuple[Any, ...]") -> int:
        """The cookie by which the reply names the call. to: the name on the bus, the object's path, the interface."""
        codec, call = self._library, self._library.call
        made, cookie = codec.ffi.new("sd_bus_message **"), codec.ffi.new("uint64_t *")
        words = [word.encode() for word in (*to, method)]
        try:
            check(call.sd_bus_message_new_method_call(self._bus, made, *words))
            codec.append(made[0], signature, arguments)
            check(call.sd_bus_send(self._bus, made[0], cookie))
        except OSError as problem:
            raise _failed(problem, "", f"call systemd's {method}") from None
        finally:
            call.sd_bus_message_unref(made[0])
        return int(cookie[0])

    def _reply(self, cookie: int, deadline: float, complaint: str) -> "tuple[Any, ...]":
        while cookie not in self._replies:
            self._receive(deadline, complaint)
        error, body = self._replies.pop(cookie)
        if error:
            raise Refused(error, body[0])
        return body

    def _receive(self, deadline: float, complaint: str) -> None:
        """Takes in what has come, or wait for something to come. Errors: Error, with the complaint when time is up."""
        codec, call = self._library, self._library.call
        into = codec.ffi.new("sd_bus_message **")
        try:
            if check(call.sd_bus_process(self._bus, into)) == 0:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                check(call.sd_bus_wait(self._bus, int(left * 1_000_000) + 1))
            elif into[0]:
                self._note(into[0])
        except OSError as problem:
            if problem.errno != errno.EINTR:  # Python has looked after the signal by now
                raise _failed(problem, complaint) from None
        finally:
            call.sd_bus_message_unref(into[0])

    def _note(self, message: "Any") -> None:
        """Keeps a reply, or a job's end."""
        codec, call = self._library, self._library.call
        kind, cookie = codec.ffi.new("uint8_t *"), codec.ffi.new("uint64_t *")
        check(call.sd_bus_message_get_type(message, kind))
        if call.sd_bus_message_is_signal(message, _MANAGER[1].encode(), b"JobRemoved") > 0:
            _, job, _, result = codec.read(message)
            self._results[job] = result
        elif kind[0] == call.SD_BUS_MESSAGE_METHOD_RETURN:
            check(call.sd_bus_message_get_reply_cookie(message, cookie))
            self._replies[int(cookie[0])] = "", codec.read(message)
        elif kind[0] == call.SD_BUS_MESSAGE_METHOD_ERROR:
            check(call.sd_bus_message_get_reply_cookie(message, cookie))
            error = call.sd_bus_message_get_error(message)
            name = codec.text(error.name)
            self._replies[int(cookie[0])] = name, (codec.text(error.message) if error.message else name,)


def _failed(problem: OSError, complaint: str, step: str = "talk to systemd") -> Error:
    """What became of a connection, as an error of ours; `complaint` is for the end of our patience."""
    if isinstance(problem, TimeoutError):
        hint = "`systemctl status` says whether systemd is well; nothing was waited for any longer"
        return Error(complaint, step="systemd", hint=hint, kind="host")
    if problem.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN, errno.ESHUTDOWN):
        return Lost("systemd closed the connection", step="systemd", hint="was it started anew? try again", kind="host")
    return Error(step=step, errno=problem.errno or 0, kind="host")


def _unreachable(path: str, problem: Exception) -> Error:
    """problem: what happened at the first socket, whose fault it is that the others were tried."""
    hint = "is the bus running? `--systemd-cgroup` needs it; without, cgroups are made directly"
    step = f"connect to systemd at {path}"
    if path not in SYSTEM_SOCKETS and isinstance(problem, (Error, OSError)) and problem.errno == errno.ENOENT:
        hint = "does this user's systemd run? log in, or have root say `loginctl enable-linger USER`"
    if isinstance(problem, Error):
        return Error(problem.text, step=step, errno=problem.errno, hint=hint, kind="host")
    number = problem.errno or 0 if isinstance(problem, OSError) else 0
    return Error("" if number else str(problem), step=step, errno=number, hint=hint, kind="host")


def _is_of_a_bus(path: str) -> bool:
    return not path.endswith(_PRIVATE)


def _escaped(path: str) -> bytes:
    """A path as a D-Bus address has it."""
    plain = b"-_/.\\*"
    return b"".join(
        bytes((byte,)) if bytes((byte,)).isalnum() or byte in plain else b"%%%02x" % byte
        for byte in path.encode("utf-8", "surrogateescape")
    )


def _unescaped(path: str) -> str:
    first, *others = path.encode("utf-8", "surrogateescape").split(b"%")
    found = first
    for part in others:
        try:
            found += bytes((int(part[:2], 16),)) + part[2:]
        except ValueError:
            found += b"%" + part
    return found.decode("utf-8", "surrogateescape")


def user_sockets(environment: "dict[bytes, bytes]") -> "tuple[str, ...]":
    """Where the user's own manager listens."""
    found = []
    address = environment.get(b"DBUS_SESSION_BUS_ADDRESS", b"").decode("utf-8", "surrogateescape")
    for part in address.split(";"):
        if part.startswith("unix:path="):
            found.append(_unescaped(part[len("unix:path=") :].split(",")[0]))
    runtime = environment.get(b"XDG_RUNTIME_DIR", b"").decode("utf-8", "surrogateescape")
    if runtime:
        found += [runtime + "/bus", runtime + "/systemd/private"]
    return tuple(dict.fromkeys(found))
