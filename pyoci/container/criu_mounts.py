"""What a restore mounts for CRIU, and takes away: restore itself, or `delete` when that was killed."""

from __future__ import annotations

import os

from pyoci import _shim
from pyoci.container.state import Entry
from pyoci.fileio import read_file
from pyoci.linux.mountinfo import mounts

ROOT = "criu-root"
_OWN_MOUNTS = ".criu."  # what the names of its directories begin with


def unmount(entry: Entry) -> None:
    """Takes away what CRIU was given as a root, and what it mounts for itself where it works and leaves when killed."""
    _shim.unpin(entry.fd, ROOT.encode())
    try:
        os.rmdir(ROOT, dir_fd=entry.fd)
    except FileNotFoundError:
        pass
    work = os.path.realpath(entry.record.pop("criu_work"))
    own = f"{work}/{_OWN_MOUNTS}"
    for mount in reversed(list(mounts(read_file("/proc/self/mountinfo")))):
        if mount.point.startswith(own):
            directory, _, name = mount.point.rpartition("/")
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _shim.unpin(fd, os.fsencode(name))
            if directory == work:
                os.rmdir(name, dir_fd=fd)
            os.close(fd)
