"""Cgroups of a container: plan() for a new one, load() for one in a state file; both give a Manager.

paths and files   v1, v2, systemd (managers) · tree, subpath (directories) · host (the machine, and the tests' seam)
values            compile · settings, settings_v1, settings_v2 · convert · devices, bpf
reading           stats_v1, stats_v2 · mounts
"""

from ..errors import Error
from .host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Protocol

    class Manager(Protocol):
        """What every driver can do; the methods are explained in v2.py."""

        made: "list[str]"
        warnings: "list[str]"

        def record(self) -> "dict[str, Any]": ...
        def create(self) -> None: ...
        def fd(self) -> "Optional[int]": ...
        def join(self, pid: int) -> None: ...
        def apply(self) -> None: ...
        def exec_fd(self, sub: "dict[str, str]", init_pid: int) -> "Optional[int]": ...
        def exec_join(self, pid: int, sub: "dict[str, str]", init_pid: int) -> None: ...
        def update(self, resources: "dict[str, Any]") -> None: ...
        def freeze(self) -> None: ...
        def thaw(self) -> None: ...
        def frozen(self) -> bool: ...
        def pids(self) -> "list[int]": ...
        def empty(self) -> bool: ...
        def kill(self, number: int) -> None: ...
        def stats(self) -> "dict[str, Any]": ...
        def oom_kills(self) -> "Optional[int]": ...
        def destroy(self) -> None: ...
        def mounts(self, options: "list[str]") -> "list[dict[str, Any]]": ...


def plan(config: "dict[str, Any]", container_id: str, *, driver: str, host: "Optional[Host]" = None) -> "Manager":
    """Decide a new container's cgroups; looks at the machine, changes nothing.

    config: config.json; driver: "cgroupfs", "systemd" or "disabled". Refuses, with the place in config.json, what this
    machine cannot apply, unless the value means «no limit».
    """
    if driver == "disabled":
        from .disabled import Manager as Disabled

        return Disabled()
    host = host or Host()
    linux = config.get("linux") or {}
    path, resources = linux.get("cgroupsPath") or "", linux.get("resources") or {}
    if driver == "systemd":
        from . import systemd

        return systemd.plan(host, config, path, container_id, resources)
    layout = host.layout()
    if layout.hierarchies:
        from . import v1

        return v1.plan(host, layout, path, container_id, resources)
    if not layout.unified or not host.is_v2():
        hint = "mount cgroup2 there, or use the disabled manager"
        raise Error(f"no cgroups are mounted below {host.root}", hint=hint)
    from . import v2

    return v2.plan(host, layout, path, container_id, resources)


def load(record: "dict[str, Any]", host: "Optional[Host]" = None) -> "Manager":
    """The manager of a container from what record() gave; looks at nothing."""
    if record["driver"] == "disabled":
        from .disabled import Manager as Disabled

        return Disabled()
    host = host or Host()
    if record["driver"] == "systemd":
        from . import systemd

        return systemd.load(host, record)
    made = list(record.get("made") or [])
    if record["version"] == 1:
        from .v1 import UNIFIED
        from .v1 import Manager as ManagerV1

        unified = record.get("unified")
        paths = {**record["cgroup_paths"], UNIFIED: unified} if unified else dict(record["cgroup_paths"])
        return ManagerV1(host, paths, {}, made)
    from .v2 import Manager as ManagerV2

    return ManagerV2(host, record["cgroup_paths"].get("", ""), made)
