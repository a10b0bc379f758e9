"""The rootfs of a bundle: what containerd's snapshotter wants mounted there. To be called in a thread of its own."""

import posix

from pyoci import _shim
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# mount(2)'s flags by option: (flag, whether the option sets it)
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _SYNC, _REMOUNT, _MAND, _DIRSYNC = 1, 2, 4, 8, 16, 32, 64, 128
_NOATIME, _NODIRATIME, _BIND, _REC, _RELATIME, _STRICTATIME = 1 << 10, 1 << 11, 1 << 12, 1 << 14, 1 << 21, 1 << 24
_FLAGS = {
    "ro": (_RDONLY, True), "rw": (_RDONLY, False), "nosuid": (_NOSUID, True), "suid": (_NOSUID, False),
    "nodev": (_NODEV, True), "dev": (_NODEV, False), "noexec": (_NOEXEC, True), "exec": (_NOEXEC, False),
    "sync": (_SYNC, True), "async": (_SYNC, False), "remount": (_REMOUNT, True), "mand": (_MAND, True),
    "nomand": (_MAND, False), "dirsync": (_DIRSYNC, True), "noatime": (_NOATIME, True), "atime": (_NOATIME, False),
    "nodiratime": (_NODIRATIME, True), "diratime": (_NODIRATIME, False), "bind": (_BIND, True),
    "rbind": (_BIND | _REC, True), "relatime": (_RELATIME, True), "norelatime": (_RELATIME, False),
    "strictatime": (_STRICTATIME, True), "nostrictatime": (_STRICTATIME, False), "defaults": (0, True),
}  # fmt: skip
_PRIVATE, _SLAVE, _SHARED, _UNBINDABLE = 1 << 18, 1 << 19, 1 << 20, 1 << 17
_PROPAGATION = {
    "private": _PRIVATE, "rprivate": _PRIVATE | _REC, "slave": _SLAVE, "rslave": _SLAVE | _REC,
    "shared": _SHARED, "rshared": _SHARED | _REC, "unbindable": _UNBINDABLE, "runbindable": _UNBINDABLE | _REC,
}  # fmt: skip
_PAGE = 4096 - 1  # what mount(2) reads of the data
_DETACH, _NOFOLLOW = 2, 8
_EINVAL, _ENOENT = 22, 2
_OURS = ("X-containerd.", "x-containerd.")  # options for containerd's own tools
_LAYERS = "lowerdir="


def mount_all(mounts: "list[dict[str, Any]]", bundle: str) -> None:
    """Mounts them one over the other on the bundle's rootfs. Raises Error; then none is left."""
    if not mounts:
        return
    target = f"{bundle}/rootfs"
    try:
        posix.mkdir(target, 0o711)
    except FileExistsError:
        pass
    try:
        for mount in mounts:
            _mount(mount, target)
    except BaseException:
        unmount(target)
        raise


def unmount(target: str) -> None:
    """Takes off all that is mounted there. What a process outside still uses goes when that lets go. Raises Error."""
    while True:
        result = _shim.unmount(_bytes(target), _DETACH | _NOFOLLOW)
        if result in (-_EINVAL, -_ENOENT):
            return
        if result < 0:
            raise Error(f"unmount {target}", errno=-result)


def _mount(mount: "dict[str, Any]", target: str) -> None:
    flags, propagation, data = _sort(mount["options"])
    if mount["target"]:
        target = f"{target}/{mount['target'].lstrip('/')}"
    text = ",".join(data)
    if len(text.encode()) >= _PAGE:
        text = _shorten(data)
    where, kind, source = _bytes(target), mount["type"].encode(), _bytes(mount["source"])
    what = f"mount {mount['type']} on {target}"
    _check(_shim.mount(source, where, kind, flags, _bytes(text)), what)
    if flags & _BIND and flags & ~(_BIND | _REC):  # a bind mount takes no attributes at first
        _check(_shim.mount(b"", where, b"", flags | _REMOUNT, b""), what)
    if propagation:
        _check(_shim.mount(b"", where, b"", propagation, b""), what)


def _check(result: int, what: str) -> None:
    if result < 0:
        raise Error(what, step="rootfs", errno=-result)


def _sort(options: "list[str]") -> "tuple[int, int, list[str]]":
    flags = propagation = 0
    data = []
    for option in options:
        if option in _FLAGS:
            bits, sets = _FLAGS[option]
            flags = flags | bits if sets else flags & ~bits
        elif option in _PROPAGATION:
            propagation = _PROPAGATION[option]
        elif option.startswith(("uidmap=", "gidmap=")):
            hint = "let the snapshotter chown the layers instead"
            raise Error(f"the option {option} is not supported", step="rootfs", kind="missing", hint=hint)
        elif not option.startswith(_OURS):
            data.append(option)
    return flags, propagation, data


def _shorten(data: "list[str]") -> str:
    """Many layers fit into the one page that mount(2) reads when they are named from the directory that all lie in:
    this thread, which nobody uses afterwards, goes there alone. Raises Error."""
    short = list(data)
    place = next((n for n, option in enumerate(data) if option.startswith(_LAYERS)), -1)
    layers = data[place][len(_LAYERS) :].split(":") if place >= 0 else []
    common = _common(layers)
    if common:
        short[place] = _LAYERS + ":".join(layer[len(common) + 1 :] for layer in layers)
    text = ",".join(short)
    if len(text.encode()) >= _PAGE:
        raise Error(f"the mount's options are {len(text)} bytes, more than a page", step="rootfs", errno=7)
    _check(_shim.own_directory(), "a working directory for one thread")
    posix.chdir(common)
    return text


def _common(paths: "list[str]") -> str:
    """The directory that all lie in."""
    if not paths or any("\\" in path or not path.startswith("/") for path in paths):
        return ""
    parts = [path.split("/")[:-1] for path in paths]
    found = parts[0]
    for other in parts[1:]:
        count = 0
        while count < min(len(found), len(other)) and found[count] == other[count]:
            count += 1
        found = found[:count]
    return "/".join(found)


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
