"""Where sandboxes keep what they need on the host: states, and root filesystems made of the host's own system.

Each is named after the program that has it, by pid and start time; what a killed program has left is removed by the
next that makes a sandbox.
"""

import atexit
import os
import stat
from _thread import allocate_lock

from pyoci.container.state import start_time
from pyoci.errors import Error
from pyoci.sandbox.wishes import HOME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyoci.runtime import Runtime
    from pyoci.sandbox.wishes import Wishes

# Of the host's /etc: what programs need to start, to know the time zone and to trust certificates
_ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
    "mime.types", "pki", "protocols", "services", "ssl", "timezone", "crypto-policies", "fonts",
)  # fmt: skip
_RESOLV = "resolv.conf"
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_EMPTY = ("usr", "etc", "proc", "dev", "tmp", "home", "run", "var", "opt", "srv", "mnt", HOME[1:], "var/tmp")


def _me() -> str:
    return f"{os.getpid()}-{start_time(os.getpid())}"


def _ours(path: str) -> str:
    """Makes a directory that is ours alone, and sees that it is."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as problem:
        raise Error(f"make {path}", errno=problem.errno or 0) from None
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Error(f"{path} is not a directory of ours alone", hint="remove it", kind="host")
    return path


def base() -> str:
    """The directory of all sandboxes of this user."""
    if os.geteuid() == 0:
        return _ours("/run/pyoci-sandbox")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and os.access(runtime, os.W_OK | os.X_OK) and os.stat(runtime).st_uid == os.geteuid():
        return _ours(f"{runtime}/pyoci-sandbox")
    return _ours(f"/tmp/pyoci-sandbox-{os.geteuid()}")


class Place:
    """The files of this program's sandboxes. roots: finished root filesystems by what they were made for."""

    def __init__(self) -> None:
        self.me = _me()
        self.base = base()
        self.state = _ours(f"{self.base}/state")
        self.roots: "dict[object, str]" = {}
        self.made = 0
        self.lock = allocate_lock()
        self.directory = _ours(f"{_ours(f'{self.base}/roots')}/{self.me}")
        os.chmod(self.base, 0o711)  # init walks to the rootfs as the sandbox's user may
        os.chmod(f"{self.base}/roots", 0o711)
        os.chmod(self.directory, 0o711)
        atexit.register(self.leave)

    def name(self) -> str:
        """A new sandbox's id."""
        with self.lock:
            self.made += 1
            return f"{self.me}-{self.made}"

    def root(self, wishes: "Wishes") -> str:
        """A root filesystem in which the host's system can be mounted; shared by the sandboxes that are like it, which
        cannot write to it."""
        key = (wishes.uid, wishes.gid, wishes.hostname, wishes.network, wishes.cwd)
        binds = tuple((mount.destination, os.path.isdir(mount.source)) for mount in wishes.binds)
        key += binds, tuple(wishes.tmpfs)  # type: ignore[assignment]
        with self.lock:
            if key not in self.roots:
                self.roots[key] = self._make(f"{self.directory}/{len(self.roots)}", wishes)
            return self.roots[key]

    def _make(self, path: str, wishes: "Wishes") -> str:
        """A new one; what could not be finished is removed, for the next one has the same name."""
        try:
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)
            fill(path, wishes)
        except OSError as problem:
            _remove(path)
            place = str(problem.filename or path).removeprefix(path)
            raise Error(f"make {place or path} in the sandbox's root", errno=problem.errno or 0) from None
        except BaseException:
            _remove(path)
            raise
        return path

    def sweep(self, runtime: "Runtime") -> None:
        """Removes what programs have left that are no more."""
        try:
            names = [state["id"] for state in runtime.list()[0]]
        except FileNotFoundError:
            names = []
        for name in names:
            if not _lives(name):
                runtime.delete(name, force=True)
        for name in os.listdir(f"{self.base}/roots"):
            if not _lives(name):
                _remove(f"{self.base}/roots/{name}")

    def leave(self) -> None:
        """Removes the root filesystems. Nothing may be mounted of them any more."""
        if self.me == _me():  # and not in a child that was forked
            _remove(self.directory)


def _remove(path: str) -> None:
    """Removes a directory of ours with all in it, as far as that can be; shutil would cost a third of a start."""
    try:
        entries = list(os.scandir(path))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _remove(entry.path)
        else:
            _quietly(os.unlink, entry.path)
    _quietly(os.rmdir, path)


def _quietly(remove: "Callable[[str], None]", path: str) -> None:
    try:
        remove(path)
    except OSError:
        pass


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as one, open(target, "wb") as other:
        other.write(one.read())


def _lives(name: str) -> bool:
    """Whether the program lives that has something of this name."""
    pid, _, rest = name.partition("-")
    begin = rest.partition("-")[0]
    return not (pid.isdigit() and begin.isdigit()) or start_time(int(pid)) == int(begin)


_places: "dict[str, Place]" = {}
_lock = allocate_lock()


def place() -> Place:
    """This program's; a forked child has its own."""
    me = _me()
    with _lock:
        if me not in _places:
            _places[me] = Place()
        return _places[me]


def fill(root: str, wishes: "Wishes") -> None:
    """Directories, links as the host has them, and the few files of /etc that name who is who."""
    for name in _EMPTY:
        _directory(root, name)
    os.chmod(f"{root}/var/tmp", 0o1777)
    for name in _SYSTEM:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            _directory(root, name)
    for name in _ETC:
        _copy_or_point(root, name)
    if wishes.network and os.path.exists(f"/etc/{_RESOLV}"):
        _copy(f"/etc/{_RESOLV}", f"{root}/etc/{_RESOLV}")  # a link may lead to where the sandbox has nothing
    _write(
        root,
        "passwd",
        _accounts(wishes, f"sandbox:x:{wishes.uid}:{wishes.gid}::{HOME}:/bin/sh", "root:x:0:0::/:/bin/sh"),
    )
    _write(root, "group", _accounts(wishes, f"sandbox:x:{wishes.gid}:", "root:x:0:"))
    _write(root, "hosts", f"127.0.0.1 localhost {wishes.hostname}\n::1 localhost {wishes.hostname}\n")
    _write(root, "hostname", f"{wishes.hostname}\n")
    _write(root, "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n")
    for mount in wishes.binds:
        _point(root, mount.destination, os.path.isdir(mount.source))
    for path in (*wishes.tmpfs, wishes.cwd):
        _point(root, path, True)


def _accounts(wishes: "Wishes", own: str, root: str) -> str:
    lines = [own] if wishes.uid == 0 else [root, own]
    return "".join(f"{line}\n" for line in lines)


def _write(root: str, name: str, text: str) -> None:
    with open(f"{root}/etc/{name}", "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)


def _directory(root: str, name: str) -> None:
    at = root
    for part in name.split("/"):
        at = f"{at}/{part}"
        try:
            os.mkdir(at)
            os.chmod(at, 0o755)
        except FileExistsError:
            pass


def _copy_or_point(root: str, name: str) -> None:
    """A file or link is copied; a directory is mounted later."""
    source, target = f"/etc/{name}", f"{root}/etc/{name}"
    if os.path.isdir(source):
        _directory(root, f"etc/{name}")
    elif os.path.isfile(source):
        _copy(source, target)
        os.chmod(target, 0o644)


def host_directories() -> "list[str]":
    """What of the host's system is mounted: /usr, real directories beside it, those of /etc."""
    names = ["/usr", *[f"/{name}" for name in _SYSTEM], *[f"/etc/{name}" for name in _ETC]]
    return [name for name in names if os.path.isdir(name) and (name.startswith("/etc/") or not os.path.islink(name))]


def _point(root: str, path: str, is_directory: bool) -> None:
    """Where something is to be mounted, unless that lies in what the host has, or in another mount. A link at the top
    leads to what the host has, too: followed from here it could lead out of the root."""
    if any(path == place or path.startswith(f"{place}/") for place in (*host_directories(), "/tmp", HOME)):
        return
    if os.path.islink(f"{root}/{path.split('/')[1]}"):
        return
    if is_directory:
        _directory(root, path[1:])
        return
    _directory(root, os.path.dirname(path)[1:]) if path.count("/") > 1 else None
    with open(f"{root}{path}", "a", encoding="utf-8"):
        pass
