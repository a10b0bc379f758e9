"""update: new limits for a container that exists. A plan changes them, and another puts the former ones back.

The latter is kept in state.json meanwhile: what a killed command has left is put back by the next `update`.
"""

from pyoci.cgroups.settings import Section
from pyoci.container.memory import limits_memory, watching
from pyoci.container.perform import Work, perform
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.cgroups import Manager
    from pyoci.container.state import Entry
    from pyoci.plan.model import Plan
    from pyoci.plan.ops import RuntimeStep

# Of the steps that put back: the name in state.json, and the types of the fields
_BACK: "dict[str, tuple[Any, tuple[type, ...]]]" = {
    "limit": (ops.LIMIT, (str, list, str, int)),
    "device_rules": (ops.DEVICE_RULES, (str, list)),
    "limit_again": (ops.LIMIT_AGAIN, ()),
    "thaw": (ops.THAW, ()),
    "schemata": (ops.SCHEMATA, (str, str, list)),
    "keep_config": (ops.KEEP_CONFIG, (str, object)),
}
_NAMES = {operation: name for name, (operation, _) in _BACK.items()}
_OBJECTS = ("memory", "cpu", "pids", "blockIO", "network", "rdma", "unified")  # of linux.resources
_KEY = "changing"  # of state.json


def update(entry: "Entry", resources: "dict[str, Any]") -> "list[str]":
    """Changes limits and notes them in the kept config. What is absent or null stays as it is; gives what was ignored.

    resources: as linux.resources in config.json
    Errors: Error "container not running", or with the property that the kernel refused; then the limits are as before.
        And Error when the kernel has killed the container, to get its memory below the new limit.
    """
    _refuse_stopped(entry)
    _finish(entry)
    manager = entry.manager()
    steps, undo, warnings = _compile(entry, manager, resources)
    if limits_memory(resources):
        warnings += watching(entry, manager, lambda: _change(entry, manager, steps, undo))
    else:
        _change(entry, manager, steps, undo)
    return warnings


def plan_update(entry: "Entry", resources: "dict[str, Any]") -> "Plan":
    """What update() would do. Errors: as of it, but for those of the kernel's."""
    _refuse_stopped(entry)
    from pyoci.plan.model import Plan

    plan = Plan()
    plan.stays = True
    plan.before, plan.undo, plan.warnings = _compile(entry, entry.manager(), resources)
    return plan


def _refuse_stopped(entry: "Entry") -> None:
    if entry.status() == "stopped":
        raise Error("container not running", kind="not_running")


def _compile(
    entry: "Entry", manager: "Manager", resources: "dict[str, Any]"
) -> "tuple[list[RuntimeStep], list[RuntimeStep], list[str]]":
    config, section = entry.config(), Section(resources, "")
    for name in _OBJECTS:
        section.section(name)
    if resources.get("pids"):
        from pyoci.cgroups.convert import by_version

        resources = by_version(config, resources, None)
    change = manager.change(resources, (config.get("linux") or {}).get("resources") or {})
    steps = change.steps()
    _keep(steps, change.undo, config, "resources", resources)
    return steps, change.undo, change.warnings


def update_classes(entry: "Entry", schemas: "dict[str, str]") -> None:
    """Changes the container's class in resctrl, and notes it in the kept config.

    schemas: l3CacheSchema and memBwSchema, as in linux.intelRdt
    Errors: Error "container not running", or in runc's words when the host has no such thing.
    """
    _refuse_stopped(entry)
    from pyoci.container.resctrl import change
    from pyoci.host import Host

    _finish(entry)
    steps, undo = change(entry.record.get("resctrl"), entry.container, Host().resctrl(), schemas)
    _keep(steps, undo, entry.config(), "intelRdt", schemas)
    _change(entry, entry.manager(), steps, undo)


def _keep(
    steps: "list[RuntimeStep]", undo: "list[RuntimeStep]", config: "dict[str, Any]", name: str, new: "dict[str, Any]"
) -> None:
    """Adds that an object of the kept config's `linux` gets the new values.

    Errors: Error for what config.json cannot hold: the next command would not read it.
    """
    from pyoci.json.document import dump, parse

    parse(dump(new).encode("utf-8", "surrogatepass"), name=f"linux.{name}")
    old = (config.get("linux") or {}).get(name)
    steps.append(ops.keep_config(f"linux.{name}", name=name, value=merged(old or {}, new)))
    undo.append(ops.keep_config(f"linux.{name}", name=name, value=old))


def _change(entry: "Entry", manager: "Manager", steps: "list[RuntimeStep]", undo: "list[RuntimeStep]") -> None:
    """Does the steps, and what takes them back when one fails."""
    work = Work(entry, manager)
    entry.record[_KEY] = [[_NAMES[operation], where, [*fields]] for operation, where, fields in undo]
    entry.save()
    try:
        perform(steps, work)
    except BaseException:
        _put_back(entry, work, undo)
        raise
    del entry.record[_KEY]
    entry.save()


def _put_back(entry: "Entry", work: "Work", undo: "list[RuntimeStep]") -> None:
    """What goes wrong meanwhile must not hide the reason we are here."""
    work.refused = []
    for step in reversed(undo):
        try:
            perform([step], work)
        except (Error, OSError):
            pass
    del entry.record[_KEY]
    entry.save()


def _finish(entry: "Entry") -> None:
    """Puts back what a command that was killed has left half done."""
    steps = entry.record.get(_KEY)
    if steps is None:
        return
    undo: "Any" = []
    for step in steps:
        if not _is_step(step):
            raise Error(f"{entry.path}/state.json has a step {step} that this pyoci does not know", kind="damaged")
        name, where, fields = step
        undo.append((_BACK[name][0], where, fields))
    _put_back(entry, Work(entry, entry.manager()), undo)


def _is_step(step: "Any") -> bool:
    """Whether it is one that puts back, with the fields that it has, and writes files of a cgroup and nothing else."""
    if type(step) is not list or len(step) != 3 or type(step[0]) is not str or step[0] not in _BACK:
        return False
    name, where, fields = step
    types = _BACK[name][1]
    if type(where) is not str or type(fields) is not list or len(fields) != len(types):
        return False
    if not all(isinstance(field, kind) for field, kind in zip(fields, types)):
        return False
    if name not in ("limit", "device_rules"):
        return True
    texts = fields[1]
    if len(texts) != 2 or not all(type(text) is str and "\0" not in text for text in (fields[0], *texts)):
        return False
    return texts[0] in ("devices.allow", "devices.deny") if name == "device_rules" else "/" not in texts[0]


def merged(old: "dict[str, Any]", new: "dict[str, Any]") -> "dict[str, Any]":
    """The old object with the new one's values; arrays are replaced, null changes nothing."""
    result = dict(old)
    for key, value in new.items():
        if isinstance(value, dict):
            result[key] = merged(old.get(key) or {}, value)
        elif value is not None:
            result[key] = value
    return result
