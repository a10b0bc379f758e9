"""What a mount of type cgroup shows inside a container, as plain data for the compiler of mounts.

Each entry is a dict:
    name         directory below the mount's destination; "" for the destination itself
    source       the container's own cgroup on the host, for a bind mount
    tree         the whole tree on the host, as far as we see it; "" where only the own cgroup is shown
    filesystem   "cgroup" or "cgroup2", for a mount of the whole filesystem, which a private cgroup namespace cuts down
    data         mount data of that filesystem: the hierarchy's controllers
    aliases      names that are symlinks to `name`: `cpu` for `cpu,cpuacct`
"""

from pyoci.cgroups.host import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def for_v2(tree: str, path: str) -> "list[dict[str, Any]]":
    """The one tree."""
    return [{"name": "", "source": path, "tree": tree, "filesystem": "cgroup2", "data": "", "aliases": []}]


def for_v1(layout: Layout, paths: "dict[str, str]") -> "list[dict[str, Any]]":
    """Each hierarchy in a directory named like the machine's; they stand on a tmpfs that the compiler makes."""
    entries = []
    for hierarchy in layout.hierarchies:
        own = next((paths[name] for name in hierarchy.controllers if name in paths), "")
        if not own:
            continue
        name = hierarchy.mount.rpartition("/")[2]
        aliases = [other for other in hierarchy.controllers if other != name and "=" not in other]
        entries.append(
            {
                "name": name,
                "source": own,
                "tree": "",
                "filesystem": "cgroup",
                "data": ",".join(hierarchy.controllers),
                "aliases": aliases if len(hierarchy.controllers) > 1 else [],
            }
        )
    return entries
