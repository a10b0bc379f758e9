"""Network devices of a container: moved in with their addresses, and back where that is asked for.

config-linux.md, "Namespace Lifecycle and Container Termination", forbids a runtime to move a device out of the
namespace before it deletes that. The kernel ends it then: physical devices go back to the host, without addresses,
under a name that is free; virtual ones are destroyed. With the annotation RETURN they come back with name and
addresses instead. For this the state directory keeps the namespace: it is mounted on the file `netns` there until the
devices are back, whatever happens to the container's processes; without the annotation only until the container is
created, for a create that fails. A namespace that is not the container's own (`path`), or that others use too, keeps
its devices in any case. Not restored are routes and the bridge that a device was a port of: the kernel forgets them
when a device moves.
"""

import errno
import posix
from itertools import chain, count

from pyoci import _shim
from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.network.netlink import Address, Link, Netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Optional

    from pyoci.container.state import Entry

PIN = "netns"
RETURN = "org.pyoci.netDevices.return"  # annotation; "true": back to the host, as they were, when the container goes
_FILE = posix.O_RDONLY | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC


def move_in(entry: "Entry", where: str, name: str, target: str, pid: int, path: str) -> None:
    """Moves a device into the network namespace of a waiting process. state.json knows of it first.

    path: the namespace's in config.json, "" when it was made for this container
    Errors: Error with the device's place in the config; then move_back() puts back what was moved.
    """
    namespace = posix.open(f"/proc/{pid}/ns/net", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        with Netlink() as here, Netlink(namespace) as there:
            device = _look(here, where, name, target)
            if "network_path" not in entry.record:
                entry.record["network_path"] = path
                entry.record["network_devices"] = []
                if not path:
                    entry.save()
                    _pin(entry, namespace)
            entry.record["network_devices"].append(device)
            entry.save()
            try:
                _move(here, there, namespace, device)
            except Error as problem:
                raise _placed(problem, where) from None
            entry.save()
    finally:
        posix.close(namespace)


def settle(entry: "Entry") -> None:
    """The container is created: unless its devices are to come back, the namespace now ends when its processes do."""
    if not _is_returning(entry):
        _shim.unpin(entry.fd, PIN.encode())


def move_back(entry: "Entry") -> "list[Error]":
    """Puts devices back as they were, where that is due, and lets go of the namespace; what could not be done.

    The container's processes have ended.
    """
    devices: "list[dict[str, Any]]" = entry.record.get("network_devices") or []
    problems: "list[Error]" = []
    namespace = _reach(entry) if devices else -1
    if namespace >= 0:
        try:
            with Netlink() as here, Netlink(namespace) as there:
                for device in devices:
                    try:
                        _return(here, there, device)
                    except Error as problem:
                        problem.location = problem.location or f"linux.netDevices[{device['name']}]"
                        problems.append(problem)
        finally:
            posix.close(namespace)
    _shim.unpin(entry.fd, PIN.encode())
    entry.record["network_devices"] = []
    return problems


def _look(here: Netlink, where: str, name: str, target: str) -> "dict[str, Any]":
    link = here.find(name)
    if link is None:
        raise Error("no such network device", location=where, kind="missing")
    return {
        "name": link.name,
        "index": link.index,
        "up": link.up,
        "target": target,
        "inside": 0,
        "addresses": [[address.body, address.label] for address in here.addresses(link)],
    }


def _pin(entry: "Entry", namespace: int) -> None:
    posix.close(posix.open(PIN, _FILE, 0o600, dir_fd=entry.fd))
    result = _shim.pin(namespace, entry.fd, PIN.encode())
    if result < 0:
        raise Error("keep the network namespace", location="linux.netDevices", errno=-result)


def _move(here: Netlink, there: Netlink, namespace: int, device: "dict[str, Any]") -> None:
    target: str = device["target"]
    link = _carry(here, there, namespace, Link(device["index"], device["name"], device["up"]), _names(target))
    device["inside"] = link.index
    if link.name == device["name"] != target:
        raise Error(f"move it as {target}", errno=errno.EEXIST)
    _furnish(there, link, device)
    there.set_up(link.index)


def _carry(source: Netlink, to: Netlink, namespace: int, link: Link, names: "Iterable[str]") -> Link:
    """Moves a device, to get the first of some names that is free there; what it is then, by whatever name.

    It is known by its name, nobody else's: devices come and go on a host meanwhile, and its index may change. The
    kernel moves it by the name that it has, if that is free there, before it looks at the new one.
    Errors: Error when it has not moved.
    """
    at = source
    for name in names:
        try:
            at.move(link.index, namespace, name)
        except Error as problem:
            if problem.errno == errno.EINVAL:
                problem.hint = "devices of this kind (bridges, tunnels' base devices) stay in their namespace"
            if problem.errno != errno.EEXIST:
                raise
        else:
            return _known(to, name)
        if at is source and _find(source, link.name, link.index) is None:
            at, link = to, _known(to, link.name)
        elif to.find(name) is None:
            break  # it is an alternative name of the device that is taken there: no number helps
    if at is source:
        raise Error("move it", errno=errno.EEXIST, hint="a name of it, perhaps an alternative one, is taken there")
    return link


def _known(netlink: Netlink, name: str) -> Link:
    link = netlink.find(name)
    if link is None:
        raise Error(f"find it as {name}: another program renames devices", errno=errno.ENODEV)
    return link


def _find(netlink: Netlink, name: str, index: int) -> "Optional[Link]":
    link = netlink.find(name)
    return link if link is not None and link.index == index else None


def _names(template: str) -> "Iterator[str]":
    """The name, or for one with %d those that the kernel would count through; others with % are for it to refuse."""
    if template.count("%") != 1 or "%d" not in template:
        yield template
        return
    for number in count():
        yield template.replace("%d", str(number))


def _furnish(netlink: Netlink, link: Link, device: "dict[str, Any]") -> None:
    for body, label in device["addresses"]:
        netlink.add(Address(body, label), link)


def _restore(here: Netlink, link: Link, device: "dict[str, Any]") -> None:
    _furnish(here, link, device)
    if device["up"]:
        here.set_up(link.index)


def _return(here: Netlink, there: Netlink, device: "dict[str, Any]") -> None:
    link = _inside(here, there, device)
    if link is None:
        still = _find(here, device["name"], device["index"])
        if device["inside"] and still is not None:
            _restore(here, still, device)  # a command was killed right after it had moved the device
        return
    home = posix.open("/proc/self/ns/net", posix.O_RDONLY | posix.O_CLOEXEC)
    name: str = device["name"]
    try:
        back = _carry(there, here, home, link, chain([name], _names("dev%d")))
    finally:
        posix.close(home)
    _restore(here, back, device)
    if back.name != name:
        taken = f"its name {name} is taken on the host"
        raise Error(taken, location=f"linux.netDevices[{name}]", hint=f"it is {back.name} now", kind="host")


def _inside(here: Netlink, there: Netlink, device: "dict[str, Any]") -> "Optional[Link]":
    """The device where we moved it. A container may have renamed it, or removed it; a command may have been killed
    before it could write down the new index, which is mostly the old one."""
    links = there.links()
    if device["inside"]:
        return next((link for link in links if link.index == device["inside"]), None)
    if _find(here, device["name"], device["index"]) is not None:
        return None
    for link in links:
        if link.name != "lo" and (link.name == device["target"] or link.index == device["index"]):
            return link
    return None


def _reach(entry: "Entry") -> int:
    """The namespace to take devices from, -1 when they are to stay there, or went with it."""
    path: str = entry.record["network_path"]
    if entry.was_created() and (path or not _is_returning(entry)):
        return -1
    try:
        if path:
            fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
        else:
            fd = posix.open(PIN, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC, dir_fd=entry.fd)
    except OSError:
        return -1
    if _shim.namespace_type(fd) == kernel.CLONE_NEWNET and (path or not _has_others(fd)):
        return fd
    posix.close(fd)
    return -1


def _is_returning(entry: "Entry") -> bool:
    return bool(entry.record["annotations"].get(RETURN) == "true")


def _has_others(namespace: int) -> bool:
    """Whether a process of somebody else is in the namespace."""
    wanted = posix.fstat(namespace)
    for name in posix.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            found = posix.stat(f"/proc/{name}/ns/net")
        except OSError:
            continue
        if (found.st_ino, found.st_dev) == (wanted.st_ino, wanted.st_dev):
            return True
    return False


def _placed(problem: Error, where: str) -> Error:
    problem.location = where
    if problem.errno == errno.EACCES:
        problem.hint = "is IPv6 disabled in the container's network namespace?"
    return problem
