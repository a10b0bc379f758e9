"""Compiled filters, kept under the state root.

A file for each profile, trusted only when it is ours, whole, and made by the library that is installed now:

    magic   8 bytes
    sum     SipHash of all that follows, against accidents: nobody else writes here
    sizes   of the key (32 bits) and of the path (16 bits)
    key     the profile, the compiler's format and the machine, as JSON. The file's name is its SipHash, which two keys
            may share; the whole key is compared
    path    of libseccomp
    stamp   device, inode, size and time of that file: another version of it makes another filter
    program

No cryptographic hash is needed, and Python's own modules for them are not in every build of it (docs/python.md).
"""

import _imp
import posix
from struct import calcsize, pack, unpack_from

import pyoci
from pyoci.json.document import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

# An `@` is not allowed in a container's id, so this directory can never be one's
DIRECTORY = "@seccomp"
_MAGIC = b"pyocibp2"
_FORMAT = 3  # of the compiler's output: to be raised when the same profile comes to mean another program
_ENTRIES = 64
_LARGEST = 1 << 18
_SUM = "=8s8s"
_SIZES = "=IH"
_STAMP = "=4q"
# What does not change the program: the flags are seccomp(2)'s, the listener's place is the runtime's business
_OTHER = ("flags", "listenerPath", "listenerMetadata")


class Cache:
    """The filters kept under one state root."""

    __slots__ = ("path",)

    def __init__(self, root: str) -> None:
        self.path = f"{root}/{DIRECTORY}"

    def key(self, profile: "dict[str, Any]") -> bytes:
        """What a profile is known by."""
        about = {name: value for name, value in profile.items() if name not in _OTHER}
        return dump([_FORMAT, pyoci.__version__, posix.uname().machine, about]).encode()

    def read(self, key: bytes) -> "Optional[bytes]":
        """The program, None when there is none to be trusted."""
        data = self._load(_sum(key).hex())
        if data is None or len(data) < calcsize(_SUM) + calcsize(_SIZES):
            return None
        body = data[calcsize(_SUM) :]
        if unpack_from(_SUM, data) != (_MAGIC, _sum(body)):
            return None
        keys, paths = unpack_from(_SIZES, body)
        at = calcsize(_SIZES) + keys
        end = at + paths
        program = end + calcsize(_STAMP)
        if body[calcsize(_SIZES) : at] != key or body[end:program] != _stamp(body[at:end]):
            return None
        if program >= len(body) or (len(body) - program) % 8:
            return None
        return body[program:]

    def write(self, key: bytes, library: str, program: bytes) -> bool:
        """Keeps a program; False where it could not. That is no error: the next create compiles again."""
        path = library.encode("utf-8", "surrogateescape")
        body = pack(_SIZES, len(key), len(path)) + key + path + _stamp(path) + program
        if len(body) > _LARGEST - calcsize(_SUM):
            return True  # nobody would read it
        try:
            self._store(_sum(key).hex(), _MAGIC + _sum(body) + body)
        except OSError:
            return False
        return True

    def _open(self) -> int:
        """The directory, if nobody else can have put anything there."""
        fd = posix.open(self.path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
        found = posix.fstat(fd)
        if found.st_uid != posix.geteuid() or found.st_mode & 0o077:
            posix.close(fd)
            raise PermissionError(1, "not ours alone")
        return fd

    def _load(self, name: str) -> "Optional[bytes]":
        try:
            directory = self._open()
        except OSError:
            return None
        try:
            flags = posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC
            fd = posix.open(name, flags, dir_fd=directory)
        except OSError:
            return None
        finally:
            posix.close(directory)
        try:
            found = posix.fstat(fd)
            regular = found.st_mode & 0o170000 == 0o100000
            if not regular or found.st_uid != posix.geteuid() or found.st_mode & 0o077 or found.st_size > _LARGEST:
                return None
            return posix.read(fd, _LARGEST)
        except OSError:
            return None
        finally:
            posix.close(fd)

    def _store(self, name: str, data: bytes) -> None:
        try:
            posix.mkdir(self.path, 0o700)
        except FileExistsError:
            pass
        directory = self._open()
        scratch = f".{name}.{posix.getpid()}"
        try:
            _make_room(directory)
            flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
            fd = posix.open(scratch, flags, 0o600, dir_fd=directory)
            try:
                whole = posix.write(fd, data) == len(data)
            finally:
                posix.close(fd)
            if whole:
                posix.rename(scratch, name, src_dir_fd=directory, dst_dir_fd=directory)
            else:
                posix.unlink(scratch, dir_fd=directory)
        finally:
            posix.close(directory)


def _make_room(directory: int) -> None:
    """Profiles are few, as a rule; where each container has its own, the cache starts anew now and then."""
    names = posix.listdir(directory)
    for name in names if len(names) >= _ENTRIES else ():
        posix.unlink(name, dir_fd=directory)


def _stamp(library: bytes) -> bytes:
    try:
        found = posix.stat(library)
    except OSError:
        return b""
    return pack(_STAMP, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _sum(data: bytes) -> bytes:
    """8 bytes of SipHash, the hash that Python has built in for its own compiled files."""
    return _imp.source_hash(_FORMAT, data)
