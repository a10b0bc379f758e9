"""config-linux.md: network devices that move into the container."""

import os
from typing import Any

import pytest

from conformance import host, netlink
from conformance.case import Case
from conformance.seen import Seen
from conformance.verdict import Refused

IFF_UP = 1
OPTIONAL = "config.md#valid-values lets a runtime choose what it supports"


def veth(case: Case) -> tuple[str, str]:
    """A pair of devices on the host, with addresses on the first; it is gone after the test."""
    case.needs_root()
    case.needs(host.capable(12), "needs CAP_NET_ADMIN")
    number = f"{os.getpid() % 10000}{case.session.next_name().replace('-', '').replace('gw', '')}"
    name, peer = f"cfa{number}"[:15], f"cfb{number}"[:15]
    netlink.add_veth(name, peer)
    case.after(lambda: netlink.remove_link(peer))
    case.after(lambda: netlink.remove_link(name))
    netlink.add_address(name, "10.213.7.5", 24)
    netlink.add_address(name, "2001:db8:77::5", 64)
    return name, peer


def moving(case: Case, devices: dict[str, dict[str, str]], *verbs: str) -> dict[str, Any]:
    return case.config(linux={"netDevices": devices}, process={"args": ["/probe", "report", *verbs]})


@pytest.mark.judges(
    "linux.net-devices.moved",
    "linux.net-devices.renamed",
    "linux.net-devices.addresses",
    "linux.net-devices.up",
    "linux.net-devices.not-moved-out",
)
@pytest.mark.parametrize("new_name", ["", "inside0"])
def test_a_device_moves(case: Case, new_name: str) -> None:
    name, _ = veth(case)
    config = moving(case, {name: {"name": new_name} if new_name else {}})
    config["process"]["args"] += ["read:/proc/net/fib_trie", "read:/proc/net/if_inet6", "flush", "until:/log/go"]
    try:
        container = case.started(config)
    except Refused as refusal:
        pytest.skip(f"{refusal}; {OPTIONAL}")
    seen = Seen(container.line())
    inside = seen["interfaces"]
    wanted = new_name or name
    others = sorted(set(inside) - {"lo"})
    alone = bool(others) and name not in netlink.names()
    case.judge("linux.net-devices.moved", alone, f"{name} in the container, and not on the host", others)
    case.equal("linux.net-devices.renamed", "devices in the container", [wanted], others)
    flags = inside.get(wanted, 0)
    case.judge("linux.net-devices.up", flags & IFF_UP, "the device is up", f"flags {flags:#x}")
    v4 = "10.213.7.5" in (seen.did("read", "/proc/net/fib_trie").get("text") or "")
    v6 = "20010db8007700000000000000000005" in (seen.did("read", "/proc/net/if_inet6").get("text") or "")
    case.equal("linux.net-devices.addresses", "IPv4 and IPv6 address kept", (True, True), (v4, v6))
    (container.bundle.rootfs / "log" / "go").touch()
    container.wait()
    container.delete()
    back = sorted({name, wanted} & set(netlink.names())) if alone else ["it never left"]
    asked = "a virtual device, which ends with the namespace, back on the host after delete"
    case.equal("linux.net-devices.not-moved-out", asked, [], back)


@pytest.mark.judges(
    "linux.net-devices.name-exists-error", "linux.net-devices.template", "linux.net-devices.missing-error"
)
def test_names(case: Case) -> None:
    name, _ = veth(case)
    template = moving(case, {name: {"name": "many%d"}})
    seen = case.observe(template, anew=True, may_refuse=OPTIONAL)
    others = sorted(set(seen["interfaces"]) - {"lo"})
    case.equal("linux.net-devices.template", "devices in the container, for the name many%d", ["many0"], others)
    again, _ = veth(case)
    taken = moving(case, {again: {"name": "lo"}})
    case.refused("linux.net-devices.name-exists-error", "the name lo, which is taken", taken)
    missing = moving(case, {"no-such-dev": {}})
    case.refused("linux.net-devices.missing-error", "a device that is not there", missing)


@pytest.mark.judges("linux.net-devices.not-moved-out")
def test_delete_leaves_the_device(case: Case) -> None:
    """The namespace outlives the container, because another one has it."""
    name, _ = veth(case)
    holder = case.running(case.config())
    path = f"/proc/{holder.pid}/ns/net"
    kinds = ("pid", "ipc", "uts", "mount")
    entries = [*({"type": kind} for kind in kinds), {"type": "network", "path": path}]
    config = case.config(linux={"namespaces": entries})
    first = case.config(config, linux={"netDevices": {name: {"name": "stays0"}}})
    case.observe(first, anew=True, may_refuse=OPTIONAL)
    after = case.observe(config, anew=True)["interfaces"]
    asked = "devices of the namespace after the container that brought one was deleted"
    case.equal("linux.net-devices.not-moved-out", asked, ["lo", "stays0"], sorted(after))
