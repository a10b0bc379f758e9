"""The managers over a fake machine: paths, making and removing, joining, refusing, what the record is good for."""

import errno
import json
import os
import signal
from pathlib import Path

import pytest
from fake_cgroups import V1_FILES

from pyoci.cgroups import host as host_module
from pyoci.cgroups import limits_v2, subpath, tree
from pyoci.cgroups.change import former
from pyoci.cgroups.host import Host
from pyoci.errors import Error
from tests.support import made_cgroups


def plan(host, path="", container_id="id", resources=None, driver="cgroupfs"):
    config = {"linux": {"cgroupsPath": path, "resources": resources or {}}}
    return made_cgroups.plan(config, container_id, driver=driver, host=host)


ALL_DEVICES = {"devices": [{"allow": True, "access": "rwm"}]}  # where no hierarchy of devices is mounted


def reload(manager, host):
    return made_cgroups.load(manager.record(), host)


@pytest.mark.parametrize(
    ("path", "on_v1", "on_v2"),
    [
        ("/a/b", "/a/b", "/a/b"),
        ("a/b", "/user/me/a/b", "/user/a/b"),
        ("", "/user/me/id", "/user/id"),
        ("/../../x", "/x", "/x"),
        ("../../../x", "/user/me/x", "/user/x"),
        ("/a/./b//../c", "/a/c", "/a/c"),
    ],
)
def test_paths_as_runc_has_them(host, tmp_path, path, on_v1, on_v2):
    machine = host(1, own="/user/me")
    paths = plan(machine, path).record()["cgroup_paths"]
    assert paths["memory"] == f"{machine.root}/memory{on_v1}"
    assert paths["name=systemd"] == f"{machine.root}/systemd{on_v1}"
    other = type(machine)(str(tmp_path / "v2"), 2, own="/user/me")
    assert plan(other, path).record()["cgroup_paths"] == {"": other.root + on_v2}


@pytest.mark.parametrize("path", ["/", "/..", "/a/.."])
@pytest.mark.parametrize("version", [1, 2])
def test_the_root_is_no_containers_cgroup(host, version, path):
    with pytest.raises(Error, match="root of the") as caught:
        plan(host(version), path)
    assert caught.value.location == "linux.cgroupsPath"


def test_controllers_mounted_together_share_a_cgroup(host, tmp_path):
    machine = host(1, controllers=("pids",))
    os.makedirs(machine.root + "/cpu,cpuacct")
    with open(machine.proc + "/self/cgroup", "a") as file:
        file.write("7:cpu,cpuacct:/\n")
    with open(machine.proc + "/self/mountinfo", "a") as file:
        file.write(f"7 1 0:7 / {machine.root}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n")
    manager = plan(machine, "/c", resources=ALL_DEVICES)
    assert manager.paths["cpu"] == manager.paths["cpuacct"] == machine.root + "/cpu,cpuacct/c"
    assert [path for path, _ in manager.directories()].count(machine.root + "/cpu,cpuacct/c") == 1
    manager.create()
    manager.join(4711)
    assert sorted(place for place, name, _ in machine.written if name == "cgroup.procs") == [
        "/cpu,cpuacct/c",
        "/pids/c",
    ]
    shown = {entry["name"]: (entry["data"], entry["aliases"]) for entry in manager.mounts([])}
    assert shown == {"pids": ("pids", []), "cpu,cpuacct": ("cpu,cpuacct", ["cpu", "cpuacct"])}


def test_a_mount_of_a_subtree_hides_what_is_above(host):
    machine = host(1, controllers=("pids",))
    with open(machine.proc + "/self/cgroup", "w") as file:
        file.write("1:pids:/docker/abc/inner\n")
    with open(machine.proc + "/self/mountinfo", "w") as file:
        file.write(f"1 1 0:1 /docker/abc {machine.root}/pids rw - cgroup cgroup rw,pids\n")
    assert plan(machine, "c", resources=ALL_DEVICES).paths["pids"] == machine.root + "/pids/inner/c"


def test_a_hierarchy_that_another_mount_covers_is_not_there(host):
    """A tmpfs over the v2 tree beside v1, as some images' boot leaves it; and over one of v1's."""
    machine = host(12)
    machine.covered = {f"{machine.root}/unified", f"{machine.root}/pids"}
    manager = plan(machine, "/c")
    manager.create()
    paths = manager.record()
    assert paths["unified"] == ""
    assert "memory" in paths["cgroup_paths"]
    assert "pids" not in paths["cgroup_paths"]
    with pytest.raises(Error, match="controller 'pids' not available on this machine"):
        plan(machine, "/d", resources={"pids": {"limit": 3}})


@pytest.mark.parametrize("version", [1, 2, 12])
def test_create_and_destroy_leave_the_tree_as_it_was(host, version):
    machine = host(version)
    before = machine.directories()
    manager = plan(machine, "/new/parent/c")
    assert machine.directories() == before
    manager.create()
    assert len(machine.directories()) > len(before)
    reload(manager, machine).destroy()
    assert machine.directories() == before


@pytest.mark.parametrize("version", [1, 2, 12])
def test_the_record_from_before_create_finds_every_leftover(host, version):
    """A command killed in the middle of create() has written its record, and no other word."""
    machine = host(version)
    before = machine.directories()
    manager = plan(machine, "/new/parent/c")
    record = json.dumps(manager.record())
    manager.create()
    made_cgroups.load(json.loads(record), machine).destroy()
    assert machine.directories() == before


@pytest.mark.parametrize("version", [1, 2])
def test_destroy_removes_what_the_container_made_below_and_spares_neighbours(host, version):
    machine = host(version)
    manager = plan(machine, "/new/c")
    manager.create()
    neighbour = plan(machine, "/new/other")
    neighbour.create()
    for path in manager.record()["cgroup_paths"].values():
        os.makedirs(path + "/inner/most")
    manager.destroy()
    assert not any(tree.exists(path) for path in manager.record()["cgroup_paths"].values())
    assert all(tree.exists(path) for path in neighbour.record()["cgroup_paths"].values())


@pytest.mark.parametrize("version", [1, 2])
def test_destroying_twice_or_nothing_is_fine(host, version):
    machine = host(version)
    manager = plan(machine, "/c")
    manager.destroy()
    manager.create()
    manager.destroy()
    manager.destroy()


@pytest.mark.parametrize("version", [1, 2, 12])
def test_what_nobody_uses_goes_with_its_parents_and_without_being_read(host, version, monkeypatch):
    machine = host(version)
    before = machine.directories()
    manager = plan(machine, "/new/parent/c")
    manager.create()
    again = reload(manager, machine)
    monkeypatch.setattr(tree, "subtree", lambda path: pytest.fail(f"{path} was looked into"))
    assert again.remove_unused()
    assert machine.directories() == before
    assert again.remove_unused()  # somebody else removed it: no less gone


# any hierarchy may be the one that somebody is in
IN_USE = [(1, "devices/c/cgroup.procs"), (1, "systemd/c/cgroup.procs"), (12, "unified/c/cgroup.procs")]
IN_USE += [(2, "c/cgroup.procs")]


@pytest.mark.parametrize(("version", "file"), IN_USE)
def test_a_cgroup_in_use_is_refused(host, version, file):
    machine = host(version)
    plan(machine, "/c").create()
    with open(f"{machine.root}/{file}", "w") as procs:
        procs.write("4711\n4712\n")
    before = machine.directories()
    with pytest.raises(Error, match=r"container's cgroup is not empty: 2 process\(es\) found"):
        plan(machine, "/c")
    assert machine.directories() == before


@pytest.mark.parametrize(("version", "file"), IN_USE[:-1])
def test_who_is_left_in_any_cgroup_is_killed_before_the_last_goes(host, version, file, monkeypatch):
    machine = host(version)
    before = machine.directories()
    manager = plan(machine, "/new/c")
    manager.create()
    procs = Path(machine.root, file.replace("c/cgroup", "new/c/cgroup"))
    procs.write_text("4711\n")
    manager = reload(manager, machine)
    assert not manager.remove_unused()
    assert manager.pids() == [4711]
    assert not manager.empty()
    killed = []

    def signalled(pids, number):
        killed.append((pids, number))
        procs.write_text("")

    monkeypatch.setattr(tree, "signal_all", signalled)
    manager.kill(signal.SIGKILL)
    assert killed == [([4711], signal.SIGKILL)]
    manager.destroy()
    assert machine.directories() == before


@pytest.mark.parametrize(
    ("file", "number"),
    [("freezer.state", 9), ("freezer.state", 15), ("cgroup.kill", 9), ("cgroup.freeze", 9), ("cgroup.freeze", 15)],
)
def test_a_cgroup_that_goes_while_it_is_killed(host, file, number, monkeypatch):
    """`create`, say, takes back what it made while `delete --force` is at work: both are done then."""
    version = 1 if file == "freezer.state" else 2
    machine = host(version)
    before = machine.directories()
    manager = plan(machine, "/c")
    manager.create()
    manager = reload(manager, machine)
    place = next(path for path, _ in manager.directories() if "freezer" in path) if version == 1 else manager.path
    if file == "cgroup.freeze":
        os.unlink(f"{place}/cgroup.kill")
    Path(place, "cgroup.procs").write_text("4711\n")
    if version == 2:
        Path(place, "cgroup.events").write_text("populated 1\nfrozen 0\n")
    monkeypatch.setattr(tree, "signal_all", lambda pids, number: None)

    def open_file(name, dir_fd=None):
        if name == file and os.path.isdir(place):
            Path(place, "cgroup.procs").write_text("")
            Path(place, "cgroup.events").write_text("populated 0\nfrozen 0\n")
            reload(manager, machine).destroy()
        return type(machine).open_file(machine, name, dir_fd)

    machine.open_file = open_file
    manager.kill(number)
    manager.release()
    manager.destroy()
    assert machine.directories() == before


def test_nothing_goes_while_somebody_is_in_the_freezer(host):
    """kill() stops him there first, and must make a paused one run again."""
    machine = host(12)
    manager = plan(machine, "/c")
    manager.create()
    before = machine.directories()
    for file in ("freezer/c/cgroup.procs", "pids/c/cgroup.procs"):
        Path(machine.root, file).write_text("4711\n")
    assert not reload(manager, machine).remove_unused()
    assert machine.directories() == before


@pytest.mark.parametrize("version", [1, 2])
def test_a_cgroup_below_is_looked_into(host, version):
    """rmdir refuses: whoever is below has to be killed as well."""
    machine = host(version)
    before = machine.directories()
    manager = plan(machine, "/c")
    manager.create()
    os.mkdir(next(iter(manager.record()["cgroup_paths"].values())) + "/below")
    assert not manager.remove_unused()
    manager.destroy()
    assert machine.directories() == before


@pytest.mark.parametrize(("version", "file"), IN_USE)
def test_a_cgroup_that_somebody_took_meanwhile_is_left_alone(host, version, file):
    """Between our plan and our create another container was made there: undoing ours must not harm it."""
    machine = host(version)
    ours = plan(machine, "/c")
    plan(machine, "/c").create()
    with open(f"{machine.root}/{file}", "w") as procs:
        procs.write("4711\n")
    before = machine.directories()
    with pytest.raises(Error, match="not empty: 1 process"):
        ours.create()
    machine.written.clear()
    assert ours.empty()
    ours.kill(9)
    ours.destroy()
    assert machine.directories() == before
    assert machine.written == []


@pytest.mark.parametrize("file", [file for version, file in IN_USE if version == 12] + ["freezer/p/c/cgroup.procs"])
def test_what_was_made_beside_a_cgroup_that_somebody_took_goes(host, file):
    """They have one of its cgroups; the others, and their parents, are ours."""
    machine = host(12)
    ours = plan(machine, "/p/c")
    theirs = Path(machine.root, file.replace("/c/", "/p/c/") if "/p/" not in file else file)
    for level in (theirs.parents[1], theirs.parents[0]):
        machine.mkdir(str(level))
    theirs.write_text("4711\n")
    before = machine.directories()
    with pytest.raises(Error, match="not empty: 1 process"):
        ours.create()
    assert str(theirs.parent) not in ours.record()["cgroup_paths"].values()
    assert ours.empty()
    ours.destroy()
    assert machine.directories() == before


def test_v2_parents_made_beside_a_cgroup_that_somebody_took_go(host):
    machine = host(2)
    before = machine.directories()
    ours = plan(machine, "/p/c")

    def mkdir(path):
        type(machine).mkdir(machine, path)
        if path.endswith("/p"):
            type(machine).mkdir(machine, f"{path}/c")
            Path(path, "c", "cgroup.procs").write_text("4711\n")

    machine.mkdir = mkdir
    with pytest.raises(Error, match="not empty: 1 process"):
        ours.create()
    theirs = Path(machine.root, "p", "c")
    assert theirs.is_dir()
    theirs.joinpath("cgroup.procs").write_text("")
    machine.rmdir(str(theirs))  # they are done
    ours.destroy()
    assert machine.directories() == before


@pytest.mark.parametrize(("version", "tree"), [(1, "pids"), (12, "unified"), (2, "")])
@pytest.mark.parametrize("way", ["remove_unused", "destroy"])
def test_what_is_out_of_sight_is_not_taken_for_removed(host, version, tree, way):
    """Its hierarchy was unmounted, or covered, or the command runs in another mount namespace."""
    machine = host(version)
    before = machine.directories()
    manager = plan(machine, "/p/c")
    manager.create()
    place = Path(machine.root, tree)
    place.rename(f"{machine.root}-away")
    place.mkdir()
    with pytest.raises(Error, match=r"remove cgroup .*/p/c: it is out of sight"):
        getattr(reload(manager, machine), way)()
    place.rmdir()
    Path(f"{machine.root}-away").rename(place)
    reload(manager, machine).destroy()
    assert machine.directories() == before


@pytest.mark.parametrize("version", [1, 2])
def test_a_parent_that_cannot_be_removed_is_told(host, version):
    machine = host(version)
    manager = plan(machine, "/p/c")
    manager.create()

    def rmdir(path, dir_fd=None):
        if path.endswith("/p"):
            raise OSError(errno.EROFS, "rmdir")
        type(machine).rmdir(machine, path, dir_fd)

    machine.rmdir = rmdir
    with pytest.raises(Error, match=r"remove cgroup .*/p: read-only file system"):
        manager.remove_unused()


def test_an_empty_cgroup_that_exists_is_taken(host):
    machine = host(1)
    plan(machine, "/c").create()
    plan(machine, "/c").create()


@pytest.mark.parametrize(
    ("version", "file", "text"),
    [(1, "freezer/p/freezer.state", "FROZEN"), (2, "p/cgroup.events", "populated 1\nfrozen 1\n")],
)
def test_a_frozen_parent_is_refused_before_anything_is_made(host, version, file, text):
    machine = host(version)
    plan(machine, "/p").create()
    with open(f"{machine.root}/{file}", "w") as state:
        state.write(text)
    before = machine.directories()
    with pytest.raises(Error, match=r"cgroup .*/p is frozen"):
        plan(machine, "/p/c")
    with pytest.raises(Error, match="container's cgroup unexpectedly frozen"):
        plan(machine, "/p")
    assert machine.directories() == before


def test_join_v1_reaches_every_hierarchy_once(host):
    machine = host(12)
    manager = plan(machine, "/c")
    manager.create()
    machine.written.clear()
    manager.join(4711)
    joined = [place for place, name, value in machine.written if (name, value) == ("cgroup.procs", "4711")]
    hierarchies = sorted([*os.listdir(machine.root)])
    assert sorted(joined) == [f"/{name}/c" for name in hierarchies]


def test_v1_gives_the_files_by_which_a_process_joins_every_hierarchy_itself(host):
    machine = host(12)
    manager = plan(machine, "/c")
    manager.create()
    v1 = [path for name, path in manager.paths.items() if name]
    for path in v1:
        Path(path, "tasks").touch()
    unified, tasks = manager.birthplace(()), manager.tasks((), True)
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in tasks]
    assert sorted(opened) == sorted({f"{path}/tasks" for path in v1})
    assert os.readlink(f"/proc/self/fd/{unified}") == manager.paths[""]
    before = len(os.listdir("/proc/self/fd"))
    os.unlink(f"{v1[-1]}/tasks")
    assert manager.tasks((), True) is None
    with pytest.raises(Error, match="unknown controller nosuch"):
        manager.places({"nosuch": "below"}, 1)
    assert len(os.listdir("/proc/self/fd")) == before
    for fd in (unified, *tasks):
        os.close(fd)


@pytest.mark.parametrize(
    ("version", "driver", "early", "late"),
    [
        (1, "cgroupfs", set(), {"cpu", "memory", "freezer"}),
        (12, "cgroupfs", {"unified"}, {"cpu", "memory", "freezer"}),
        (2, "cgroupfs", {""}, set()),
        (1, "disabled", set(), set()),
    ],
)
def test_before_the_birth_is_made_what_a_process_is_born_in_and_nothing_else(host, version, driver, early, late):
    machine = host(version)
    manager = plan(machine, "/c", driver=driver)

    def made() -> "set[str]":
        places = [place.removeprefix(machine.root) for place in machine.directories()]
        return {place[1:-2] for place in places if place.endswith("/c")}

    manager.create_early()
    assert made() == early
    place = manager.birthplace(())
    assert (place >= 0) == bool(early)
    if place >= 0:
        os.close(place)
    manager.create_late()
    assert made() >= early | late


@pytest.mark.parametrize("version", [2, 12])
def test_who_was_not_born_where_it_should_be_is_moved(host, version):
    manager = plan(host(version), "/c")
    manager.create()
    assert manager.tasks((), False) is None


def test_v2_gives_a_descriptor_of_the_cgroup(host):
    machine = host(2)
    manager = plan(machine, "/c")
    manager.create()
    fd = manager.birthplace(())
    try:
        assert os.readlink(f"/proc/self/fd/{fd}") == machine.root + "/c"
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_v2_enables_controllers_from_the_top_down_and_one_by_one_if_need_be(host):
    machine = host(2)
    everything = "+cpu +cpuset +hugetlb +io +memory +pids +rdma"
    machine.refusals = {
        ("cgroup.subtree_control", everything): errno.EINVAL,
        ("cgroup.subtree_control", "+io"): errno.EBUSY,
    }
    plan(machine, "/a/b/c").create()
    enabled = [(place, value) for place, name, value in machine.written if name == "cgroup.subtree_control"]
    one_by_one = [("", f"+{name}") for name in ("cpu", "cpuset", "hugetlb", "memory", "pids", "rdma")]
    what_came = everything.replace(" +io", "")
    assert enabled == [*one_by_one, ("/a", what_came), ("/a/b", what_came)]


def test_v2_levels_that_hand_all_down_are_left_alone(host, monkeypatch):
    machine = host(2)
    plan(machine, "/a/b/first").create()
    read = []
    monkeypatch.setattr(limits_v2, "read_value", lambda path: read.append(path) or host_module.read_value(path))
    second = plan(machine, "/a/b/second")
    read.clear()
    machine.written.clear()
    second.create()
    assert read == [machine.root + "/a/b/second/cgroup.controllers", machine.root + "/cgroup.controllers"]
    assert machine.written == []


def test_v2_a_controller_that_was_not_enabled_is_named(host):
    machine = host(2)
    everything = "+cpu +cpuset +hugetlb +io +memory +pids +rdma"
    refused = {("cgroup.subtree_control", words): errno.EBUSY for words in (everything, "+memory")}
    machine.refusals = Refusing(refused)
    manager = plan(machine, "/a/c", resources={"memory": {"limit": 4096}})
    with pytest.raises(Error, match=r"controller 'memory' not available in .*/a/c") as caught:
        manager.create()
    assert caught.value.location == "linux.resources.memory.limit"


def test_v2_below_a_threaded_parent(host):
    machine = host(2)
    machine.v2_files["cgroup.type"] = "domain invalid"
    plan(machine, "/c").create()
    assert ("/c", "cgroup.type", "threaded") in machine.written
    with pytest.raises(Error, match=r"cannot enter cgroupv2 .* with domain controllers -- it is in an invalid state"):
        plan(machine, "/d", resources={"memory": {"limit": 4096}}).create()


def test_v1_fills_the_cpuset_of_every_level_from_above(host):
    machine = host(1)
    plan(machine, "/a/b", resources={"cpu": {"cpus": "1"}}).create()
    written = [(place, value) for place, name, value in machine.written if name == "cpuset.cpus"]
    assert written == [("/cpuset/a", "0-3"), ("/cpuset/a/b", "0-3"), ("/cpuset/a/b", "1")]


def test_v1_a_new_cpuset_gets_what_the_nearest_above_has(host):
    """Somebody's parent may have a part of the CPUs, or none yet, which its own maker has not got to."""
    machine = host(1)
    plan(machine, "/some/parent").create()
    values = {"some/cpuset.cpus": "1-2", "some/parent/cpuset.cpus": "", "some/parent/cpuset.mems": ""}
    for name, text in values.items():
        Path(machine.root, "cpuset", name).write_text(f"{text}\n")
    machine.written.clear()
    plan(machine, "/some/parent/c").create()
    assert [entry for entry in machine.written if entry[1].startswith("cpuset.")] == [
        ("/cpuset/some/parent", "cpuset.cpus", "1-2"),
        ("/cpuset/some/parent/c", "cpuset.cpus", "1-2"),
        ("/cpuset/some/parent", "cpuset.mems", "0"),
        ("/cpuset/some/parent/c", "cpuset.mems", "0"),
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_a_parent_that_somebody_made_meanwhile_is_theirs(host, version):
    """Between our plan and our create: it is not among what we made, but the record that says so is never too short."""
    machine = host(version)
    before = machine.directories()
    ours = plan(machine, "/parent/c")
    theirs = plan(machine, "/parent/other")
    theirs.create()
    ours.create()
    assert ours.remove_unused()
    assert all(tree.exists(path) for path in theirs.record()["cgroup_paths"].values())
    assert theirs.remove_unused()
    assert machine.directories() == before


@pytest.mark.parametrize("version", [1, 2])
def test_a_parent_that_went_meanwhile_is_made_and_noted(host, version):
    machine = host(version)
    before = machine.directories()
    theirs = plan(machine, "/parent/other")
    theirs.create()
    ours = plan(machine, "/parent/c")
    assert theirs.remove_unused()
    ours.create()
    parents = [path for _, _, (_, above) in ours.record()["undo"] for path in above]
    assert any(path.endswith("/parent") for path in parents)
    assert ours.remove_unused()
    assert machine.directories() == before


@pytest.mark.parametrize("version", [1, 2])
def test_a_parent_that_goes_while_we_make_it_is_made_again(host, version):
    """The last container in it may be deleted at that very moment; but not for ever."""
    machine = host(version)
    before = machine.directories()
    lost = []

    def mkdir(path):
        if path.endswith("/parent/c") and os.path.isdir(os.path.dirname(path)) and len(lost) < left:
            lost.append(path)
            machine.rmdir(os.path.dirname(path))
        type(machine).mkdir(machine, path)

    machine.mkdir = mkdir
    left = 3
    manager = plan(machine, "/parent/c")
    manager.create()
    assert len(lost) == left
    assert manager.remove_unused()
    assert machine.directories() == before
    left = 1000
    with pytest.raises(Error, match=r"make cgroup .*/parent/c: no such file or directory"):
        plan(machine, "/parent/c").create()


def test_no_symlink_is_taken_for_a_cgroup(host):
    machine = host(1)
    ours = plan(machine, "/c")
    plan(machine, "/other").create()
    os.symlink("other", machine.root + "/pids/c")
    with pytest.raises(Error, match=r"make cgroup .*/pids/c") as caught:
        ours.create()
    assert caught.value.location == "linux.cgroupsPath"


def test_v1_devices_are_denied_first_then_allowed(host):
    machine = host(1)
    manager = plan(machine, "/c", resources={"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": 5}})
    manager.create()
    assert machine.values("pids.") == [("pids.max", "5")]
    assert machine.values("devices.") == []  # written by apply(), beside the start of init
    manager.apply()
    written = machine.values("devices.")
    assert written[0] == ("devices.deny", "a")
    assert ("devices.allow", "c 1:3 rwm") in written
    assert {name for name, _ in written[1:]} == {"devices.allow"}


def test_v1_names_the_rule_that_a_parent_forbids(host):
    machine = host(1)
    machine.refusals = {("devices.allow", "b 7:0 r"): errno.EPERM}
    rule = {"allow": True, "type": "b", "major": 7, "minor": 0, "access": "r"}
    manager = plan(machine, "/c", resources={"devices": [{"allow": False, "access": "rwm"}, rule]})
    manager.create()
    with pytest.raises(Error, match="the parent cgroup does not allow it") as caught:
        manager.apply()
    assert caught.value.location == "linux.resources.devices[1]"


def test_rootless_without_delegation(host):
    machine = host(1)
    machine.euid = 1000
    machine.denied = {"memory": errno.EACCES, "devices": errno.EPERM}
    manager = plan(machine)
    manager.create()
    assert "memory" not in manager.record()["cgroup_paths"]
    assert "pids" in manager.record()["cgroup_paths"]
    with pytest.raises(Error, match=r"make cgroup .*EACCES"):
        plan(machine, "/asked/for").create()
    with pytest.raises(Error, match="cannot set memory limit: container could not join or create cgroup"):
        plan(machine, container_id="other", resources={"memory": {"limit": 4096}}).create()


def test_rootless_v2_without_delegation(host):
    machine = host(2)
    machine.euid = 1000
    machine.denied = {"": errno.EACCES}
    manager = plan(machine)
    manager.create()
    assert manager.record()["cgroup_paths"] == {}
    assert manager.birthplace(()) == -1
    assert (manager.pids(), manager.frozen(), manager.empty()) == ([], False, True)
    manager.join(1)
    manager.destroy()
    for refused in (plan(machine, "/c"), plan(machine, resources={"pids": {"limit": 3}})):
        with pytest.raises(Error, match="rootless needs no limits"):
            refused.create()


def test_root_gets_no_such_mercy(host):
    machine = host(2)
    machine.denied = {"": errno.EROFS}
    with pytest.raises(Error, match="EROFS"):
        plan(machine).create()


def test_frozen_is_the_containers_own_state(host):
    machine = host(1)
    manager = plan(machine, "/c")
    manager.create()
    own = machine.root + "/freezer/c/"
    for state, self_freezing, expected in (("THAWED", "0", False), ("FROZEN", "0", False), ("FROZEN", "1", True)):
        for name, text in (("freezer.state", state), ("freezer.self_freezing", self_freezing)):
            with open(own + name, "w") as file:
                file.write(text + "\n")
        assert reload(manager, machine).frozen() is expected


def test_processes_of_the_whole_subtree_are_listed_once(host):
    machine = host(2)
    manager = plan(machine, "/c")
    manager.create()
    os.makedirs(machine.root + "/c/in/most")
    for path, text in (("c", "1\n2\n"), ("c/in", "3\n"), ("c/in/most", "2\n")):
        with open(f"{machine.root}/{path}/cgroup.procs", "w") as file:
            file.write(text)
    assert sorted(manager.pids()) == [1, 2, 3]


@pytest.mark.parametrize("without", ["devices", "memory", ""])
def test_v1_finds_a_process_in_whatever_hierarchy_it_is(host, without):
    """Not every machine mounts all of them, and a process may have been moved out of some."""
    machine = host(1, controllers=[name for name in V1_FILES if name != without])
    manager = plan(machine, "/c", resources={"devices": [{"allow": True, "access": "rwm"}]})
    manager.create()
    for pid, place in ((7, "pids/c"), (8, "systemd/c"), (7, "cpu/c")):
        with open(f"{machine.root}/{place}/cgroup.procs", "w") as file:
            file.write(f"{pid}\n")
    assert sorted(reload(manager, machine).pids()) == [7, 8]
    assert not manager.empty()


def test_v1_signals_what_was_forked_while_it_looked(host, monkeypatch):
    """Without a freezer nothing stands still: SIGKILL goes on until nobody new is there; others are sent once."""
    machine = host(1, controllers=["pids", "memory"])
    manager = plan(machine, "/c", resources={"devices": [{"allow": True, "access": "rwm"}]})
    manager.create()
    sent = []

    def signalled(pids, number):
        sent.append((pids, number))
        with open(machine.root + "/pids/c/cgroup.procs", "a") as file:
            file.write("12\n")

    monkeypatch.setattr(tree, "signal_all", signalled)
    with open(machine.root + "/pids/c/cgroup.procs", "w") as file:
        file.write("11\n")
    manager.kill(signal.SIGTERM)
    assert sent == [([11], signal.SIGTERM)]
    with open(machine.root + "/pids/c/cgroup.procs", "w") as file:
        file.write("11\n")
    sent.clear()
    manager.kill(signal.SIGKILL)
    assert sent == [([11], signal.SIGKILL), ([12], signal.SIGKILL)]


def test_kill_v2_is_one_write(host):
    machine = host(2)
    manager = plan(machine, "/c")
    manager.create()
    with open(machine.root + "/c/cgroup.events", "w") as file:
        file.write("populated 1\nfrozen 0\n")
    machine.written.clear()
    manager.kill(signal.SIGKILL)
    assert machine.written == [("/c", "cgroup.kill", "1")]


def test_oom_kills(host, tmp_path):
    machine = host(1)
    manager = plan(machine, "/c")
    assert manager.oom_kills() is None
    manager.create()
    assert manager.oom_kills() == 3
    other = type(machine)(str(tmp_path / "v2"), 2)
    manager = plan(other, "/c")
    manager.create()
    assert manager.oom_kills() == 1


def test_update_v2_keeps_the_quota_with_a_new_period(host):
    machine = host(2)
    manager = plan(machine, "/c", resources={"cpu": {"quota": 5000, "period": 10000}})
    manager.create()
    machine.written.clear()
    reload(manager, machine).update({"cpu": {"period": 20000}})
    assert machine.values("cpu.max") == [("cpu.max", "5000 20000")]
    with pytest.raises(Error, match="rejecting memory limit 4096 <= usage 4096"):
        reload(manager, machine).update({"memory": {"limit": 4096, "checkBeforeUpdate": True}})
    with pytest.raises(Error) as caught:
        reload(manager, machine).update({"pids": {"limit": "seven"}})
    assert caught.value.location == "pids.limit"


def test_update_v1_writes_only_what_it_was_given(host):
    machine = host(1)
    manager = plan(machine, "/c", resources={"memory": {"limit": 4096000}, "pids": {"limit": 5}})
    manager.create()
    machine.written.clear()
    reload(manager, machine).update({"pids": {"limit": 7}, "memory": {"limit": None}, "cpu": None})
    assert machine.written == [("/pids/c", "pids.max", "7")]


@pytest.mark.parametrize("path", ["..", "inner/../../c-sibling", "../c-sibling", "/.."])
def test_exec_cannot_leave_the_containers_cgroup(host, path):
    machine = host(2)
    manager = plan(machine, "/c")
    manager.create()
    plan(machine, "/c-sibling").create()
    os.makedirs(machine.root + "/c/inner")
    with pytest.raises(Error, match="is not a sub cgroup path"):
        manager.exec_fd({"": path}, 1)


def test_exec_joins_below(host):
    machine = host(2)
    manager = plan(machine, "/c")
    manager.create()
    os.makedirs(machine.root + "/c/in/most")
    os.symlink(machine.root, machine.root + "/c/link")
    fd = manager.exec_fd({"": "/in/./most/"}, 1)
    assert os.readlink(f"/proc/self/fd/{fd}") == machine.root + "/c/in/most"
    os.close(fd)
    for wrong in ("link/c", "absent"):
        with pytest.raises(Error, match="below the container's own"):
            manager.exec_fd({"": wrong}, 1)
    with pytest.raises(Error, match="one path for all"):
        manager.exec_fd({"memory": "in"}, 1)


def test_exec_v1_takes_a_path_for_each_controller(host):
    machine = host(1)
    manager = plan(machine, "/c")
    manager.create()
    for name in ("pids", "memory"):
        os.makedirs(f"{machine.root}/{name}/c/in")
        with open(f"{machine.root}/{name}/c/in/cgroup.procs", "w"):
            pass
    machine.written.clear()
    manager.exec_join(5, {"pids": "in", "memory": "in"}, 1)
    places = {place for place, _, _ in machine.written}
    assert {"/pids/c/in", "/memory/c/in", "/cpu/c"} <= places
    with pytest.raises(Error, match="unknown controller nosuch in SubCgroupPaths"):
        manager.exec_join(5, {"nosuch": "in"}, 1)


def test_exec_follows_an_init_that_gave_its_controllers_away(host):
    """systemd in a container moves itself below and enables controllers: its own cgroup is closed to processes then."""
    machine = host(2)
    manager = plan(machine, "/c")
    manager.create()
    os.makedirs(machine.root + "/c/init.scope")
    os.makedirs(machine.proc + "/77")
    with open(machine.proc + "/77/cgroup", "w") as file:
        file.write("0::/c/init.scope\n")
    with open(machine.root + "/c/cgroup.subtree_control", "w") as file:
        file.write("memory pids\n")
    fd = manager.exec_fd({}, 77)
    assert os.readlink(f"/proc/self/fd/{fd}") == machine.root + "/c/init.scope"
    os.close(fd)


def test_the_options_of_exec():
    assert subpath.parse(["in"]) == {"": "in"}
    assert subpath.parse(["memory,pids:in", "cpu:other"]) == {"memory": "in", "pids": "in", "cpu": "other"}
    for wrong in ([":in"], ["a", "b"], ["memory:a", "memory:b"]):
        with pytest.raises(Error):
            subpath.parse(wrong)


def test_without_cgroups(host):
    manager = plan(host(1), driver="disabled")
    manager = reload(manager, None)
    manager.create()
    manager.join(1)
    assert (manager.birthplace(()), manager.tasks((), False)) == (-1, [])
    assert (manager.pids(), manager.empty(), manager.frozen()) == ([], True, False)
    for refused in (manager.freeze, manager.thaw, manager.stats):
        with pytest.raises(Error, match="without a cgroup"):
            refused()
    manager.destroy()


def test_a_machine_without_cgroups_is_told_so(host):
    machine = host(1, controllers=())
    with pytest.raises(Error, match="no cgroups are mounted"):
        plan(machine)


def test_a_newline_in_the_path_is_refused(host):
    with pytest.raises(Error, match="newline"):
        plan(host(1), "/a\nb")


def test_update_that_is_refused_puts_back_what_it_changed(host):
    machine = host(2)
    manager = plan(machine, "/c", resources={"memory": {"limit": 4096000}, "cpu": {"quota": 5000, "period": 10000}})
    manager.create()
    with open(machine.root + "/c/io.max", "w") as file:
        file.write("8:0 rbps=7 wbps=max riops=max wiops=max\n")
    machine.written.clear()
    throttle = [{"major": 8, "minor": 0, "rate": 9}, {"major": 9, "minor": 0, "rate": 9}]
    machine.refusals = {("cpu.max", "60000 10000"): errno.EINVAL}
    machine.refusals = Refusing(machine.refusals)
    wanted = {"memory": {"limit": 8192000}, "blockIO": {"throttleReadBpsDevice": throttle}, "cpu": {"quota": 60000}}
    with pytest.raises(Error) as caught:
        reload(manager, machine).update(wanted)
    assert caught.value.location == "cpu.quota"
    last = {(name, value.split()[0] if ":" in value else ""): value for _, name, value in machine.written}
    assert last == {
        ("memory.max", ""): "4096000",
        ("io.max", "8:0"): "8:0 rbps=7 wbps=max riops=max wiops=max",
        ("io.max", "9:0"): "9:0 rbps=max wbps=max riops=max wiops=max",
        ("cpu.max", ""): "5000 10000",
    }


class Refusing(dict):
    """Refusals that do not wear out."""

    def pop(self, key, default):
        return self.get(key, default)


@pytest.mark.parametrize(
    ("text", "file", "new", "old"),
    [
        ("default 100\n8:16 200\n", "io.weight", "default 300", "default 100"),
        ("default 100\n8:16 200\n", "io.bfq.weight", "300", "default 100"),
        ("default 100\n8:16 200\n", "io.weight", "8:16 300", "8:16 200"),
        ("default 100\n", "io.weight", "8:16 300", "8:16 default"),
        ("8:0 rbps=1 wbps=max\n", "io.max", "8:0 rbps=5", "8:0 rbps=1 wbps=max"),
        ("", "io.max", "8:0 rbps=5", "8:0 rbps=max wbps=max riops=max wiops=max"),
        ("", "blkio.throttle.read_bps_device", "8:0 5", "8:0 0"),
        ("a hca_handle=2\nb hca_handle=max\n", "rdma.max", "b hca_handle=5", "b hca_handle=max"),
        ("lo 0\neth0 5\n", "net_prio.ifpriomap", "eth0 7", "eth0 5"),
        ("oom_kill_disable 1\nunder_oom 0\noom_kill 0\n", "memory.oom_control", "0", "1"),
        ("root invalid (Parent is not a partition root)\n", "cpuset.cpus.partition", "member", "root"),
        ("max 100000\n", "cpu.max", "5000 50000", "max 100000"),
        ("\n", "cpuset.cpus", "0", ""),
    ],
)  # fmt: skip
def test_what_puts_a_limit_back(text, file, new, old):
    """Files of many lines take one at a time, and some show more than they take."""
    assert former(text, file, new) == old


def test_a_value_of_nothing_reaches_the_kernel(tmp_path):
    """cpuset.cpus of v2 is emptied so; a write of no bytes the kernel would not see."""
    file = tmp_path / "cpuset.cpus"
    file.touch()
    Host().write(None, str(file), "")
    assert file.read_text() == "\n"
