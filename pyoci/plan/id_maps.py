"""linux.uidMappings and gidMappings → who writes them, and what that means for groups.

Root writes any map. Anybody else may write a map of one line, for his own id alone and with setgroups(2) given up;
ranges that /etc/subuid grants him are written by the set-user-ID helpers newuidmap(1) and newgidmap(1). See
user_namespaces(7).
"""

from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request


def compile_mappings(request: "Request", plan: "Plan") -> None:
    """Adds what the runtime writes while init waits in its new user namespace.

    Errors: Error when it takes a helper that is not installed.
    """
    uids, gids = "linux.uidMappings", "linux.gidMappings"
    users, groups = lines(request.linux["uidMappings"]), lines(request.linux["gidMappings"])
    root = request.host.euid == 0
    if root or is_own(request, "uidMappings"):
        plan.parent.append(ops.uid_map(uids, users))
    else:
        helper = _helper(request, "newuidmap", uids)
        plan.parent.append(ops.newuidmap(uids, helper=helper, numbers=tuple(users.split())))
    if root:
        plan.parent.append(ops.gid_map(gids, groups))
    elif is_own(request, "gidMappings"):
        plan.parent += [ops.setgroups(gids, "deny"), ops.gid_map(gids, groups)]
    else:
        helper = _helper(request, "newgidmap", gids)
        plan.parent.append(ops.newgidmap(gids, helper=helper, numbers=tuple(groups.split())))


def is_own(request: "Request", key: str) -> bool:
    """Whether a map holds no id but the runtime's own."""
    own = request.host.euid if key == "uidMappings" else request.host.egid
    entries = request.linux.get(key) or []
    return len(entries) == 1 and entries[0]["size"] == 1 and entries[0]["hostID"] == own


def _helper(request: "Request", name: str, where: str) -> str:
    path = request.host.helper(name)
    if path is None:
        raise Error(
            f"mapping more than one's own id needs {name}, which is not installed",
            location=where,
            hint="install it (Debian: uidmap), or map only your own id",
            kind="missing",
        )
    return path


def lines(mappings: "Any") -> str:
    """Mappings as the kernel reads them (user_namespaces(7))."""
    return "".join([f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings or ()])
