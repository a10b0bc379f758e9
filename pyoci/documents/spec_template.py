"""The config.json that `pyoci spec` writes: a small, tight container to start from."""

from __future__ import annotations

import os
from typing import Any

import pyoci

# Enough to run a service on a low port; no inheritable and no ambient set (CVE-2022-29162).
_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")

# Entries of the host's kernel in /proc and /sys that namespaces do not cover (CVE-2015-3630, CVE-2018-10892).
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/devices/virtual/tpm",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_CGROUP2_IS_ROOT = "/sys/fs/cgroup/cgroup.controllers"


def config() -> dict[str, Any]:
    """A config for root: all namespaces but user (and cgroup on v1, where it hides nothing)."""
    namespaces = ["pid", "network", "ipc", "uts", "mount"]
    if _exists(_CGROUP2_IS_ROOT):
        namespaces.append("cgroup")
    return {
        "ociVersion": pyoci.SPEC_VERSION,
        "process": _process(),
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "pyoci",
        "mounts": _mounts(),
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in namespaces],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
        },
    }


def rootless(document: dict[str, Any], uid: int, gid: int) -> dict[str, Any]:
    """The same config for a user without privileges: uid and gid become the container's root.

    The host's network and /sys are shared, since a new sysfs asks for a network namespace of one's own, and without
    the host's root that has no way out; ids beyond the one mapped and cgroup limits are left out.
    """
    linux = {name: value for name, value in document["linux"].items() if name != "resources"}
    kept = [space for space in linux["namespaces"] if space["type"] not in ("network", "user")]
    linux["namespaces"] = [*kept, {"type": "user"}]
    linux["uidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": gid, "size": 1}]
    return {**document, "mounts": [_rootless_mount(mount) for mount in document["mounts"]], "linux": linux}


def _rootless_mount(mount: dict[str, Any]) -> dict[str, Any]:
    if mount["destination"] == "/sys":
        options = ["rbind", "nosuid", "noexec", "nodev", "ro"]
        return {"destination": "/sys", "type": "none", "source": "/sys", "options": options}
    if "options" not in mount:
        return mount
    return {**mount, "options": [option for option in mount["options"] if option[:4] not in ("uid=", "gid=")]}


def _process() -> dict[str, Any]:
    return {
        "terminal": True,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {kind: list(_CAPABILITIES) for kind in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    }


def _mounts() -> list[dict[str, Any]]:
    guarded = ["nosuid", "noexec", "nodev"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts",
            "devpts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        _mount("/dev/shm", "tmpfs", "shm", [*guarded, "mode=1777", "size=65536k"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", guarded),
        _mount("/sys", "sysfs", "sysfs", [*guarded, "ro"]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*guarded, "relatime", "ro"]),
    ]


def _mount(destination: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True
