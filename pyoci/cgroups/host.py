"""What the cgroup code asks of the machine: which hierarchies are mounted, where we are in them, and the calls on them.

Tests subclass Host over a directory of plain files; everything else in the package goes through it.
"""

import posix

from pyoci.fileio import read_all, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW
_FILE = posix.O_WRONLY | posix.O_NOFOLLOW
UNIFIED = ""  # the key of the v2 tree among the paths of a hybrid machine
_PAGE = 4096  # what the kernel gives of a list at once, at most


def read_value(path: str) -> str:
    """read_file() of what the kernel writes in one piece, such as a setting: less than was asked for is all there is.

    Not for lists (cgroup.procs, mountinfo): of those a read may give less than is left.
    """
    fd = posix.open(path, posix.O_RDONLY)
    try:
        value = posix.read(fd, _PAGE)
    finally:
        posix.close(fd)
    return value.decode("utf-8", "surrogateescape") if len(value) < _PAGE else read_file(path)


class Hierarchy:
    """One mounted v1 hierarchy.

    controllers: as the kernel lists them, such as ("cpu", "cpuacct"), or ("name=systemd",)
    mount:       the directory it is mounted on
    own:         our cgroup below that directory, "/" for the directory itself
    """

    __slots__ = ("controllers", "mount", "own")

    def __init__(self, controllers: "tuple[str, ...]", mount: str, own: str) -> None:
        self.controllers = controllers
        self.mount = mount
        self.own = own


class Layout:
    """What is mounted: a v2 tree at `unified` (the whole, or what sits beside v1: hybrid), and v1 hierarchies."""

    __slots__ = ("hierarchies", "unified", "unified_own")

    def __init__(self, hierarchies: "list[Hierarchy]", unified: str, unified_own: str) -> None:
        self.hierarchies = hierarchies
        self.unified = unified
        self.unified_own = unified_own

    def by_controller(self) -> "dict[str, Hierarchy]":
        """Controller (or name=…) to its hierarchy."""
        return {name: hierarchy for hierarchy in self.hierarchies for name in hierarchy.controllers}


class Host:
    """This machine. `root` is where cgroups are mounted, `proc` a procfs, `sys` a sysfs, `run` what /run is."""

    __slots__ = ("euid", "proc", "root", "run", "sys")

    def __init__(self, root: str = "/sys/fs/cgroup", proc: str = "/proc", sys: str = "/sys", run: str = "/run") -> None:
        self.run = run
        self.root = root
        self.proc = proc
        self.sys = sys
        self.euid = posix.geteuid()

    def is_v2(self) -> bool:
        """Whether `root` itself is a cgroup v2 tree."""
        try:
            posix.stat(self.root + "/cgroup.controllers")
        except OSError:
            return False
        return True

    def layout(self) -> Layout:
        """The mounted hierarchies, and our place in each (man 7 cgroups, /proc/pid/cgroup)."""
        own = self._own()
        if self.is_v2():
            return Layout([], self.root, own.get("", "/"))
        hierarchies: "list[Hierarchy]" = []
        unified = unified_own = ""
        seen: "set[str]" = set()
        for kind, root, mount, options in self._mounts():
            if kind == "cgroup2" and not unified:
                unified, unified_own = mount, _below(own.get("", "/"), root)
            elif kind == "cgroup":
                names = tuple(name for name in options if name in own)
                if names and names[0] not in seen:
                    seen.update(names)
                    hierarchies.append(Hierarchy(names, mount, _below(own[names[0]], root)))
        return Layout(hierarchies, unified, unified_own)

    def _own(self) -> "dict[str, str]":
        """Our cgroup by controller; "" is the v2 tree."""
        own = {}
        for line in read_value(self.proc + "/self/cgroup").split("\n"):  # a name may hold what else ends a line
            fields = line.split(":", 2)
            if len(fields) == 3:
                for name in fields[1].split(","):
                    own[name] = fields[2] or "/"
        return own

    def _mounts(self) -> "list[tuple[str, str, str, list[str]]]":
        """(type, root, mount point, superblock options) of the cgroup mounts in sight below `root`."""
        from pyoci.linux.mountinfo import mounts

        found = []
        for mount in mounts(read_file(self.proc + "/self/mountinfo"), "cgroup"):
            if mount.point.startswith(self.root + "/") and self.is_in_sight(mount.point, mount.device):
                found.append((mount.kind, mount.root, mount.point, mount.options.split(",")))
        return found

    def is_in_sight(self, mount: str, device: str) -> bool:
        """Whether a path still leads to a filesystem (major:minor) that is mounted there: mountinfo also lists what
        another mount covers."""
        major, _, minor = device.partition(":")
        try:
            return posix.stat(mount).st_dev == posix.makedev(int(major), int(minor))
        except (OSError, ValueError):
            return False

    def in_user_namespace(self) -> bool:
        """Whether our uids are not the machine's own: then EPERM from the kernel is to be expected."""
        try:
            return read_file(self.proc + "/self/uid_map").split() != ["0", "0", "4294967295"]
        except OSError:
            return False

    def rootless(self) -> bool:
        """Whether cgroups may be out of our hands, so that an engine expects us to do without."""
        return self.euid != 0 or self.in_user_namespace()

    def mkdir(self, path: str) -> None:
        """Makes one cgroup. 0755, as the kernel's own files are."""
        posix.mkdir(path, 0o755)

    def rmdir(self, path: str, dir_fd: "Optional[int]" = None) -> None:
        """Removes one cgroup; its files do not count as contents."""
        posix.rmdir(path, dir_fd=dir_fd)

    def put(self, fd: int, value: str) -> None:
        """One write(2) of the whole value, as cgroupfs wants it: what it does not take whole it refuses. A write of
        nothing at all would not reach it."""
        posix.write(fd, value.encode("utf-8", "surrogateescape") or b"\n")

    def write(self, dir_fd: "Optional[int]", name: str, value: str) -> None:
        """Puts a value in one file of a cgroup. The file must exist."""
        fd = self.open_file(name, dir_fd)
        try:
            self.put(fd, value)
        finally:
            posix.close(fd)

    def read(self, dir_fd: int, name: str) -> str:
        """The whole of one file of a cgroup."""
        fd = posix.open(name, posix.O_RDONLY | posix.O_NOFOLLOW, dir_fd=dir_fd)
        try:
            return read_all(fd).decode("utf-8", "surrogateescape")
        finally:
            posix.close(fd)

    def open_file(self, name: str, dir_fd: "Optional[int]" = None) -> int:
        """A descriptor of a file to write to, never through a symlink."""
        return posix.open(name, _FILE, dir_fd=dir_fd)

    def open_dir(self, name: str, dir_fd: "Optional[int]" = None) -> int:
        """A descriptor of a directory, never through a symlink in its last component."""
        return posix.open(name, _DIRECTORY, dir_fd=dir_fd)


def _below(own: str, root: str) -> str:
    """Our cgroup seen from a mount of the subtree `root`: in a container, procfs may name the host's path."""
    if root in ("/", ""):
        return own
    if own == root:
        return "/"
    return own[len(root) :] if own.startswith(root + "/") else "/"
