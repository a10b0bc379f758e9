"""linux.devices and the default devices (config-linux.md, "Devices" and "Default Devices") → steps."""

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.paths import clean
from pyoci.plan import ops
from pyoci.plan.mount_sources import NOT_TAKEN
from pyoci.plan.mounts import covers_dev

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.mounts import Mount
    from pyoci.plan.request import Request

# path, major, minor
DEFAULT = (
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/zero", 1, 5),
    ("/dev/urandom", 1, 9),
)
_TYPES = {"c": kernel.S_IFCHR, "u": kernel.S_IFCHR, "b": kernel.S_IFBLK, "p": kernel.S_IFIFO}
_LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
)


def compile_devices(request: "Request", mounts: "list[Mount]", plan: "Plan") -> None:
    """Adds device nodes and the links that runtime-linux.md demands, unless /dev is somebody else's."""
    listed = request.linux.get("devices") or []
    if request.namespace("mount") is None:
        if listed:
            text = "devices need a mount namespace of the container's own"
            raise Error(text, location="linux.devices", hint="add a namespace of type mount, or leave the devices out")
        return
    if covers_dev(mounts):
        return
    own = [clean("/" + device["path"]) for device in listed]
    if "/" in own:
        raise Error("the device would replace the root directory", location=f"linux.devices[{own.index('/')}] (/)")
    for path, major, minor in DEFAULT:
        if path not in own:
            mode = kernel.S_IFCHR | 0o666
            _node(request, plan, "default devices", path, (mode, major, minor, 0, 0, ops.NODE_KEEP))
    for index, device in enumerate(listed):
        where = f"linux.devices[{index}] ({own[index]})"
        _node(request, plan, where, own[index], _numbers(device))
    plan.add(ops.make_link("default devices", path="/dev/ptmx", target="pts/ptmx", flags=ops.LINK_REPLACE))
    for path, target in _LINKS:
        plan.add(ops.make_link("default devices", path=path, target=target, flags=0))
    if request.host.exists("/proc/kcore"):
        plan.add(ops.make_link("default devices", path="/dev/core", target="/proc/kcore", flags=0))


def _numbers(device: "dict[str, Any]") -> "tuple[int, ...]":
    mode = device.get("fileMode")
    bits = 0o666 if mode is None else mode & 0o7777
    return (
        _TYPES[device["type"]] | bits,
        device.get("major") or 0,
        device.get("minor") or 0,
        device.get("uid") or 0,
        device.get("gid") or 0,
        0,
    )


def _must_borrow(request: "Request") -> bool:
    return request.namespace("user") is not None or request.host.confined()


def _node(request: "Request", plan: "Plan", where: str, path: str, numbers: "tuple[int, ...]") -> None:
    """In a user namespace no device can be made: there the host's of the same name is bound, if it is the same."""
    mode, major, minor, uid, gid, flags = numbers
    kind = mode & kernel.S_IFMT
    if kind == kernel.S_IFIFO or not _must_borrow(request):
        plan.add(ops.make_node(where, path=path, mode=mode, major=major, minor=minor, uid=uid, gid=gid, flags=flags))
        return
    found = request.host.device(path)
    if found != (kind, major, minor):
        other = "none" if found is None else f"{'c' if found[0] == kernel.S_IFCHR else 'b'} {found[1]}:{found[2]}"
        raise Error(
            f"a user namespace can only have the host's devices; at {path} the host has {other}, not {major}:{minor}",
            location=where,
            kind="missing",
        )
    plan.add(
        ops.mount_bind(
            where,
            destination=path,
            source=path,
            set=0,
            clear=0,
            recursive_set=0,
            recursive_clear=0,
            propagation=0,
            flags=0,
            taken=NOT_TAKEN,
        )
    )
