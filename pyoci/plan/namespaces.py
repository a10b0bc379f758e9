"""linux.namespaces, id mappings and time offsets → how init is born, what it joins, what the runtime does meanwhile.

Most containers are born into all their new namespaces by one clone3 call. Where a user, pid or time namespace is joined
or made stepwise (stages.py), init joins and unshares by itself and starts a child inside (pid_namespaces(7),
time_namespaces(7): only children enter). See docs/design.md, "Two ways in".
"""

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

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


class Spaces:
    """linux.namespaces, sorted: what is new, what is joined, each with its place in the config."""

    __slots__ = ("joined", "new", "where")

    def __init__(self, request: "Request") -> None:
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


def begin_namespaces(request: "Request", plan: "Plan") -> Spaces:
    """What the config asks for, once it was checked and the id maps of a new user namespace were added."""
    spaces = Spaces(request)
    _check(request, spaces)
    if "user" in spaces.new:
        from pyoci.plan.id_maps import compile_mappings

        compile_mappings(request, plan)
    return spaces


def enter_own_cgroup(spaces: Spaces, plan: "Plan") -> None:
    """Adds the cgroup namespace, after init is in the cgroup that shall be its root."""
    if "cgroup" in spaces.new:
        plan.add(ops.unshare(spaces.where["cgroup"], kernel.CLONE_NEWCGROUP))


def enter_at_birth(request: "Request", spaces: Spaces, plan: "Plan") -> None:
    """Without a new user namespace init makes the others while the runtime makes its cgroups."""
    plan.flags = spaces.flags() & (kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID)
    plan.add(ops.session(""))
    if "user" in spaces.new:
        plan.add(ops.join_cgroups("linux.cgroupsPath"))
        await_maps(request, spaces, plan)
        make(spaces, plan, "pid")
        return
    make(spaces, plan, "pid")
    plan.add(ops.join_cgroups("linux.cgroupsPath"))
    open_all(spaces, plan)
    join(spaces, plan, [kind for kind in spaces.joined if kind != "mount"])
    join(spaces, plan, [kind for kind in spaces.joined if kind == "mount"])


def make(spaces: Spaces, plan: "Plan", *without: str) -> None:
    """Makes the new namespaces, those `without` excepted. In a user namespace this comes after its maps: files that the
    kernel makes for the others (/proc/net, /sys/class/net, mqueue) belong to the root of that namespace."""
    types = spaces.flags("user", "cgroup", *without)
    if types:
        plan.add(ops.unshare("linux.namespaces", types))
    if "network" in spaces.new:
        plan.add(ops.loopback_up(spaces.where["network"]))


def await_maps(request: "Request", spaces: Spaces, plan: "Plan") -> None:
    """The runtime writes the id maps; with ids init is somebody."""
    if request.host.confined():  # without root's rights it may write only to who can be looked at
        plan.add(ops.dumpable(spaces.where["user"]))
    plan.add(ops.sync(spaces.where["user"], ops.SYNC_NAMESPACES))
    plan.mapped = True
    become_root(request, plan, spaces.where["user"])


def become_root(request: "Request", plan: "Plan", where: str) -> None:
    """Init becomes root of its user namespace; where that has no id 0 the container's user, with all capabilities."""
    user = request.process.get("user") or {}
    ids = []
    for key, name in (("uidMappings", "uid"), ("gidMappings", "gid")):
        maps = request.linux.get(key)
        has_root = not maps or any(entry["containerID"] == 0 for entry in maps)
        ids.append(0 if has_root else user.get(name) or 0)
    plan.add(ops.become_root(where, uid=ids[0], gid=ids[1]))


def open_all(spaces: Spaces, plan: "Plan") -> None:
    """All are opened before one is joined: afterwards a path may mean another file."""
    for slot, (kind, path) in enumerate(spaces.joined.items()):
        plan.add(ops.open_namespace(f"{spaces.where[kind]}.path ({path})", slot=slot, type=FLAGS[kind], path=path))


def join(spaces: Spaces, plan: "Plan", kinds: "list[str]") -> None:
    """Joins namespaces of these types, which are open."""
    slots = list(spaces.joined)
    for kind in kinds:
        plan.add(ops.join_namespace(spaces.where[kind], slot=slots.index(kind), type=FLAGS[kind]))


def open_procfs(plan: "Plan", where: str) -> None:
    """Has init open the host's procfs first of all: for steps that write to it before there is a rootfs."""
    if plan.made[0][0] != ops.OPEN_PROC:
        plan.insert(0, ops.open_proc(where))


def _check(request: "Request", spaces: Spaces) -> None:
    if request.linux.get("timeOffsets") and "time" not in spaces.new:
        raise Error("time offsets need a new time namespace", location="linux.timeOffsets")
    mapped = request.linux.get("uidMappings") or request.linux.get("gidMappings")
    if mapped and "user" not in spaces.where:
        raise Error("id mappings need a user namespace", location="linux.uidMappings")
    if "user" in spaces.new:
        for key in ("uidMappings", "gidMappings"):
            if not request.linux.get(key):
                text = f"User namespaces enabled, but no {key[:3]} mappings found"
                raise Error(text, location=f"linux.{key}", hint="a new user namespace needs at least one mapping")
    if request.host.euid != 0 and "user" not in spaces.where:
        raise Error(
            "rootless container requires user namespaces",
            location="linux.namespaces",
            hint="`pyoci spec --rootless` writes a config that has one",
        )
