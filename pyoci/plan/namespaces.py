"""linux.namespaces, id mappings and time offsets → how init is born, what it joins, what the runtime does meanwhile.

Most containers are born into all their new namespaces by one clone3 call. Where a user, pid or time namespace is joined
or made stepwise, init joins and unshares by itself and starts a child inside (pid_namespaces(7), time_namespaces(7):
only children enter). See docs/design.md, "Two ways in".
"""

from pyoci import kernel
from pyoci.errors import Error
from pyoci.plan import ops
from pyoci.plan.id_maps import compile_mappings
from pyoci.plan.model import Plan
from pyoci.plan.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

FLAGS = {
    "user": kernel.CLONE_NEWUSER,
    "pid": kernel.CLONE_NEWPID,
    "network": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
    "cgroup": kernel.CLONE_NEWCGROUP,
    "time": kernel.CLONE_NEWTIME,
    "mount": kernel.CLONE_NEWNS,
}
# Names of the files in /proc/PID/ns
FILES = {
    "user": "user",
    "pid": "pid",
    "network": "net",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup": "cgroup",
    "time": "time",
    "mount": "mnt",
}


class Spaces:
    """linux.namespaces, sorted: what is new, what is joined, each with its place in the config."""

    __slots__ = ("joined", "new", "where")

    def __init__(self, request: Request) -> None:
        self.new: "list[str]" = []
        self.joined: "dict[str, str]" = {}
        self.where: "dict[str, str]" = {}
        for index, entry in enumerate(request.linux.get("namespaces") or ()):
            kind, path = entry["type"], entry.get("path")
            self.where[kind] = f"linux.namespaces[{index}] ({kind})"
            if path:
                self.joined[kind] = path
            else:
                self.new.append(kind)

    def flags(self, *without: str) -> int:
        """CLONE_NEW* of the new ones."""
        total = 0
        for kind in self.new:
            if kind not in without:
                total |= FLAGS[kind]
        return total

    def needs_stages(self) -> bool:
        """Whether one clone3 call is not enough."""
        if "user" in self.joined or "pid" in self.joined or "time" in self.where:
            return True
        return "user" in self.new and bool(self.joined)


def compile_namespaces(request: Request, plan: Plan) -> None:
    """Adds the steps from birth to the point where init is in all its namespaces."""
    spaces = Spaces(request)
    _check(request, spaces)
    if "user" in spaces.new:
        compile_mappings(request, plan)
    if spaces.needs_stages():
        _staged(request, spaces, plan)
    else:
        _direct(request, spaces, plan)
    if "cgroup" in spaces.new:  # after the runtime has put us into the cgroup that shall be its root
        plan.add(ops.UNSHARE, spaces.where["cgroup"], kernel.CLONE_NEWCGROUP)
    if "network" in spaces.new:
        plan.add(ops.LOOPBACK_UP, spaces.where["network"])


def _direct(request: Request, spaces: Spaces, plan: Plan) -> None:
    plan.flags = spaces.flags("cgroup")
    plan.add(ops.SESSION, "")
    _show(request, spaces, plan)
    plan.add(ops.SYNC, "", ops.SYNC_NAMESPACES)
    _open(spaces, plan)
    _join(spaces, plan, [kind for kind in spaces.joined if kind != "mount"])
    _join(spaces, plan, [kind for kind in spaces.joined if kind == "mount"])
    if "user" in spaces.new:
        plan.add(ops.BECOME_ROOT, spaces.where["user"])


def _staged(request: Request, spaces: Spaces, plan: Plan) -> None:
    _open(spaces, plan)
    others = [kind for kind in spaces.joined if kind not in ("user", "mount")]
    mount = [kind for kind in spaces.joined if kind == "mount"]
    user = [kind for kind in spaces.joined if kind == "user"]
    # The host's root may enter any of them, and would lose that right in a user namespace that does not own them;
    # anybody else gains the right only there.
    _join(spaces, plan, others + mount + user if request.host.euid == 0 else user + others + mount)
    if "user" in spaces.new:
        plan.add(ops.UNSHARE, spaces.where["user"], kernel.CLONE_NEWUSER)
    _show(request, spaces, plan)
    plan.add(ops.SYNC, "", ops.SYNC_NAMESPACES)
    if "user" in spaces.where:
        plan.add(ops.BECOME_ROOT, spaces.where["user"])
    rest = spaces.flags("user", "cgroup")
    if rest:
        plan.add(ops.UNSHARE, "linux.namespaces", rest)
    _time_offsets(request, plan)
    if "pid" in spaces.where or "time" in spaces.where:
        plan.add(ops.FORK, spaces.where.get("pid") or spaces.where["time"])
    plan.add(ops.SESSION, "")


def _show(request: Request, spaces: Spaces, plan: Plan) -> None:
    if "user" in spaces.new and request.host.confined():
        plan.add(ops.DUMPABLE, spaces.where["user"])


def _open(spaces: Spaces, plan: Plan) -> None:
    """All are opened before one is joined: afterwards a path may mean another file."""
    for slot, (kind, path) in enumerate(spaces.joined.items()):
        plan.add(ops.OPEN_NAMESPACE, f"{spaces.where[kind]}.path ({path})", slot, FLAGS[kind], path)


def _join(spaces: Spaces, plan: Plan, kinds: "list[str]") -> None:
    slots = list(spaces.joined)
    for kind in kinds:
        plan.add(ops.JOIN_NAMESPACE, spaces.where[kind], slots.index(kind), FLAGS[kind])


def _time_offsets(request: Request, plan: Plan) -> None:
    offsets: "dict[str, dict[str, int]]" = request.linux.get("timeOffsets") or {}
    lines = [f"{clock} {o.get('secs', 0)} {o.get('nanosecs', 0)}\n" for clock, o in offsets.items()]
    if lines:
        plan.add(ops.TIME_OFFSETS, "linux.timeOffsets", "".join(lines))


def _check(request: Request, spaces: Spaces) -> None:
    if request.linux.get("timeOffsets") and "time" not in spaces.new:
        raise Error("time offsets need a new time namespace", location="linux.timeOffsets")
    mapped = request.linux.get("uidMappings") or request.linux.get("gidMappings")
    if mapped and "user" not in spaces.where:
        raise Error("id mappings need a user namespace", location="linux.uidMappings")
    if "user" in spaces.new:
        for key in ("uidMappings", "gidMappings"):
            if not request.linux.get(key):
                raise Error("a new user namespace needs at least one mapping", location=f"linux.{key}")
    if request.host.euid != 0 and "user" not in spaces.where:
        raise Error(
            "rootless container requires user namespaces",
            location="linux.namespaces",
            hint="`pyoci spec --rootless` writes a config that has one",
        )
