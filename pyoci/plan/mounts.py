"""mounts[] → steps. The compiler settles what kind of mount each is; where it lands is for init to find (walk.c)."""

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.linux.mount_options import Options
from pyoci.paths import clean
from pyoci.plan import ops
from pyoci.plan.mount_sources import NOT_TAKEN, take, take_mapped
from pyoci.plan.request import from_bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

# Files of procfs that lxcfs and its like replace: each shows numbers and leads nowhere. All else would deceive readers.
PROC_FILES = frozenset(
    (
        "/proc/cpuinfo",
        "/proc/diskstats",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/swaps",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/slabinfo",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/crypto/fips_enabled",
    )
)


class Mount:
    """An entry of mounts[], read."""

    __slots__ = ("destination", "entry", "options", "source", "type", "unbindable", "where")

    def __init__(self, index: int, entry: "dict[str, Any]") -> None:
        self.destination = clean("/" + entry["destination"])
        self.where = f"mounts[{index}] ({self.destination})"
        self.options = Options(entry.get("options") or [], f"{self.where}.options")
        self.type: str = entry.get("type") or ""
        self.source: str = entry.get("source") or ""
        self.entry = entry
        self.unbindable = False  # in the end; private until then

    def is_mapped(self) -> bool:
        """Whether it has an id map: mappings alone ask for one, too."""
        return self.options.id_map is not None or bool(self.entry.get("uidMappings") or self.entry.get("gidMappings"))


def compile_mounts(request: "Request", plan: "Plan") -> "list[Mount]":
    """Adds the steps of mounts[], in the order listed; returns the entries as they were read."""
    entries = request.config.get("mounts") or []
    if entries and request.namespace("mount") is None:
        raise Error(
            "mounts need a mount namespace of the container's own",
            location="mounts",
            hint="add a namespace of type mount, or leave the mounts out",
        )
    mounts = [Mount(index, entry) for index, entry in enumerate(entries)]
    for mount in mounts:
        _check(request, mount)
        if mount.options.propagation == kernel.MS_UNBINDABLE and mount.type not in ("cgroup", "cgroup2"):
            mount.unbindable, mount.options.propagation = True, kernel.MS_PRIVATE
        if mount.options.remount:
            _remount(mount, plan)
        elif mount.options.bind:
            _bind(request, mount, mounts, plan)
        elif mount.type in ("cgroup", "cgroup2"):
            _cgroup(request, mount, plan)
        elif mount.type == "sysfs" and request.namespace("user") and not request.has_new("network"):
            _host_sysfs(mount, plan)
        else:
            _filesystem(request, mount, plan)
    return mounts


def finish_mounts(mounts: "list[Mount]", plan: "Plan") -> None:
    """Adds the steps that end the writable time: a tmpfs had to take its mount points and devices first."""
    for mount in mounts:
        if mount.options.set & kernel.MOUNT_ATTR_RDONLY and _is_late(mount):
            plan.add(
                ops.mount_change(
                    mount.where,
                    destination=mount.destination,
                    set=kernel.MOUNT_ATTR_RDONLY,
                    clear=0,
                    propagation=0,
                    recursive=0,
                )
            )


def make_unbindable(mounts: "list[Mount]", plan: "Plan") -> None:
    """Adds the steps after which nothing of such a mount can be bound: a read-only path in it, or its terminal, had to
    be. One that a later mount covers is out of reach for binds as well."""
    for index, mount in enumerate(mounts):
        covering = [f"{other.destination}/" for other in mounts[index + 1 :] if not other.options.remount]
        if mount.unbindable and not f"{mount.destination}/".startswith(tuple(covering)):
            deep = int(mount.options.spread_all)
            plan.add(
                ops.mount_change(
                    mount.where,
                    destination=mount.destination,
                    set=0,
                    clear=0,
                    propagation=kernel.MS_UNBINDABLE,
                    recursive=deep,
                )
            )


def covers_dev(mounts: "list[Mount]") -> bool:
    """Whether /dev is a bind mount: then its devices belong to its source."""
    for mount in mounts:
        if mount.destination == "/dev":
            return mount.options.bind
    return False


def _is_late(mount: Mount) -> bool:
    """Whether its read-only attribute must wait."""
    options = mount.options
    return not options.bind and not options.remount and (mount.type == "tmpfs" or mount.destination == "/dev")


def _check(request: "Request", mount: Mount) -> None:
    place = mount.destination
    if place == "/":
        raise Error("a mount would be on top of the rootfs", location=mount.where)
    if mount.options.copy_up and (mount.type != "tmpfs" or mount.options.bind):
        raise Error("tmpcopyup is for tmpfs alone", location=f"{mount.where}.options")
    if mount.options.bind and mount.options.data:
        raise Error(
            f"bind mounts cannot have any filesystem-specific options applied: {','.join(mount.options.data)}",
            location=f"{mount.where}.options",
            hint="`pyoci validate` knows the options and suggests the nearest",
        )
    if mount.is_mapped() and not mount.options.bind:
        raise Error("only bind mounts can have an id map", location=mount.where, hint="add the option bind or rbind")
    if place.startswith("/proc/") and place not in PROC_FILES:
        raise Error(f"{place!r} cannot be mounted because it is inside /proc", location=mount.where)
    if place == "/proc" and mount.type != "proc" and not mount.options.remount:
        source = from_bundle(request.bundle, mount.source)
        if not (mount.options.bind and request.host.on_procfs(source)):
            raise Error('"/proc" cannot be mounted because it is not of type proc', location=mount.where)


def _flags(mount: Mount) -> int:
    flags = 0
    if mount.options.spread_all:
        flags |= ops.MOUNT_SPREAD_ALL
    if mount.destination in PROC_FILES or mount.destination == "/proc":
        flags |= ops.MOUNT_ON_PROC
    if mount.type in ("proc", "sysfs") and not mount.options.bind:
        flags |= ops.MOUNT_PLAIN_TARGET
    return flags


def _remount(mount: Mount, plan: "Plan") -> None:
    o = mount.options
    plan.add(
        ops.mount_change(
            mount.where,
            destination=mount.destination,
            set=o.set,
            clear=o.clear,
            propagation=o.propagation,
            recursive=int(o.spread_all),
        )
    )


def _covering(request: "Request", mounts: "list[Mount]", mount: Mount, source: str) -> "Optional[Mount]":
    """The last mount before this one in which a path of the host lies, as it does when those have been made."""
    found = None
    if source.startswith(request.rootfs + "/"):
        inside = source[len(request.rootfs) :] + "/"
        for other in mounts[: mounts.index(mount)]:
            if not other.options.remount and inside.startswith(other.destination + "/"):
                found = other
    return found


def _bind(request: "Request", mount: Mount, mounts: "list[Mount]", plan: "Plan") -> None:
    o = mount.options
    if not mount.source:
        raise Error("a bind mount without a source", location=f"{mount.where}.source")
    flags = _flags(mount) | (ops.MOUNT_RECURSIVE if o.recursive else 0)
    source = from_bundle(request.bundle, mount.source)
    where, set = mount.where, o.set
    before = _covering(request, mounts, mount, source)
    if mount.is_mapped():
        if before is not None:
            source, set = _through(request, mount, before, source)
        taken = take_mapped(request, plan, source, where, int(o.recursive), mount.entry, o.id_map or 0)
    elif before is not None:
        source, taken = source[len(request.rootfs) :], NOT_TAKEN
        flags |= ops.MOUNT_IN_ROOT
    else:
        taken = take(request, plan, source, where, int(o.recursive))
    plan.add(
        ops.mount_bind(
            where,
            destination=mount.destination,
            source=source,
            set=set,
            clear=o.clear,
            recursive_set=o.recursive_set,
            recursive_clear=o.recursive_clear,
            propagation=o.propagation,
            flags=flags,
            taken=taken,
        )
    )


def _through(request: "Request", mount: Mount, before: Mount, source: str) -> "tuple[str, int]":
    """Where on the host a source is that lies in an earlier bind mount of the container, and with which attributes: the
    runtime, which alone can give it an id map, does not see that mount."""
    if not before.options.bind or before.is_mapped():
        raise Error(
            f"its source lies in {before.where}, which has no such place on the host",
            location=f"{mount.where}.source",
            hint="an id map can be given to what is on the host, and once",
        )
    rest = source[len(request.rootfs) + len(before.destination) :]
    o = mount.options
    return clean(from_bundle(request.bundle, before.source) + rest), o.set | before.options.set & ~o.clear


def _host_sysfs(mount: Mount, plan: "Plan") -> None:
    """A sysfs shows the network of who mounts it, which the root of a user namespace does not own here: it gets the
    host's, read-only if asked, with all that is mounted in it, for the kernel lets nobody look beneath."""
    o = mount.options
    flags = _flags(mount) | ops.MOUNT_RECURSIVE | ops.MOUNT_PLAIN_TARGET
    set = o.set & kernel.MOUNT_ATTR_RDONLY
    plan.add(
        ops.mount_bind(
            mount.where,
            destination=mount.destination,
            source="/sys",
            set=o.set,
            clear=o.clear,
            recursive_set=set,
            recursive_clear=0,
            propagation=o.propagation,
            flags=flags,
            taken=NOT_TAKEN,
        )
    )


def _data(request: "Request", mount: Mount, plan: "Plan") -> "list[str]":
    """The options of a filesystem; a terminal's group that is not there in the user namespace cannot be given one."""
    if mount.type != "devpts" or not request.has_new("user"):
        return mount.options.data
    kept = []
    for option in mount.options.data:
        if option.startswith("gid=") and not _is_mapped(request.linux.get("gidMappings"), option[4:]):
            plan.warnings.append(f"{mount.where}.options: {option} is left out, the user namespace has no such group")
        else:
            kept.append(option)
    return kept


def _is_mapped(mappings: "Any", text: str) -> bool:
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        return True  # the kernel says what is wrong with it
    return any(m["containerID"] <= int(text) < m["containerID"] + m["size"] for m in mappings or ())


def _filesystem(request: "Request", mount: Mount, plan: "Plan") -> None:
    o = mount.options
    if not mount.type:
        raise Error("neither a type nor the option bind", location=mount.where)
    if mount.options.recursive_set or mount.options.recursive_clear:
        raise Error("recursive options are for bind mounts alone", location=f"{mount.where}.options")
    flags = _flags(mount)
    if mount.type == "tmpfs" and not any(option.startswith("mode=") for option in o.data):
        flags |= ops.MOUNT_KEEP_MODE
    if o.copy_up:
        flags |= ops.MOUNT_COPY_UP
    attributes = o.set & ~kernel.MOUNT_ATTR_RDONLY if _is_late(mount) else o.set
    source = mount.source or mount.type
    data = _data(request, mount, plan)
    if request.linux.get("mountLabel"):
        from pyoci.plan.labels import mount_label

        data = data + mount_label(request, mount.type)
    plan.add(
        ops.mount_new(
            mount.where,
            destination=mount.destination,
            type=mount.type,
            source=source,
            options=tuple(data),
            set=attributes,
            propagation=o.propagation,
            flags=flags,
        )
    )


def _cgroup(request: "Request", mount: Mount, plan: "Plan") -> None:
    """The container's own cgroup: on v2 one tree, on v1 a directory for each hierarchy, on a small tmpfs."""
    parts: "list[dict[str, Any]]" = request.cgroup_mounts(mount.options.data)
    hierarchies = any(part["name"] for part in parts)
    place = mount.destination
    if hierarchies:
        attributes = mount.options.set & ~kernel.MOUNT_ATTR_RDONLY
        plan.add(
            ops.mount_new(
                mount.where,
                destination=place,
                type="tmpfs",
                source="tmpfs",
                options=("mode=755",),
                set=attributes,
                propagation=0,
                flags=0,
            )
        )
    for part in parts:
        _hierarchy(request, mount, part, plan)
        for alias in part["aliases"]:
            plan.add(ops.make_link(mount.where, path=f"{place}/{alias}", target=part["name"], flags=0))
    if hierarchies and mount.options.set & kernel.MOUNT_ATTR_RDONLY:
        plan.add(
            ops.mount_change(
                mount.where, destination=place, set=kernel.MOUNT_ATTR_RDONLY, clear=0, propagation=0, recursive=0
            )
        )


def _hierarchy(request: "Request", mount: Mount, part: "dict[str, Any]", plan: "Plan") -> None:
    """A private cgroup namespace shows its own root and nothing above. With the host's, v2's whole tree is shown, in
    which the path of /proc/self/cgroup is to be found, except to the root of a user namespace; else only our directory.
    The tree is bound, not mounted anew: that would take options like nsdelegate away from the host's."""
    o, where = mount.options, mount.where
    place = f"{mount.destination}/{part['name']}" if part["name"] else mount.destination
    spread = ops.MOUNT_SPREAD_ALL if o.spread_all else 0
    if request.has_new("cgroup"):
        data = tuple(part["data"].split(",")) if part["data"] else ()
        kind = part["filesystem"]
        plan.add(
            ops.mount_new(
                where,
                destination=place,
                type=kind,
                source="cgroup",
                options=data,
                set=o.set,
                propagation=o.propagation,
                flags=spread,
            )
        )
    else:
        source = part["source"]
        if part["tree"] and not request.namespace("cgroup") and not request.namespace("user"):
            source = part["tree"]
        if request.host.confined():  # a user without the right to make cgroups goes without
            spread |= ops.MOUNT_OPTIONAL
        plan.add(
            ops.mount_bind(
                where,
                destination=place,
                source=source,
                set=o.set,
                clear=o.clear,
                recursive_set=0,
                recursive_clear=0,
                propagation=o.propagation,
                flags=spread,
                taken=NOT_TAKEN,
            )
        )
