"""linux.intelRdt → the class of service that the runtime puts the process into; pyoci/container/resctrl.py does it."""

import errno
import posix

from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.ops import RuntimeStep
    from pyoci.plan.request import Request

_WHERE = "linux.intelRdt"
_MUST_EXIST = "must be pre-created when schemata, l3CacheSchema and memBwSchema are empty"
_RESERVED = ("info", "mon_data", "mon_groups")


def compile_intel_rdt(request: "Request", plan: "Plan") -> None:
    """Adds it. Errors: Error when there is no resctrl, or it has not what is asked for."""
    path = request.host.resctrl()
    if not path:
        hint = "mount -t resctrl resctrl /sys/fs/resctrl, on a machine that has Intel RDT"
        raise Error("Intel RDT: no resctrl filesystem is mounted", location="linux.intelRdt", hint=hint, kind="missing")
    wish = Wish(request.linux["intelRdt"], request.container)
    check(Tree(path), wish)
    plan.parent.append(resctrl_step(path, wish, 0))
    plan.undo.append(ops.leave_resctrl("linux.intelRdt"))


def resctrl_step(tree: str, wish: "Wish", flags: int) -> "RuntimeStep":
    """The step that makes a class where there is none, and enters it. tree: path of the host's resctrl."""
    group, named, monitor = wish.group, int(wish.named), wish.monitor
    return ops.resctrl(_WHERE, tree=tree, group=group, named=named, monitor=monitor, lines=wish.lines, flags=flags)


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
        from pyoci.fileio import read_file

        try:
            return read_file(f"{self.path}/{name}")
        except OSError:
            return ""

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
        text = f"class {wish.group} exists already and belongs to another container"
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
