"""Cgroups of a container: compile_cgroups() for a new one, load() for one in a state file; both give a Manager.

compilers    plan_v1, plan_v2, systemd.manager: the steps that make and remove a container's cgroups
steps        perform: makes them
managers     v1, v2, disabled, systemd.manager: find, read, freeze, kill and change what is there
directories  tree, subpath; host: the machine, and the tests' seam
limits       limits_v1, limits_v2 over compile, settings, settings_v1, settings_v2, convert, devices, bpf, bpf_attach
reading      stats with stats_v1, stats_v2; mounts
"""

from pyoci.cgroups.host import UNIFIED, Host
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Protocol

    from pyoci.cgroups.change import Change

    # How a process gets there without being moved: a directory to be born in (CLONE_INTO_CGROUP), or -1, and files to
    # which it writes 0. All of it is the caller's to close; (-1, []): it must be moved
    from pyoci.cgroups.v1 import Manager as ManagerV1
    from pyoci.cgroups.v2 import Manager as ManagerV2
    from pyoci.plan.ops import RuntimeStep

    class Manager(Protocol):
        """What every driver can do; the methods are explained in v1.py and v2.py.

        before, birth, joined, undo: of a new container, the steps that make and remove them, as in Plan. A process is
        born in birthplace(), then it joins by tasks() or is moved by join().
        """

        @property
        def before(self) -> "list[RuntimeStep]": ...
        @property
        def birth(self) -> "list[RuntimeStep]": ...
        @property
        def joined(self) -> "list[RuntimeStep]": ...
        @property
        def undo(self) -> "list[RuntimeStep]": ...
        @property
        def warnings(self) -> "list[str]": ...
        def record(self) -> "dict[str, Any]": ...
        def places(self, sub: "dict[str, str]", init_pid: int) -> "tuple[str, ...]": ...
        def born_in(self, places: "tuple[str, ...]") -> "tuple[str, ...]": ...
        def birthplace(self, places: "tuple[str, ...]") -> int: ...
        def tasks(self, places: "tuple[str, ...]", born: bool) -> "Optional[list[int]]": ...
        def join(self, pid: int, places: "tuple[str, ...]" = ()) -> None: ...
        def change(self, resources: "dict[str, Any]", old: "dict[str, Any]") -> "Change": ...
        def freeze(self) -> None: ...
        def thaw(self) -> None: ...
        def frozen(self) -> bool: ...
        def release(self) -> None: ...
        def pids(self) -> "list[int]": ...
        def empty(self) -> bool: ...
        def frozen_above(self) -> str: ...
        def kill(self, number: int) -> None: ...
        def stats(self) -> "dict[str, Any]": ...
        def oom_kills(self) -> "Optional[int]": ...
        def vacate(self) -> None: ...
        def mounts(self, options: "list[str]") -> "list[dict[str, Any]]": ...


def compile_cgroups(
    config: "dict[str, Any]", container_id: str, *, driver: str, host: "Optional[Host]" = None
) -> "Manager":
    """Decides a new container's cgroups; looks at the machine, changes nothing.

    config: config.json; driver: "cgroupfs", "systemd" or "disabled". Refuses, with the place in config.json, what this
    machine cannot apply, unless the value means «no limit».
    """
    if driver == "disabled":
        from pyoci.cgroups.disabled import Manager as Disabled

        return Disabled()
    host = host or Host()
    linux = config.get("linux") or {}
    path, resources = linux.get("cgroupsPath") or "", linux.get("resources") or {}
    if resources.get("pids"):
        from pyoci.cgroups.convert import by_version

        resources = by_version(config, resources, -1)
    if driver == "systemd":
        from pyoci.cgroups.systemd import manager

        return manager.compile_unit(host, config, path, container_id, resources, compile_files)
    return compile_files(host, config, path, container_id, resources)


def compile_files(
    host: Host,
    config: "dict[str, Any]",
    path: str,
    container_id: str,
    resources: "dict[str, Any]",
    by_systemd: bool = False,
) -> "ManagerV1 | ManagerV2":
    """compile_cgroups() of the driver that makes the directories itself."""
    layout = host.layout()
    if layout.hierarchies:
        from pyoci.cgroups import plan_v1

        return plan_v1.compile_v1(host, layout, path, container_id, resources, by_systemd)
    if not layout.unified or not host.is_v2():
        hint = "mount cgroup2 there, or use the disabled manager"
        raise Error(f"no cgroups are mounted below {host.root}", hint=hint, kind="missing")
    from pyoci.cgroups import plan_v2

    return plan_v2.compile_v2(host, layout, path, container_id, resources, by_systemd, owner(config))


def owner(config: "dict[str, Any]") -> "Optional[int]":
    """The uid on the host of the container's user, if the container may manage cgroups of its own: it has a cgroup
    namespace and the tree mounted writable. None if not, or if that is root."""
    linux = config.get("linux") or {}
    namespaces = {entry.get("type") for entry in linux.get("namespaces") or [] if not entry.get("path")}
    if "cgroup" not in namespaces or "user" not in namespaces:
        return None
    for mount in config.get("mounts") or []:
        if mount.get("type") in ("cgroup", "cgroup2") and "ro" not in (mount.get("options") or []):
            break
    else:
        return None
    uid = ((config.get("process") or {}).get("user") or {}).get("uid", 0)
    for entry in linux.get("uidMappings") or []:
        if entry["containerID"] <= uid < entry["containerID"] + entry["size"]:
            on_host: int = entry["hostID"] + uid - entry["containerID"]
            return on_host or None
    return None


def load(record: "dict[str, Any]", host: "Optional[Host]" = None) -> "Manager":
    """The manager of a container from what record() gave; looks at nothing. Errors: Error for what it did not give."""
    if not _is_record(record):
        raise Error("what state.json says of the container's cgroups is not what pyoci writes", kind="damaged")
    if record["driver"] == "disabled":
        from pyoci.cgroups.disabled import Manager as Disabled

        return Disabled()
    host = host or Host()
    if record["driver"] == "systemd":
        from pyoci.cgroups.systemd import manager

        return manager.load(host, record, load_files(host, record))
    return load_files(host, record)


def _is_record(record: "dict[str, Any]") -> bool:
    if record.get("driver") == "disabled":
        return True
    paths, made = record.get("cgroup_paths"), record.get("made") or []
    if type(paths) is not dict or type(made) is not list or record.get("version") not in (1, 2):
        return False
    for text in (*paths.values(), *made, record.get("unified") or ""):
        if type(text) is not str:
            return False
    if record.get("driver") == "cgroupfs":
        return True
    texts = type(record.get("unit")) is type(record.get("slice")) is str
    return record.get("driver") == "systemd" and texts and type(record.get("user")) is bool


def load_files(host: Host, record: "dict[str, Any]") -> "ManagerV1 | ManagerV2":
    """load() of the driver that makes the directories itself."""
    if record["version"] == 1:
        from pyoci.cgroups import v1

        unified = record.get("unified")
        paths = {**record["cgroup_paths"], UNIFIED: unified} if unified else dict(record["cgroup_paths"])
        return v1.Manager(host, paths, {})
    from pyoci.cgroups import v2

    return v2.Manager(host, record["cgroup_paths"].get("", ""))
