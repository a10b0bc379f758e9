"""A mount that the runtime opens for init (sources.py says why), its propagation and its id map."""

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.linux.names import PROPAGATION
from pyoci.plan.id_maps import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request


class Source:
    """A mount that the runtime opens for init: a path of the host and its place in the config.

    recursive:          with all that is mounted below
    propagation:        MS_* for it and all below
    uid_map, gid_map:   the id map of the mount, as the kernel reads it; or
    namespace:          the path of a user namespace that has it
    deep_map:           the map holds for all below, too
    """

    __slots__ = ("deep_map", "gid_map", "namespace", "path", "propagation", "recursive", "uid_map", "where")

    def __init__(self, path: str, where: str, recursive: int) -> None:
        self.path = path
        self.where = where
        self.recursive = recursive
        self.propagation = 0
        self.uid_map = self.gid_map = self.namespace = ""
        self.deep_map = 0

    def is_mapped(self) -> bool:
        """Whether the mount has an id map."""
        return bool(self.uid_map or self.namespace)


def lend(request: "Request", plan: "Plan", source: Source) -> int:
    """Adds a mount that the runtime shall open; its number.

    The copies are made of the host's mounts, and treated as if init had separated them from the host before.
    """
    name: str = request.linux.get("rootfsPropagation") or "slave"
    source.propagation = PROPAGATION.get(name[1:] if name[:1] == "r" else name, kernel.MS_SLAVE)
    plan.sources.append(source)
    return len(plan.sources) - 1


def host_id(request: "Request", key: str) -> int:
    """What the container's root is on the host, -1 where that cannot be known."""
    for mapping in request.linux.get(key) or ():
        if mapping["containerID"] == 0:
            return int(mapping["hostID"])
    return -1


def lend_mapped(request: "Request", plan: "Plan", source: Source, entry: "dict[str, Any]", deep: int) -> int:
    """Adds a mount that has its own mappings, or the container's (config.md, "Mounts", idmap and ridmap); its number.

    deep: the map holds for all below, too
    Errors: Error when there are neither.
    """
    if request.host.euid != 0:
        raise Error("only root can make id-mapped mounts", location=source.where, kind="missing")
    own = entry.get("uidMappings"), entry.get("gidMappings")
    source.deep_map = deep
    if any(own):
        if not all(own):
            missing = "gidMappings" if own[0] else "uidMappings"
            raise Error(f"a mount with an id map needs both maps, {missing} is missing", location=source.where)
        source.uid_map, source.gid_map = lines(own[0]), lines(own[1])
        return lend(request, plan, source)
    user = request.namespace("user")
    if user is None:
        raise Error(
            "no mappings, neither of its own nor of the container",
            location=source.where,
            hint="give the mount uidMappings and gidMappings, or the container a user namespace",
        )
    if user.get("path"):
        source.namespace = user["path"]
    else:
        source.uid_map = lines(request.linux.get("uidMappings"))
        source.gid_map = lines(request.linux.get("gidMappings"))
    return lend(request, plan, source)
