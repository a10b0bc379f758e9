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

from pyoci.cgroups.host import Host as Cgroups
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.init.failures import limit_cause, open_files_most
from pyoci.linux import kernel
from pyoci.linux.names import HOOKS
from pyoci.linux.sysctl import path_of
from pyoci.plan.namespaces import FLAGS
from pyoci.plan.process import DEFAULT_PATH
from pyoci.plan.request import Request, from_bundle
from pyoci.plan.seccomp import listens
from pyoci.seccomp.compiler import Library

if TYPE_CHECKING:
    from pyoci.validate.musts import Finding, Json, Path

    Ranges = list[tuple[int, int]]

CODE = "host-lacks"
IGNORED = "host-ignores"
MOST_LINKS = 40  # path_resolution(7)
_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)


class _Look:
    """One look at a host and a bundle."""

    __slots__ = ("config", "covers", "found", "linux", "process", "request")

    def __init__(self, config: Json, bundle: str) -> None:
        self.request = Request(config, Host(), bundle, "")
        self.config = config
        self.linux = self.request.linux
        self.process = self.request.process
        self.covers: list[str] = []
        for mount in config.get("mounts") or ():
            self.covers.append(walk(self.request.rootfs, mount["destination"], self.covers)[0])
        self.found: list[Finding] = []

    def add(self, path: Path, text: str, hint: str = "") -> None:
        self.found.append((CODE, path, text, hint))

    def find(self, place: str, before: int | None = None) -> str | None:
        """Where a path of the container is on the host: "" where nothing is, None where a mount of the container's
        has a say in what will be there.

        before: only mounts before the one of this number count
        """
        inside, covered = walk(self.request.rootfs, place, self.covers[:before])
        if covered:
            return None
        there = self.request.rootfs + inside
        return there if inside and os.path.exists(there) else ""


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
    _swap(look)
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
    target = look.find(mount["destination"], number)
    if target and os.path.isdir(target) != os.path.isdir(source):
        kinds = ("a directory", "not a directory") if os.path.isdir(source) else ("not a directory", "a directory")
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
        found = look.find(place)
        if found is None:
            return
        if os.path.isfile(found):
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
        found = look.find(device["path"])
        if not found:
            continue
        there, numbers = os.stat(found), (device.get("major") or 0, device.get("minor") or 0)
        same = kinds[device["type"]](there.st_mode)
        if not same or (device["type"] != "p" and there.st_rdev != os.makedev(*numbers)):
            look.add(("linux", "devices", number), f"the rootfs has another file at {device['path']}")


def _cwd(look: _Look) -> None:
    """create makes a working directory that is missing."""
    place = look.process.get("cwd") or "/"
    while place != "/":
        found = look.find(place)
        if found and not os.path.isdir(found):
            look.add(("process", "cwd"), f"{place} of the rootfs is not a directory")
        if found != "":
            return
        place = posixpath.dirname(place)


def walk(root: str, path: str, covers: list[str]) -> tuple[str, bool]:
    """Where a path leads in the container, links followed as the container will follow them, and whether a mount has a
    say in what is there: links beneath one are not followed. "" after too many links.

    covers: where the mounts are, as this function found them
    """
    rest, at, links = path.split("/"), "", 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            at = posixpath.dirname(at).rstrip("/")
            continue
        here = f"{at}/{part}"
        if here in covers:
            return posixpath.normpath("/".join([here, *rest])), True
        if os.path.islink(root + here):
            links += 1
            if links > MOST_LINKS:
                return "", False
            target = os.readlink(root + here)
            at = "" if target[:1] == "/" else at
            rest = target.split("/") + rest
            continue
        at = here
    return at or "/", "/" in covers


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
    may_raise = bool(host.permitted() >> kernel.CAPABILITIES["CAP_SYS_RESOURCE"] & 1) and not host.confined()
    for index, limit in enumerate(look.process.get("rlimits") or ()):
        number, hard = getattr(kernel, limit["type"]), limit["hard"]
        own = resource.getrlimit(number)[1]
        beyond = number == kernel.RLIMIT_NOFILE and hard > open_files_most(host)
        if beyond or (not may_raise and 0 <= own < hard):
            text = f"{limit['type']} of {hard} cannot be set: {limit_cause(host, number, hard)}"
            look.add(("process", "rlimits", index, "hard"), text, "" if beyond else f"the runtime's own is {own}")


def _swap(look: _Look) -> None:
    """v1 counts memory and swap together, so that a limit of both cannot be below that of memory, which is none."""
    memory = (look.linux.get("resources") or {}).get("memory") or {}
    limit, swap = memory.get("limit") or 0, memory.get("swap") or 0
    if limit > 0 or swap <= 0:
        return

    if any("memory" in hierarchy.controllers for hierarchy in Cgroups().layout().hierarchies):
        text = "cgroup v1 takes a limit of memory and swap only together with one of memory"
        look.add(("linux", "resources", "memory", "swap"), text, "set linux.resources.memory.limit")


def _hooks(look: _Look) -> None:
    given = look.config.get("hooks") or {}
    for kind in HOOKS:  # others are ignored by create
        for number, hook in enumerate(given.get(kind) or ()):
            path: Path = ("hooks", kind, number, "path")
            program = hook["path"]
            if kind == "startContainer":
                found = look.find(program) if os.path.isdir(look.request.rootfs) else None
                place = f"{program} of the rootfs"
            else:
                found, place = program if os.path.exists(program) else "", program
            if found is None:
                continue
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


def ignored(config: Json) -> list[Finding]:
    """System calls of which the libseccomp at hand knows nothing: the spec has them passed over in silence."""
    rules = ((config.get("linux") or {}).get("seccomp") or {}).get("syscalls") or ()
    if not rules:
        return []

    try:
        library = Library()
    except (Error, ImportError):  # create's refusal says so
        return []
    found: list[Finding] = []
    for number, rule in enumerate(rules):
        unknown = " ".join(dict.fromkeys(name for name in rule["names"] if not library.knows_call(name)))
        if unknown:
            text = f"libseccomp {library.version} knows no such system calls, which are left out: {unknown}"
            hint = "a newer one may, or they are misspelt"
            found.append((IGNORED, ("linux", "seccomp", "syscalls", number, "names"), text, hint))
    return found
