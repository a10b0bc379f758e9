"""The kernel's word of kills for memory, for who watches a container: `events`, and containerd's plugin."""

import posix
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cgroups import Manager


class Notices:
    """The kernel's word that a process was killed for memory. fd: to poll for `mask`, -1 if nobody counts memory.

    v1 signals an eventfd each time the limit was fatal (kernel: cgroup-v1/memory.rst, OOM Control), and once when the
    cgroup goes; on v2 any change of memory.events ends a poll. How many kills there were is then read.
    """

    __slots__ = ("_known", "_manager", "_v2", "fd", "mask")

    def __init__(self, manager: "Manager") -> None:
        paths = manager.record()["cgroup_paths"]
        self._manager = manager
        self._v2 = "memory" not in paths
        self.mask = select.POLLPRI if self._v2 else select.POLLIN
        self.fd = _open_or_none(paths.get("", "") + "/memory.events") if self._v2 else _eventfd_for(paths["memory"])
        self._known = manager.oom_kills() or 0
        self._settle()

    @property
    def comes_early(self) -> bool:
        """Whether a notice may come before the kill is counted, as on v1."""
        return not self._v2

    def _settle(self) -> None:
        """Reads the descriptor: only then does the next poll wait for news."""
        if self.fd >= 0:
            try:
                posix.pread(self.fd, 4096, 0) if self._v2 else posix.read(self.fd, 8)
            except OSError:
                pass  # no news; or the cgroup is gone

    def take(self) -> int:
        """How many kills there were since the last call."""
        self._settle()
        now = self._manager.oom_kills() or 0
        new = max(0, now - self._known)
        self._known = max(now, self._known)
        return new

    def close(self) -> None:
        """Closes the descriptor; v1 then forgets us."""
        if self.fd >= 0:
            posix.close(self.fd)
            self.fd = -1


def _open_or_none(path: str) -> int:
    try:
        return posix.open(path, posix.O_RDONLY)
    except OSError:
        return -1


def _eventfd_for(path: str) -> int:
    control = posix.open(path + "/memory.oom_control", posix.O_RDONLY)
    try:
        target = posix.open(path + "/cgroup.event_control", posix.O_WRONLY)
        try:
            fd = posix.eventfd(0, posix.EFD_CLOEXEC | posix.EFD_NONBLOCK)
            try:
                posix.write(target, f"{fd} {control}".encode())
            except BaseException:
                posix.close(fd)
                raise
        finally:
            posix.close(target)
    finally:
        posix.close(control)
    return fd
