"""process → plan: the order of everything that is done to make one more process in a running container."""

from pyoci.linux import kernel
from pyoci.linux.names import NAMESPACES
from pyoci.plan import ops, process
from pyoci.plan.model import Plan
from pyoci.plan.namespaces import FLAGS, become_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.request import Request


def compile_exec(request: "Request", pid: int) -> Plan:
    """The plan of one more process in the running container whose first process is pid."""
    plan = Plan()
    plan.keep = request.keep
    process.limits(request, plan, 0)
    plan.add(ops.session(""))
    cpus = request.process.get("execCPUAffinity") or {}
    if cpus.get("initial"):
        process.affinity(plan, cpus["initial"], "process.execCPUAffinity.initial")
    plan.add(ops.join_cgroups("linux.cgroupsPath"))
    process.affinity(plan, cpus.get("final") or cpus.get("initial") or "", "process.execCPUAffinity.final")
    types = _foreign(request, pid)
    pivoted = types & kernel.CLONE_NEWNS and not request.no_pivot
    if not pivoted:
        plan.add(ops.use_root("root.path", f"/proc/{pid}/root"))
    if types:
        plan.add(ops.join_process("linux.namespaces", types))
    if types & kernel.CLONE_NEWUSER:
        become_root(request, plan, "linux.namespaces")
    if pivoted:
        plan.add(ops.use_root("root.path", "/"))
    else:
        plan.add(ops.change_root("root.path"))
    if types & (kernel.CLONE_NEWPID | kernel.CLONE_NEWTIME):
        plan.add(ops.fork("linux.namespaces"))
        plan.add(ops.session(""))
    process.keyring(request, plan)
    process.streams(request, plan, 0)
    process.attributes(request, plan)
    masks = process.find(request, plan)
    if plan.last:
        plan.add(ops.sync("process.rlimits", ops.SYNC_LIMITS))
    process.become(request, plan, masks)
    process.execute(request, plan)
    return plan


def _foreign(request: "Request", pid: int) -> int:
    """The namespaces of a process that are not the runtime's own: joining one's own is an error (setns(2))."""
    types = 0
    for kind, flag in FLAGS.items():
        name = NAMESPACES[kind]
        if not request.host.same_file(f"/proc/self/ns/{name}", f"/proc/{pid}/ns/{name}"):
            types |= flag
    return types
