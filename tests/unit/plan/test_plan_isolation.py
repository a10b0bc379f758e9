"""What the compiler makes of labels, id maps and users without privilege."""

from typing import Any, Optional

import pytest
from plan_samples import FakeHost, compiled, small

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.model import Plan

RANGE = [{"containerID": 0, "hostID": 100000, "size": 65536}]
LABEL = "system_u:system_r:container_t:s0:c1,c2"


class Guarded(FakeHost):
    """A host with both security modules, and helpers for id maps."""

    helpers = True

    def has_apparmor(self) -> bool:
        return True

    def has_selinux(self) -> bool:
        return True

    def helper(self, name: str) -> Optional[str]:
        return f"/usr/bin/{name}" if self.helpers else None


def fields(plan: Plan, *operations: int) -> "list[tuple[Any, ...]]":
    return [(step.operation, *step.fields) for step in plan.steps if step.operation in operations]


def refusal(config: "dict[str, Any]", host: Optional[FakeHost] = None) -> Error:
    with pytest.raises(Error) as caught:
        compiled(config, host)
    return caught.value


def in_user_namespace(uids: Any = RANGE, gids: Any = RANGE, **process: Any) -> "dict[str, Any]":
    spaces = [{"type": "mount"}, {"type": "pid"}, {"type": "user"}]
    return small(linux={"namespaces": spaces, "uidMappings": uids, "gidMappings": gids}, process=process)


# Labels


def test_a_profile_of_apparmor_is_written_and_read_back() -> None:
    plan = compiled(small(process={"apparmorProfile": "box-default"}), Guarded())
    expected = (ops.LABEL, "attr/apparmor/exec", "exec box-default", "box-default")
    assert fields(plan, ops.LABEL, ops.IDENTITY)[0] == expected, "and before the user loses the right to"


def test_apparmor_of_an_old_kernel() -> None:
    host = Guarded()
    host.absent.add("/proc/self/attr/apparmor/exec")
    plan = compiled(small(process={"apparmorProfile": "box-default"}), host)
    assert fields(plan, ops.LABEL)[0][1] == "attr/exec"


@pytest.mark.parametrize("profile", [":space:box", "one//&two"])
def test_profiles_that_read_differently_are_not_compared(profile: str) -> None:
    assert fields(compiled(small(process={"apparmorProfile": profile}), Guarded()), ops.LABEL)[0][3] == ""


def test_the_label_of_a_process_is_its_keyrings_too() -> None:
    plan = compiled(small(process={"selinuxLabel": LABEL}), Guarded())
    assert fields(plan, ops.LABEL, ops.KEYRING) == [
        (ops.LABEL, "attr/keycreate", LABEL, LABEL),
        (ops.KEYRING, "_ses.box"),
        (ops.LABEL, "attr/keycreate", "", ""),
        (ops.LABEL, "attr/exec", LABEL, LABEL),
    ]


def test_a_labelled_keyring_in_a_user_namespace_needs_the_hosts_procfs() -> None:
    """There is no root yet, and a procfs of its own may be mounted by a new pid namespace's first process alone."""
    config = in_user_namespace(selinuxLabel=LABEL)
    assert compiled(config, Guarded()).steps[0].operation == ops.OPEN_PROC


def test_without_a_keyring_of_its_own_no_key_is_labelled() -> None:
    plan = compiled(small(process={"selinuxLabel": LABEL}), Guarded(), no_new_keyring=True)
    assert [step[1] for step in fields(plan, ops.LABEL)] == ["attr/exec"]


def test_mounts_get_the_label_of_mounts() -> None:
    mounts = [{"destination": f"/{kind}", "type": kind, "source": kind} for kind in ("tmpfs", "sysfs", "mqueue")]
    mounts += [{"destination": "/proc", "type": "proc"}, {"destination": "/b", "source": "/s", "options": ["bind"]}]
    plan = compiled(small(linux={"mountLabel": LABEL}, mounts=mounts), Guarded())
    options = {step[1]: step[4] for step in fields(plan, ops.MOUNT_NEW)}
    labelled = [f"context={LABEL}"]
    assert options == {"/tmpfs": labelled, "/sysfs": [], "/mqueue": labelled, "/proc": []}


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"process": {"apparmorProfile": "p"}}, "process.apparmorProfile"),
        ({"process": {"selinuxLabel": "l"}}, "process.selinuxLabel"),
        ({"linux": {"mountLabel": "l"}, "mounts": [{"destination": "/t", "type": "tmpfs"}]}, "linux.mountLabel"),
    ],
)
def test_a_label_that_this_host_cannot_give_is_not_ignored(config: "dict[str, Any]", where: str) -> None:
    problem = refusal(small(**config))
    assert problem.location == where
    assert "not enabled on this host" in problem.text


# Id maps


U, G = "linux.uidMappings", "linux.gidMappings"


def test_root_writes_any_map() -> None:
    plan = compiled(in_user_namespace())
    assert plan.parent == [ops.uid_map(U, "0 100000 65536\n"), ops.gid_map(G, "0 100000 65536\n")]
    assert fields(plan, ops.DUMPABLE) == []


def own(host: FakeHost) -> "list[dict[str, int]]":
    return [{"containerID": 0, "hostID": 1000, "size": 1}]


def stranger() -> Guarded:
    host = Guarded(1000)
    host.egid = 1000
    return host


def test_ones_own_id_takes_no_helper_and_no_groups() -> None:
    host = stranger()
    plan = compiled(in_user_namespace(own(host), own(host)), host)
    own_map = "0 1000 1\n"
    assert plan.parent == [ops.uid_map(U, own_map), ops.setgroups(G, "deny"), ops.gid_map(G, own_map)]
    assert fields(plan, ops.IDENTITY)[0][4] == ops.IDENTITY_NO_GROUPS
    order = [step[0] for step in fields(plan, ops.DUMPABLE, ops.SYNC, ops.BECOME_ROOT)]
    assert order[:3] == [ops.DUMPABLE, ops.SYNC, ops.BECOME_ROOT]


def test_ranges_take_the_helpers() -> None:
    plan = compiled(in_user_namespace(), stranger())
    words = ("0", "100000", "65536")
    assert plan.parent == [
        ops.newuidmap(U, helper="/usr/bin/newuidmap", numbers=words),
        ops.newgidmap(G, helper="/usr/bin/newgidmap", numbers=words),
    ]
    told = f"helper='/usr/bin/newuidmap' numbers={list(words)}"
    assert any("runtime  run newuidmap" in line and told in line for line in plan.lines())
    shown: Any = [step for step in plan.document()["steps"] if step["operation"] == "newuidmap"]  # type: ignore[attr-defined]
    given = {"helper": "/usr/bin/newuidmap", "numbers": list(words)}
    assert shown == [{"actor": "runtime", "operation": "newuidmap", "where": U, "fields": given}]
    assert fields(plan, ops.IDENTITY)[0][4] == 0


@pytest.mark.parametrize("entry", [{"hostID": 1001}, {"size": 2}])
def test_anything_else_is_not_ones_own_id(entry: "dict[str, int]") -> None:
    host = stranger()
    plan = compiled(in_user_namespace([{**own(host)[0], **entry}], own(host)), host)
    assert plan.parent[0][0] == ops.NEWUIDMAP


def test_a_helper_that_is_missing() -> None:
    host = stranger()
    host.helpers = False
    problem = refusal(in_user_namespace(), host)
    assert problem.location == "linux.uidMappings"
    assert "newuidmap, which is not installed" in problem.text
    assert "uidmap" in problem.hint


def test_groups_cannot_be_had_without_a_map_of_them() -> None:
    host = stranger()
    problem = refusal(in_user_namespace(own(host), own(host), user={"uid": 0, "gid": 0, "additionalGids": [5]}), host)
    assert problem.location == "process.user.additionalGids"


def test_groups_given_up_by_who_made_our_own_namespace() -> None:
    host = Guarded()
    host.files["/proc/self/setgroups"] = "deny"
    assert fields(compiled(small(), host), ops.IDENTITY)[0][4] == ops.IDENTITY_NO_GROUPS


def test_who_may_not_make_cgroups_mounts_what_there_is() -> None:
    mounts = [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}]
    for euid, expected in ((0, 0), (1000, ops.MOUNT_OPTIONAL)):
        host = stranger() if euid else Guarded()
        maps = own(host) if euid else RANGE
        plan = compiled({**in_user_namespace(maps, maps), "mounts": mounts}, host)
        flags = [step[8] for step in fields(plan, ops.MOUNT_BIND) if step[1].startswith("/sys/fs/cgroup")]
        assert flags == [expected]


def test_the_hosts_cgroup_namespace_shows_the_hosts_tree() -> None:
    """There /proc/self/cgroup has a path of the host's, and it leads somewhere; the root of a user namespace, and a
    namespace of others, see the container's own directory."""
    mounts = [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}]

    def shown(*spaces: dict[str, str]) -> tuple[str, int]:
        config = small(mounts=mounts)
        config["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}, *spaces]
        if {"type": "user"} in spaces:
            config["linux"].update(uidMappings=RANGE, gidMappings=RANGE)
        (step,) = [step for step in fields(compiled(config), ops.MOUNT_BIND) if step[1] == "/sys/fs/cgroup"]
        return str(step[2]), int(step[3]) & kernel.MOUNT_ATTR_RDONLY

    assert shown() == ("/sys/fs/cgroup", kernel.MOUNT_ATTR_RDONLY)
    assert shown({"type": "user"})[0] == "/sys/fs/cgroup/box"
    assert shown({"type": "cgroup", "path": "/proc/7/ns/cgroup"})[0] == "/sys/fs/cgroup/box"


# What the runtime opens


class Closed(Guarded):
    """A host where nobody but root gets anywhere."""

    def may_reach(self, path: str, uid: int, gid: int) -> bool:
        assert (uid, gid) == (100000, 100000)
        return False


def test_what_the_containers_root_cannot_reach_is_opened_for_it() -> None:
    mounts = [{"destination": f"/{n}", "source": f"/s/{n}", "options": ["rbind"]} for n in ("a", "b")]
    plan = compiled({**in_user_namespace(), "mounts": mounts}, Closed())
    opened = [(source.path, source.recursive) for source in plan.sources]
    assert opened == [("/bundle/rootfs", 1), ("/s/a", 1), ("/s/b", 1)]
    (taking,) = fields(plan, ops.TAKE_MOUNTS)
    assert taking[1] == 3
    order = [step[0] for step in fields(plan, ops.BECOME_ROOT, ops.TAKE_MOUNTS, ops.OPEN_ROOT)]
    assert order == [ops.BECOME_ROOT, ops.TAKE_MOUNTS, ops.OPEN_ROOT]
    binds = [step[-1] for step in fields(plan, ops.MOUNT_BIND) if step[1] in ("/a", "/b")]
    assert [fields(plan, ops.OPEN_ROOT)[0][-1], *binds] == [0, 1, 2]


def test_what_it_can_reach_it_opens_itself() -> None:
    plan = compiled(in_user_namespace(), Guarded())
    assert plan.sources == []
    assert fields(plan, ops.TAKE_MOUNTS) == []


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"options": ["bind", "idmap"]}, "no mappings"),
        ({"options": ["bind"], "uidMappings": RANGE}, "gidMappings is missing"),
        ({"options": ["bind"], "gidMappings": RANGE}, "uidMappings is missing"),
        ({"type": "tmpfs", "options": ["idmap"], "uidMappings": RANGE, "gidMappings": RANGE}, "only bind mounts"),
    ],
)
def test_id_maps_that_cannot_be(entry: "dict[str, Any]", text: str) -> None:
    problem = refusal(small(mounts=[{"destination": "/m", "source": "/s", **entry}]))
    assert problem.location == "mounts[0] (/m)"
    assert text in problem.text


def test_a_mount_may_have_the_map_of_a_namespace_by_path() -> None:
    config = small(mounts=[{"destination": "/m", "source": "/s", "options": ["bind", "ridmap"]}])
    config["linux"]["namespaces"].append({"type": "user", "path": "/proc/1/ns/user"})
    (source,) = [source for source in compiled(config).sources if source.is_mapped()]
    assert (source.namespace, source.uid_map, source.deep_map) == ("/proc/1/ns/user", "", 1)
