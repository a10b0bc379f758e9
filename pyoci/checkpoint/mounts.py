"""Which mounts of a container come from outside: CRIU cannot save those, and is told by name what to put there."""

from __future__ import annotations

import os
from typing import Any

from pyoci import _shim
from pyoci.errors import Error
from pyoci.fileio import read_file
from pyoci.linux import kernel
from pyoci.linux.mountinfo import Mount, mounts
from pyoci.paths import clean

Config = dict[str, Any]

# Filesystems of the kernel's own data: CRIU makes them anew, though they share a superblock with the host's
_VIRTUAL = ("proc", "sysfs", "mqueue", "devpts", "cgroup2")
NULL = "/dev/null"


def read(pid: str) -> list[Mount]:
    """The mounts of a process."""
    return list(mounts(read_file(f"/proc/{pid}/mountinfo")))


def external(pid: int) -> list[tuple[str, str]]:
    """(mount point, name for CRIU) of each mount that is a part of the host's."""
    host = {mount.device for mount in read("self")}
    inside = read(str(pid))
    top = [mount for mount in inside if mount.point == "/"][-1]
    found = []
    for mount in inside:
        if mount.point == "/" or mount.device not in host or mount.kind in _VIRTUAL:
            continue
        if mount.device == top.device and (mount.root + "/").startswith(top.root.rstrip("/") + "/"):
            continue  # a read-only path of the rootfs: bound from within
        found.append((mount.point, NULL if mount.root.rsplit("/", 1)[-1] == "null" else mount.point))
    return found


def binds(config: Config, bundle: str) -> list[tuple[str, str]]:
    """(name for CRIU, host path) of what a config binds into the container."""
    found = [(NULL, NULL)]
    for mount in config.get("mounts") or []:
        options = mount.get("options") or []
        if "bind" in options or "rbind" in options:
            source = os.path.normpath(os.path.join(bundle, mount.get("source") or ""))
            found.append((_point(mount), source))
    return found


def _point(mount: dict[str, Any]) -> str:
    return clean(mount["destination"])


def hierarchies(config: Config, parts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(name for CRIU, host path) of the hierarchies of cgroup v1 that a mount of type cgroup shows; CRIU makes the one
    tree of v2 by itself. parts: as pyoci.cgroups.mounts has them."""
    found = []
    for mount in config.get("mounts") or []:
        if mount.get("type") == "cgroup":
            found += [(f"{_point(mount)}/{p['name']}", p["source"]) for p in parts if p["filesystem"] == "cgroup"]
    return found


def make_points(config: Config, rootfs: str, bundle: str) -> None:
    """Makes what is missing to mount on: an imported root filesystem has none of the directories that create made."""
    root = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sources = dict(binds(config, bundle))
    try:
        covered: list[str] = []
        for mount in config.get("mounts") or []:
            point = _point(mount)
            if not any(point.startswith(above + "/") for above in covered):
                _make(root, point, os.path.isfile(sources.get(point, "")))
            covered.append(point)
    finally:
        os.close(root)


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
