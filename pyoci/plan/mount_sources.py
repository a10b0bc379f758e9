"""Mounts that the runtime opens for init: what the root of a user namespace cannot reach, and what has an id map.

A container's user may not pass the directories on the way to a volume; the runtime may. And only who owns a
filesystem can give a mount of it an id map. So the runtime makes a detached copy of each such mount, and init puts it
in its place. What is known of such a mount is in lent.py, which most containers need not load.
"""

from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

NOT_TAKEN = -1


def take(request: "Request", plan: "Plan", path: str, where: str, recursive: int) -> int:
    """The number of a mount that the runtime shall open; NOT_TAKEN where init opens it itself.

    recursive: with all that is mounted below
    """
    if request.host.euid != 0 or request.namespace("user") is None or not request.has_new("mount"):
        return NOT_TAKEN
    from pyoci.plan.lent import Source, host_id, lend

    if request.host.may_reach(path, host_id(request, "uidMappings"), host_id(request, "gidMappings")):
        # Better: in the copy of the mounts that the kernel makes for a user namespace the host's read-only, nosuid and
        # the like are locked, and nothing can be uncovered by unmounting; in ours they are not
        return NOT_TAKEN
    return lend(request, plan, Source(path, where, recursive))


def take_mapped(
    request: "Request", plan: "Plan", path: str, where: str, recursive: int, entry: "dict[str, Any]", deep: int
) -> int:
    """The number of a mount with an id map, which only the runtime can open.

    entry: its entry of mounts[]
    deep:  the map holds for all below, too
    Errors: Error when there are no mappings.
    """
    from pyoci.plan.lent import Source, lend_mapped

    return lend_mapped(request, plan, Source(path, where, recursive), entry, deep)


def insert_step(plan: "Plan", at: int) -> None:
    """Adds the step that takes them all, once their number is known."""
    if plan.sources:
        plan.insert(at, ops.take_mounts("mounts", len(plan.sources)))
