"""What a restore makes and mounts for CRIU, and takes away: restore itself, or `delete` when that was killed."""

from __future__ import annotations

import os

from pyoci import _shim
from pyoci.container.state import Entry
from pyoci.errors import Error
from pyoci.fileio import read_file
from pyoci.linux import kernel
from pyoci.linux.mountinfo import mounts

ROOT = "criu-root"
_OWN_MOUNTS = ".criu."  # what the names of its directories begin with


def make_points(root: str, points: list[tuple[str, bool]]) -> None:
    """Makes what is missing to mount on: an imported root filesystem has none of the directories that create made.

    points: the paths below the root, each with whether it is a file
    """
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for point, is_file in points:
            _make(fd, point, is_file)
    finally:
        os.close(fd)


def _make(root: int, point: str, is_file: bool) -> None:
    done = ""
    parts = [part for part in point.split("/") if part]
    for number, part in enumerate(parts):
        done += f"/{part}"
        flags = kernel.O_PATH | os.O_CLOEXEC
        fd = _shim.openat2(root, done.encode(), flags, 0, kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_MAGICLINKS)
        if fd >= 0:
            os.close(fd)
            continue
        above = done.rsplit("/", 1)[0] or "/"
        parent = _shim.openat2(root, above.encode(), flags | os.O_DIRECTORY, 0, kernel.RESOLVE_IN_ROOT)
        if parent < 0:
            raise Error(f"open {above} in the rootfs", errno=-parent)
        try:
            if is_file and number == len(parts) - 1:
                os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent))
            else:
                os.mkdir(part, 0o755, dir_fd=parent)
        except OSError as problem:
            raise Error(f"make {done} in the rootfs", errno=problem.errno or 0) from None
        finally:
            os.close(parent)


def lend(entry: Entry, root: str, where: str) -> None:
    """Mounts the root where CRIU finds it: CRIU wants a mount point as the container's root."""
    os.mkdir(ROOT, 0o700, dir_fd=entry.fd)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        result = _shim.pin(fd, entry.fd, ROOT.encode())
    finally:
        os.close(fd)
    if result < 0:
        raise Error(f"bind {root}", location=where, errno=-result)


def release(entry: Entry, work: str) -> None:
    """Takes away what CRIU was given as a root, and what it mounts for itself where it works and leaves when killed.

    work: that directory
    """
    _shim.unpin(entry.fd, ROOT.encode())
    try:
        os.rmdir(ROOT, dir_fd=entry.fd)
    except FileNotFoundError:
        pass
    work = os.path.realpath(work)
    own = f"{work}/{_OWN_MOUNTS}"
    for mount in reversed(list(mounts(read_file("/proc/self/mountinfo")))):
        if mount.point.startswith(own):
            directory, _, name = mount.point.rpartition("/")
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _shim.unpin(fd, os.fsencode(name))
            if directory == work:
                os.rmdir(name, dir_fd=fd)
            os.close(fd)
