"""memoryPolicy, netDevices and intelRdt compiled: what they become, and what is refused before anything is made."""

from pathlib import Path
from typing import Any

import pytest
from plan_samples import FakeHost, compiled, small

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.step import Step

NETWORK = {"namespaces": [{"type": "mount"}, {"type": "network"}]}
ONLINE = "/sys/devices/system/node/online"


class Machine(FakeHost):
    """With two network devices, a container's namespace at /ns, and a resctrl."""

    resctrl_path = ""

    def network_devices(self, path: str) -> "list[str]":
        return ["lo", "taken0"] if path else ["lo", "eth0", "eth1"]

    def resctrl(self) -> str:
        return self.resctrl_path


def steps(operation: int, **linux: Any) -> "list[Step]":
    return [step for step in compiled(small(linux=linux), Machine()).steps if step.operation == operation]


def refused(host: FakeHost, **linux: Any) -> str:
    with pytest.raises(Error) as told:
        compiled(small(linux=linux), host)
    return str(told.value)


def policy(mode: str, nodes: str = "", *flags: str) -> "dict[str, Any]":
    return {"mode": mode, "nodes": nodes, "flags": list(flags)}


@pytest.mark.parametrize(
    ("given", "mode", "mask"),
    [
        (policy("MPOL_DEFAULT"), 0, b""),
        (policy("MPOL_BIND", "0,3-5"), 2, (0b111001).to_bytes(8, "little")),
        (policy("MPOL_INTERLEAVE", "64"), 3, (1 << 64).to_bytes(16, "little")),
        (policy("MPOL_BIND", "1", "MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"), 2 | 5 << 13, b"\2" + b"\0" * 7),
        (policy("MPOL_WEIGHTED_INTERLEAVE", " 0 "), 6, b"\1" + b"\0" * 7),
    ],
)
def test_memory_policy(given: "dict[str, Any]", mode: int, mask: bytes) -> None:
    (step,) = steps(ops.MEMORY_POLICY, memoryPolicy=given)
    assert step.fields == (mode, mask)
    assert step.where == f"linux.memoryPolicy ({given['mode']})"


def test_memory_policy_and_the_nodes_of_the_host() -> None:
    host = Machine()
    host.files[ONLINE] = "0-1"
    told = refused(host, memoryPolicy=policy("MPOL_BIND", "2"))
    assert "this host has none of the memory nodes 2 (it has 0-1)" in told
    plan = compiled(small(linux={"memoryPolicy": policy("MPOL_BIND", "1-2")}), host)
    assert plan.warnings == ["linux.memoryPolicy.nodes: of 1-2 this host has no more than 0-1"]
    # relative to what the cpuset allows: not the host's numbers
    relative = policy("MPOL_BIND", "7", "MPOL_F_RELATIVE_NODES")
    assert compiled(small(linux={"memoryPolicy": relative}), host).warnings == []


def test_network_devices_stop_init_after_its_namespaces() -> None:
    plan = compiled(small(linux={**NETWORK, "netDevices": {"eth0": {}, "eth1": {"name": "in%d"}}}), Machine())
    order = [step.operation for step in plan.steps]
    stop = [(step.operation, step.fields) for step in plan.steps].index((ops.SYNC, (ops.SYNC_NETWORK,)))
    assert order.index(ops.LOOPBACK_UP) < stop < order.index(ops.OWN_MOUNTS)
    assert plan.network == [
        ops.net_device("linux.netDevices[eth0]", name="eth0", target="eth0", path=""),
        ops.net_device("linux.netDevices[eth1]", name="eth1", target="in%d", path=""),
    ]
    assert "runtime  move network device" in "\n".join(plan.lines())


@pytest.mark.parametrize(
    ("spaces", "devices", "words"),
    [
        ({"type": "network"}, {"none": {}}, "linux.netDevices[none]: no such network device"),
        ({"type": "network"}, {"eth0": {"name": "lo"}}, "already has a device lo"),
        ({"type": "network", "path": "/ns"}, {"eth0": {"name": "taken0"}}, "already has a device taken0"),
        ({"type": "network", "path": "/proc/self/ns/net"}, {"eth0": {}}, "the host's own network namespace"),
        ({"type": "uts"}, {"eth0": {}}, "without a private NET namespace"),
    ],
)
def test_network_devices_refused(spaces: "dict[str, str]", devices: "dict[str, Any]", words: str) -> None:
    assert words in refused(Machine(), namespaces=[{"type": "mount"}, spaces], netDevices=devices)


def test_network_devices_take_root() -> None:
    host = Machine(euid=1000)
    maps = [{"containerID": 0, "hostID": 1000, "size": 1}]
    spaces = [{"type": kind} for kind in ("mount", "network", "user")]
    text = refused(host, namespaces=spaces, uidMappings=maps, gidMappings=maps, netDevices={"eth0": {}})
    assert "linux.netDevices: moving network devices takes root" in text


def test_classes_of_service(tmp_path: Path) -> None:
    host = Machine()
    assert "no resctrl filesystem is mounted" in refused(host, intelRdt={})
    host.resctrl_path = str(tmp_path)
    plan = compiled(small(linux={"intelRdt": {"schemata": ["L3:0=f"]}}), host)
    assert plan.parent == [
        ops.resctrl(
            "linux.intelRdt",
            tree=str(tmp_path),
            group="box",
            named=0,
            monitor="",
            lines=[("schemata[0]", "L3:0=f")],
            flags=0,
        )
    ]
    assert list(tmp_path.iterdir()) == []  # the compiler changes nothing
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "schemata").write_text("    MB:0=100\n    L3:0=00f;1=0f0\n")
    assert compiled(small(linux={"intelRdt": {"closID": "gold", "l3CacheSchema": "L3:1=f0;0=f"}}), host).parent
    assert "exists without the line 'L3:0=7'" in refused(host, intelRdt={"closID": "gold", "l3CacheSchema": "L3:0=7"})
    assert "must be pre-created" in refused(host, intelRdt={"closID": "none"})


def test_flags_are_the_kernels() -> None:
    """Numbers from the headers: a library of our own could drift."""
    assert (kernel.MPOL_F_STATIC_NODES, kernel.MPOL_F_RELATIVE_NODES, kernel.MPOL_F_NUMA_BALANCING) == (
        1 << 15, 1 << 14, 1 << 13,
    )  # fmt: skip
