"""What the template does before its first fork, so that no fork has to do it, and to keep it for itself: it loads all
modules, reads and writes each message once, and decides about a container that nobody will make."""

from pyoci.containerd import codec, messages
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# By these all others
_MODULES = (
    "pyoci.containerd.serve", "pyoci.containerd.mounts", "pyoci.container.create", "pyoci.container.exec",
    "pyoci.container.start", "pyoci.container.delete", "pyoci.container.kill", "pyoci.container.notices",
    "pyoci.cgroups.perform",
)  # fmt: skip
_TIMES = 9  # then Python has learned what there is to learn of code
_NAMES = ("CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE")
_QUIET = ("nosuid", "noexec", "nodev")
_PROCESS = {
    "args": ["true"],
    "cwd": "/",
    "env": ["PATH=/bin"],
    "user": {"uid": 0, "gid": 0, "additionalGids": [1]},
    "capabilities": {"bounding": _NAMES, "effective": _NAMES, "permitted": _NAMES},
    "noNewPrivileges": True,
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
}
_CONFIG = {
    "ociVersion": "1.0.2",
    "process": _PROCESS,
    "root": {"path": "/"},
    "hostname": "rehearsal",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": _QUIET},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755"]},
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance"],
        },
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": _QUIET},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*_QUIET, "ro"]},
        {"destination": "/etc/hosts", "type": "bind", "source": "/etc", "options": ["rbind", "rprivate", "ro"]},
    ],
    "linux": {
        "cgroupsPath": "/pyoci-rehearsal",
        "resources": {
            "devices": [{"allow": False, "access": "rwm"}],
            "cpu": {"shares": 1024},
            "memory": {"limit": 1 << 30},
            "pids": {"limit": 1000},
        },
        "namespaces": [{"type": name} for name in ("pid", "ipc", "uts", "mount", "network")],
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
    },
}


def rehearse() -> None:
    """All of it. Nothing on the host is changed."""
    for name in _MODULES:
        __import__(name)
    for _ in range(_TIMES):
        _messages()
        try:
            _decide()
        except (Error, OSError):
            pass  # a host that is not for such a container: others will be told


def _messages() -> None:
    from pyoci.containerd.service import METHODS

    for wanted, given, _ in METHODS.values():
        for table in (wanted, given):
            codec.decode(table, codec.encode(table, _sample(table)))
    for _, table in messages.EVENTS.values():
        codec.encode(table, _sample(table))
    payload = codec.encode(messages.FORWARD, {"envelope": _sample(messages.ENVELOPE)})
    codec.encode(messages.REQUEST, {"service": "s", "method": "m", "payload": payload})


def _sample(table: "codec.Table") -> "codec.Message":
    """A message with something in each field."""
    plain: "tuple[Any, ...]" = (1000, True, "text", b"bytes", None, {"name": "value"})
    message: "codec.Message" = {}
    for name, kind, inner in table.values():
        value = plain[kind & ~codec.MANY] if inner is None else _sample(inner)
        message[name] = [value] if kind & codec.MANY else value
    return message


def _decide() -> None:
    from pyoci.container.create import compile_bundle
    from pyoci.container.state import Store
    from pyoci.host import Host
    from pyoci.json.document import dump, parse
    from pyoci.options import CreateOptions
    from pyoci.plan.compile_exec import compile_exec
    from pyoci.plan.request import Request
    from pyoci.validate import check_process

    store = Store("/run/containerd/pyoci/rehearsal")
    config: "Any" = parse(dump(_CONFIG).encode())
    compile_bundle(store, "rehearsal", CreateOptions("/", detach=True, config=config), "cgroupfs")[3].encode()
    check_process(config["process"])
    compile_exec(Request(config, Host(), "/", "rehearsal"), 1).encode()
