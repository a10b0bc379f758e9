"""The longer way into namespaces (docs/design.md, "Two ways in"): one by one, and with a child inside."""

from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.namespaces import await_maps, become_root, join, make, open_all, open_procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.namespaces import Spaces
    from pyoci.plan.request import Request


def enter_by_stages(request: "Request", spaces: "Spaces", plan: "Plan") -> None:
    """Adds the steps of an init that is born in the host's namespaces, and leaves them one by one."""
    plan.add(ops.join_cgroups("linux.cgroupsPath"))
    open_all(spaces, plan)
    others = [kind for kind in spaces.joined if kind not in ("user", "mount")]
    mount = [kind for kind in spaces.joined if kind == "mount"]
    user = [kind for kind in spaces.joined if kind == "user"]
    # The host's root may enter any of them, and would lose that right in a user namespace that does not own them;
    # anybody else gains the right only there.
    join(spaces, plan, others + mount + user if request.host.euid == 0 else user + others + mount)
    if "user" in spaces.new:
        plan.add(ops.unshare(spaces.where["user"], kernel.CLONE_NEWUSER))
        await_maps(request, spaces, plan)
    elif "user" in spaces.where:
        become_root(request, plan, spaces.where["user"])
    make(spaces, plan)
    _time_offsets(request, plan)
    if "pid" in spaces.where or "time" in spaces.where:
        plan.add(ops.fork(spaces.where.get("pid") or spaces.where["time"]))
    plan.add(ops.session(""))


def _time_offsets(request: "Request", plan: "Plan") -> None:
    offsets: "dict[str, dict[str, int]]" = request.linux.get("timeOffsets") or {}
    lines = [f"{clock} {o.get('secs', 0)} {o.get('nanosecs', 0)}\n" for clock, o in offsets.items()]
    if lines:
        open_procfs(plan, "linux.timeOffsets")
        plan.add(ops.time_offsets("linux.timeOffsets", "".join(lines)))
