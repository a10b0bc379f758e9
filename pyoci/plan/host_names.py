"""hostname and domainname → steps; what would be the host's is refused."""

from pyoci.errors import Error
from pyoci.linux.names import NAMESPACES
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request


def compile_names(request: "Request", plan: "Plan") -> None:
    """Adds hostname and domainname."""
    for key in ("hostname", "domainname"):
        name = request.config.get(key)
        if not name:
            continue
        if not is_own(request, "uts"):
            raise Error(f"unable to set {key} without a private UTS namespace", location=key)
        plan.add(ops.hostname(key, name) if key == "hostname" else ops.domainname(key, name))


def is_own(request: "Request", kind: str) -> bool:
    """Whether the container has a namespace of this type that is not the host's under another name."""
    entry = request.namespace(kind)
    if entry is None:
        return False
    path = entry.get("path")
    return not path or not request.host.same_file(path, f"/proc/self/ns/{NAMESPACES[kind]}")
