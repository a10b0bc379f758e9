"""linux.intelRdt: classes of service and monitoring groups of resctrl (kernel: Documentation/filesystems/resctrl.rst).

The compiler checks and decides (pyoci/plan/intel_rdt.py); create makes and joins, exec joins, update writes new
schemata, delete removes what was made for the container alone: a class that closID names stays, even one
that we made (config-linux.md, "IntelRdt").
"""

import posix

from pyoci.errors import Error
from pyoci.plan import ops
from pyoci.plan.intel_rdt import Tree, Wish, check, resctrl_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.container.perform import Work
    from pyoci.container.state import Entry
    from pyoci.plan.ops import RuntimeStep

_WHERE = "linux.intelRdt"


def enter_step(work: "Work", fields: "Any") -> None:
    """Does RESCTRL: puts a process, and what it starts, into the container's class of service; or all that it has."""
    tree, group, named, monitor, lines, flags = fields
    wish = Wish({}, "")
    wish.group, wish.named, wish.monitor, wish.lines = group, bool(named), monitor, lines
    pids = threads(work.entry.pids()) if flags & ops.RESCTRL_ALL else [work.process.pid]
    enter(work.entry, Tree(tree), wish, pids)


def enter(entry: "Entry", tree: Tree, wish: Wish, pids: "list[int]") -> None:
    """Makes the groups, writes the schemata, and puts processes in; state.json knows of it first."""
    made = not tree.exists(wish.group)
    entry.record["resctrl"] = {
        "tree": tree.path,
        "group": wish.group,
        "made": made,
        "named": wish.named,
        "monitor": wish.monitor,
    }
    undo = entry.record.get("undo")
    if undo is not None and not any(step[0] == "leave_resctrl" for step in undo):  # update gives a class to one without
        undo.append(["leave_resctrl", _WHERE, []])
    entry.save()
    if made:
        tree.make(wish.group, "closID" if wish.named else "")
    write_lines(tree, wish.group, wish.lines)
    if wish.monitor:
        tree.make(wish.monitor, "enableMonitoring")
    for pid in pids:
        join(tree, entry.record["resctrl"], pid)


def write_lines(tree: Tree, group: str, lines: "list[tuple[str, str]]") -> None:
    """Does SCHEMATA: writes lines to a class, each with the property that asks for it."""
    for key, line in lines:
        tree.write(f"{group}/schemata".lstrip("/"), line + "\n", key)


def join(tree: Tree, record: "dict[str, Any]", pid: int) -> None:
    """Puts a process in. The class first: a monitoring group takes only processes of its own class."""
    tree.write(f"{record['group']}/tasks".lstrip("/"), str(pid), "")
    if record["monitor"]:
        tree.write(f"{record['monitor']}/tasks", str(pid), "enableMonitoring")


def threads(pids: "list[int]") -> "list[int]":
    """All threads of processes: resctrl takes one at a time, and only a new one is in the class of its maker."""
    found: "list[int]" = []
    for pid in pids:
        try:
            found += [int(name) for name in posix.listdir(f"/proc/{pid}/task")]
        except FileNotFoundError:  # it has ended meanwhile
            pass
    return found


def leave(entry: "Entry") -> "list[Error]":
    """Removes what was made for the container alone, or for one that never came to be; what could not be removed."""
    record = entry.record.get("resctrl")
    if not record:
        return []
    tree = Tree(record["tree"])
    groups = [record["monitor"]] if record["monitor"] else []
    if record["made"] and not (record["named"] and entry.was_created()):
        groups.append(record["group"])
    problems: "list[Error]" = []
    for group in groups:
        try:
            tree.remove(group)
        except Error as problem:
            problems.append(problem)
    return problems


def change(
    record: "Optional[dict[str, Any]]", container: str, path: str, schemas: "dict[str, str]"
) -> "tuple[list[RuntimeStep], list[RuntimeStep]]":
    """What `update` does, and what takes it back: new lines for the container's class, or a class of its own.

    record:  of its class, if it has one
    path:    of the host's resctrl, "" for none
    schemas: l3CacheSchema and memBwSchema, where given
    Errors: Error in runc's words when the host cannot do it.
    """
    for key, resource, text in (
        ("l3CacheSchema", "L3", "Intel RDT/CAT: l3 cache schema is not enabled"),
        ("memBwSchema", "MB", "Intel RDT/MBA: memory bandwidth schema is not enabled"),
    ):
        if key in schemas and not (path and Tree(path).exists(f"info/{resource}")):
            hint = "no resctrl filesystem is mounted" if not path else f"this hardware has no allocation of {resource}"
            raise Error(text, hint=hint, kind="missing")
    wish = Wish(schemas, container)
    if not record:
        check(Tree(path), wish)
        return [resctrl_step(path, wish, ops.RESCTRL_ALL)], []
    tree, group = Tree(record["tree"]), record["group"]
    former = [
        (key, _line(tree.read(f"{group}/schemata".lstrip("/")), line.partition(":")[0].strip()))
        for key, line in wish.lines
    ]
    old = [(key, line) for key, line in former if line]
    return (
        [ops.schemata(_WHERE, tree=tree.path, group=group, lines=wish.lines)],
        [ops.schemata(_WHERE, tree=tree.path, group=group, lines=old)],
    )


def statistics(entry: "Entry") -> "dict[str, Any]":
    """What resctrl tells of a container's groups, in the shape of runc's events."""
    record = entry.record["resctrl"]
    tree = Tree(record["tree"])
    found: "dict[str, Any]" = {}
    for resource, key in (("L3", "l3_cache"), ("MB", "mem_bw")):
        texts = {name: tree.read(f"info/{resource}/{name}").strip() for name in _INFO[resource]}
        info = {name: text if name == "cbm_mask" else int(text) for name, text in texts.items() if text}
        if not info:
            continue
        found[f"{key}_info"] = info
        found[f"{key}_schema_root"] = _line(tree.read("schemata"), resource)
        found[f"{key}_schema"] = _line(tree.read(f"{record['group']}/schemata".lstrip("/")), resource)
    found["schemata"] = [line.strip() for line in tree.read(f"{record['group']}/schemata".lstrip("/")).splitlines()]
    data = f"{record['monitor'] or record['group']}/mon_data".lstrip("/")
    for key, names in (("mbm_stats", ("mbm_total_bytes", "mbm_local_bytes")), ("cmt_stats", ("llc_occupancy",))):
        rows = [{n: _number(tree.read(f"{data}/{d}/{n}")) for n in names} for d in _domains(tree, data)]
        if any(value is not None for row in rows for value in row.values()):
            found[key] = [{n: v or 0 for n, v in row.items()} for row in rows]
    return found


_INFO = {
    "L3": ("cbm_mask", "min_cbm_bits", "num_closids"),
    "MB": ("bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"),
}


def _domains(tree: Tree, data: str) -> "list[str]":
    try:
        return sorted(name for name in posix.listdir(f"{tree.path}/{data}") if name.startswith("mon_L3"))
    except OSError:
        return []


def _number(text: str) -> "Optional[int]":
    """A counter; None where the hardware has none, or has lost it (`Unavailable`)."""
    word = text.strip()
    return int(word) if word.isdecimal() else None


def _line(text: str, resource: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip().startswith(resource)), "")
