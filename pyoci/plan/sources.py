"""Mounts that the runtime opens for init: what the root of a user namespace cannot reach, and what has an id map.

A container's user may not pass the directories on the way to a volume; the runtime may. And only who owns a
filesystem can give a mount of it an id map. So the runtime makes a detached copy of each such mount, and init puts it
in its place.
"""

from pyoci import kernel
from pyoci.errors import Error
from pyoci.plan import ops
from pyoci.plan.model import Plan, Source, Step
from pyoci.plan.options import PROPAGATION
from pyoci.plan.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

NOT_TAKEN = -1


class IdMap:
    """The id map of a mount: the text of uid_map and gid_map, or the path of a user namespace; deep: for all below."""

    __slots__ = ("deep", "gids", "namespace", "uids")

    def __init__(self, uids: str, gids: str, namespace: str, deep: int) -> None:
        self.uids = uids
        self.gids = gids
        self.namespace = namespace
        self.deep = deep


def take(request: Request, plan: Plan, source: Source, map: "Optional[IdMap]") -> int:
    """The number of a mount that the runtime shall open; NOT_TAKEN where init opens it itself."""
    if map is not None:
        source.uid_map, source.gid_map, source.namespace, source.deep_map = map.uids, map.gids, map.namespace, map.deep
    elif request.host.euid != 0 or request.namespace("user") is None or not request.has_new("mount"):
        return NOT_TAKEN
    elif request.host.may_reach(source.path, _host_id(request, "uidMappings"), _host_id(request, "gidMappings")):
        # Better: in the copy of the mounts that the kernel makes for a user namespace the host's read-only, nosuid and
        # the like are locked, and nothing can be uncovered by unmounting; in ours they are not
        return NOT_TAKEN
    # The copies are made of the host's mounts, and treated as if init had separated them from the host before
    name: str = request.linux.get("rootfsPropagation") or "slave"
    source.propagation = PROPAGATION.get(name[1:] if name[:1] == "r" else name, kernel.MS_SLAVE)
    plan.sources.append(source)
    return len(plan.sources) - 1


def _host_id(request: Request, key: str) -> int:
    """What the container's root is on the host, -1 where that cannot be known."""
    for mapping in request.linux.get(key) or ():
        if mapping["containerID"] == 0:
            return int(mapping["hostID"])
    return -1


def insert_step(plan: Plan, at: int) -> None:
    """Adds the step that takes them all, once their number is known."""
    if plan.sources:
        plan.steps.insert(at, Step(ops.TAKE_MOUNTS, "mounts", len(plan.sources)))


def id_map(request: Request, entry: "dict[str, Any]", deep: int, where: str) -> IdMap:
    """The map of a mount with its own mappings, or with the container's (config.md, "Mounts", idmap and ridmap).

    Errors: Error when there is neither.
    """
    if request.host.euid != 0:
        raise Error("only root can make id-mapped mounts", location=where)
    own = entry.get("uidMappings"), entry.get("gidMappings")
    if any(own):
        if not all(own):
            missing = "gidMappings" if own[0] else "uidMappings"
            raise Error(f"a mount with an id map needs both maps, {missing} is missing", location=where)
        return IdMap(lines(own[0]), lines(own[1]), "", deep)
    user = request.namespace("user")
    if user is None:
        raise Error(
            "no mappings, neither of its own nor of the container",
            location=where,
            hint="give the mount uidMappings and gidMappings, or the container a user namespace",
        )
    if user.get("path"):
        return IdMap("", "", user["path"], deep)
    return IdMap(lines(request.linux.get("uidMappings")), lines(request.linux.get("gidMappings")), "", deep)


def lines(mappings: "Any") -> str:
    """Mappings as the kernel reads them (user_namespaces(7))."""
    return "".join([f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in mappings or ()])
