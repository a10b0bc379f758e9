"""Decisions of the compiler one by one: what it refuses, and what it makes of rare settings."""

from typing import Any

import pytest
from plan_samples import FakeHost, compiled, request_of, small

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.linux.mount_options import ATTRIBUTES, Options, all_options
from pyoci.linux.sysctl import path_of
from pyoci.paths import clean
from pyoci.plan import ops, process
from pyoci.plan.model import Plan


def steps(plan: Plan, operation: int) -> list[tuple[Any, ...]]:
    return [step.fields for step in plan.steps if step.operation == operation]


def refusal(config: dict[str, Any], host: "FakeHost | None" = None, **settings: Any) -> Error:
    with pytest.raises(Error) as caught:
        compiled(config, host, **settings)
    return caught.value


# Options


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_option_and_its_opposite_cancel_out(name: str) -> None:
    """A bit is never both set and cleared; mount_setattr(2) would refuse, but for the access time."""
    for other in ATTRIBUTES:
        options = Options([other, name], "x")
        atime = kernel.MOUNT_ATTR__ATIME
        assert options.set & options.clear & ~atime == 0
        alone = Options([name], "x")
        assert options.set & alone.set == alone.set
        if alone.set & atime or alone.clear & atime:
            assert options.set & atime == alone.set & atime


def test_recursive_options_are_those_of_the_table_with_an_r() -> None:
    for name in ATTRIBUTES:
        plain, deep = Options([name], "x"), Options([f"r{name}"], "x")
        assert (deep.recursive_set, deep.recursive_clear) == (plain.set, plain.clear)
        assert (deep.set, deep.clear) == (0, 0)


def test_options_of_the_spec_are_all_known() -> None:
    """config.md, "Linux mount options"."""
    spec = """
        async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime
        noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rdev
        rdiratime relatime remount rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid
        rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw
        shared silent slave strictatime suid sync symfollow tmpcopyup unbindable rbind rnodev
    """
    assert set(spec.split()) - set(all_options()) == set()
    for name in spec.split():
        assert Options([name], "x").data in ([], [name])


def test_unknown_options_go_to_the_filesystem() -> None:
    assert Options(["size=5", "ro", "mode=1"], "x").data == ["size=5", "mode=1"]


# Paths and names


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/a/b", "/a/b"),
        ("//a/./b/", "/a/b"),
        ("/..", "/"),
        ("/a/../../b", "/b"),
        ("/", "/"),
        ("a", "/a"),
        ("/...", "/..."),
    ],
)
def test_clean(path: str, expected: str) -> None:
    assert clean(path) == expected


@pytest.mark.parametrize(
    "key, path",
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net..x", ""), ("", ""), (".", ""), ("/", ""), ("net/../kernel/panic", ""), ("net.//.x", "net////x"),
        ("net/./x", ""), ("a\nb.c", ""), ("net.a\0b", ""),
    ],
)  # fmt: skip
def test_path_of(key: str, path: str) -> None:
    found = path_of(key)
    assert found == path or (path == "net////x" and ".." not in found)


def test_sysctl_path_never_leaves_its_directory() -> None:
    for key in ("net.../x", "net....x", "net.a/../b", "net/..", "../net", "net.//..//", "net.a.", "a/b/../../c"):
        path = path_of(key)
        assert all(part not in ("", ".", "..") for part in path.split("/")) or path == "", (key, path)


# Namespaces


def test_born_into_its_pid_namespace_and_makes_the_others_at_once() -> None:
    spaces = [{"type": kind} for kind in ("mount", "pid", "uts", "ipc", "network", "cgroup")]
    plan = compiled(small(linux={"namespaces": spaces}))
    assert plan.flags == kernel.CLONE_NEWPID
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNET
    assert steps(plan, ops.UNSHARE) == [(flags,), (kernel.CLONE_NEWCGROUP,)]
    assert steps(plan, ops.FORK) == []


def test_nothing_is_made_where_nothing_is_new() -> None:
    plan = compiled(small(linux={"namespaces": [{"type": "mount", "path": "/ns/mnt"}]}))
    assert (plan.flags, steps(plan, ops.UNSHARE)) == (0, [])


def test_time_namespace_takes_a_second_process() -> None:
    spaces = [{"type": kind} for kind in ("mount", "time")]
    plan = compiled(small(linux={"namespaces": spaces, "timeOffsets": {"boottime": {"secs": 1, "nanosecs": 2}}}))
    assert plan.flags == 0
    assert steps(plan, ops.TIME_OFFSETS) == [("boottime 1 2\n",)]
    assert len(steps(plan, ops.FORK)) == 1


def test_all_paths_are_opened_before_one_is_joined() -> None:
    kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup", "time"]
    spaces = [{"type": kind, "path": f"/ns/{kind}"} for kind in kinds]
    plan = compiled(small(linux={"namespaces": spaces}))
    numbers = [step.operation for step in plan.steps]
    opened = [n for n, number in enumerate(numbers) if number == ops.OPEN_NAMESPACE]
    joined = [n for n, number in enumerate(numbers) if number == ops.JOIN_NAMESPACE]
    assert len(opened) == len(joined) == len(kinds)
    assert max(opened) < min(joined)
    slots = {fields[0]: fields[1] for fields in steps(plan, ops.OPEN_NAMESPACE)}
    for slot, kind in steps(plan, ops.JOIN_NAMESPACE):
        assert slots[slot] == kind


def test_loopback_is_brought_up_in_a_new_network_only() -> None:
    for path, count in (("", 1), ("/ns/net", 0)):
        space = {"type": "network", "path": path} if path else {"type": "network"}
        plan = compiled(small(linux={"namespaces": [{"type": "mount"}, space]}))
        assert len(steps(plan, ops.LOOPBACK_UP)) == count


# Refusals


@pytest.mark.parametrize(
    "changes, location",
    [
        ({"hostname": "h", "linux": {"namespaces": [{"type": "mount"}]}}, "hostname"),
        ({"domainname": "d", "linux": {"namespaces": [{"type": "mount"}]}}, "domainname"),
        ({"linux": {"sysctl": {"net.x": "1"}}}, "linux.sysctl[net.x]"),
        ({"linux": {"sysctl": {"vm.x": "1"}}}, "linux.sysctl[vm.x]"),
        ({"linux": {"timeOffsets": {"boottime": {"secs": 1}}}}, "linux.timeOffsets"),
        ({"linux": {"uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}}, "linux.uidMappings"),
        ({"linux": {"rootfsPropagation": "odd"}}, "linux.rootfsPropagation"),
        ({"linux": {"personality": {"domain": "DOS"}}}, "linux.personality.domain"),
        ({"process": {"env": ["A"]}}, "process.env[0]"),
        ({"process": {"env": ["A=1", "=2"]}}, "process.env[1]"),
        ({"process": {"rlimits": [{"type": "RLIMIT_X", "soft": 0, "hard": 0}]}}, "process.rlimits[0] (RLIMIT_X)"),
        ({"process": {"apparmorProfile": "p"}}, "process.apparmorProfile"),
        ({"process": {"selinuxLabel": "l"}}, "process.selinuxLabel"),
        ({"mounts": [{"destination": "/", "type": "tmpfs"}]}, "mounts[0] (/)"),
        ({"mounts": [{"destination": "/proc/x", "type": "tmpfs"}]}, "mounts[0] (/proc/x)"),
        ({"mounts": [{"destination": "/a/../proc//x", "type": "tmpfs"}]}, "mounts[0] (/proc/x)"),
        ({"mounts": [{"destination": "/proc", "type": "tmpfs"}]}, "mounts[0] (/proc)"),
        ({"mounts": [{"destination": "/x"}]}, "mounts[0] (/x)"),
        ({"mounts": [{"destination": "/x", "options": ["bind"]}]}, "mounts[0] (/x).source"),
        ({"mounts": [{"destination": "/x", "source": "/y", "options": ["bind", "size=1"]}]}, "mounts[0] (/x).options"),
        ({"mounts": [{"destination": "/x", "type": "ext4", "options": ["tmpcopyup"]}]}, "mounts[0] (/x).options"),
        ({"mounts": [{"destination": "/x", "type": "tmpfs", "options": ["rro"]}]}, "mounts[0] (/x).options"),
    ],
)
def test_refusal_names_its_place(changes: dict[str, Any], location: str) -> None:
    assert refusal(small(**changes)).location == location


@pytest.mark.parametrize("key", ["maskedPaths", "readonlyPaths", "rootfsPropagation"])
def test_without_a_mount_namespace_nothing_of_mounts_can_be_asked_for(key: str) -> None:
    value: Any = "rslave" if key == "rootfsPropagation" else ["/proc/kcore"]
    config = small(linux={"namespaces": [{"type": "pid"}], key: value})
    assert refusal(config).location == f"linux.{key}"


def test_missing_rootfs() -> None:
    host = FakeHost()
    host.absent.add("/bundle/rootfs")
    assert refusal(small(), host).location == "root.path"


def test_joined_uts_namespace_that_is_the_hosts() -> None:
    host = FakeHost()
    host.ours.add("/proc/1/ns/uts")
    config = small(hostname="h", linux={"namespaces": [{"type": "mount"}, {"type": "uts", "path": "/proc/1/ns/uts"}]})
    assert refusal(config, host).location == "hostname"
    config["linux"]["namespaces"][1]["path"] = "/run/other"
    assert steps(compiled(config, host), ops.HOSTNAME) == [("h",)]


def test_user_of_the_host_needs_a_user_namespace() -> None:
    assert "rootless container requires user namespaces" in str(refusal(small(), FakeHost(euid=1000)))


# Process


def test_capabilities_that_the_runtime_lacks_are_left_out() -> None:
    host = FakeHost()
    host.permitted_now = 1 << kernel.CAPABILITIES["CAP_CHOWN"]
    sets = {name: ["CAP_KILL", "CAP_CHOWN"] for name in ("bounding", "permitted", "effective")}
    plan = compiled(small(process={"capabilities": sets}), host)
    step = next(step for step in plan.steps if step.operation == ops.CAPABILITIES)
    assert step.fields[:3] == (1, 1, 0)
    assert any("does not have these itself: [CAP_KILL]" in warning for warning in plan.warnings)
    # of the bounding set nothing has to be had: it is only dropped from
    compiled(small(process={"capabilities": {"bounding": ["CAP_KILL"]}}), host)


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["NET_ADMIN"], ' (did you mean "CAP_NET_ADMIN"?)'),
        (["CAP_FOO", "cap_kill"], ' (did you mean "CAP_KILL"?)'),
        (["CAP_SYS_ADMN"], ' (did you mean "CAP_SYS_ADMIN"?)'),
        (["CAP_FOO", ""], ""),
    ],
)
def test_misspelt_capabilities_are_told_what_was_meant(names: "list[str]", meant: str) -> None:
    plan = compiled(small(process={"capabilities": {"bounding": names}}))
    ignored = f"ignoring unknown or unavailable capabilities: [{' '.join(names)}]"
    assert plan.warnings == [f"process.capabilities: {ignored}{meant}"]


def test_capability_of_a_later_kernel_is_left_out() -> None:
    host = FakeHost()
    host.files["/proc/sys/kernel/cap_last_cap"] = "37"
    host.permitted_now = (1 << 38) - 1  # nobody has a capability that his kernel lacks
    sets = {name: ["CAP_KILL", "CAP_CHECKPOINT_RESTORE", "CAP_ODD"] for name in ("bounding", "permitted", "effective")}
    plan = compiled(small(process={"capabilities": sets}), host)
    assert steps(plan, ops.BOUNDING) == [(1 << 5,)]
    assert steps(plan, ops.CAPABILITIES) == [(1 << 5, 1 << 5, 0, 0)]
    assert "CAP_CHECKPOINT_RESTORE CAP_ODD" in plan.warnings[0]


def test_without_capabilities_there_are_none() -> None:
    plan = compiled(small())
    assert steps(plan, ops.BOUNDING) == [(0,)]
    assert steps(plan, ops.CAPABILITIES) == [(0, 0, 0, 0)]


@pytest.mark.parametrize(
    "env, expected",
    [
        (["A=1", "B=2", "A=3"], ["A=3", "B=2"]),
        (["A=", "HOME="], ["A="]),
        (["HOME=/x"], ["HOME=/x"]),
        (["A=b=c"], ["A=b=c"]),
    ],
)
def test_environment(env: list[str], expected: list[str]) -> None:
    assert process.environment(request_of(small(process={"env": env}))) == expected


def test_home_is_looked_up_only_when_it_is_missing() -> None:
    assert len(steps(compiled(small(process={"env": ["HOME=/x"]})), ops.FIND_HOME)) == 0
    assert len(steps(compiled(small(process={"env": ["HOME="]})), ops.FIND_HOME)) == 1


def test_listen_fds() -> None:
    request = request_of(small())
    request.listen_fds, request.listen_fdnames = 2, "a:b"
    assert process.environment(request) == ["LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=a:b"]
    plan = compiled(small(), listen_fds=2, keep=3)
    assert plan.keep == 5
    assert steps(plan, ops.CLOSE_FILES) == [(5, 0)]


def test_rlimits_wait_until_all_is_made() -> None:
    limits = [{"type": "RLIMIT_NOFILE", "soft": 11, "hard": 12}]
    plan = compiled(small(process={"rlimits": limits, "oomScoreAdj": 0}))
    where = "process.rlimits[0] (RLIMIT_NOFILE)"
    assert plan.last == [ops.rlimit(where, number=kernel.RLIMIT_NOFILE, soft=11, hard=12)]
    assert plan.parent == [ops.oom_score_adj("process.oomScoreAdj", 0)]


def test_hooks_get_their_moments_status() -> None:
    hooks = {
        "createContainer": [{"path": "/a", "timeout": 3}],
        "startContainer": [{"path": "/b", "args": ["x"], "env": []}],
    }
    plan = compiled(small(hooks=hooks))
    first, second = steps(plan, ops.HOOK)
    assert first[:5] == ("/a", ["/a"], ["PATH=/usr/bin"], "/bundle", 3000)
    assert second[:5] == ("/b", ["x"], [], "/", 0)
    assert '"creating"' in first[5] and '"created"' in second[5]


def test_string_with_nul_is_refused_with_its_place() -> None:
    with pytest.raises(Error) as caught:
        compiled(small(process={"args": ["a\0b"]})).encode()
    assert caught.value.location == "process.args[0]"


def test_plan_that_is_too_large_is_refused() -> None:
    with pytest.raises(Error):
        compiled(small(process={"env": ["A=" + "x" * (33 << 20)]})).encode()


# Devices


def test_default_device_listed_by_the_config_is_the_configs() -> None:
    device = {"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o600}
    plan = compiled(small(linux={"devices": [device]}))
    nodes = [fields for fields in steps(plan, ops.MAKE_NODE) if fields[0] == "/dev/null"]
    assert nodes == [("/dev/null", kernel.S_IFCHR | 0o600, 1, 3, 0, 0, 0)]


def test_listed_devices_without_a_mount_namespace_are_not_ignored() -> None:
    device = {"type": "c", "path": "/dev/x", "major": 1, "minor": 3}
    with pytest.raises(Error) as caught:
        compiled(small(linux={"namespaces": [], "devices": [device]}))
    assert str(caught.value).startswith("linux.devices: devices need a mount namespace")


def test_bound_dev_gets_no_devices() -> None:
    mounts = [{"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"]}]
    plan = compiled(small(mounts=mounts))
    assert steps(plan, ops.MAKE_NODE) == [] == steps(plan, ops.MAKE_LINK)


def test_a_plan_in_words_has_names_for_bits() -> None:
    from pyoci.plan.show import _flags, _propagation

    assert _flags(ops.MOUNT_BIND, ops.MOUNT_RECURSIVE | ops.MOUNT_SPREAD_ALL) == "recursive,spread-all"
    assert _flags(ops.MOUNT_NEW, 1 << 30) == "0x40000000"
    assert _flags(ops.SECCOMP, kernel.SECCOMP_FILTER_FLAG_LOG) == "log"
    assert _flags(ops.IDENTITY, ops.IDENTITY_NO_GROUPS) == "no-groups"
    assert _propagation(kernel.MS_SLAVE) == "slave"
    words = "\n".join(compiled(small()).lines())
    assert "flags=1" not in words and "propagation=2" not in words
