"""Runs a command where it can harm nothing: `cage.py DIRECTORY COMMAND...`.

A mount, pid and network namespace of its own; every file read-only but those of DIRECTORY; the working directory is in
memory.
"""

import ctypes
import os
import subprocess
import sys

_SYS_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_RDONLY = 1


def _attributes(path: str, flags: int, set_: int, clear: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint64 * 4)(set_, clear, 0, 0)
    call = (_SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, attributes, ctypes.sizeof(attributes))
    if libc.syscall(*call) < 0:
        raise OSError(ctypes.get_errno(), f"mount_setattr {path}")


def words(directory: str, command: "list[str]") -> "list[str]":
    """The command line that does it."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    namespaces = ["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *user, *namespaces, sys.executable, __file__, directory, *command]


def main(directory: str, command: "list[str]") -> None:
    """Inside of the namespaces."""
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    _attributes("/", _AT_RECURSIVE, _RDONLY, 0)
    _attributes(directory, 0, 0, _RDONLY)
    memory = f"{directory}/memory"
    os.makedirs(memory, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", memory], check=True)
    os.chdir(memory)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
