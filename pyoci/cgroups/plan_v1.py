"""linux.cgroupsPath and linux.resources → steps, on a machine with hierarchies of v1."""

from pyoci.cgroups import tree
from pyoci.cgroups.host import UNIFIED, Host, Layout
from pyoci.cgroups.limits_v1 import Limits
from pyoci.cgroups.v1 import Manager
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def compile_v1(
    host: Host,
    layout: Layout,
    cgroups_path: str,
    container_id: str,
    resources: "dict[str, Any]",
    by_systemd: bool = False,
) -> "Manager":
    """Decides the paths and compiles the steps; nothing is changed.

    An absolute path starts at each hierarchy's mount point, a relative one at our own cgroup there; without a path
    the container's id is a relative one. All as runc does it.
    """
    names = tree.components(cgroups_path or container_id)
    if not names:
        raise Error("names the root of the hierarchies", location="linux.cgroupsPath")
    absolute = cgroups_path.startswith("/")
    paths, bases = {}, {}
    if layout.unified:
        paths[UNIFIED] = _place(layout.unified, "/" if absolute else layout.unified_own, names)
        bases[UNIFIED] = layout.unified
    for controller, hierarchy in layout.by_controller().items():
        paths[controller] = _place(hierarchy.mount, "/" if absolute else hierarchy.own, names)
        bases[controller] = hierarchy.mount
    manager = Manager(host, paths, bases)
    manager.layout = layout
    limits = Limits(host, bases, resources, "linux.resources")
    manager.warnings = limits.warnings
    missing = _compile(manager, limits, by_systemd, not cgroups_path)
    _check_frozen_parent(manager, missing)
    _check_unused(manager, missing)
    return manager


def _place(mount: str, own: str, names: "list[str]") -> str:
    return tree.join(mount, tree.components(own) + names)


def _compile(manager: Manager, limits: Limits, by_systemd: bool, optional: bool) -> "list[str]":
    """Adds the steps; gives the directories that are not there yet.

    Init is born in the cgroup of a v2 tree beside v1; of the others there is time to make them. by_systemd: it
    makes some of them, and lowers limits again, which are therefore set last.
    """
    where, missing = "linux.cgroupsPath", []
    flags = ops.CGROUP_OF_SYSTEMD if by_systemd else ops.CGROUP_OPTIONAL if optional else 0
    for path, base in manager.directories():
        absent = tree.missing(base, path)
        missing += absent
        parents = tuple(absent[:-1])
        early = path == manager.paths.get(UNIFIED) and not by_systemd
        steps = manager.before if early else manager.birth
        steps.append(ops.make_cgroup(where, path=path, base=base, parents=parents, flags=flags))
        manager.undo.append(ops.remove_cgroup(where, path=path, parents=parents))
    if "cpuset" in manager.paths:
        step = ops.fill_cpuset("linux.cgroupsPath", path=manager.paths["cpuset"], base=manager.bases["cpuset"])
        manager.birth.append(step)
    (manager.joined if by_systemd else manager.birth).extend(limits.steps(manager.paths))
    manager.joined += limits.rule_steps(manager.paths)
    return missing


def _check_frozen_parent(manager: Manager, missing: "list[str]") -> None:
    """Refuses a parent that is frozen: a process in it would never run, and we would wait for it for ever."""
    if "freezer" not in manager.paths:
        return
    path, base = manager.paths["freezer"], manager.bases["freezer"]
    for level in tree.levels(base, path):
        if level in missing:
            return  # from here on down it does not exist yet
        state = manager.state_of(level)
        if state in ("FROZEN", "FREEZING"):
            text = "container's cgroup unexpectedly frozen" if level == path else f"cgroup {level} is frozen"
            raise Error(
                text, location="linux.cgroupsPath", hint="a process in it could not run; thaw it first", kind="host"
            )


def _check_unused(manager: Manager, missing: "list[str]") -> None:
    """Refuses cgroups that somebody uses."""
    for path, _ in manager.directories():
        if path not in missing:
            tree.refuse_if_used(manager.host, path)
