"""linux.netDevices → what the runtime moves while init waits; what cannot work is refused before anything is made."""

from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

_WHERE = "linux.netDevices"


def compile_net_devices(request: "Request", plan: "Plan") -> None:
    """Adds a stop for init, and for each device its move.

    Errors: Error when there is no such device, its new name is taken, or the container has no network of its own.
    """
    devices: "dict[str, dict[str, Any]]" = request.linux["netDevices"]
    space = request.namespace("network")
    if space is None:
        hint = 'add {"type": "network"} to linux.namespaces'
        raise Error("unable to move network devices without a private NET namespace", location=_WHERE, hint=hint)
    if request.host.euid != 0:
        raise Error("moving network devices takes root", location=_WHERE, kind="missing")
    path = space.get("path") or ""
    if path and request.host.same_file(path, "/proc/self/ns/net"):
        raise Error(f"{path} is the host's own network namespace", location=_WHERE)
    here = request.host.network_devices("")
    taken = request.host.network_devices(path) if path else ["lo"]
    plan.add(ops.sync(_WHERE, ops.SYNC_NETWORK))
    plan.undo.append(ops.return_devices(_WHERE))
    for name, device in devices.items():
        where = f"{_WHERE}[{name}]"
        target: str = device.get("name") or name
        if name == "lo" or name not in here:
            text = "lo belongs to its namespace and cannot be moved" if name == "lo" else "no such network device"
            raise Error(text, location=where, kind="refused" if name == "lo" else "missing")
        if target in taken and "%d" not in target:
            text = f"the container's network namespace already has a device {target}"
            raise Error(text, location=where, hint="choose another `name`, or one with %d")
        plan.network.append(ops.net_device(where, name=name, target=target, path=path))
