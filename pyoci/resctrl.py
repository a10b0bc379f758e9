"""linux.intelRdt: classes of service and monitoring groups of resctrl (kernel: Documentation/filesystems/resctrl.rst).

The compiler checks and decides (Wish), create makes and joins, exec joins, update writes new schemata, delete removes
what was made for the container alone: a class that closID names stays, even one that we made (config-linux.md,
"IntelRdt").
"""

import errno
import posix

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.container.state import Entry

_WHERE = "linux.intelRdt"
_MUST_EXIST = "must be pre-created when schemata, l3CacheSchema and memBwSchema are empty"
_RESERVED = ("info", "mon_data", "mon_groups")


class Tree:
    """A mounted resctrl; tests give one of plain files. Paths are relative to it, "" is the root class."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def exists(self, name: str) -> bool:
        """Whether there is such a group or file."""
        try:
            posix.stat(f"{self.path}/{name}")
        except OSError:
            return False
        return True

    def make(self, name: str, key: str) -> None:
        """Makes a group. key: the property that asks for it."""
        try:
            posix.mkdir(f"{self.path}/{name}", 0o755)
        except OSError as problem:
            raise self._error(f"make {self.path}/{name}", key, problem) from None

    def remove(self, name: str) -> None:
        """Removes a group; its tasks go back to the class above. None there is fine."""
        try:
            posix.rmdir(f"{self.path}/{name}")
        except FileNotFoundError:
            pass
        except OSError as problem:
            raise self._error(f"remove {self.path}/{name}", "", problem) from None

    def read(self, name: str) -> str:
        """A file's text, "" where there is none."""
        try:
            fd = posix.open(f"{self.path}/{name}", posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return ""
        try:
            parts: "list[bytes]" = []
            while part := posix.read(fd, 65536):
                parts.append(part)
            return b"".join(parts).decode("ascii", "replace")
        except OSError:
            return ""
        finally:
            posix.close(fd)

    def write(self, name: str, text: str, key: str) -> None:
        """Writes a file in one call: the kernel takes a line, or all lines, or nothing."""
        try:
            fd = posix.open(f"{self.path}/{name}", posix.O_WRONLY | posix.O_CLOEXEC)
            try:
                posix.write(fd, text.encode())
            finally:
                posix.close(fd)
        except OSError as problem:
            raise self._error(f"write {text.strip()!r} to {self.path}/{name}", key, problem) from None

    def _error(self, text: str, key: str, problem: OSError) -> Error:
        status = self.read("info/last_cmd_status").strip()
        hint = "" if status in ("", "ok") else f"the kernel says: {status}"
        if problem.errno == errno.ENOSPC and not hint:
            hint = "the hardware has no more classes or monitoring groups"
        return Error(text, location=f"{_WHERE}.{key}" if key else _WHERE, errno=problem.errno or 0, hint=hint)


class Wish:
    """What a config asks of resctrl.

    group:   the class's directory, "" for the root class; named: by closID
    monitor: the monitoring group's directory, "" for none
    lines:   what is written to schemata, each with the property it came from
    """

    __slots__ = ("group", "lines", "monitor", "named")

    def __init__(self, config: "dict[str, Any]", container: str) -> None:
        name: str = config.get("closID") or ""
        self.named = bool(name)
        self.group = "" if name == "/" else name or container
        self.monitor = ""
        if config.get("enableMonitoring"):
            self.monitor = f"{self.group}/mon_groups/{container}".lstrip("/")
        self.lines: "list[tuple[str, str]]" = []
        for key in ("l3CacheSchema", "memBwSchema"):
            self.lines += [(key, line) for line in (config.get(key) or "").split("\n") if line.strip()]
        if config.get("memBwSchema"):  # the spec's own order of precedence: L3 may carry an old line of MB
            self.lines = [pair for pair in self.lines if pair[0] != "l3CacheSchema" or pair[1][:3] != "MB:"]
        self.lines += [(f"schemata[{n}]", line) for n, line in enumerate(config.get("schemata") or []) if line.strip()]


def check(tree: Tree, wish: Wish) -> None:
    """Refuses what cannot work, before anything is made.

    Errors: Error for a class that must be there and is not, or is there and is another; for a resource that the
    hardware does not have.
    """
    if wish.group in _RESERVED:
        raise Error(f"{wish.group} is not a name of a class", location=f"{_WHERE}.closID")
    for key, line in wish.lines:
        _check_resource(tree, key, line)
    there = tree.exists(wish.group)
    if wish.named and not wish.lines and not there:
        text = f"clos dir not accessible ({_MUST_EXIST}): {tree.path}/{wish.group}"
        raise Error(text, location=f"{_WHERE}.closID", errno=errno.ENOENT, kind="missing")
    if not wish.named and there:
        text = f"a class {wish.group} exists already, and is not this container's"
        raise Error(text, location=_WHERE, hint="name a class with closID, or remove it")
    if wish.monitor and tree.exists(wish.monitor):
        raise Error(f"{tree.path}/{wish.monitor} exists already", location=f"{_WHERE}.enableMonitoring")
    if wish.named and there:
        current = tree.read(f"{wish.group}/schemata".lstrip("/"))
        for key, line in wish.lines:
            if key[0] != "s" and not _matches(tree, line, current):
                text = f"class {wish.group or '/'} exists without the line {line!r}"
                raise Error(text, location=f"{_WHERE}.{key}", hint=f"it has {' '.join(current.split())}")


def _check_resource(tree: Tree, key: str, line: str) -> None:
    name = line.partition(":")[0].strip()
    if tree.exists("info") and not tree.exists(f"info/{name}"):
        raise Error(f"this hardware has no allocation of {name}", location=f"{_WHERE}.{key}", kind="missing")


def _matches(tree: Tree, line: str, current: str) -> bool:
    """Whether a class has what a line asks for: the same numbers, whatever their zeros and blanks."""
    name, domains = _parse(line)
    for other in current.split("\n"):
        found, values = _parse(other)
        if found == name:
            return all(values.get(domain, -1) == _rounded(tree, name, value) for domain, value in domains.items())
    return False


def _parse(line: str) -> "tuple[str, dict[str, int]]":
    """`L3:0=f;1=f` as ("L3", {"0": 15, "1": 15}); what is not a number is -1."""
    name, _, rest = line.strip().partition(":")
    base = 10 if name == "MB" else 16
    values = {}
    for part in rest.split(";"):
        domain, _, text = part.strip().partition("=")
        try:
            values[domain.strip()] = int(text, base)
        except ValueError:
            values[domain.strip()] = -1
    return name, values


def _rounded(tree: Tree, name: str, value: int) -> int:
    """Bandwidth is rounded up to what the hardware can tell apart."""
    step = tree.read("info/MB/bandwidth_gran").strip()
    if name != "MB" or not step.isdecimal() or not int(step):
        return value
    return -(-value // int(step)) * int(step)


def enter_step(entry: "Entry", fields: "Any", pid: int) -> None:
    """Does RESCTRL: puts a process, and what it starts, into the container's class of service."""
    tree, group, named, monitor, lines = fields
    wish = Wish({}, "")
    wish.group, wish.named, wish.monitor, wish.lines = group, bool(named), monitor, lines
    enter(entry, Tree(tree), wish, [pid])


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
    _write_lines(tree, wish)
    if wish.monitor:
        tree.make(wish.monitor, "enableMonitoring")
    for pid in pids:
        join(tree, entry.record["resctrl"], pid)


def _write_lines(tree: Tree, wish: Wish) -> None:
    for key, line in wish.lines:
        tree.write(f"{wish.group}/schemata".lstrip("/"), line + "\n", key)


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


def change(entry: "Entry", path: str, schemas: "dict[str, str]", pids: "list[int]") -> None:
    """update: writes new lines to the container's class; a container that has none gets one of its own.

    path:    of the host's resctrl, "" for none
    schemas: l3CacheSchema and memBwSchema, where given
    pids:    the container's processes
    Errors: Error in runc's words when the host cannot do it.
    """
    for key, resource, text in (
        ("l3CacheSchema", "L3", "Intel RDT/CAT: l3 cache schema is not enabled"),
        ("memBwSchema", "MB", "Intel RDT/MBA: memory bandwidth schema is not enabled"),
    ):
        if key in schemas and not (path and Tree(path).exists(f"info/{resource}")):
            hint = "no resctrl filesystem is mounted" if not path else f"this hardware has no allocation of {resource}"
            raise Error(text, hint=hint, kind="missing")
    wish = Wish(schemas, entry.container)
    record = entry.record.get("resctrl")
    if record:
        wish.group = record["group"]
        _write_lines(Tree(record["tree"]), wish)
    else:
        check(Tree(path), wish)
        enter(entry, Tree(path), wish, threads(pids))


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
