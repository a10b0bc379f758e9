"""Processes of containers that this process has started: what pyoci.Runtime's create and popen give, without what the
class pyoci.Process imports, which would be half of a shim's memory."""

import posix

import pyoci
from pyoci import _shim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional, Union

    from pyoci.checkpoint.request import CriuOptions
    from pyoci.container.create import Created
    from pyoci.container.exec import Joined
    from pyoci.container.state import Store
    from pyoci.options import CreateOptions, ExecOptions

    Warn = Callable[[str], None]

LOST = 255  # the status of a process that was not our child
_P_PIDFD = 3


class Files:
    """Descriptors for a process, as pyoci.process.streams.Streams is to create and exec."""

    __slots__ = ("files", "ours")

    def __init__(self, files: "tuple[int, ...]") -> None:
        self.files = files
        self.ours = [-1, -1, -1]

    def check(self, terminal: bool, console_socket: str) -> None:
        """All goes together: containerd has chosen."""


class Child:
    """A process. returncode: once poll() has seen its end, -N for signal N. master: of its terminal, or -1."""

    def __init__(self, pid: int, pidfd: int, master: int = -1) -> None:
        self.pid, self.pidfd, self.master = pid, pidfd, master
        self.returncode: "Optional[int]" = None
        pyoci.children[pid] = self  # type: ignore[assignment]

    def poll(self) -> "Optional[int]":
        """Its status if it has ended."""
        if self.returncode is None and self.pidfd >= 0:
            try:
                ended = posix.waitid(_P_PIDFD, self.pidfd, posix.WEXITED | posix.WNOHANG)
            except ChildProcessError:
                if _shim.poll([self.pidfd], 0) > 0:
                    self._settle(LOST)
            else:
                if ended is not None:
                    self._settle(ended.si_status if ended.si_code == posix.CLD_EXITED else -ended.si_status)
        return self.returncode

    def _settle(self, status: int) -> None:
        self.returncode = status
        pyoci.children.pop(self.pid, None)

    def signal(self, number: int) -> bool:
        """Sends it a signal; False when it has ended. Errors: OSError."""
        sent = _shim.pidfd_signal(self.pidfd, number) if self.returncode is None else -3
        if sent < 0 and sent != -3:
            raise OSError(-sent, posix.strerror(-sent))
        return sent == 0

    def close(self) -> None:
        """Its descriptors."""
        for fd in (self.pidfd, self.master):
            if fd >= 0:
                posix.close(fd)
        self.pidfd = self.master = -1


def _child(made: "Union[Created, Joined]") -> Child:
    process = made.process
    child = Child(process.pid, process.pidfd, made.master)
    process.pidfd = -1
    return child


def create(
    store: "Store", container: str, options: "CreateOptions", driver: str, warn: "Warn", files: "tuple[int, ...]"
) -> Child:
    """Creates a container; its process, which waits for start. Raises Error."""
    from pyoci.container.create import create

    created = create(store, container, options, driver, warn, None, Files(files))  # type: ignore[arg-type]
    created.entry.close()
    return _child(created)


def execute(
    store: "Store",
    container: str,
    process: "dict[str, Any]",
    options: "ExecOptions",
    warn: "Warn",
    files: "tuple[int, ...]",
) -> Child:
    """Starts one more process in it. Raises Error."""
    from pyoci.container.exec import execute

    with store.look(container).load() as entry:
        return _child(execute(entry, process, options, warn, Files(files)))  # type: ignore[arg-type]


def restore(
    store: "Store",
    container: str,
    options: "CreateOptions",
    driver: str,
    warn: "Warn",
    wanted: "CriuOptions",
    files: "tuple[int, ...]",
) -> Child:
    """Makes a container of a checkpoint; its first process, which runs. Raises Error."""
    from pyoci.checkpoint.restore import restore

    restored = restore(store, container, options, wanted, driver, warn, files)
    restored.entry.close()
    return _child(restored)


def reap_others() -> None:
    """Takes the status of orphans that we have inherited as subreaper; children that somebody has in hand are left."""
    try:
        fd = posix.open(f"/proc/self/task/{posix.getpid()}/children", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return
    try:
        listed = posix.read(fd, 1 << 20)
    finally:
        posix.close(fd)
    for word in listed.split():
        if int(word) not in pyoci.children:
            try:
                posix.waitpid(int(word), posix.WNOHANG)
            except OSError:
                pass
