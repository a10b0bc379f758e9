"""A plan in words: what `pyoci plan` prints."""

from pyoci import kernel
from pyoci.plan import ops
from pyoci.plan.step import Step
from pyoci.plan.words import OPERATIONS, RUNTIME_OPERATIONS, SYNC_POINTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
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
    ops.SECCOMP: (kernel, "SECCOMP_FILTER_FLAG_"),
    ops.SCHEDULER: (kernel, "SCHED_FLAG_"),
}
_OPERATIONS = {name for name, _, _ in OPERATIONS}


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


def _value(step: Step, name: str, value: "Any") -> str:
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


def _fields(step: Step) -> "list[tuple[str, Any]]":
    names = [name for _, name in OPERATIONS[step.operation][2]]
    return list(zip(names, step.fields))


def _is_telling(value: "Any") -> bool:
    return value not in ("", b"", [], 0) or type(value) is bool


def _line(number: int, step: Step) -> str:
    words = OPERATIONS[step.operation][1]
    values = [f"{n}={_value(step, n, v)}" for n, v in _fields(step) if _is_telling(v)]
    if step.operation == ops.EXECUTE:  # an environment fills screens; `--json` has it
        values = [v for v in values if not v.startswith("env=")]
    return f"{number:4}  {words:<40} {' '.join(values):<72} {step.where}".rstrip()


def lines(plan: "Plan") -> "list[str]":
    """The plan, a step a line: number, what is done, with what, and the place in config.json behind it. Then what would
    be ignored, and what is missing."""
    result = [f"   -  born into {_namespaces(plan.flags)}"] if plan.flags else []
    for number, step in enumerate(plan.steps):
        result.append(_line(number, step))
        for operation, where, fields in _meanwhile(plan, step):
            text = " ".join(str(field) for field in _flat(fields))
            result.append(f"   -    {'runtime: ' + RUNTIME_OPERATIONS[operation][1]:<38} {text:<72} {where}".rstrip())
    result += [f"   -  warning: {text}" for text in plan.warnings]
    return result + [f"   -  missing: {where}: {text}" for where, text in plan.missing]


def _flat(fields: "tuple[Any, ...]") -> "list[Any]":
    """Fields with those of a list among them."""
    return [value for field in fields for value in (field if type(field) is tuple else (field,))]


def _meanwhile(plan: "Plan", step: Step) -> "list[RuntimeStep]":
    """What the runtime does while init waits in a step."""
    if step.operation == ops.AWAIT_START:
        return plan.last
    if step.operation == ops.JOIN_CGROUPS and not plan.mapped:
        return plan.parent
    if step.operation != ops.SYNC:
        return []
    point: "Any" = step.fields[0]
    acts = ((ops.SYNC_NAMESPACES, plan.parent), (ops.SYNC_NETWORK, plan.network), (ops.SYNC_LIMITS, plan.last))
    return next((steps for at, steps in acts if at == point), [])


def document(plan: "Plan") -> "dict[str, Any]":
    """The plan as plain JSON: steps of init with named fields, and what the runtime does meanwhile."""
    steps = [
        {
            "operation": OPERATIONS[step.operation][0].lower().replace("_", "-"),
            "where": step.where,
            "fields": {n: (v.hex() if type(v) is bytes else v) for n, v in _fields(step)},
        }
        for step in plan.steps
    ]
    acts = plan.parent + plan.network + plan.last
    parent = [
        {"action": RUNTIME_OPERATIONS[o][1], "where": where, "fields": _flat(fields)} for o, where, fields in acts
    ]
    missing = [{"where": where, "text": text} for where, text in plan.missing]
    about = {"warnings": plan.warnings, "missing": missing}
    return {"namespaces": plan.flags, "keep": plan.keep, "steps": steps, "runtime": parent, **about}
