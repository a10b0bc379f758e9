"""Bundles: the base configuration, and a directory with it and a root filesystem that holds the probe alone."""

import copy
import json
import os
from pathlib import Path
from typing import Any

Config = dict[str, Any]

SOME_CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID"]
DIRECTORIES = ("proc", "sys", "dev", "tmp", "etc", "data", "log", "masked")


def base_mounts() -> list[dict[str, Any]]:
    """The mounts that every engine asks for."""
    return [
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
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
        {
            "destination": "/dev/shm",
            "type": "tmpfs",
            "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ]


def base_config() -> Config:
    """An ordinary container that runs the probe. Tests change what they are about."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/probe", "report"],
            "env": ["PATH=/"],
            "cwd": "/",
            "capabilities": {name: list(SOME_CAPABILITIES) for name in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs"},
        "mounts": base_mounts(),
        "linux": {
            "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        },
    }


def merged(config: Config, changes: Config) -> Config:
    """A copy of the configuration with changes laid over: objects are merged, the rest is replaced, None removes."""
    result = copy.deepcopy(config)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class Bundle:
    """A bundle directory below `place`, with config.json and rootfs."""

    def __init__(self, place: Path, config: Config, probe: Path) -> None:
        self.path = place
        self.rootfs = place / "rootfs"
        self.config = config
        self.rootfs.mkdir(parents=True)
        for name in DIRECTORIES:
            (self.rootfs / name).mkdir()
        (self.rootfs / "tmp").chmod(0o1777)
        (self.rootfs / "log").chmod(0o777)
        (self.rootfs / "data" / "file").write_text("data of the root filesystem\n")
        (self.rootfs / "masked" / "secret").write_text("not to be read\n")
        (self.rootfs / "etc" / "passwd").write_text(
            "root:x:0:0:root:/home-of-root:/\nuser:x:1000:1000::/home-of-user:/\n"
        )
        os.link(probe, self.rootfs / "probe")
        place.chmod(0o755)
        self.write()

    def write(self) -> None:
        """(Re)write config.json from self.config."""
        (self.path / "config.json").write_text(json.dumps(self.config, indent=1))

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The JSON lines that probes of this bundle appended to /log/NAME."""
        return json_lines(self.rootfs / "log" / name)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; other lines are left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found
