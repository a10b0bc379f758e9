"""root, rootfsPropagation, maskedPaths, readonlyPaths → steps around the switch of the root."""

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.linux.names import PROPAGATION
from pyoci.paths import clean
from pyoci.plan import ops
from pyoci.plan.mount_sources import take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

_WHERE = "linux.rootfsPropagation"


def propagation(request: "Request") -> "tuple[int, int]":
    """rootfsPropagation as (MS_*, recursive); (0, 0) where it is not given."""
    name: str = request.linux.get("rootfsPropagation") or ""
    if not name:
        return 0, 0
    if name in PROPAGATION:
        return PROPAGATION[name], 0
    if name[:1] == "r" and name[1:] in PROPAGATION:
        return PROPAGATION[name[1:]], 1
    raise Error(f"unknown propagation {name!r}", location=_WHERE)


def open_root(request: "Request", plan: "Plan") -> None:
    """Adds the steps that make the mounts our own and the rootfs a mount."""
    if not request.rootfs or not request.host.is_directory(request.rootfs):
        there = request.host.exists(request.rootfs)
        text = f"invalid rootfs: {request.rootfs} {'is not a directory' if there else 'does not exist'}"
        raise Error(text, location="root.path")
    if request.namespace("mount") is None:
        _refuse_without_mounts(request)
        plan.add(ops.use_root("root.path", request.rootfs))
        return
    kind, _ = propagation(request)
    # What the host mounts later still arrives, and what we mount stays here, unless asked otherwise.
    # Unbindable is for the container's root alone, in the end: much is bound until then
    first = kernel.MS_PRIVATE if kind == kernel.MS_UNBINDABLE else kind or kernel.MS_SLAVE
    plan.add(ops.own_mounts(_WHERE if kind else "", first))
    where = f"root.path ({request.rootfs})"
    plan.add(ops.open_root(where, path=request.rootfs, taken=take(request, plan, request.rootfs, where, 1)))


def protect(request: "Request", plan: "Plan") -> None:
    """Adds readonlyPaths, maskedPaths and root.readonly; before the switch, while the masks' sources are in reach."""
    if request.namespace("mount") is None:
        return
    hooks = request.config.get("hooks") or {}
    hooked = hooks.get("prestart") or hooks.get("createRuntime") or hooks.get("createContainer")
    flags = ops.PROTECT_NAMED if hooked else 0  # what a hook mounts over ours is to be protected as well
    for index, path in enumerate(request.linux.get("readonlyPaths") or []):
        plan.add(ops.readonly_path(f"linux.readonlyPaths[{index}] ({path})", path=clean("/" + path), flags=flags))
    for index, path in enumerate(dict.fromkeys(request.linux.get("maskedPaths") or [])):
        plan.add(ops.mask_path(f"linux.maskedPaths[{index}] ({path})", path=clean("/" + path), flags=flags))
    if (request.config.get("root") or {}).get("readonly"):
        plan.add(
            ops.mount_change(
                "root.readonly", destination="/", set=kernel.MOUNT_ATTR_RDONLY, clear=0, propagation=0, recursive=0
            )
        )


_NAMING = frozenset(
    (
        ops.MOUNT_NEW, ops.MOUNT_BIND, ops.MOUNT_CHANGE, ops.MAKE_DIRECTORY, ops.MAKE_NODE, ops.MAKE_LINK,
        ops.READONLY_PATH, ops.MASK_PATH,
    )
)  # fmt: skip
_FLAGS = {ops.MOUNT_NEW: 6, ops.MOUNT_BIND: 7}  # which field they are


def hold_mounts(plan: "Plan") -> None:
    """Has init hold each mount in which a later step looks for something: its name may lead elsewhere by then."""
    made = plan.made
    later = {"/dev", "/dev/pts"} if plan.has(ops.CONSOLE) else set()
    for number in range(len(made) - 1, -1, -1):
        operation, where, fields = made[number]
        if operation not in _NAMING:
            continue
        path: "Any" = fields[0]
        source = fields[1] if operation == ops.MOUNT_BIND and int(fields[7]) & ops.MOUNT_IN_ROOT else ""  # type: ignore[arg-type]
        if path in later and operation in _FLAGS:
            at = _FLAGS[operation]
            made[number] = (operation, where, (*fields[:at], fields[at] | ops.MOUNT_HOLD, *fields[at + 1 :]))  # type: ignore[operator]
        _add_with_parents(path, later)
        _add_with_parents(source, later)


def _add_with_parents(path: "Any", to: "set[str]") -> None:
    while path and path not in to:
        to.add(path)
        path = path.rpartition("/")[0]


def switch_root(request: "Request", plan: "Plan") -> None:
    """Adds the switch itself."""
    if request.namespace("mount") is None:
        plan.add(ops.change_root("root.path"))
        return
    if request.no_pivot:
        for place in reversed(request.host.full_proc_mounts(request.rootfs)):
            plan.add(ops.unmount("--no-pivot", place))
        plan.add(ops.move_root("--no-pivot"))
    else:
        plan.add(ops.pivot_root("root.path"))
    kind, deep = propagation(request)
    if kind:
        plan.add(ops.root_propagation(_WHERE, propagation=kind, recursive=deep))


def _refuse_without_mounts(request: "Request") -> None:
    keys: "list[tuple[str, Any]]" = [(k, request.linux.get(k)) for k in ("maskedPaths", "readonlyPaths")]
    keys.append(("rootfsPropagation", request.linux.get("rootfsPropagation")))
    for key, value in keys:
        if value:
            text = "unable to restrict sys entries without a private MNT namespace"
            raise Error(text, location=f"linux.{key}", hint="add a namespace of type mount")
    if (request.config.get("root") or {}).get("readonly"):
        raise Error("a read-only root needs a mount namespace", location="root.readonly")
