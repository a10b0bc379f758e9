"""rtnetlink(7): network devices and their addresses, in our network namespace or through a descriptor of another.

Only for configs with linux.netDevices; no other command loads it.
"""

import posix
from struct import pack, pack_into, unpack_from

from pyoci import _shim
from pyoci.errors import Error
from pyoci.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_HEAD = "=IHHII"  # struct nlmsghdr: length, type, flags, sequence, port
_LINK = "=BxHiII"  # struct ifinfomsg: family, type, index, flags, which flags change
_ADDRESS = "=BBBBI"  # struct ifaddrmsg: family, prefix, flags, scope, index
_ROOM = 1 << 16
# What of an address is set when it is added; the rest of its flags is the kernel's own account of it
_OWN_FLAGS = (
    kernel.IFA_F_NODAD | kernel.IFA_F_HOMEADDRESS | kernel.IFA_F_MANAGETEMPADDR | kernel.IFA_F_NOPREFIXROUTE
    | kernel.IFA_F_MCAUTOJOIN
)  # fmt: skip
_KEPT = (
    kernel.IFA_ADDRESS, kernel.IFA_LOCAL, kernel.IFA_BROADCAST, kernel.IFA_CACHEINFO, kernel.IFA_RT_PRIORITY,
    kernel.IFA_PROTO,
)  # fmt: skip


class Link:
    """A network device: index, name, and whether it is up."""

    __slots__ = ("index", "name", "up")

    def __init__(self, index: int, name: str, up: bool) -> None:
        self.index = index
        self.name = name
        self.up = up


class Address:
    """An address as it is to be added again: a request's body without index and label, in hexadecimal, and its label
    without the device's name (`:1`, of IPv4 only)."""

    __slots__ = ("body", "label")

    def __init__(self, body: str, label: str) -> None:
        self.body = body
        self.label = label


class Netlink:
    """A socket in one network namespace. netns: a descriptor of it, or -1 for our own. Close it after use."""

    __slots__ = ("fd", "sequence")

    def __init__(self, netns: int = -1) -> None:
        self.fd = _shim.netlink(netns)
        self.sequence = 0
        if self.fd < 0:
            raise Error("open a netlink socket", errno=-self.fd)

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *_: object) -> None:
        posix.close(self.fd)

    def links(self) -> "list[Link]":
        """All devices."""
        body = pack(_LINK, 0, 0, 0, 0, 0)
        return [_link(part) for part in self._ask(kernel.RTM_GETLINK, kernel.NLM_F_DUMP, body, "list devices")]

    def find(self, name: str) -> "Optional[Link]":
        """The device of a name, None when there is none."""
        import errno

        body = pack(_LINK, 0, 0, 0, 0, 0) + _attribute(kernel.IFLA_IFNAME, _text(name))
        try:
            answers = self._ask(kernel.RTM_GETLINK, kernel.NLM_F_ACK, body, f"look up {name}")
        except Error as problem:
            if problem.errno == errno.ENODEV:
                return None
            raise
        return _link(answers[0])

    def move(self, index: int, netns: int, name: str) -> None:
        """Moves a device to a namespace, then names it: it goes down and loses its addresses. In its own it is only
        named.

        Errors: Error EEXIST when the name is taken there, but the device may have moved, by the name that it had
        """
        body = pack(_LINK, 0, 0, index, 0, 0)
        body += _attribute(kernel.IFLA_NET_NS_FD, pack("=I", netns)) + _attribute(kernel.IFLA_IFNAME, _text(name))
        self._ask(kernel.RTM_NEWLINK, kernel.NLM_F_ACK, body, f"move it as {name}")

    def set_up(self, index: int) -> None:
        """Brings a device up."""
        body = pack(_LINK, 0, 0, index, kernel.IFF_UP, kernel.IFF_UP)
        self._ask(kernel.RTM_NEWLINK, kernel.NLM_F_ACK, body, "bring it up")

    def addresses(self, link: Link) -> "list[Address]":
        """The permanent addresses of global scope of a device, in the kernel's order: the first one is the primary."""
        body = pack(_ADDRESS, 0, 0, 0, 0, 0)
        found = []
        for part in self._ask(kernel.RTM_GETADDR, kernel.NLM_F_DUMP, body, "list addresses"):
            address = _address(part, link)
            if address is not None:
                found.append(address)
        return found

    def add(self, address: Address, link: Link) -> None:
        """Gives a device an address."""
        body = bytearray.fromhex(address.body)
        pack_into("=I", body, 4, link.index)
        label = _text(link.name + address.label)
        if address.label and len(label) <= kernel.IFNAMSIZ:
            body += _attribute(kernel.IFA_LABEL, label)
        flags = kernel.NLM_F_ACK | kernel.NLM_F_CREATE | kernel.NLM_F_REPLACE
        self._ask(kernel.RTM_NEWADDR, flags, bytes(body), "give it its address")

    def _ask(self, kind: int, flags: int, body: bytes, step: str) -> "list[bytes]":
        """One request; what the kernel answers, without its headers. Errors: Error with the kernel's errno."""
        self.sequence += 1
        head = pack(_HEAD, 16 + len(body), kind, flags | kernel.NLM_F_REQUEST, self.sequence, 0)
        sent = _shim.send(self.fd, head + body, ())
        if sent < 0:
            raise Error(step=step, errno=-sent)
        answers: "list[bytes]" = []
        while not self._collect(answers, step):
            pass
        return answers

    def _collect(self, answers: "list[bytes]", step: str) -> bool:
        """Reads one datagram; whether it held the end."""
        buffer = bytearray(_ROOM)
        got, _ = _shim.receive(self.fd, buffer)
        if got < 0:
            raise Error(step=step, errno=-got)
        data = bytes(buffer[:got])
        at = 0
        while at + 16 <= len(data):
            length, kind, _, sequence, _ = unpack_from(_HEAD, data, at)
            part = data[at + 16 : at + length]
            at += (length + 3) & ~3
            if sequence != self.sequence:
                continue
            if kind in (kernel.NLMSG_ERROR, kernel.NLMSG_DONE):
                code = unpack_from("=i", part)[0] if len(part) >= 4 else 0
                if code < 0:
                    raise Error(step=step, errno=-code)
                return True
            answers.append(part)
        return False


def names(path: str) -> "list[str]":
    """Names of all devices in the namespace at path, "" for our own. Errors: Error when it is no network namespace."""
    netns = -1
    try:
        if path:
            netns = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
        with Netlink(netns) as netlink:
            return [link.name for link in netlink.links()]
    except OSError as problem:
        raise Error(f"open {path}", location="linux.namespaces", errno=problem.errno or 0) from None
    finally:
        if netns >= 0:
            posix.close(netns)


def _text(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape") + b"\0"


def _attribute(kind: int, content: bytes) -> bytes:
    return pack("=HH", len(content) + 4, kind) + content + b"\0" * (-len(content) % 4)


def _attributes(data: bytes, at: int) -> "dict[int, bytes]":
    found: "dict[int, bytes]" = {}
    while at + 4 <= len(data):
        length, kind = unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[at + 4 : at + length]  # two bits of a type are flags (NLA_TYPE_MASK)
        at += (length + 3) & ~3
    return found


def _link(data: bytes) -> Link:
    _, _, index, flags, _ = unpack_from(_LINK, data)
    name = _attributes(data, 16)[kernel.IFLA_IFNAME].rstrip(b"\0").decode("utf-8", "surrogateescape")
    return Link(index, name, bool(flags & kernel.IFF_UP))


def _address(data: bytes, link: Link) -> "Optional[Address]":
    family, prefix, flags, scope, index = unpack_from(_ADDRESS, data)
    attributes = _attributes(data, 8)
    if kernel.IFA_FLAGS in attributes:  # all of them: the byte in the header has room for eight
        flags = unpack_from("=I", attributes[kernel.IFA_FLAGS])[0]
    if index != link.index or scope != kernel.RT_SCOPE_UNIVERSE or not flags & kernel.IFA_F_PERMANENT:
        return None
    body = pack(_ADDRESS, family, prefix, 0, scope, 0)
    for kind in _KEPT:
        if kind in attributes:
            body += _attribute(kind, attributes[kind])
    body += _attribute(kernel.IFA_FLAGS, pack("=I", flags & _OWN_FLAGS))
    label = attributes.get(kernel.IFA_LABEL, b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
    return Address(body.hex(), label[len(link.name) :] if label.startswith(link.name + ":") else "")
