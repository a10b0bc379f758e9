"""linux.memoryPolicy → the step that sets the NUMA memory policy (set_mempolicy(2)); inherited by all that follows."""

from pyoci.errors import Error
from pyoci.linux import kernel, number_list
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

MODES = {
    "MPOL_DEFAULT": kernel.MPOL_DEFAULT,
    "MPOL_PREFERRED": kernel.MPOL_PREFERRED,
    "MPOL_BIND": kernel.MPOL_BIND,
    "MPOL_INTERLEAVE": kernel.MPOL_INTERLEAVE,
    "MPOL_LOCAL": kernel.MPOL_LOCAL,
    "MPOL_PREFERRED_MANY": kernel.MPOL_PREFERRED_MANY,
    "MPOL_WEIGHTED_INTERLEAVE": kernel.MPOL_WEIGHTED_INTERLEAVE,
}
FLAGS = {
    "MPOL_F_STATIC_NODES": kernel.MPOL_F_STATIC_NODES,
    "MPOL_F_RELATIVE_NODES": kernel.MPOL_F_RELATIVE_NODES,
    "MPOL_F_NUMA_BALANCING": kernel.MPOL_F_NUMA_BALANCING,
}
MOST_NODES = 1024  # what kernels are configured for at most
_WHERE = "linux.memoryPolicy"
_ONLINE = "/sys/devices/system/node/online"


def compile_memory_policy(request: "Request", plan: "Plan") -> None:
    """Adds the policy, where one is asked for.

    Errors: Error for a list that is none, or when this host has none of the nodes.
    """
    policy = request.linux.get("memoryPolicy")
    if not policy:
        return
    mode = MODES[policy["mode"]]
    for name in policy.get("flags") or ():
        mode |= FLAGS[name]
    text = (policy.get("nodes") or "").strip()
    mask = number_list.parse(text, f"{_WHERE}.nodes", "memory nodes", MOST_NODES) if text else 0
    if mask and not mode & kernel.MPOL_F_RELATIVE_NODES:  # those count within what the cpuset allows
        _check_nodes(request, plan, text, mask)
    size = (mask.bit_length() + 63) // 64 * 8  # whole words, which the kernel reads
    plan.add(ops.memory_policy(f"{_WHERE} ({policy['mode']})", mode=mode, nodes=mask.to_bytes(size, "little")))


def _check_nodes(request: "Request", plan: "Plan", text: str, mask: int) -> None:
    """The kernel leaves out in silence what it does not have, and says no more than EINVAL when nothing is left."""
    online = request.host.read(_ONLINE)
    if not online:
        return
    there = number_list.parse(online, _ONLINE, "memory nodes", MOST_NODES)
    if not mask & there:
        refusal = f"this host has none of the memory nodes {text}"
        raise Error(refusal, location=f"{_WHERE}.nodes", hint=f"it has {online}", kind="missing")
    if mask & ~there:
        plan.warnings.append(f"{_WHERE}.nodes: of {text} this host has no more than {online}")
