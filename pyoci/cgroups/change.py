"""update: new limits for cgroups that are in use → steps, and those that put the former limits back."""

from pyoci.cgroups.compile import check_room
from pyoci.cgroups.host import UNIFIED, read_value
from pyoci.cgroups.settings import PARTITION
from pyoci.fileio import read_file
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyoci.cgroups.v1 import Manager as ManagerV1
    from pyoci.cgroups.v2 import Manager as ManagerV2
    from pyoci.plan.ops import RuntimeStep


_ONE_WORD = ("memory.oom_control", PARTITION)  # of what they show, the one to write


class Change:
    """What an update does to cgroups.

    limits: the steps that set the limits; rules: those that set the device rules
    before: what comes first of all; between: what comes after both, which are then set again; after: the end
    whole:  set the device rules again, whatever there is by then; whole_back: the same with the former ones
    undo:   what takes back, from the last to the first
    """

    __slots__ = ("after", "before", "between", "limits", "rules", "undo", "warnings", "whole", "whole_back")

    def __init__(self, limits: "list[RuntimeStep]", rules: "list[RuntimeStep]", warnings: "list[str]") -> None:
        self.limits = limits
        self.rules = rules
        self.warnings = warnings
        self.before: "list[RuntimeStep]" = []
        self.between: "list[RuntimeStep]" = []
        self.after: "list[RuntimeStep]" = []
        self.whole = rules
        self.whole_back: "list[RuntimeStep]" = []
        self.undo: "list[RuntimeStep]" = []

    def steps(self) -> "list[RuntimeStep]":
        """All of it, in order."""
        if not self.between:
            return [*self.before, *self.limits, *self.rules, *self.after]
        first = self.rules if self.whole is not self.rules else []
        return [*self.before, *self.limits, *first, *self.between, *self.limits, *self.whole, *self.after]


def for_v1(manager: "ManagerV1", resources: "dict[str, Any]", old: "dict[str, Any]") -> "Change":
    """The change on v1. Absent and null properties stay; device rules, if there are any, replace the former ones.

    old: the resources so far
    """
    from pyoci.cgroups.limits_v1 import Limits

    layout = manager.host.layout()
    bases = {name: hierarchy.mount for name, hierarchy in layout.by_controller().items()}
    if layout.unified and manager.paths.get(UNIFIED):
        bases[UNIFIED] = layout.unified
    limits = Limits(manager.host, bases, resources, "")
    if "memory" in manager.paths:
        _check_room(resources, manager.paths["memory"] + "/memory.usage_in_bytes")
    if not resources.get("devices"):
        return _complete(Change(limits.steps(manager.paths), [], limits.warnings), manager)
    rules = limits.rule_steps(manager.paths, True)
    change = _complete(Change(limits.steps(manager.paths), rules, limits.warnings), manager)
    if rules:  # many writes, of which any can be refused
        change.whole = limits.rule_steps(manager.paths)
        back, change.whole_back = limits.steps_back(manager.paths["devices"], old)
        change.undo += back
    return change


def for_v2(manager: "ManagerV2", resources: "dict[str, Any]") -> "Change":
    """The same on v2. Device rules are replaced in one step, so that there is no moment without."""
    from pyoci.cgroups.limits_v2 import Limits

    path = manager.path
    limits = Limits(manager.host, manager.base, manager.with_quota_and_period(resources), "")
    if path:
        _check_room(resources, path + "/memory.current")
        enabled = read_value(path + "/cgroup.controllers").split()
        for setting in limits.settings:
            if setting.controller and setting.controller not in enabled and not setting.idle:
                from pyoci.cgroups.refusals import not_enabled

                file, controller = setting.choices[0][0], setting.controller
                raise not_enabled(manager.host, manager.base, path, file, controller, setting.location)
    elif resources.get("devices"):
        raise manager.no_cgroup("devices")
    rules = limits.rule_steps(path) if resources.get("devices") else []
    return _complete(Change(limits.steps(path), rules, limits.warnings), manager)


def _check_room(resources: "dict[str, Any]", file: str) -> None:
    if (resources.get("memory") or {}).get("checkBeforeUpdate"):
        check_room(resources, "", int(read_file(file)))


def _complete(change: "Change", files: "ManagerV1 | ManagerV2") -> "Change":
    """Refuses limits of cgroups that the container has not, and adds what puts back."""
    back: "list[RuntimeStep]" = []
    for where, (path, choices, controller, flags) in _limits(change.limits):
        if path:
            back += _back(where, path, choices, controller)
        elif not flags & ops.LIMIT_IDLE:
            raise files.no_cgroup(controller)
    if back:  # neighbours again: what is refused before the others are back
        change.undo = [ops.limit_again(""), *back]
    return change


def _limits(steps: "list[RuntimeStep]") -> "Iterator[tuple[str, tuple[Any, ...]]]":
    return ((where, fields) for operation, where, fields in steps if operation == ops.LIMIT)


def _back(where: str, path: str, choices: "tuple[str, ...]", controller: str) -> "list[RuntimeStep]":
    """The step that writes what is in the first file of a limit that is there."""
    for file, value in zip(choices[::2], choices[1::2]):
        try:
            old = former(read_file(f"{path}/{file}"), file, value)
        except OSError:
            continue
        return [ops.limit(where, path=path, choices=(file, old), controller=controller, flags=ops.LIMIT_TRY)]
    return []


def former(text: str, file: str, new: str) -> str:
    """What to write to a file to get back what it holds now, as far as writing `new` would change it."""
    if file in _ONE_WORD:
        return text.removeprefix("oom_kill_disable").split()[0]
    lines = text.strip().splitlines() or [""]
    name, space, _ = new.partition(" ")
    for line in lines if space else ():
        if line.startswith(name + " "):
            return line
    if not space or ":" not in name:
        return lines[0]  # before the lines of single devices is that of all others
    if file == "io.max":
        return f"{name} rbps=max wbps=max riops=max wiops=max"
    return f"{name} {'default' if 'weight' in file else '0'}"
