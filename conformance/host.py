"""What this host has: the facts that decide which tests can be run here."""

import ctypes
import os
import platform
import signal
from functools import cache
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MNT_DETACH = 2


@cache
def cgroup_mounts() -> dict[str, Path]:
    """The cgroup hierarchies: controller (or name=…) to mount point for v1, "" to mount point for v2."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = Path(before.split()[4])
        if kind == "cgroup2":
            found.setdefault("", point)
        elif kind == "cgroup":
            for option in options.split(" ")[-1].split(","):
                if option not in ("rw", "ro", "xattr", "clone_children"):
                    found.setdefault(option, point)
    return found


def cgroup_v1(controller: str) -> bool:
    """Is there a v1 hierarchy with the controller?"""
    return controller in cgroup_mounts()


def cgroup_v2(controller: str = "") -> bool:
    """Is cgroup v2 the hierarchy with the controllers (and does it have this one)?"""
    point = cgroup_mounts().get("")
    if point is None or any(name for name in cgroup_mounts() if name and not name.startswith("name=")):
        return False
    return not controller or controller in (point / "cgroup.controllers").read_text().split()


@cache
def has_apparmor() -> bool:
    try:
        return Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y")
    except OSError:
        return False


@cache
def has_selinux() -> bool:
    return Path("/sys/fs/selinux/enforce").exists()


def resctrl() -> list[Path]:
    """The mount points of resctrl filesystems."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [Path(line.split()[4]) for line in lines if line.partition(" - ")[2].startswith("resctrl ")]


def effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def capable(number: int) -> bool:
    """Does the suite itself have the capability (by its number)?"""
    return bool(effective_capabilities() >> number & 1)


def become_subreaper() -> None:
    """Makes orphans below this process its children, as engines do, so that a container's exit status can be seen."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def die_with_parent() -> None:
    """Has this process killed when the thread that started it ends: between fork and exec, or in a worker."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def description() -> str:
    """This host in a line: distribution, kernel, processors, cgroups, who judges."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        system = ""
    kernel = f"Linux {os.uname().release} {os.uname().machine}"
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    return ", ".join(filter(None, (system, kernel, f"{os.cpu_count()} processors", _cgroups(), who)))


def _cgroups() -> str:
    if any(name and not name.startswith("name=") for name in cgroup_mounts()):
        return "cgroup v1" + (" and v2" if "" in cgroup_mounts() else "")
    return "cgroup v2" if "" in cgroup_mounts() else "no cgroups"


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2), for tests that need a mount on the host before the runtime is called."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None)
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def unmount(target: str) -> None:
    """umount2(2), detaching."""
    if _libc.umount2(target.encode(), MNT_DETACH):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def unmount_below(directory: str) -> None:
    """Unmounts what is mounted at or below a directory. One mount may take another one with it: where the host's mounts
    are shared, as systemd makes them, what is mounted on a mount that was bound to itself is there twice."""
    while points := mounts_below(directory):
        unmount(points[0])


def mounts_below(directory: str) -> list[str]:
    """The mount points at or below a directory, deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [point for point in points if point == directory or point.startswith(directory + "/")]
    return sorted(inside, key=len, reverse=True)
