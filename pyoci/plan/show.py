"""A plan in words: what `pyoci plan` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.step import Step
from pyoci.plan.words import BOTH, OPERATIONS, RUNTIME_OPERATIONS, SYNC_POINTS

if TYPE_CHECKING:
    from pyoci.plan.model import Made, Plan
    from pyoci.plan.ops import RuntimeStep

_ATTRIBUTES = (
    (kernel.MOUNT_ATTR_RDONLY, "ro"),
    (kernel.MOUNT_ATTR_NOSUID, "nosuid"),
    (kernel.MOUNT_ATTR_NODEV, "nodev"),
    (kernel.MOUNT_ATTR_NOEXEC, "noexec"),
    (kernel.MOUNT_ATTR_NODIRATIME, "nodiratime"),
    (kernel.MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
)
_PLURALS = ("set", "clear", "recursive_set", "recursive_clear")


def _namespaces(flags: int) -> str:
    names = [n[9:].lower() for n in dir(kernel) if n.startswith("CLONE_NEW") and flags & getattr(kernel, n)]
    return ",".join(names)


def _attributes(bits: int) -> str:
    names = [name for bit, name in _ATTRIBUTES if bits & bit]
    if bits & kernel.MOUNT_ATTR__ATIME == kernel.MOUNT_ATTR__ATIME:
        names.append("*atime")
    elif bits & kernel.MOUNT_ATTR_NOATIME:
        names.append("noatime")
    elif bits & kernel.MOUNT_ATTR_STRICTATIME:
        names.append("strictatime")
    return ",".join(names)


# Whose names the bits of a step's `flags` have: the module, and what the names begin with
_FLAGS = {
    ops.MOUNT_NEW: (ops, "MOUNT_"),
    ops.MOUNT_BIND: (ops, "MOUNT_"),
    ops.MAKE_NODE: (ops, "NODE_"),
    ops.MAKE_LINK: (ops, "LINK_"),
    ops.CONSOLE: (ops, "CONSOLE_"),
    ops.ENTER_CWD: (ops, "CWD_"),
    ops.IDENTITY: (ops, "IDENTITY_"),
    ops.READONLY_PATH: (ops, "PROTECT_"),
    ops.MASK_PATH: (ops, "PROTECT_"),
    ops.MAKE_CGROUP: (ops, "CGROUP_"),
    ops.CGROUP_TYPE: (ops, "CGROUP_"),
    ops.LIMIT: (ops, "LIMIT_"),
    ops.DEVICE_PROGRAM: (ops, "DEVICES_"),
    ops.SECCOMP: (kernel, "SECCOMP_FILTER_FLAG_"),
    ops.SCHEDULER: (kernel, "SCHED_FLAG_"),
}
_OPERATIONS = {name for name, _, _ in (*OPERATIONS, *RUNTIME_OPERATIONS.values())}


def _flags(operation: int, bits: int) -> str:
    """The names of flags; what has none as a number."""
    module, start = _FLAGS.get(operation, (ops, "?"))
    names = []
    for name in dir(module):
        bit = getattr(module, name)
        if name.startswith(start) and name not in _OPERATIONS and type(bit) is int and bit and bits & bit == bit:
            names.append((bit, name[len(start) :].lower().replace("_", "-")))
            bits &= ~bit
    return ",".join([name for _, name in sorted(names)] + ([hex(bits)] if bits else []))


def _propagation(bits: int) -> str:
    names = [
        n[3:].lower() for n in ("MS_PRIVATE", "MS_SLAVE", "MS_SHARED", "MS_UNBINDABLE") if bits & getattr(kernel, n)
    ]
    return ",".join(names)


def _value(step: Step, name: str, value: Any) -> str:
    if name == "flags" and type(value) is int:
        return _flags(step.operation, value)
    if name == "propagation":
        return _propagation(value)
    if name in ("type", "types") and type(value) is int:
        return _namespaces(value)
    if name in _PLURALS and step.operation in (ops.MOUNT_NEW, ops.MOUNT_BIND, ops.MOUNT_CHANGE):
        return _attributes(value)
    if name == "point":
        return SYNC_POINTS[value]
    if name == "mode":
        return oct(value)
    if name in ("keep", "effective", "permitted", "inheritable", "ambient") and step.operation != ops.CLOSE_FILES:
        return hex(value)
    if type(value) is bytes:
        return f"<{len(value)} bytes>"
    return repr(value) if type(value) in (list, str) else str(value)


def _about(operation: int) -> Any:
    """What plan.h says of an operation: its name, words and fields."""
    return RUNTIME_OPERATIONS[operation] if operation >= len(OPERATIONS) else OPERATIONS[operation]


def _fields(step: Step) -> list[tuple[str, Any]]:
    names = [name for _, name in _about(step.operation)[2]]
    return list(zip(names, step.fields))


def _is_telling(value: Any) -> bool:
    return value not in ("", b"", [], 0, None) or type(value) is bool


def _line(number: int, who: str, step: Step) -> str:
    words = _about(step.operation)[1]
    values = [f"{n}={_value(step, n, v)}" for n, v in _fields(step) if _is_telling(v)]
    if step.operation == ops.EXECUTE:  # an environment fills screens; `--json` has it
        values = [v for v in values if not v.startswith("env=")]
    return f"{number:4}  {who:<7}  {words:<40} {' '.join(values):<72} {step.where}".rstrip()


def lines(plan: Plan) -> list[str]:
    """The plan, a step a line: number, who does it, what is done, with what, and the place in config.json behind it.
    Then what would be ignored, and what is missing; and what takes it back."""
    result = [f"   -  born into {_namespaces(plan.flags)}"] if plan.flags else []
    result += [_line(number, who, step) for number, (who, step) in enumerate(whole(plan))]
    if plan.undo:
        result.append("   -  when a step fails" if plan.stays else "   -  delete")
        result += [_line(number, "runtime", step) for number, step in enumerate(undoing(plan))]
    result += [f"   -  warning: {text}" for text in plan.warnings]
    return result + [f"   -  missing: {where}: {text}" for where, text in plan.missing]


def whole(plan: Plan) -> list[tuple[str, Step]]:
    """Every step of a plan in the order in which it is done, with who does it: init, runtime or both. From one step of
    both to the next they are at work at the same time; at a point of waiting the runtime's come first."""
    if not plan.made:  # CRIU makes the processes, or nobody
        parts = (plan.before, plan.birth, plan.joined, plan.parent, plan.hooks, plan.going, plan.last)
        return _by_runtime([step for steps in parts for step in steps])
    result = _by_runtime([*plan.before, ops.start_init(""), *plan.birth])
    for made in plan.made:
        result.append(("both" if OPERATIONS[made[0]][0] in BOTH else "init", Step(*made)))
        result += _by_runtime(_meanwhile(plan, made))
    return result + _by_runtime(plan.started)


def undoing(plan: Plan) -> list[Step]:
    """What takes back: the steps of `delete`, or those that are done when one fails."""
    steps = [*reversed(plan.undo)]
    if not plan.stays:
        steps = [ops.end_processes(""), *steps, ops.remove_state("")]
    return [Step(*step) for step in steps]


def _by_runtime(steps: Any) -> list[tuple[str, Step]]:
    return [("runtime", Step(*step)) for step in steps]


def _meanwhile(plan: Plan, made: Made) -> list[RuntimeStep]:
    """What the runtime does while init waits in a step, and after a step at which both have met."""
    operation, _, fields = made
    if operation == ops.AWAIT_START:
        return plan.last
    if operation == ops.JOIN_CGROUPS:
        return [*plan.joined, *([] if plan.mapped else plan.parent), *plan.going]
    if operation != ops.SYNC:
        return []
    acts = (
        (ops.SYNC_NAMESPACES, plan.parent),
        (ops.SYNC_NETWORK, plan.network),
        (ops.SYNC_HOOKS, plan.hooks),
        (ops.SYNC_LIMITS, plan.last),
    )
    point: Any = fields[0]
    return next((steps for at, steps in acts if at == point), [])


def document(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON: every step in order, with who does it and named fields, and those that take it back."""
    undo = [_object("runtime", step) for step in undoing(plan)] if plan.undo else []
    missing = [{"where": where, "text": text} for where, text in plan.missing]
    return {
        "namespaces": plan.flags,
        "keep": plan.keep,
        "steps": [_object(who, step) for who, step in whole(plan)],
        "delete": [] if plan.stays else undo,
        "failure": undo if plan.stays else [],
        "warnings": plan.warnings,
        "missing": missing,
    }


def _object(who: str, step: Step) -> dict[str, Any]:
    return {
        "actor": who,
        "operation": _about(step.operation)[0].lower().replace("_", "-"),
        "where": step.where,
        "fields": {name: _plain(value) for name, value in _fields(step)},
    }


def _plain(value: Any) -> Any:
    """Without bytes, which JSON does not have."""
    if type(value) is bytes:
        return value.hex()
    if type(value) in (list, tuple):
        return [_plain(each) for each in value]
    return value
