"""What this host and a bundle lack for a config that is right by itself: told by `validate --host` and by `plan`.

Looks, changes nothing. What a mount of the container's will bring or cover is not judged.
"""

from __future__ import annotations

import fcntl
import os
import posixpath
import resource
import stat
from typing import TYPE_CHECKING

from pyoci.host import Host
from pyoci.names import HOOKS
from pyoci.plan.namespaces import FLAGS
from pyoci.plan.process import DEFAULT_PATH
from pyoci.plan.request import Request, from_bundle
from pyoci.plan.seccomp import listens
from pyoci.sysctl import path_of

if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Json, Path

    Ranges = list[tuple[int, int]]

CODE = "host-lacks"
MOST_LINKS = 40  # path_resolution(7)
_SYS_RESOURCE = 24  # its number in capabilities(7)
_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)


class _Look:
    """One look at a host and a bundle."""

    __slots__ = ("config", "covers", "found", "linux", "process", "request")

    def __init__(self, config: Json, bundle: str) -> None:
        self.request = Request(config, Host(), bundle, "")
        self.config = config
        self.linux = self.request.linux
        self.process = self.request.process
        mounts = config.get("mounts") or ()
        self.covers = [posixpath.normpath("/" + mount["destination"]) for mount in mounts]
        self.found: list[Finding] = []

    def add(self, path: Path, text: str, hint: str = "") -> None:
        self.found.append((CODE, path, text, hint))

    def is_covered(self, place: str, before: int | None = None) -> bool:
        """Whether a mount of the container's (before the one of that number) has a say in what is at a place."""
        inside = f"{posixpath.normpath('/' + place)}/"
        return any(inside.startswith(f"{cover.rstrip('/')}/") for cover in self.covers[:before])


def lacks(config: Json, bundle: str) -> list[Finding]:
    """Everything that is not there; config is right by itself, and as the commands take it.

    bundle: absolute
    """
    look = _Look(config, bundle)
    rootfs = look.request.rootfs
    if not os.path.isdir(rootfs):
        state = "is not a directory" if os.path.lexists(rootfs) else "does not exist"
        look.add(("root", "path"), f"{rootfs} {state}")
    else:
        _program(look)
        _cwd(look)
        _devices(look)
    _user(look)
    _limits(look)
    for number, mount in enumerate(config.get("mounts") or ()):
        _mount(look, number, mount)
    _hooks(look)
    _namespaces(look)
    _sysctls(look)
    _agent(look)
    return look.found


def _mount(look: _Look, number: int, mount: Json) -> None:
    options = mount.get("options") or ()
    if "remount" in options:
        return
    path: Path = ("mounts", number)
    if not ("bind" in options or "rbind" in options):
        _filesystem(look, path, mount.get("type") or "")
        return
    rootfs, source = look.request.rootfs, from_bundle(look.request.bundle, mount.get("source") or "")
    if not mount.get("source") or (not os.path.exists(source) and source.startswith(rootfs + "/")):
        return  # an earlier mount may bring that
    if not os.path.exists(source):
        look.add((*path, "source"), f"{source} does not exist")
        return
    target = resolve(rootfs, mount["destination"])
    if target and not look.is_covered(mount["destination"], number) and os.path.isdir(target) != os.path.isdir(source):
        kinds = ("a directory", "no directory") if os.path.isdir(source) else ("no directory", "a directory")
        look.add((*path, "source"), f"{source} is {kinds[0]}, {mount['destination']} of the rootfs {kinds[1]}")


def _filesystem(look: _Look, path: Path, kind: str) -> None:
    """A type that the kernel has not got, and no module of its own brings: where that can be known."""
    known = look.request.host.read("/proc/filesystems") or ""
    if kind in ("", "cgroup", "cgroup2", "bind", "rbind", "none") or f"\t{kind}\n" in known + "\n":
        return
    try:
        aliases = look.request.host.read_all(f"/lib/modules/{os.uname().release}/modules.alias")
    except OSError:
        return
    if f"alias fs-{kind} " not in aliases:
        look.add((*path, "type"), f"the kernel has no filesystem {kind}, nor a module of that name")


def _program(look: _Look) -> None:
    """The program, where no mount covers its place: what is in those is not looked at."""
    name = (look.process.get("args") or [""])[0]
    if "process" not in look.config:
        return
    if name[:1] != "/" and "/" in name:
        name = posixpath.join("/", look.process.get("cwd") or "/", name)
    places = [name] if name[:1] == "/" else [posixpath.join("/", way, name) for way in _search(look.process) if name]
    for place in places:
        if look.is_covered(place):
            return
        found = resolve(look.request.rootfs, place)
        if found and os.path.isfile(found):
            if not os.stat(found).st_mode & 0o111:
                look.add(("process", "args", 0), f"{place} is not executable", "chmod +x")
            return
    where = name if name[:1] == "/" else f"{name or 'program without a name'} in {':'.join(_search(look.process))}"
    look.add(("process", "args", 0), f"the rootfs has no {where}")


def _search(process: Json) -> list[str]:
    values = [entry[5:] for entry in process.get("env") or () if entry.startswith("PATH=")]
    return (values[-1] if values else DEFAULT_PATH).split(":")


def _devices(look: _Look) -> None:
    """A file in the place of a device, which create does not replace."""
    kinds = {"c": stat.S_ISCHR, "u": stat.S_ISCHR, "b": stat.S_ISBLK, "p": stat.S_ISFIFO}
    for number, device in enumerate(look.linux.get("devices") or ()):
        found = "" if look.is_covered(device["path"]) else resolve(look.request.rootfs, device["path"])
        if not found:
            continue
        there, numbers = os.stat(found), (device.get("major") or 0, device.get("minor") or 0)
        same = kinds[device["type"]](there.st_mode)
        if not same or (device["type"] != "p" and there.st_rdev != os.makedev(*numbers)):
            look.add(("linux", "devices", number), f"the rootfs has another file at {device['path']}")


def _cwd(look: _Look) -> None:
    """create makes a working directory that is missing."""
    place = look.process.get("cwd") or "/"
    if look.is_covered(place):
        return
    while place != "/":
        found = resolve(look.request.rootfs, place)
        if found and not os.path.isdir(found):
            look.add(("process", "cwd"), f"{place} of the rootfs is not a directory")
        if found:
            return
        place = posixpath.dirname(place)


def resolve(root: str, path: str) -> str:
    """Where a path of the container is on the host: links are the container's, too. "" where it leads nowhere."""
    rest, at, links = path.split("/"), "", 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            at = posixpath.dirname(at).rstrip("/")
            continue
        here = f"{root}{at}/{part}"
        if os.path.islink(here):
            links += 1
            if links > MOST_LINKS:
                return ""
            target = os.readlink(here)
            at = "" if target[:1] == "/" else at
            rest = target.split("/") + rest
            continue
        at += f"/{part}"
    return root + at if os.path.exists(root + at) else ""


def _user(look: _Look) -> None:
    """Ids that no mapping of the user namespace has. That /etc/passwd of the rootfs does not know them is no matter."""
    user = look.process.get("user") or {}
    path: Path = ("process", "user")
    uids, gids = _ranges(look, "uidMappings", "uid_map"), _ranges(look, "gidMappings", "gid_map")
    for name, ranges in (("uid", uids), ("gid", gids)):
        if not _has(ranges, user.get(name) or 0):
            look.add((*path, name) if name in user else path, *_unmapped(name, user.get(name) or 0))
    for number, group in enumerate(user.get("additionalGids") or ()):
        if not _has(gids, group):
            look.add((*path, "additionalGids", number), *_unmapped("gid", group))


def _unmapped(name: str, number: int) -> tuple[str, str]:
    return f"{name} {number} is in no mapping of the user namespace", f"linux.{name}Mappings say which are"


def _ranges(look: _Look, key: str, file: str) -> Ranges | None:
    """First id and number of ids, of each range that the container's user namespace has; None where that is unknown."""
    if look.request.has_new("user"):
        return [(entry["containerID"], entry["size"]) for entry in look.linux.get(key) or ()]
    user = look.request.namespace("user")
    if user is not None:  # nsenter(1) tells as much of another's
        path = user.get("path") or ""
        text = look.request.host.read(f"{path[: -len('ns/user')]}{file}") if path.endswith("/ns/user") else None
    else:
        text = look.request.host.read(f"/proc/self/{file}")
    lines = [line.split() for line in (text or "").split("\n") if line]
    return [(int(line[0]), int(line[2])) for line in lines] or None


def _has(ranges: Ranges | None, number: int) -> bool:
    return ranges is None or any(first <= number < first + size for first, size in ranges)


def _limits(look: _Look) -> None:
    """Hard limits that the runtime may not raise."""
    host = look.request.host
    may_raise = bool(host.permitted() >> _SYS_RESOURCE & 1) and not host.confined()
    files = int(host.read("/proc/sys/fs/nr_open") or 2**31)
    for index, limit in enumerate(look.process.get("rlimits") or ()):
        number = getattr(resource, limit["type"], None)
        own = resource.getrlimit(number)[1] if number is not None else -1
        path: Path = ("process", "rlimits", index, "hard")
        if limit["type"] == "RLIMIT_NOFILE" and limit["hard"] > files:
            look.add(path, f"{limit['hard']} is more than fs.nr_open, {files}", "raise it with sysctl(8)")
        elif not may_raise and 0 <= own < limit["hard"]:
            text = f"{limit['type']} of {limit['hard']} is more than the runtime's own, {own}"
            look.add(path, text, "raising a hard limit takes CAP_SYS_RESOURCE")


def _hooks(look: _Look) -> None:
    given = look.config.get("hooks") or {}
    for kind in HOOKS:  # others are ignored by create
        for number, hook in enumerate(given.get(kind) or ()):
            path: Path = ("hooks", kind, number, "path")
            program = hook["path"]
            if kind == "startContainer":
                if look.is_covered(program) or not os.path.isdir(look.request.rootfs):
                    continue
                found, place = resolve(look.request.rootfs, program), f"{program} of the rootfs"
            else:
                found, place = program if os.path.exists(program) else "", program
            if not found:
                look.add(path, f"{place} does not exist")
            elif not os.path.isfile(found) or not os.stat(found).st_mode & 0o111:
                look.add(path, f"{place} is not executable", "chmod +x")


def _namespaces(look: _Look) -> None:
    """Namespaces to join: whether they are there, and of their type."""
    for index, entry in enumerate(look.linux.get("namespaces") or ()):
        file = entry.get("path")
        if not file:
            continue
        path: Path = ("linux", "namespaces", index, "path")
        try:
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as problem:
            look.add(path, f"{file}: {os.strerror(problem.errno or 0).lower()}")
            continue
        try:
            kind = fcntl.ioctl(fd, _NS_GET_NSTYPE)
        except OSError:
            kind = 0
        finally:
            os.close(fd)
        if kind != FLAGS[entry["type"]]:
            names = [name for name, flag in FLAGS.items() if flag == kind]
            look.add(path, f"{file} is {'of type ' + names[0] if names else 'no namespace'}, not of {entry['type']}")


def _sysctls(look: _Look) -> None:
    """Names that the kernel does not have. Those of network devices are there when the devices are."""
    for key in look.linux.get("sysctl") or {}:
        path = path_of(key)
        if not path or (path.startswith("net/") and ("/conf/" in path or "/neigh/" in path)):
            continue
        if not os.path.exists(f"/proc/sys/{path}"):
            look.add(("linux", "sysctl", key), f"the kernel has no {key}", "a module may bring it")


def _agent(look: _Look) -> None:
    seccomp = look.linux.get("seccomp") or {}
    if not seccomp.get("listenerPath") or not listens(seccomp):
        return
    path = from_bundle(look.request.bundle, seccomp["listenerPath"])
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        is_socket = False
    if not is_socket:
        state = "is no socket" if os.path.lexists(path) else "does not exist"
        look.add(("linux", "seccomp", "listenerPath"), f"{path} {state}", "the seccomp agent makes it")
