"""Makes the mounts that init cannot make itself, and hands them over (plan/sources.py says which)."""

import posix

from pyoci import _shim
from pyoci.errors import Error
from pyoci.init.talk import packet
from pyoci.linux import kernel
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.lent import Source


def lend_mounts(report: int, sources: "list[Source]") -> None:
    """Sends a detached copy of each mount to init, in order.

    report: the socket on which init waits for them
    Errors: Error with the place of the mount in the config.
    """
    for source in sources:
        fd = _open(source)
        try:
            sent = _shim.send(report, packet(ops.REPORT_MOUNT), [fd])
        finally:
            posix.close(fd)
        if sent < 0:
            raise Error("hand a mount to init", location=source.where, errno=-sent)


def _open(source: "Source") -> int:
    flags = kernel.OPEN_TREE_CLONE | (kernel.AT_RECURSIVE if source.recursive else 0)
    path = source.path.encode("utf-8", "surrogateescape")
    if not source.is_mapped():
        return _checked(source, _shim.clone_mount(path, flags, source.propagation, -1, 0))
    namespace = _namespace(source)
    try:
        deep = kernel.AT_RECURSIVE if source.deep_map else 0
        return _checked(source, _shim.clone_mount(path, flags, source.propagation, namespace, deep))
    finally:
        posix.close(namespace)


def _namespace(source: "Source") -> int:
    """A user namespace that has the map."""
    if source.namespace:
        try:
            return posix.open(source.namespace, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError as problem:
            raise Error(f"open {source.namespace}", location=source.where, errno=problem.errno or 0) from None
    fd = _shim.user_namespace(source.uid_map.encode(), source.gid_map.encode())
    if fd < 0:
        raise Error("make the id map", location=source.where, errno=-fd)
    return fd


def _checked(source: "Source", fd: int) -> int:
    if fd >= 0:
        return fd
    import errno

    hint = ""
    if source.is_mapped() and fd == -errno.EINVAL:
        hint = "the filesystem of the source cannot have id maps, or the mount has one already"
    from pyoci.init.failures import mounting

    place = source.where.partition(" (")[2][:-1]
    step = mounting(source.path, place) if source.where.startswith("mounts[") else ""
    problem = Error(f"stat {source.path}", step=step, location=source.where, errno=-fd, hint=hint)
    problem.by_init = bool(step)
    raise problem
