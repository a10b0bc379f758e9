"""The shim's socket: its name, and who may listen on it."""

import _imp
import _socket
import posix

from pyoci import _shim
from pyoci.errors import Error
from pyoci.fileio import read_all

_LOCK, _NOT_BLOCKING = 2, 4
_WORDS = 3  # of 64 bits, of a name; so ours are told from other plugins', which have four
_SO_PEERCRED = 17


def name_for(address: str, namespace: str, group: str) -> str:
    """The socket's name, the same for all containers of a group, and for no others. By Python's own hash: some builds
    leave out what sha256 takes, and hashlib complains of that on standard error, where containerd reads our answer."""
    text = "/".join((address, namespace, group)).encode("utf-8", "surrogateescape")
    return b"".join(_imp.source_hash(key, text) for key in range(_WORDS)).hex()


class Lock:
    """On the directory of the sockets, while somebody looks whether one is served, makes one or gives it up. Errors:
    OSError. is_patient: waits for it; otherwise is_held says whether it could be had."""

    def __init__(self, directory: str, is_patient: bool = True) -> None:
        self._fd = posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        self.is_held = _shim.flock(self._fd, _LOCK if is_patient else _LOCK | _NOT_BLOCKING) == 0

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        posix.close(self._fd)


def listen(directory: str, name: str) -> int:
    """A descriptor that listens there; -1 when somebody does already. Of two calls at once one wins. Raises Error."""
    path = f"{directory}/{name}"
    try:
        _make(directory)
        with Lock(directory):
            return _listen(path)
    except OSError as problem:
        raise Error(f"listen on {path}", errno=problem.errno or 0) from None


def _make(directory: str) -> None:
    try:
        posix.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        posix.mkdir(directory.rpartition("/")[0], 0o711)
        posix.mkdir(directory, 0o700)
    status = posix.stat(directory)
    if status.st_uid != posix.geteuid() or status.st_mode & 0o022:
        raise Error(
            f"others may write to {directory}", kind="refused", hint="chmod 0700, and chown it to containerd's user"
        )


def _listen(path: str) -> int:
    if is_served(path):
        return -1
    try:
        posix.unlink(path)
    except FileNotFoundError:
        pass
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    before = posix.umask(0o177)
    try:
        listener.bind(path)
    finally:
        posix.umask(before)
    listener.listen(64)
    return listener.detach()


def is_served(path: str) -> bool:
    """Whether somebody listens there."""
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        probe.settimeout(5)
        probe.connect(path)
    except TimeoutError:
        return True  # it is busy
    except OSError:
        return False
    finally:
        probe.close()
    return True


def sweep(directory: str) -> None:
    """Removes the files of our sockets that nobody serves any more: a shim, or a `start`, was killed. To be called
    under the lock: one that is being made is not served yet. Errors: OSError."""
    found = [name for name in posix.listdir(directory) if len(name) == _WORDS * 16]
    if not found:
        return
    fd = posix.open("/proc/net/unix", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        known = read_all(fd, 1 << 24)
    finally:
        posix.close(fd)
    for name in found:
        path = f"{directory}/{name}"
        if path.encode() not in known and not is_served(path):  # the list is of our network namespace alone
            posix.unlink(path)


class Listener:
    """Takes connections of our own user, and of root."""

    def __init__(self, fd: int) -> None:
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        self.socket.setblocking(False)
        self.fd = fd

    def accept(self) -> int:
        """A new connection's descriptor, or -1."""
        try:
            fd, _ = self.socket._accept()  # type: ignore[attr-defined]
        except OSError:
            return -1
        peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        try:
            uid = int.from_bytes(peer.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12)[4:8], "little")
        except OSError:
            uid = -1
        if uid not in (0, posix.geteuid()):
            peer.close()
            return -1
        return peer.detach()

    def close(self) -> None:
        """Listens no more."""
        self.socket.close()
