"""A host of the tests' own, and the configs in tests/data compiled on it."""

import json
import posixpath
from pathlib import Path
from typing import Any, Optional

from pyoci.cgroups.mounts import for_v2
from pyoci.host import Host
from pyoci.plan.compile import compile_create
from pyoci.plan.model import Plan
from pyoci.plan.request import Request

DATA = Path(__file__).parents[2] / "data"
CALLERS = sorted(path.stem for path in (DATA / "callers").glob("*.json"))
BUNDLE = "/bundle"
DEVICES = {
    "/dev/null": (0o20000, 1, 3),
    "/dev/zero": (0o20000, 1, 5),
    "/dev/full": (0o20000, 1, 7),
    "/dev/random": (0o20000, 1, 8),
    "/dev/urandom": (0o20000, 1, 9),
    "/dev/tty": (0o20000, 5, 0),
    "/dev/fuse": (0o20000, 10, 229),
    "/dev/sda": (0o60000, 8, 0),
    "/dev/net/tun": (0o20000, 10, 200),
}
ALL_CAPABILITIES = (1 << 41) - 1


class FakeHost(Host):
    """A usual machine: every file and directory asked for is there, nobody's namespace is ours, no security module."""

    def __init__(self, euid: int = 0) -> None:
        super().__init__()
        self.euid = euid
        self.files = {"/proc/sys/kernel/cap_last_cap": "40"}
        self.ours: set[str] = set()
        self.absent: set[str] = set()
        self.permitted_now = ALL_CAPABILITIES

    def read(self, path: str) -> Optional[str]:
        return self.files.get(path)

    def read_all(self, path: str) -> str:
        return self.files[path]

    def exists(self, path: str) -> bool:
        return path not in self.absent and not path.startswith("/sys/fs/selinux")

    def same_file(self, one: str, other: str) -> bool:
        return posixpath.normpath(one) == posixpath.normpath(other) or one in self.ours

    def device(self, path: str) -> "Optional[tuple[int, int, int]]":
        return DEVICES.get(path)

    def is_directory(self, path: str) -> bool:
        return path not in self.absent

    def on_procfs(self, path: str) -> bool:
        return path == "/proc"

    def may_reach(self, path: str, uid: int, gid: int) -> bool:
        return True

    def permitted(self) -> int:
        return self.permitted_now

    def network_devices(self, path: str) -> list[str]:
        return ["lo"]

    def resctrl(self) -> str:
        return ""


def caller(name: str) -> dict[str, Any]:
    """A config of an engine's, without its seccomp profile: the program made of that is libseccomp's affair."""
    config: dict[str, Any] = json.loads((DATA / "callers" / f"{name}.json").read_text())
    config.get("linux", {}).pop("seccomp", None)
    return config


def request_of(config: dict[str, Any], host: Optional[FakeHost] = None) -> Request:
    request = Request(config, host or FakeHost(), BUNDLE, "box")
    request.cgroup_mounts = lambda options: for_v2("/sys/fs/cgroup", "/sys/fs/cgroup/box")
    request.state = lambda status: ('{"status":"' + status + '","pid":', "}")
    return request


def compiled(config: dict[str, Any], host: Optional[FakeHost] = None, **settings: Any) -> Plan:
    """The plan of a config; settings are attributes of the request."""
    request = request_of(config, host)
    for name, value in settings.items():
        setattr(request, name, value)
    return compile_create(request, ["PATH=/usr/bin"])


def small(**changes: Any) -> dict[str, Any]:
    """The smallest config there is, with changes at its top level."""
    config: dict[str, Any] = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["sh"], "cwd": "/"},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "uts"}]},
    }
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            config[key].update(value)
        else:
            config[key] = value
    return config
