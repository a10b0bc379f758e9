"""root, rootfsPropagation, maskedPaths, readonlyPaths → steps around the switch of the root."""

from pyoci import kernel
from pyoci.errors import Error
from pyoci.plan import ops
from pyoci.plan.options import PROPAGATION
from pyoci.plan.request import clean
from pyoci.plan.sources import take

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
        raise Error(f"invalid rootfs: {request.rootfs} is not a directory", location="root.path")
    if request.namespace("mount") is None:
        _refuse_without_mounts(request)
        plan.add(ops.USE_ROOT, "root.path", request.rootfs)
        return
    kind, _ = propagation(request)
    # What the host mounts later still arrives, unless asked otherwise; what we mount stays here, unless asked otherwise
    plan.add(ops.OWN_MOUNTS, _WHERE if kind else "", kind or kernel.MS_SLAVE)
    where = f"root.path ({request.rootfs})"
    plan.add(ops.OPEN_ROOT, where, request.rootfs, take(request, plan, request.rootfs, where, 1))


def protect(request: "Request", plan: "Plan") -> None:
    """Adds readonlyPaths, maskedPaths and root.readonly; before the switch, while the masks' sources are in reach."""
    if request.namespace("mount") is None:
        return
    for index, path in enumerate(request.linux.get("readonlyPaths") or []):
        plan.add(ops.READONLY_PATH, f"linux.readonlyPaths[{index}] ({path})", clean("/" + path))
    for index, path in enumerate(dict.fromkeys(request.linux.get("maskedPaths") or [])):
        plan.add(ops.MASK_PATH, f"linux.maskedPaths[{index}] ({path})", clean("/" + path))
    if (request.config.get("root") or {}).get("readonly"):
        plan.add(ops.MOUNT_CHANGE, "root.readonly", "/", kernel.MOUNT_ATTR_RDONLY, 0, 0, 0)


def switch_root(request: "Request", plan: "Plan") -> None:
    """Adds the switch itself."""
    if request.namespace("mount") is None:
        plan.add(ops.CHANGE_ROOT, "root.path")
        return
    if request.no_pivot:
        for place in reversed(request.host.full_proc_mounts(request.rootfs)):
            plan.add(ops.UNMOUNT, "--no-pivot", place)
        plan.add(ops.MOVE_ROOT, "--no-pivot")
    else:
        plan.add(ops.PIVOT_ROOT, "root.path")
    kind, deep = propagation(request)
    if kind:
        plan.add(ops.ROOT_PROPAGATION, _WHERE, kind, deep)


def _refuse_without_mounts(request: "Request") -> None:
    keys: "list[tuple[str, Any]]" = [(k, request.linux.get(k)) for k in ("maskedPaths", "readonlyPaths")]
    keys.append(("rootfsPropagation", request.linux.get("rootfsPropagation")))
    for key, value in keys:
        if value:
            text = "unable to restrict sys entries without a private MNT namespace"
            raise Error(text, location=f"linux.{key}", hint="add a namespace of type mount")
    if (request.config.get("root") or {}).get("readonly"):
        raise Error("a read-only root needs a mount namespace", location="root.readonly")
