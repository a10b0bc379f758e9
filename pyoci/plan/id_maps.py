"""linux.uidMappings and gidMappings → who writes them, and what that means for groups.

Root writes any map. Anybody else may write a map of one line, for his own id alone and with setgroups(2) given up;
ranges that /etc/subuid grants him are written by the set-user-ID helpers newuidmap(1) and newgidmap(1). See
user_namespaces(7).
"""

from pyoci.errors import Error
from pyoci.plan.model import ParentStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

_MAPS = (("uidMappings", "uid_map", "newuidmap"), ("gidMappings", "gid_map", "newgidmap"))


def compile_mappings(request: "Request", plan: "Plan") -> None:
    """Adds what the runtime writes while init waits in its new user namespace.

    Errors: Error when it takes a helper that is not installed.
    """
    for key, file, helper in _MAPS:
        entries: "list[dict[str, Any]]" = request.linux[key]
        where = f"linux.{key}"
        if request.host.euid == 0:
            plan.parent.append(ParentStep(file, where, lines(entries)))
        elif is_own(request, key):
            if file == "gid_map":
                plan.parent.append(ParentStep("setgroups", where, "deny"))
            plan.parent.append(ParentStep(file, where, lines(entries)))
        else:
            plan.parent.append(ParentStep(helper, where, _helper(request, helper, where), *lines(entries).split()))


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
        )
    return path


def lines(mappings: "Any") -> str:
    """Mappings as the kernel reads them (user_namespaces(7))."""
    return "".join([f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings or ()])
