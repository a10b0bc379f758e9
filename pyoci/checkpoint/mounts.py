"""Which mounts of a container come from outside: CRIU cannot save those, and is told by name what to put there."""

from __future__ import annotations

import os
from typing import Any

from pyoci.fileio import read_file
from pyoci.linux.mountinfo import Mount, mounts
from pyoci.paths import clean

Config = dict[str, Any]

# Filesystems of the kernel's own data: CRIU makes them anew, though they share a superblock with the host's
_VIRTUAL = ("proc", "sysfs", "mqueue", "devpts", "cgroup2")
NULL = "/dev/null"


def read(pid: str) -> list[Mount]:
    """The mounts of a process."""
    return list(mounts(read_file(f"/proc/{pid}/mountinfo")))


def ids(pid: int) -> set[int]:
    """The numbers by which the kernel knows a process's mounts."""
    return {int(line.split()[0]) for line in read_file(f"/proc/{pid}/mountinfo").split("\n") if line}


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


def points(config: Config, sources: dict[str, str]) -> list[tuple[str, bool]]:
    """Where mounts of a config go that no earlier mount covers, each with whether a file is mounted there.

    sources: of binds, as of binds()
    """
    found: list[tuple[str, bool]] = []
    covered: list[str] = []
    for mount in config.get("mounts") or []:
        point = _point(mount)
        if not any(point.startswith(above + "/") for above in covered):
            found.append((point, os.path.isfile(sources.get(point, ""))))
        covered.append(point)
    return found
