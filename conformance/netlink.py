"""Network devices on the host for tests, by rtnetlink: a veth pair, its addresses, its removal."""

import os
import socket
import struct

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR = 16, 17, 20
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x200, 0x400
IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 3, 18, 1, 2, 1
IFA_ADDRESS, IFA_LOCAL = 1, 2


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", len(content) + 4, kind) + content + b"\0" * (-len(content) % 4)


def request(kind: int, flags: int, content: bytes) -> None:
    """One request; raises OSError with the kernel's answer when it is not 0."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        head = struct.pack("=IHHII", 16 + len(content), kind, flags | NLM_F_REQUEST | NLM_F_ACK, 1, 0)
        sock.send(head + content)
        answer = sock.recv(65536)
    code = struct.unpack_from("=i", answer, 16)[0]
    if code:
        raise OSError(-code, os.strerror(-code))


def link_head(index: int = 0) -> bytes:
    return struct.pack("=BBHiII", socket.AF_UNSPEC, 0, 0, index, 0, 0)


def add_veth(name: str, peer: str) -> None:
    peer_info = attribute(VETH_INFO_PEER, link_head() + attribute(IFLA_IFNAME, peer.encode() + b"\0"))
    info = attribute(IFLA_INFO_KIND, b"veth\0") + attribute(IFLA_INFO_DATA, peer_info)
    content = link_head() + attribute(IFLA_IFNAME, name.encode() + b"\0") + attribute(IFLA_LINKINFO, info)
    request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, content)


def remove_link(name: str) -> None:
    """Removes the device if it is (still, or again) here."""
    if name in names():
        request(RTM_DELLINK, 0, link_head(socket.if_nametoindex(name)))


def add_address(name: str, address: str, prefix: int) -> None:
    """A permanent address of global scope."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    head = struct.pack("=BBBBI", family, prefix, 0x80, 0, socket.if_nametoindex(name))
    content = head + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, content)


def names() -> list[str]:
    """The network devices of this process's namespace."""
    return [name for _, name in socket.if_nameindex()]
