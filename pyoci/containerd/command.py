"""The program `containerd-shim-pyoci-v1`: its flags, the actions start and delete, -info, -v."""

import posix

import pyoci
from pyoci import _shim
from pyoci.containerd import messages
from pyoci.containerd.codec import Malformed, decode, encode
from pyoci.containerd.files import OPTIONS_FILE, STATE_ROOT, bundle_config
from pyoci.errors import Error
from pyoci.fileio import read_all, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyoci.containerd.codec import Message

NAME = "io.containerd.pyoci.v1"
SOCKETS = "/run/containerd/s"
CONFIG = "/etc/pyoci/shim.toml"
WHOLE_NAMESPACE = "io.pyoci.shim"  # an annotation: "namespace" for one shim a namespace
_NAMESPACE = "namespace"
_GROUPS = ("io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id")
_MAX_INPUT = 4 << 20
_FLAGS = ("namespace", "id", "address", "publish-binary", "bundle", "socket", "debug-socket")
_SWITCHES = ("debug", "v", "version", "info")
_LOCK, _KILLED = 2, 137


class Words:
    """The command line, as Go's package flag reads it."""

    def __init__(self, words: "list[str]") -> None:
        self.values = dict.fromkeys(_FLAGS, "")
        self.switches: "set[str]" = set()
        self.action = ""
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-") or word in ("-", "--"):
                self.action = word
                continue
            name, equals, value = word.lstrip("-").partition("=")
            if name in _SWITCHES:
                if value.lower() not in ("false", "0", "f"):
                    self.switches.add(name)
            elif name in self.values:
                if not equals and not rest:
                    raise Error(f"the flag -{name} needs a value", kind="usage")
                self.values[name] = value if equals else rest.pop(0)
            else:
                raise Error(f"there is no flag -{name}", kind="usage")


def main(words: "list[str]") -> int:
    """Does what the command line says; returns the exit status."""
    return _told(lambda: _run(Words(words)))


def _told(action: "Callable[[], int]") -> int:
    """What an action returns; 1 when it fails, with a line that says why."""
    try:
        return action()
    except (Error, OSError) as problem:
        text = str(problem)
    except Malformed as problem:
        text = f"standard input is malformed: {problem}"
    except Exception as problem:
        text = f"internal error: {type(problem).__name__}: {problem}"
    posix.write(2, f"containerd-shim-pyoci-v1: {text}\n".encode("utf-8", "replace"))
    return 1


def _run(words: Words) -> int:
    if words.switches & {"v", "version"}:
        write_all(1, f"containerd-shim-pyoci-v1:\n  Version:  {pyoci.__version__}\n  Runtime:  {NAME}\n".encode())
        return 0
    if "info" in words.switches:
        return _info()
    if words.action == "start":
        return _start(words)
    if words.action == "delete":
        return _delete(words)
    raise Error(
        "the action is missing" if not words.action else f"there is no action {words.action}",
        kind="usage",
        hint="containerd starts this program: with `start` or `delete`",
    )


def _variable(name: str) -> str:
    return posix.environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")


# start


class Wish:
    """What containerd wants started; is_json, is_bootstrap: how it is to be answered from 2.3 on."""

    def __init__(self, words: Words, data: bytes) -> None:
        self.namespace = words.values["namespace"] or _variable("NAMESPACE")
        self.container = words.values["id"]
        self.address = words.values["address"] or _variable("GRPC_ADDRESS")
        self.events = _variable("TTRPC_ADDRESS")
        self.is_debug = "debug" in words.switches
        self.is_json = self.is_bootstrap = False
        self.options = decode(messages.OPTIONS, b"")
        if data[:1] == b"{":
            self._read_json(data)
        elif data:
            self._read(data)
        if not self.container or not self.namespace:
            raise Error("-namespace and -id must be given", kind="usage")
        if "/" in self.container or "/" in self.namespace:
            raise Error("neither namespace nor id may have a /", kind="refused")

    def _read_json(self, data: bytes) -> None:
        from pyoci.json.document import parse

        given = parse(data, name="standard input")
        if not isinstance(given, dict):
            raise Error("standard input is not a JSON object", kind="refused")
        self.is_json = True
        for name in ("instance_id", "namespace", "containerd_ttrpc_address", "containerd_grpc_address"):
            head, *tail = name.split("_")
            value = given.get(name) or given.get(head + "".join(word.capitalize() for word in tail)) or ""
            self._take(name, str(value))

    def _read(self, data: bytes) -> None:
        """An Any with options has nothing but fields 1 and 2, and the parameters of 2.3 have more."""
        try:
            given = decode(messages.BOOTSTRAP, data)
            self.is_bootstrap = bool(given["containerd_ttrpc_address"] or given["containerd_grpc_address"])
        except Malformed:
            pass
        try:
            if self.is_bootstrap:
                for name in ("instance_id", "namespace", "containerd_ttrpc_address", "containerd_grpc_address"):
                    self._take(name, given[name])
                for extension in given["extensions"]:
                    self._take_options(extension["value"])
            else:
                self._take_options(decode(messages.ANY, data))
        except Malformed as problem:
            raise Error(f"standard input is malformed: {problem}", kind="refused") from None

    def _take(self, name: str, value: str) -> None:
        if value:
            place = {"instance_id": "container", "namespace": "namespace", "containerd_ttrpc_address": "events"}
            setattr(self, place.get(name, "address"), value)

    def _take_options(self, given: "Message | None") -> None:
        if given and given["type_url"].endswith("containerd.runc.v1.Options"):
            self.options = decode(messages.OPTIONS, given["value"])


class Start:
    """What a `start` has found out. listener: -1 where a shim serves the group already."""

    def __init__(self, words: Words) -> None:
        from pyoci.containerd import sockets

        self.wish = wish = Wish(words, read_all(0, _MAX_INPUT) if not posix.isatty(0) else b"")
        self.bundle = words.values["bundle"] or posix.getcwd()
        group = _group(wish, self.bundle)
        self.is_shared = group != wish.container
        self.is_of_namespace = group == _NAMESPACE  # then there are no more to be forked
        name = sockets.name_for(wish.address, wish.namespace, group)
        self.socket = f"{SOCKETS}/{name}"
        self.listener = sockets.listen(SOCKETS, name)

    def answer(self) -> None:
        """Says where the shim is."""
        address = f"unix://{self.socket}"
        _write(f"{self.bundle}/address", address.encode())
        write_all(1, _answer(self.wish, address))

    def serve(self) -> None:
        """In the process that stays. It does not return."""
        status = 1
        try:
            null = posix.open("/dev/null", posix.O_RDWR)
            for fd in range(3):
                posix.dup2(null, fd)
            if null > 2:
                posix.close(null)
            from pyoci.containerd.serve import serve

            serve(self.wish, self.listener, self.bundle, self.socket, self.is_shared)
            status = 0
        finally:
            posix._exit(status)


def _start(words: Words) -> int:
    from pyoci.containerd import template

    path = template.wanted()
    started = Start(words)
    if started.listener >= 0 and _fork() == 0:
        started.serve()
    started.answer()
    if started.listener >= 0:
        posix.close(started.listener)  # the shim's; who holds it, too, would seem to serve when that has ended
    if path and not started.is_of_namespace:
        template.leave_behind(path, start_in_fork)
    return 0


def start_in_fork(words: "list[str]", tell: "Callable[[int], object]") -> None:
    """The same in a fork of the template, which becomes the shim. tell: to be called with the exit status."""
    found: "list[Start]" = []

    def begin() -> int:
        found.append(Start(Words(words)))
        found[0].answer()
        return 0

    status = _told(begin)
    tell(status)
    if status == 0 and found[0].listener >= 0:
        found[0].serve()


def _group(wish: Wish, bundle: str) -> str:
    """Containers of one group have one shim."""
    annotations = bundle_config(bundle).get("annotations") or {}
    if annotations.get(WHOLE_NAMESPACE, _configured()) == _NAMESPACE:
        return _NAMESPACE
    for name in _GROUPS:
        if annotations.get(name):
            return str(annotations[name])
    return wish.container


def _configured() -> str:
    """What /etc/pyoci/shim.toml says of `shim`."""
    try:
        fd = posix.open(CONFIG, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return ""
    import tomllib

    try:
        return str(tomllib.loads(read_all(fd, _MAX_INPUT).decode()).get("shim", ""))
    except ValueError as problem:
        raise Error(str(problem), location=CONFIG) from None
    finally:
        posix.close(fd)


def _answer(wish: Wish, address: str) -> bytes:
    """1.6 wants the bare address, later ones say how much they know."""
    newest = _variable("MAX_SHIM_VERSION")
    version = 3 if newest.isdigit() and int(newest) >= 3 else 2
    if wish.is_bootstrap:
        return encode(messages.BOOTSTRAPPED, {"version": 3, "address": address, "protocol": "ttrpc"})
    if wish.is_json:
        version = 3
    if not wish.is_json and not newest:
        return address.encode()
    return f'{{"version":{version},"address":"{address}","protocol":"ttrpc"}}'.encode()


def _fork() -> int:
    pid = posix.fork()
    if pid == 0:
        posix.setsid()
    return pid


def _write(path: str, data: bytes) -> None:
    """The file appears whole."""
    scratch = f"{path}.new"
    fd = posix.open(scratch, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC, 0o600)
    try:
        posix.write(fd, data)
    finally:
        posix.close(fd)
    posix.rename(scratch, path)


# delete


def _delete(words: Words) -> int:
    """Removes what is left of a container, be there a shim or not."""
    import time

    container, namespace = words.values["id"], words.values["namespace"] or _variable("NAMESPACE")
    bundle = words.values["bundle"] or posix.getcwd()
    if not container or "/" in container or "/" in namespace:
        raise Error("-id must be given, and have no /", kind="usage")
    note = _note(bundle)
    root = note.get("root") or f"{STATE_ROOT}/{namespace}"
    problem = ""
    if _exists(f"{root}/{container}"):
        problem = _remove(root, container, str(note.get("cgroup_manager") or "cgroupfs"))
    if _exists(f"{bundle}/rootfs"):
        from pyoci.containerd.mounts import unmount

        try:
            unmount(f"{bundle}/rootfs")
        except Error as left:
            problem = problem or str(left)
    _sweep()
    if problem:
        posix.write(2, f"containerd-shim-pyoci-v1: {problem}\n".encode("utf-8", "replace"))
    deleted = {"exit_status": _KILLED, "exited_at": messages.timestamp(time.time_ns())}
    write_all(1, encode(messages.DELETED, deleted))
    return 0


def _sweep() -> None:
    """The sockets of shims that were killed."""
    from pyoci.containerd import sockets

    try:
        with sockets.Lock(SOCKETS):
            sockets.sweep(SOCKETS)
    except OSError:
        pass  # there is none


def _remove(root: str, container: str, driver: str) -> str:
    from pyoci.runtime import Runtime

    _shim.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    try:
        Runtime(root, cgroup_manager=driver).delete(container, force=True)
    except (Error, OSError) as problem:
        return str(problem)
    return ""


def _note(bundle: str) -> "dict[str, Any]":
    """What the shim has written down for us."""
    from pyoci.json.document import parse

    try:
        fd = posix.open(f"{bundle}/{OPTIONS_FILE}", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            note = parse(read_all(fd, 65536), name=OPTIONS_FILE)
        finally:
            posix.close(fd)
    except (OSError, Error):
        return {}
    return note if isinstance(note, dict) else {}


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


# -info


def _info() -> int:
    """The features document, and what we are."""
    from pyoci.documents.features import document
    from pyoci.json.document import dump

    try:
        request = decode(messages.RUNTIME_REQUEST, read_all(0, _MAX_INPUT))
    except Malformed as problem:
        raise Error(f"standard input is malformed: {problem}", kind="refused") from None
    kind = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"
    info = {
        "name": NAME,
        "version": {"version": pyoci.__version__},
        "options": request["options"],
        "features": {"type_url": kind, "value": dump(document()).encode()},
    }
    write_all(1, encode(messages.RUNTIME_INFO, info))
    return 0
