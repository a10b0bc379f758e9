"""Facts about this host that decide how a config is compiled. Each is looked up when it is asked for, once."""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


class Host:
    """The real host; tests give the compiler one of their own."""

    def __init__(self) -> None:
        self.euid = posix.geteuid()
        self.egid = posix.getegid()
        self._confined: "Optional[bool]" = None
        self._status: "Optional[str]" = None
        self._last_capability = -1

    def confined(self) -> bool:
        """Whether the runtime lacks root's rights over the host: another user, or root of a user namespace only, as
        rootless engines run it."""
        if self._confined is None:
            own = (self.read("/proc/self/uid_map") or "").split()
            self._confined = self.euid != 0 or own not in ([], ["0", "0", "4294967295"])
        return self._confined

    def read(self, path: str) -> "Optional[str]":
        """A small file's text without the last newline, None where it cannot be read."""
        try:
            fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return None
        try:
            return posix.read(fd, 65536).decode("utf-8", "surrogateescape").rstrip("\n")
        except OSError:
            return None
        finally:
            posix.close(fd)

    def exists(self, path: str) -> bool:
        """Whether something is at path."""
        try:
            posix.stat(path)
        except OSError:
            return False
        return True

    def same_file(self, one: str, other: str) -> bool:
        """Whether two paths lead to one inode."""
        try:
            a, b = posix.stat(one), posix.stat(other)
        except OSError:
            return False
        return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)

    def device(self, path: str) -> "Optional[tuple[int, int, int]]":
        """Type (S_IF*), major and minor number of a device node, None where there is none."""
        try:
            found = posix.stat(path)
        except OSError:
            return None
        kind = found.st_mode & 0o170000
        return (kind, posix.major(found.st_rdev), posix.minor(found.st_rdev)) if kind in (0o020000, 0o060000) else None

    def may_reach(self, path: str, uid: int, gid: int) -> bool:
        """Whether a user can pass every directory on the way to a path. No where a link makes that hard to tell."""
        at = ""
        for part in path.strip("/").split("/"):
            try:
                found = posix.lstat(at or "/")
            except OSError:
                return False
            mode = found.st_mode
            right = 0o100 if found.st_uid == uid else 0o010 if found.st_gid == gid else 0o001
            if mode & 0o170000 != 0o040000 or not mode & right:
                return False
            at += "/" + part
        try:
            return posix.lstat(at).st_mode & 0o170000 != 0o120000
        except OSError:
            return False

    def is_directory(self, path: str) -> bool:
        """Whether path is a directory, links followed."""
        try:
            return posix.stat(path).st_mode & 0o170000 == 0o040000
        except OSError:
            return False

    def on_procfs(self, path: str) -> bool:
        """Whether path is the root of a procfs: its first process's directory is there, as nowhere else."""
        try:
            return posix.stat(path).st_ino == 1 and self.exists(f"{path}/self/stat")
        except OSError:
            return False

    def status(self, field: str) -> str:
        """A line of /proc/self/status, such as CapBnd."""
        if self._status is None:
            self._status = self.read("/proc/self/status") or ""
        return self._status.partition(f"\n{field}:\t")[2].partition("\n")[0]

    def permitted(self) -> int:
        """The capabilities that the runtime itself may hand on."""
        return int(self.status("CapPrm") or "0", 16) & int(self.status("CapBnd") or "0", 16)

    def last_capability(self) -> int:
        """The highest capability this kernel knows."""
        if self._last_capability < 0:
            self._last_capability = int(self.read("/proc/sys/kernel/cap_last_cap") or "40")
        return self._last_capability

    def helper(self, name: str) -> "Optional[str]":
        """The path of a program of the system's. PATH has no say: who gives it is not who is trusted."""
        for directory in ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/wrappers/bin"):
            path = f"{directory}/{name}"
            if posix.access(path, posix.X_OK):
                return path
        return None

    def has_apparmor(self) -> bool:
        """Whether AppArmor is enabled."""
        return self.read("/sys/module/apparmor/parameters/enabled") == "Y"

    def has_selinux(self) -> bool:
        """Whether SELinux is enabled."""
        return self.exists("/sys/fs/selinux/enforce")

    def network_devices(self, path: str) -> "list[str]":
        """Names of the network devices in the namespace at path, "" for our own. Errors: Error when it is none."""
        from pyoci.network.netlink import names

        return names(path)

    def resctrl(self) -> str:
        """Where resctrl is mounted, "" where it is not, or only beneath another mount."""
        from pyoci.linux.mountinfo import mounts

        for mount in mounts(self.read_all("/proc/self/mountinfo"), "resctrl"):
            major, _, minor = mount.device.partition(":")
            try:
                if posix.stat(mount.point).st_dev == posix.makedev(int(major), int(minor)):
                    return mount.point
            except OSError:
                pass
        return ""

    def full_proc_mounts(self, root: str) -> "list[str]":
        """Where procfs and sysfs are mounted outside of a directory: what a chroot would leave within reach."""
        from pyoci.linux.mountinfo import mounts

        every = [mount for mount in mounts(self.read_all("/proc/self/mountinfo")) if mount.kind in ("proc", "sysfs")]
        return [mount.point for mount in every if mount.point != root and not mount.point.startswith(root + "/")]

    def read_all(self, path: str) -> str:
        """A file of any length."""
        from pyoci.fileio import read_file

        return read_file(path)
