"""Files of a sandbox, from outside: no link that its programs make leads us anywhere."""

import os
import stat

from pyoci import _shim
from pyoci.errors import Error
from pyoci.fileio import read_all, write_all
from pyoci.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.sandbox.sandbox import Container

_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW


def _open(container: "Container", path: str, flags: int, mode: int = 0) -> int:
    """A regular file below the root that the sandbox's first process has."""
    if not path.startswith("/"):
        raise Error(f"{path!r} is not an absolute path", location="path")
    assert container.process is not None
    try:
        root = os.open(f"/proc/{container.process.pid}/root", kernel.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as problem:
        raise Error("open the sandbox's root", errno=problem.errno or 0) from None
    try:
        if container.process.poll() is not None:
            raise Error("the sandbox has ended", kind="not_running")
        how = kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_MAGICLINKS | kernel.RESOLVE_NO_SYMLINKS
        fd = _shim.openat2(root, os.fsencode(path), flags | _FLAGS, mode, how)
    finally:
        os.close(root)
    if fd < 0:
        raise Error(f"open {path}", errno=-fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Error(f"{path} is not a regular file", kind="refused")
    return fd


def put(container: "Container", path: str, data: bytes, mode: int) -> None:
    """Sandbox.put()."""
    fd = _open(container, path, os.O_WRONLY | os.O_CREAT, mode & 0o777)
    try:
        os.ftruncate(fd, 0)
        write_all(fd, data)
        if os.geteuid() == 0:
            os.fchown(fd, container.wishes.uid, container.wishes.gid)
        os.fchmod(fd, mode & 0o777)
    except OSError as problem:
        raise Error(f"write {path}", errno=problem.errno or 0) from None
    finally:
        os.close(fd)


def get(container: "Container", path: str, limit: int) -> bytes:
    """Sandbox.get()."""
    fd = _open(container, path, os.O_RDONLY)
    try:
        data = read_all(fd, limit + 1)
    except OSError as problem:
        raise Error(f"read {path}", errno=problem.errno or 0) from None
    finally:
        os.close(fd)
    if len(data) > limit:
        raise Error(f"{path} has more than {limit} bytes", location="limit", kind="refused")
    return data
