"""Bundles with busybox as their root filesystem."""

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

APPLETS = """
    [ ash awk basename cat chmod chown chroot cp cut date dd df dirname echo env expr false find free grep head hostname
    id ip kill ln ls md5sum mkdir mkfifo mknod mount mv nc nproc od pgrep printf ps pwd readlink realpath renice
    rm rmdir sed seq setsid sh sleep sort stat stty sync tail tee test touch tr true tty umount uname uniq wc
    which xargs yes chrt
"""
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

Config = dict[str, Any]

BASE: Config = {
    "ociVersion": "1.3.0",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": ["PATH=/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [
            {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
            {"type": "cgroup"},
        ],
    },
}  # fmt: skip


def busybox() -> str:
    """A statically linked busybox."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path) and subprocess.call([path, "--list"], stdout=subprocess.DEVNULL) == 0:
            return path
    raise FileNotFoundError("busybox-static is not installed")


def make_rootfs(root: Path) -> None:
    """A root filesystem of busybox alone."""
    for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(busybox(), root / "bin" / "busybox")
    for name in APPLETS.split():
        os.symlink("busybox", root / "bin" / name)


class Bundle:
    """A directory with a config, written when a command is about to read it."""

    def __init__(self, path: Path, cgroup: str) -> None:
        self.path = path
        self.rootfs = path / "rootfs"
        self.config = copy.deepcopy(BASE)
        self.config["linux"]["cgroupsPath"] = cgroup

    @property
    def process(self) -> Config:
        return self.config["process"]  # type: ignore[no-any-return]

    @property
    def linux(self) -> Config:
        return self.config["linux"]  # type: ignore[no-any-return]

    def args(self, *words: str) -> "Bundle":
        self.process["args"] = list(words)
        return self

    def shell(self, script: str) -> "Bundle":
        return self.args("sh", "-c", script)

    def mount(self, destination: str, **entry: Any) -> Config:
        """Adds an entry to mounts."""
        added = {"destination": destination, **entry}
        self.config["mounts"].append(added)
        return added

    def bind(self, source: Any, destination: str, *options: str) -> Config:
        return self.mount(destination, type="none", source=str(source), options=list(options) or ["bind"])

    def namespace(self, kind: str, path: str = "") -> None:
        """Sets how a namespace is had: anew, or by path."""
        self.without(kind)
        self.linux["namespaces"].append({"type": kind, "path": path} if path else {"type": kind})

    def without(self, kind: str) -> None:
        spaces: list[Config] = self.linux["namespaces"]
        self.linux["namespaces"] = [space for space in spaces if space["type"] != kind]

    def hook(self, kind: str, path: str, **more: Any) -> None:
        self.config.setdefault("hooks", {}).setdefault(kind, []).append({"path": path, **more})

    def write(self) -> None:
        (self.path / "config.json").write_text(json.dumps(self.config))
