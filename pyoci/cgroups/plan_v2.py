"""linux.cgroupsPath and linux.resources → steps, on a machine with cgroup v2 alone."""

from pyoci.cgroups import tree
from pyoci.cgroups.host import Host, Layout, read_value
from pyoci.cgroups.limits_v2 import Limits
from pyoci.cgroups.v2 import Manager, event
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


def compile_v2(
    host: Host,
    layout: Layout,
    cgroups_path: str,
    container_id: str,
    resources: "dict[str, Any]",
    by_systemd: bool = False,
    owner: "Optional[int]" = None,
) -> Manager:
    """Decides the path and compiles the steps; nothing is changed.

    An absolute path starts at the top of the tree; a relative one, or the container's id without any, beside our own
    cgroup: below it no controller could be enabled while we are in it. All as runc does it.

    owner: the host's uid that may make cgroups below ours
    """
    names = tree.components(cgroups_path or container_id)
    if not names:
        raise Error("names the root of the tree", location="linux.cgroupsPath")
    above = [] if cgroups_path.startswith("/") else tree.components(layout.unified_own)[:-1]
    path = tree.join(layout.unified, above + names)
    manager = Manager(host, path)
    manager.base = layout.unified
    limits = Limits(host, layout.unified, resources, "linux.resources")
    manager.warnings = limits.warnings
    missing = tree.missing(layout.unified, path)
    _check_frozen(manager, missing)
    if path not in missing:
        tree.refuse_if_used(host, path)
    _compile(manager, limits, missing, by_systemd, ops.CGROUP_OPTIONAL if not cgroups_path else 0, owner)
    return manager


def _compile(
    manager: Manager, limits: Limits, missing: "list[str]", by_systemd: bool, flags: int, owner: "Optional[int]"
) -> None:
    """Adds the steps: the cgroup, its controllers from the top down, the limits, all before a process is born in
    it. by_systemd: it makes the cgroup, with a process in it, and the files have the last word."""
    where, parents, path = "linux.cgroupsPath", tuple(missing[:-1]), manager.path
    steps = manager.joined if by_systemd else manager.before
    asked = {setting.controller for setting in limits.settings if not setting.idle}
    if not by_systemd:
        makes = flags | (ops.CGROUP_LIMITED if asked else 0)
        steps.append(ops.make_cgroup(where, path=path, base=manager.base, parents=parents, flags=makes))
        domain = ops.CGROUP_LIMITED if asked & {"memory", "io", "cpu", "hugetlb"} else 0
        steps.append(ops.cgroup_type(where, path=path, flags=domain))
    steps.append(ops.hand_down(where, path=path, base=manager.base, controllers=()))
    steps += limits.steps(path)
    if owner is not None:
        steps.append(ops.delegate_cgroup(where, path=path, uid=owner))
    manager.joined += limits.rule_steps(path)
    # slices and scope come and go by systemd's hand
    manager.undo.append(ops.remove_cgroup(where, path=path, parents=() if by_systemd else parents))


def _check_frozen(manager: Manager, missing: "list[str]") -> None:
    """Refuses a frozen cgroup or a frozen parent: a process in it would never run, and we would wait for ever."""
    for level in tree.levels(manager.base, manager.path):
        if level in missing:
            return  # from here on down it does not exist yet
        try:
            frozen = event(read_value(level + "/cgroup.events"), "frozen")
        except OSError:
            return  # nor does it by now
        if frozen:
            ours = level == manager.path
            text = "container's cgroup unexpectedly frozen" if ours else f"cgroup {level} is frozen"
            raise Error(
                text, location="linux.cgroupsPath", hint="a process in it could not run; thaw it first", kind="host"
            )
