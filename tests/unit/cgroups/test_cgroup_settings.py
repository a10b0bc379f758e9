"""Each property of linux.resources on each version: which files, which values."""

import errno

import pytest

from pyoci.cgroups import compile as compiler
from pyoci.cgroups.convert import huge_page_names, swap_only, weight_from_shares
from pyoci.errors import Error
from tests.support import made_cgroups

DEVICE = {"major": 8, "minor": 16}

# resources, what v1 gets, what v2 gets; an Error's text where the version has no such thing
TABLE = [
    ({"memory": {"limit": 1048576}}, [("memory.limit_in_bytes", "1048576")], [("memory.max", "1048576")]),
    (
        {"memory": {"limit": -1}},
        [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")],
        [("memory.swap.max", "max"), ("memory.max", "max")],
    ),
    (
        {"memory": {"limit": 1048576, "swap": 3145728}},
        [("memory.limit_in_bytes", "1048576"), ("memory.memsw.limit_in_bytes", "3145728")],
        [("memory.swap.max", "2097152"), ("memory.max", "1048576")],
    ),
    (
        {"memory": {"limit": 1048576, "swap": 1048576}},
        [("memory.limit_in_bytes", "1048576"), ("memory.memsw.limit_in_bytes", "1048576")],
        [("memory.swap.max", "0"), ("memory.max", "1048576")],
    ),
    (
        {"memory": {"limit": 1048576, "swap": -1}},
        [("memory.limit_in_bytes", "1048576"), ("memory.memsw.limit_in_bytes", "-1")],
        [("memory.swap.max", "max"), ("memory.max", "1048576")],
    ),
    ({"memory": {"limit": 0, "swap": 0}}, [], []),
    ({"memory": {"reservation": 4096}}, [("memory.soft_limit_in_bytes", "4096")], [("memory.low", "4096")]),
    ({"memory": {"swappiness": 0}}, [("memory.swappiness", "0")], "cannot set memory swappiness with cgroup v2"),
    ({"memory": {"disableOOMKiller": True}}, [("memory.oom_control", "1")], "cgroup v2"),
    ({"memory": {"disableOOMKiller": False, "useHierarchy": True}}, [], []),
    ({"memory": {"kernel": 4096, "kernelTCP": 4096}}, [], []),
    ({"cpu": {"shares": 1024}}, [("cpu.shares", "1024")], [("cpu.weight", "100")]),
    ({"cpu": {"shares": 2}}, [("cpu.shares", "2")], [("cpu.weight", "1")]),
    ({"cpu": {"shares": 262144}}, [("cpu.shares", "262144")], [("cpu.weight", "10000")]),
    ({"cpu": {"shares": 0}}, [], []),
    ({"cpu": {"quota": 20000}}, [("cpu.cfs_quota_us", "20000")], [("cpu.max", "20000")]),
    ({"cpu": {"quota": -1}}, [("cpu.cfs_quota_us", "-1")], [("cpu.max", "max")]),
    (
        {"cpu": {"quota": 20000, "period": 50000, "burst": 1000}},
        [("cpu.cfs_period_us", "50000"), ("cpu.cfs_quota_us", "20000"), ("cpu.cfs_burst_us", "1000")],
        [("cpu.max", "20000 50000"), ("cpu.max.burst", "1000")],
    ),
    ({"cpu": {"period": 50000}}, [("cpu.cfs_period_us", "50000")], [("cpu.max", "max 50000")]),
    ({"cpu": {"idle": 1}}, [("cpu.idle", "1")], [("cpu.idle", "1")]),
    (
        {"cpu": {"realtimeRuntime": 950000, "realtimePeriod": 1000000}},
        [("cpu.rt_period_us", "1000000"), ("cpu.rt_runtime_us", "950000")],
        "cgroup v2 has no realtimePeriod",
    ),
    (
        {"cpu": {"cpus": "0-1,3", "mems": "0"}},
        [("cpuset.cpus", "0-1,3"), ("cpuset.mems", "0")],
        [("cpuset.cpus", "0-1,3"), ("cpuset.mems", "0")],
    ),
    ({"pids": {"limit": 20}}, [("pids.max", "20")], [("pids.max", "20")]),
    ({"pids": {"limit": -1}}, [("pids.max", "max")], [("pids.max", "max")]),
    ({"pids": {"limit": -5}}, [("pids.max", "max")], [("pids.max", "max")]),
    ({"pids": {"limit": 0}}, [("pids.max", "1")], [("pids.max", "1")]),
    ({"blockIO": {"weight": 0}}, [], []),
    ({"blockIO": {"weight": 10}}, [("blkio.weight", "10")], [("io.weight", "default 1")]),
    ({"blockIO": {"weight": 1000}}, [("blkio.weight", "1000")], [("io.weight", "default 10000")]),
    ({"blockIO": {"leafWeight": 300}}, [("blkio.leaf_weight", "300")], "cgroup v2 has no leafWeight"),
    (
        {"blockIO": {"weightDevice": [{**DEVICE, "weight": 500}]}},
        [("blkio.weight_device", "8:16 500")],
        [("io.weight", "8:16 4950")],
    ),
    (
        {"blockIO": {"weightDevice": [{**DEVICE, "leafWeight": 500}]}},
        [("blkio.leaf_weight_device", "8:16 500")],
        "cgroup v2 has no leafWeight",
    ),
    (
        {"blockIO": {"throttleReadBpsDevice": [{**DEVICE, "rate": 600}]}},
        [("blkio.throttle.read_bps_device", "8:16 600")],
        [("io.max", "8:16 rbps=600")],
    ),
    (
        {"blockIO": {"throttleWriteBpsDevice": [{**DEVICE, "rate": 0}]}},
        [("blkio.throttle.write_bps_device", "8:16 0")],
        [("io.max", "8:16 wbps=max")],
    ),
    (
        {"blockIO": {"throttleReadIOPSDevice": [{**DEVICE, "rate": 6}, {"major": 8, "minor": 0, "rate": 7}]}},
        [("blkio.throttle.read_iops_device", "8:16 6"), ("blkio.throttle.read_iops_device", "8:0 7")],
        [("io.max", "8:16 riops=6"), ("io.max", "8:0 riops=7")],
    ),
    (
        {"blockIO": {"throttleWriteIOPSDevice": [{**DEVICE, "rate": 6}]}},
        [("blkio.throttle.write_iops_device", "8:16 6")],
        [("io.max", "8:16 wiops=6")],
    ),
    (
        {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]},
        [("hugetlb.2MB.limit_in_bytes", "4194304"), ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")],
        [("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")],
    ),
    (
        {"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "mlx4_0": {"hcaObjects": 1000}}},
        [("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"), ("rdma.max", "mlx4_0 hca_object=1000")],
        [("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"), ("rdma.max", "mlx4_0 hca_object=1000")],
    ),
    ({"network": {"classID": 1048577}}, [("net_cls.classid", "1048577")], "cgroup v2 has no classID"),
    (
        {"network": {"priorities": [{"name": "eth0", "priority": 500}]}},
        [("net_prio.ifpriomap", "eth0 500")],
        "cgroup v2 has no priorities",
    ),
    ({"network": {"classID": 0}}, [], []),
    ({"unified": {"memory.high": "1048576"}}, "cannot set unified", [("memory.high", "1048576")]),
    (
        {"unified": {"io.max": "8:0 rbps=1\n8:16 wbps=2"}},
        "cannot set unified",
        [("io.max", "8:0 rbps=1"), ("io.max", "8:16 wbps=2")],
    ),
    ({"unified": {}}, [], []),
    ({}, [], []),
]

LIMITS = ("memory.", "cpu.", "cpuset.", "pids.", "blkio.", "io.", "hugetlb.", "rdma.", "net_")


def created(host, resources, path="/a/c"):
    """What create() writes besides devices and the cpuset that v1 needs in any case."""
    manager = made_cgroups.plan(
        {"linux": {"cgroupsPath": path, "resources": resources}}, "id", driver="cgroupfs", host=host
    )
    if host.is_v2():
        manager.create()
        return host.values(*LIMITS)
    manager.create()
    inherited = {("cpuset.cpus", "0-3"), ("cpuset.mems", "0")}
    asked = resources.get("cpu", {}).get("mems")
    return [pair for pair in host.values(*LIMITS) if pair not in inherited] + ([("cpuset.mems", "0")] if asked else [])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row[0])[:60])
def test_each_property_goes_to_its_files(host, row, version):
    resources, expected = row[0], row[version]
    if isinstance(expected, str):
        with pytest.raises(Error, match=expected) as caught:
            created(host(version), resources)
        assert caught.value.location.startswith("linux.resources.")
    else:
        assert created(host(version), resources) == expected


REFUSED = [
    ({"memory": {"limit": 2097152, "swap": 1048576}}, 2, "memory.swap", "should be >= memory limit"),
    ({"memory": {"swap": 1048576}}, 2, "memory.swap", "unable to set swap limit without memory limit"),
    ({"memory": {"swappiness": 101}}, 1, "memory.swappiness", "valid range is 0-100"),
    ({"memory": {"limit": "1M"}}, 1, "memory.limit", "must be an integer"),
    ({"cpu": {"shares": 1}}, 1, "cpu.shares", "minimum allowed cpu-shares is 2"),
    ({"cpu": {"shares": 262145}}, 2, "cpu.shares", "maximum allowed cpu-shares is 262144"),
    ({"cpu": {"cpus": "0-4"}}, 1, "cpu.cpus", "CPUs 4 are not there: this machine has 0-3"),
    ({"cpu": {"cpus": "7"}}, 2, "cpu.cpus", "CPUs 7 are not there: this machine has 0-3"),
    ({"cpu": {"mems": "1"}}, 1, "cpu.mems", "memory nodes 1 are not there: this machine has 0"),
    ({"cpu": {"cpus": "0;1"}}, 2, "cpu.cpus", "not a list of CPUs"),
    ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, 2, "hugepageLimits[0].pageSize", "3MB"),
    ({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}, 1, "hugepageLimits[0].pageSize", "../x"),
    ({"unified": {"memory/high": "1"}}, 2, "unified[memory/high]", "not the name of a cgroup file"),
    ({"unified": {"nodots": "1"}}, 2, "unified[nodots]", "not the name of a cgroup file"),
    ({"unified": {"misc.max": "1"}}, 2, "unified[misc.max]", "controller 'misc' not available"),
    *[
        ({"unified": {f"cgroup.{name}": "1"}}, 2, f"unified[cgroup.{name}]", "sets no limit, it acts on processes")
        for name in ("freeze", "kill", "procs", "threads")
    ],
    ({"devices": [{"allow": True, "type": "p", "access": "r"}]}, 1, "devices[0].type", "invalid device type"),
    ({"devices": [{"allow": True, "type": "c", "access": ""}]}, 2, "devices[0].access", "cannot be empty"),
    ({"devices": [{"allow": True, "access": "rx"}]}, 2, "devices[0].access", "invalid device access"),
]


@pytest.mark.parametrize(("resources", "version", "place", "text"), REFUSED)
def test_what_cannot_be_applied_is_refused_before_anything_is_made(host, resources, version, place, text):
    machine = host(version)
    before = machine.directories()
    with pytest.raises(Error) as caught:
        made_cgroups.plan(
            {"linux": {"cgroupsPath": "/c", "resources": resources}}, "id", driver="cgroupfs", host=machine
        )
    assert caught.value.location == f"linux.resources.{place}"
    assert text in str(caught.value)
    assert machine.directories() == before
    assert machine.written == []


@pytest.mark.parametrize(
    ("resources", "refused"),
    [
        ({"memory": {"limit": 4096}}, True),
        ({"memory": {"limit": -1}}, False),
        ({"cpu": {"shares": 1024, "quota": -1, "idle": 0, "burst": 0}}, False),
        ({"cpu": {"quota": 1000}}, True),
        ({"pids": {"limit": -1}}, False),
        ({"pids": {"limit": 3}}, True),
        ({"cpu": {"period": 100000}}, False),
        ({"blockIO": {"throttleReadBpsDevice": [{**DEVICE, "rate": 0}]}}, False),
    ],
)
def test_a_missing_controller_matters_only_to_a_limit(host, resources, refused):
    machine = host(1, controllers=("devices", "freezer"))
    config = {"linux": {"cgroupsPath": "/c", "resources": resources}}
    if refused:
        with pytest.raises(Error, match="not available on this machine"):
            made_cgroups.plan(config, "id", driver="cgroupfs", host=machine)
    else:
        made_cgroups.plan(config, "id", driver="cgroupfs", host=machine).create()


def test_a_missing_file_is_named_with_the_place_that_asked(host):
    machine = host(2)
    del machine.v2_files["cpu.max.burst"]
    with pytest.raises(Error) as caught:
        created(machine, {"cpu": {"burst": 5}})
    assert str(caught.value).startswith("linux.resources.cpu.burst: write '5' to cpu.max.burst: no such file")
    assert created(machine, {"cpu": {"burst": 0}}) == []  # and no burst is what such a kernel does


def test_bfq_weight_is_preferred_where_the_kernel_has_it(host):
    machine = host(2)
    machine.v2_files["io.bfq.weight"] = ""
    assert created(machine, {"blockIO": {"weight": 500}}) == [("io.bfq.weight", "500")]


def test_a_neighbour_that_must_go_first_goes_first(host):
    """Raising both limits of memory: the kernel takes the limit only after the one of memory and swap."""
    machine = host(1)
    machine.refusals = {("memory.limit_in_bytes", "2048"): errno.EINVAL}
    assert created(machine, {"memory": {"limit": 2048, "swap": 4096}}) == [
        ("memory.memsw.limit_in_bytes", "4096"),
        ("memory.limit_in_bytes", "2048"),
    ]


def test_a_limit_below_what_is_used_says_how_much_is_used(host):
    machine = host(1)
    manager = made_cgroups.plan(
        {"linux": {"cgroupsPath": "/c", "resources": {"memory": {"limit": 2048}}}},
        "id",
        driver="cgroupfs",
        host=machine,
    )
    machine.refusals = Always({("memory.limit_in_bytes", "2048"): errno.EBUSY})
    with pytest.raises(Error, match=r"unable to set memory limit to 2048 \(current usage: 4096, peak usage: 8192\)"):
        manager.create()


class Always(dict):
    """Refusals that do not wear out."""

    def pop(self, key, default):
        return self.get(key, default)


def test_hybrid_sets_a_controller_of_the_v2_tree_there(host):
    resources = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}], "pids": {"limit": 5}}
    machine = host(12, controllers=("pids", "devices", "freezer"))
    made_cgroups.plan(
        {"linux": {"cgroupsPath": "/c", "resources": resources}}, "id", driver="cgroupfs", host=machine
    ).create()
    assert ("/unified/c", "hugetlb.2MB.max", "4194304") in machine.written
    assert ("/unified", "cgroup.subtree_control", "+hugetlb") in machine.written
    assert ("/pids/c", "pids.max", "5") in machine.written


@pytest.mark.parametrize(
    ("limit", "swap", "expected"),
    [(-1, 0, -1), (5, -1, -1), (0, -1, -1), (5, 0, None), (0, 0, None), (-1, 7, 7), (5, 7, 2), (5, 5, 0)],
)
def test_swap_alone(limit, swap, expected):
    assert swap_only(limit, swap, "m") == expected


def test_shares_become_weights_through_both_defaults_and_never_fall():
    weights = [weight_from_shares(shares) for shares in range(2, 262145, 97)]
    assert weights == sorted(weights)
    assert weight_from_shares(1024) == 100
    assert min(weights) == 1
    assert weight_from_shares(262144) == 10000


def test_huge_page_names():
    assert huge_page_names(["hugepages-2048kB", "hugepages-1048576kB", "hugepages-64kB", "other"]) == [
        "1GB",
        "2MB",
        "64KB",
    ]


def test_check_before_update_refuses_a_limit_at_or_below_the_usage():
    wanted = {"memory": {"limit": 4096, "checkBeforeUpdate": True}}
    compiler.check_room(wanted, "", 4095)
    with pytest.raises(Error, match="rejecting memory limit 4096 <= usage 4096"):
        compiler.check_room(wanted, "", 4096)
    compiler.check_room({"memory": {"limit": 4096}}, "", 9999)
