"""The shim's socket: its name, and who may listen on it."""

import _socket
import posix
import sys

from pyoci import _shim
from pyoci.errors import Error

_LOCK = 2
_SO_PEERCRED = 17


def name_for(address: str, namespace: str, group: str) -> str:
    """The socket's name, the same for all containers of a group, and for no others."""
    return _sha256("/".join((address, namespace, group)).encode("utf-8", "surrogateescape"))


def _sha256(data: bytes) -> str:
    try:
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # a Python that is built without
        from hashlib import sha256
    return str(sha256(data).hexdigest())


def listen(directory: str, name: str) -> int:
    """A descriptor that listens there; -1 when somebody does already. Of two calls at once one wins. Raises Error."""
    path = f"{directory}/{name}"
    try:
        _make(directory)
        fd = posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
        try:
            _shim.flock(fd, _LOCK)
            return _listen(path)
        finally:
            posix.close(fd)
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
