"""Wishes → config.json: a container that is safe by default."""

import pyoci
from pyoci.errors import Error
from pyoci.sandbox.place import host_directories
from pyoci.sandbox.profile import profile
from pyoci.sandbox.wishes import DEFAULT_TMPFS, HOME, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.sandbox.wishes import Wishes

    Config = dict[str, Any]

_PERIOD = 100000
_SUPERVISOR = 1  # the first process, which is ours, counts as well
_MASKED = """
    acpi asound kallsyms kcore keys kmsg kpagecgroup kpagecount kpageflags latency_stats modules sched_debug scsi
    schedstat slabinfo timer_list timer_stats vmallocinfo
"""
_READ_ONLY = ("bus", "driver", "dynamic_debug", "fs", "irq", "mtrr", "sys", "sysrq-trigger", "sysvipc", "tty")


def config(wishes: "Wishes", root: str, args: "list[str]", cgroup: str) -> "Config":
    """The config of a sandbox.

    root:   its root filesystem
    cgroup: where its cgroups are made, if there is something to limit
    """
    check_text("args", *args)
    linux: "Config" = {
        "namespaces": _namespaces(wishes),
        "maskedPaths": [f"/proc/{name}" for name in _MASKED.split()],
        "readonlyPaths": [f"/proc/{name}" for name in _READ_ONLY],
        "seccomp": profile(),
    }
    if wishes.rootless:
        import os

        linux["uidMappings"] = [{"containerID": wishes.uid, "hostID": os.geteuid(), "size": 1}]
        linux["gidMappings"] = [{"containerID": wishes.gid, "hostID": os.getegid(), "size": 1}]
    resources = _resources(wishes)
    if resources:
        linux["resources"] = resources
        linux["cgroupsPath"] = cgroup
    return {
        "ociVersion": pyoci.SPEC_VERSION,
        "root": {"path": root, "readonly": True},
        "hostname": wishes.hostname,
        "process": process(wishes, args),
        "mounts": _mounts(wishes),
        "linux": linux,
    }


def process(wishes: "Wishes", args: "list[str]", env: "dict[str, str]" = {}, cwd: str = "") -> "Config":  # noqa: B006
    """`process` of a program in the sandbox: its user's, without a capability, and without a way to get one."""
    return {
        "args": args,
        "cwd": cwd or wishes.cwd,
        "env": [f"{name}={value}" for name, value in {**wishes.env, **env}.items()],
        "user": {"uid": wishes.uid, "gid": wishes.gid},
        "capabilities": {},
        "noNewPrivileges": True,
        "terminal": wishes.terminal,
        "rlimits": _rlimits(wishes),
    }


def _namespaces(wishes: "Wishes") -> "list[Config]":
    kinds = ["pid", "ipc", "uts", "mount"]
    kinds += [] if wishes.network else ["network"]
    kinds += ["user"] if wishes.rootless else []
    return [{"type": kind} for kind in kinds]


def _rlimits(wishes: "Wishes") -> "list[Config]":
    limits = [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    if wishes.data is not None:
        limits.append({"type": "RLIMIT_DATA", "soft": wishes.data, "hard": wishes.data})
    if wishes.pids is not None and not in_cgroup(wishes):
        number = wishes.pids + _SUPERVISOR
        limits.append({"type": "RLIMIT_NPROC", "soft": number, "hard": number})
    return limits


def in_cgroup(wishes: "Wishes") -> bool:
    """Whether the number of processes is limited by a cgroup. In a user namespace that a user without privileges has
    made, RLIMIT_NPROC counts the namespace's processes alone (since Linux 5.14), and needs no cgroup."""
    return not wishes.rootless


def _resources(wishes: "Wishes") -> "Config":
    resources: "Config" = {}
    if wishes.memory is not None:
        resources["memory"] = {"limit": wishes.memory, **({"swap": wishes.memory} if _has_swap() else {})}
    if wishes.cpus is not None:
        resources["cpu"] = {"quota": max(1000, int(wishes.cpus * _PERIOD)), "period": _PERIOD}
    if wishes.pids is not None and in_cgroup(wishes):
        resources["pids"] = {"limit": wishes.pids + _SUPERVISOR}
    return resources


def _has_swap() -> bool:
    """Whether memory could escape its limit into swap."""
    try:
        with open("/proc/swaps", encoding="ascii") as file:
            return len(file.readlines()) > 1
    except OSError:
        return False


def _mounts(wishes: "Wishes") -> "list[Config]":
    mounts = [_mount("/proc", "proc", "proc", "nosuid noexec nodev")]
    if wishes.rootfs is None:
        mounts += [_host(path) for path in host_directories()]
    mounts.append(_mount("/dev", "tmpfs", "tmpfs", "nosuid noexec mode=755 size=64k ro"))
    mounts.append(_mount("/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0600"))
    mounts.append(_fresh(wishes, "/dev/shm", DEFAULT_TMPFS, "1777", "noexec"))
    wanted = {"/tmp": DEFAULT_TMPFS, **({HOME: DEFAULT_TMPFS} if wishes.rootfs is None else {}), **wishes.tmpfs}
    taken = {bind.destination for bind in wishes.binds}
    mounts += [
        _fresh(wishes, path, size, "1777" if path == "/tmp" else "0700")
        for path, size in wanted.items()
        if path not in taken
    ]
    for bind in wishes.binds:
        mode = "rw" if bind.writable else "ro"
        mounts.append(_mount(bind.destination, "none", bind.source, f"rbind r{mode} rnosuid rnodev"))
    return sorted(mounts, key=lambda mount: str(mount["destination"]).count("/"))


def _host(path: str) -> "Config":
    return _mount(path, "none", path, "rbind rro rnosuid rnodev")


def _fresh(wishes: "Wishes", path: str, size: int, mode: str, more: str = "") -> "Config":
    owner = f"uid={wishes.uid} gid={wishes.gid}"
    return _mount(path, "tmpfs", "tmpfs", f"nosuid nodev {owner} size={size} nr_inodes=65536 mode={mode} {more}")


def _mount(destination: str, kind: str, source: str, options: str) -> "Config":
    return {"destination": destination, "type": kind, "source": source, "options": options.split()}


def refuse_unlimited(problem: Error) -> Error:
    """What is said when the host cannot enforce a limit."""
    problem.kind = "missing"
    problem.hint = (
        "best_effort=True does without what this host cannot limit; memory and cpus take a cgroup that is ours"
    )
    return problem
