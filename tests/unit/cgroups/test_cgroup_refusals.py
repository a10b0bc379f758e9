"""What a v2 tree refuses: the error has the place in the config and in the tree, the errno, and the cure."""

import errno
import os

import pytest

from pyoci.cgroups import refusals
from pyoci.errors import Error
from tests.support import made_cgroups

MORE = {  # files that no other test asks for
    "cpuset.cpus.partition": "member\n",
    "memory.oom.group": "0\n",
    "memory.current": "4096\n",
    "memory.zswap.max": "max\n",
    "memory.swap.high": "max\n",
    "io.latency": "",
    "cgroup.pressure": "1\n",
}


@pytest.fixture
def machine(host):
    made = host(2)
    made.v2_files.update(MORE)
    return made


def plan(machine, path="/c", **resources):
    config = {"linux": {"cgroupsPath": path, "resources": resources}}
    return made_cgroups.plan(config, "id", driver="cgroupfs", host=machine)


def fill(machine, place, **files):
    path = machine.root + place
    if not os.path.isdir(path):
        machine.mkdir(path)
    for name, text in files.items():
        with open(f"{path}/{name.replace('__', '.')}", "w") as file:
            file.write(f"{text}\n")


def full(machine, monkeypatch):
    def refuse(path, *_):
        raise OSError(errno.EAGAIN, "")

    monkeypatch.setattr(machine, "mkdir", refuse)


@pytest.mark.parametrize(
    ("place", "files", "said"),
    [
        ("/p", {"cgroup__max__depth": "0"}, "/p/cgroup.max.depth allows 0 levels below it"),
        ("", {"cgroup__max__depth": "1"}, "/cgroup.max.depth allows 1 levels below it"),
        (
            "/p",
            {"cgroup__max__descendants": "7", "cgroup__stat": "nr_descendants 7\nnr_dying_descendants 0"},
            "/p/cgroup.max.descendants allows 7 cgroups below it: raise it, or remove some",
        ),
        ("/p", {"cgroup__max__depth": "max"}, "a parent allows no more cgroups below it"),
    ],
)
def test_a_tree_that_is_full(machine, monkeypatch, place, files, said):
    fill(machine, "/p")
    fill(machine, place, **files)
    made = plan(machine, "/p/c")
    full(machine, monkeypatch)
    with pytest.raises(Error) as caught:
        made.create()
    error = caught.value
    assert (error.location, error.errno) == ("linux.cgroupsPath", errno.EAGAIN)
    assert error.step == f"make cgroup {machine.root}/p/c"
    assert said in error.hint


def test_room_that_others_have_taken_deeper(machine):
    """The nearest one that is full is named; one with room is not."""
    fill(machine, "/p", cgroup__max__descendants="9", cgroup__stat="nr_descendants 1")
    fill(machine, "", cgroup__max__descendants="2", cgroup__stat="nr_descendants 2")
    hint = refusals.of_making(machine.root, f"{machine.root}/p/c", errno.EAGAIN)
    assert hint.startswith(f"{machine.root}/cgroup.max.descendants allows 2 ")


def test_a_limit_below_a_threaded_parent_names_the_parent(machine):
    fill(machine, "/t", cgroup__type="threaded")
    machine.v2_files["cgroup.type"] = "domain invalid"
    with pytest.raises(Error) as caught:
        plan(machine, "/t/c", memory={"limit": 4096}).create()
    assert caught.value.location == "linux.cgroupsPath"
    assert caught.value.hint == f"{machine.root}/t is threaded: only pids can be limited below it"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EOPNOTSUPP, "/t is threaded, and takes threads of its own domain alone"),
        (errno.EBUSY, "it hands controllers down (cgroup.subtree_control)"),
    ],
)
def test_a_cgroup_that_takes_no_process(machine, number, said):
    fill(machine, "/t", cgroup__type="domain threaded")
    made = plan(machine, "/t/c")
    made.create()
    machine.refusals = {("cgroup.procs", "4711"): number}
    with pytest.raises(Error) as caught:
        made.join(4711)
    assert (caught.value.errno, caught.value.step) == (number, f"join cgroup {machine.root}/t/c")
    assert said in caught.value.hint


PARTITION = "cpuset.cpus.partition"


def partitioned(machine, monkeypatch, shown):
    """A kernel that takes the write and says in the file what became of it."""
    write = machine.write

    def taken(fd, file, value):
        write(fd, file, f"{value}{shown}" if file.endswith(PARTITION) else value)

    monkeypatch.setattr(machine, "write", taken)


def test_a_partition_that_holds_is_made_after_all_others(machine):
    plan(machine, unified={PARTITION: "root", "cpuset.cpus": "1", "memory.high": "4096"}).create()
    names = [name for place, name, _ in machine.written if place == "/c"]
    assert (names[-1], names.count(PARTITION)) == (PARTITION, 1)


def test_a_partition_that_is_none_is_refused(machine, monkeypatch):
    """The write succeeds, and the container would share the CPUs that it was to have alone."""
    partitioned(machine, monkeypatch, " invalid (Cpu list in cpuset.cpus not exclusive)")
    with pytest.raises(Error) as caught:
        plan(machine, unified={PARTITION: "isolated", "cpuset.cpus": "1"}).create()
    error = caught.value
    assert error.location == f"linux.resources.unified[{PARTITION}]"
    assert error.step == f"write 'isolated' to {PARTITION}"
    assert "'isolated invalid (Cpu list in cpuset.cpus not exclusive)'" in error.text
    assert "its parent a partition" in error.hint


def test_an_update_to_a_partition_that_is_none_puts_back_what_was(machine, monkeypatch):
    made = plan(machine)
    made.create()
    partitioned(machine, monkeypatch, " invalid (Parent is not a partition root)")
    with pytest.raises(Error, match="Parent is not a partition root"):
        made.update({"unified": {"memory.high": "4096", PARTITION: "root"}})
    assert (machine.values("memory.high")[-1][1], machine.values(PARTITION)[-1][1].split()[0]) == ("max", "member")


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("memory.high", "1048576"),
        ("memory.oom.group", "1"),
        ("memory.swap.high", "4096"),
        ("memory.swap.max", "0"),
        ("memory.zswap.max", "8192"),
        ("io.latency", "8:0 target=5000"),
        ("cgroup.pressure", "0"),
    ],
)
def test_what_the_specification_has_no_word_for_is_written_as_it_is(machine, file, value):
    made = plan(machine, unified={file: value})
    made.create()
    assert machine.values(file) == [(file, value)]
    made.update({"unified": {file: value}})
    assert len(machine.values(file)) == 2


@pytest.mark.parametrize(
    ("file", "value", "number", "said"),
    [
        ("io.cost.qos", "8:0 enable=1", errno.ENOENT, "only the root of the tree has it"),
        ("io.cost.model", "8:0 ctrl=user", errno.ENOENT, "only the root of the tree has it"),
        ("memory.nosuch", "1", errno.ENOENT, "this kernel has no memory.nosuch here"),
        ("memory.current", "1", errno.EINVAL, "this file is there to be read"),
        ("io.latency", "8:3 target=1", errno.ENODEV, "no such block device, or it is a partition"),
        ("memory.zswap.max", "many", errno.EINVAL, "the kernel does not accept this value here"),
        ("cgroup.pressure", "0", errno.EPERM, "this user may not write it"),
    ],
)
@pytest.mark.parametrize("command", ["create", "update"])
def test_a_file_that_cannot_be_written(machine, command, file, value, number, said):
    resources = {"unified": {file: value}}
    made = plan(machine, **({} if command == "update" else resources))
    if command == "update":
        made.create()
    again = {(file, value): number} if number != errno.ENOENT else {}
    machine.refusals = dict(again)
    write = machine.write

    def refuse(fd, name, text):
        if number == errno.EINVAL:  # which is tried twice
            machine.refusals.update({(name.rpartition("/")[2], value): number} if name.endswith(file) else {})
        write(fd, name, text)

    machine.write = refuse
    with pytest.raises(Error) as caught:
        made.create() if command == "create" else made.update(resources)
    where = "" if command == "update" else "linux.resources."
    assert caught.value.location == f"{where}unified[{file}]"
    assert (caught.value.step, caught.value.errno) == (f"write {value!r} to {file}", number)
    assert said in caught.value.hint


@pytest.mark.parametrize("file", ["misc.max", "io.latency"])
def test_a_controller_that_is_not_handed_down_is_named(machine, monkeypatch, file):
    """misc is nowhere here; io is in the tree, and a parent does not hand it down."""
    write = machine.write

    def refuse(fd, name, text):
        if name.endswith("/p/cgroup.subtree_control") and "+io" in text:
            raise OSError(errno.EBUSY, "")
        write(fd, name, text)

    monkeypatch.setattr(machine, "write", refuse)
    fill(machine, "/p")
    with pytest.raises(Error) as caught:
        plan(machine, "/p/c", unified={file: "x"}).create()
    assert caught.value.location == f"linux.resources.unified[{file}]"
    assert f"controller {file.partition('.')[0]!r} not available" in str(caught.value)
    if file == "io.latency":
        assert caught.value.hint == f"it could not be enabled in {machine.root}/p/cgroup.subtree_control"


def test_kills_for_memory_are_counted_with_those_below(machine):
    """As containerd and runc count them: the limit is the container's, wherever in it the process was."""
    machine.v2_files["memory.events"] = "low 0\nhigh 0\nmax 0\noom 2\noom_kill 2\noom_group_kill 0\n"
    machine.v2_files["memory.events.local"] = "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"
    machine.v2_files["memory.stat"] = "file 1\n"
    made = plan(machine)
    made.create()
    memory = made.stats()["memory"]
    assert (made.oom_kills(), memory["events"]["oom_kill"], memory["events_local"]["oom_kill"]) == (2, 2, 0)


@pytest.mark.parametrize(
    ("euid", "files", "cure"),
    [
        (1000, {}, "Delegate=cpu cpuset io memory pids"),
        (0, {"cgroup__procs": "7", "cgroup__type": "domain"}, "/p has processes of its own"),
        (0, {}, "it could not be enabled in"),
    ],
)
def test_who_withholds_a_controller(machine, euid, files, cure):
    fill(machine, "", cgroup__subtree_control="memory pids")
    fill(machine, "/p", cgroup__controllers="memory pids", cgroup__subtree_control="", **files)
    machine.euid = euid
    place = "linux.resources.memory.limit"
    problem = refusals.not_enabled(machine, machine.root, machine.root + "/p/c", "memory.max", "memory", place)
    assert cure in problem.hint
    assert "controller 'memory' not available" in str(problem)
