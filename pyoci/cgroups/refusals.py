"""Why a v2 tree does not take a cgroup or a process: what the kernel answers with one errno has a place in the tree."""

from __future__ import annotations

import errno

from pyoci.cgroups import tree
from pyoci.cgroups.host import Host, read_value
from pyoci.errors import Error

# What systemd can delegate (man 5 systemd.resource-control, Delegate=)
_DELEGATED = "cpu cpuset io memory pids"


def of_making(base: str, path: str, number: int) -> str:
    """What may help when a cgroup cannot be made; "" where the errno says it all."""
    if number == errno.EAGAIN:
        return _full(base, path)
    if number == errno.ENOSPC:
        return "the kernel has no more numbers for cgroups, or a parent's cpuset is empty: remove some, or fill it"
    return ""


def _full(base: str, path: str) -> str:
    levels = [base.rstrip("/"), *tree.levels(base, path)]
    for depth, level in enumerate(reversed(levels[:-1]), 1):
        most = _number(level, "cgroup.max.depth")
        if most is not None and depth > most:
            return f"{level}/cgroup.max.depth allows {most} levels below it: raise it, or choose another path"
        most = _number(level, "cgroup.max.descendants")
        if most is not None and _count(level) >= most:
            return f"{level}/cgroup.max.descendants allows {most} cgroups below it: raise it, or remove some"
    return "a parent allows no more cgroups below it (cgroup.max.depth, cgroup.max.descendants)"


def _number(level: str, name: str) -> int | None:
    """A limit; None where there is none."""
    try:
        text = read_value(f"{level}/{name}").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _count(level: str) -> int:
    for line in read_value(level + "/cgroup.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "nr_descendants":
            return int(value)
    return 0


def threaded(base: str, path: str) -> str:
    """The parent that makes a cgroup one in which only threads of its own domain may be; "" where none does."""
    for level in [base.rstrip("/"), *tree.levels(base, path)[:-1]]:
        try:
            kind = read_value(level + "/cgroup.type").strip()
        except OSError:
            continue  # the root has none
        if kind in ("threaded", "domain threaded"):
            return level
    return ""


def of_joining(base: str, path: str, number: int) -> str:
    """What may help when a process cannot join."""
    if number == errno.EBUSY:
        return "it hands controllers down (cgroup.subtree_control), so that no process may be in it itself"
    if number == errno.EOPNOTSUPP:
        level = threaded(base, path) or path
        return f"{level} is threaded, and takes threads of its own domain alone: choose another linux.cgroupsPath"
    return ""


def not_enabled(host: Host, base: str, path: str, file: str, controller: str, where: str) -> Error:
    """The error for a limit whose controller the cgroup has not got."""
    text = f"cannot set {file}: controller {controller!r} not available in {path}"
    return Error(text, location=where, hint=_cure(host, base, path, controller), kind="missing")


def _cure(host: Host, base: str, path: str, controller: str) -> str:
    for level in [base.rstrip("/"), *tree.levels(base, path)[:-1]]:
        given = _words(level, "cgroup.subtree_control")
        if controller in _words(level, "cgroup.controllers") and controller not in given:
            break
    else:
        return f"the kernel has no such controller in {base}"
    if host.rootless() and controller in _DELEGATED.split():
        return (
            f"systemd did not delegate it: write `[Service]` and `Delegate={_DELEGATED}` to "
            "/etc/systemd/system/user@.service.d/delegate.conf, `systemctl daemon-reload`, and log in anew"
        )
    if _words(level, "cgroup.procs") and tree.exists(level + "/cgroup.type"):  # the machine's own root has no type
        return f"{level} has processes of its own, and hands nothing down until they are in a cgroup below it"
    return f"it could not be enabled in {level}/cgroup.subtree_control"


def _words(path: str, file: str) -> list[str]:
    try:
        return read_value(f"{path}/{file}").split()
    except OSError:
        return []
