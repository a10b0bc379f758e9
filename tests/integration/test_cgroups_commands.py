"""Limits, pause, update, events, ps, stats and exec --cgroup through the command, on this machine's cgroups."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cgroup_tools import ROOT, SYSTEMD, V2

import pyoci
from pyoci.cgroups.host import Host
from pyoci.errors import Error
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PATIENCE, run
from tests.support.pty import Interactive

pytestmark = [pytest.mark.root, pytest.mark.cgroup_v2 if V2 else pytest.mark.cgroup_v1]
MEGA = 1 << 20
DRIVERS = ["cgroupfs", pytest.param("systemd", marks=pytest.mark.systemd)] if SYSTEMD else ["cgroupfs"]
SLEEP = ("sleep", "1000")


class Driven:
    """A box whose commands name a driver."""

    def __init__(self, box: Box, driver: str) -> None:
        self.box = box
        self.driver = driver

    def bundle(self, **resources: object) -> Bundle:
        bundle = self.box.bundle()
        if self.driver == "systemd":
            name = bundle.linux["cgroupsPath"].strip("/")
            bundle.linux["cgroupsPath"] = f"system.slice:pyoci:{name}"
        bundle.linux["resources"] = resources
        return bundle

    def run(self, bundle: Bundle, name: str = "c", *options: str):
        bundle.write()
        return self.box.call("--cgroup-manager", self.driver, "run", "--bundle", str(bundle.path), *options, name)

    def start(self, bundle: Bundle, name: str = "c"):
        done = self.run(bundle, name, "-d")
        assert done.ok, done
        return self.box.state(name)

    def place(self, file: str, name: str = "c") -> Path:
        """A file of the container's cgroup, found by the record of the state."""
        record = json.loads((self.box.root / name / "state.json").read_text())["cgroup"]
        paths = record["cgroup_paths"]
        if "" in paths:
            return Path(paths[""]) / file
        return Path(paths[file.split(".", maxsplit=1)[0]]) / file

    def read(self, file: str, name: str = "c") -> str:
        return self.place(file, name).read_text().strip()


@pytest.fixture(params=DRIVERS)
def driven(request: pytest.FixtureRequest, box: Box) -> Driven:
    return Driven(box, request.param)


LIMIT, PIDS = ("memory.max", "pids.max") if V2 else ("memory.limit_in_bytes", "pids.max")


def test_the_first_instruction_runs_inside(driven: Driven) -> None:
    """The program itself reads where it is, and how it is limited: nothing has to be waited for."""
    bundle = driven.bundle(pids={"limit": 23}, memory={"limit": 32 * MEGA})
    bundle.without("cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid", "noexec", "nodev"])
    where = "/sys/fs/cgroup$(cut -c4- /proc/self/cgroup)" if V2 else "/sys/fs/cgroup/pids"
    done = driven.run(bundle.shell(f"cat /proc/self/cgroup {where}/pids.max"))
    assert done.ok, done
    *lines, limit = done.out.splitlines()
    assert limit == "23"
    name = bundle.linux["cgroupsPath"].rpartition(":")[2].strip("/")
    assert lines
    assert all(name in line.split(":", 2)[2] for line in lines)


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_program_is_executed_after_its_process_is_in_every_cgroup(driven: Driven) -> None:
    """A trace of all system calls: what moves init, or gives it birth in its cgroup, comes before the program."""
    trace = driven.box.path / "trace"
    bundle = driven.bundle(pids={"limit": 23}).args("/bin/true", "here it is")
    bundle.write()
    calls = "trace=clone3,clone,execve,execveat,openat,write,sendto,sendmsg"
    words = driven.box.words("--cgroup-manager", driven.driver, "run", "--bundle", str(bundle.path), "c")
    done = run(["strace", "-f", "-y", "-s", "256", "-e", calls, "-o", str(trace), *words])
    assert done.ok, done
    lines = trace.read_text().splitlines()
    program = next(n for n, line in enumerate(lines) if line.split()[1][:4] == "exec" and "here it is" in line)
    tag = bundle.linux["cgroupsPath"].rpartition(":")[2].strip("/")
    init = lines[program].split()[0]
    if V2 and driven.driver == "cgroupfs":
        (birth,) = [n for n, line in enumerate(lines[:program]) if "CLONE_INTO_CGROUP" in line]
        fd = lines[birth].partition(" cgroup=")[2].partition("}")[0].partition("<")[0]
        opened = [line for line in lines[:birth] if f" = {fd}<" in line]
        assert opened[-1].endswith(f"/{tag}>")
        return
    if driven.driver == "systemd":
        assert any("StartTransientUnit" in line for line in lines[:program])
    moved = {line.partition("<")[2].partition("/cgroup.procs>")[0] for line in lines[:program] if f'"{init}"' in line}
    by_itself = [line for line in lines[:program] if line.split()[0] == init and '/tasks>, "0"' in line]
    moved |= {line.partition("<")[2].partition("/tasks>")[0] for line in by_itself}
    if not V2:
        layout = Host().layout()
        wanted = {hierarchy.mount for hierarchy in layout.hierarchies} | ({layout.unified} - {""})
        if any("CLONE_INTO_CGROUP" in line for line in lines[:program]):  # which one, strace does not say
            moved.add(f"{layout.unified}/{tag}")
        ours = [path for path in moved if tag in path]
        assert {place for place in wanted if any(path.startswith(f"{place}/") for path in ours)} == wanted


@pytest.mark.skipif(not V2, reason="v1 charges less, and has nothing to start in")
def test_a_megabyte_is_enough_for_true(driven: Driven) -> None:
    done = driven.run(driven.bundle(memory={"limit": MEGA, "swap": MEGA}).args("true"))
    assert done.ok, done


def test_too_little_memory_is_told_as_such(driven: Driven) -> None:
    done = driven.run(driven.bundle(memory={"limit": 8192, "swap": 8192}).args("true"))
    assert not done.ok
    assert "memory" in done.err or "OOM" in done.err, done


def test_a_refused_limit_leaves_nothing(driven: Driven) -> None:
    done = driven.run(driven.bundle(cpu={"quota": 500, "period": 100000}).args("true"))
    assert done.status == 1
    assert "linux.resources.cpu." in done.err
    assert driven.box.left() == []


# A copy of this machine's tree that shows the hierarchies of v1 without the v2 tree beside them
ALONE = """
new=$1 source=$2 box=$3; shift 3
mount --bind / "$new"
mount --rbind /proc "$new/proc"
mount --rbind /dev "$new/dev"
mount --bind /sys "$new/sys"
for place in "$source" "$box"; do # which may be on filesystems of their own
    mkdir -p "$new$place"
    mount --bind "$place" "$new$place"
done
mount -t tmpfs tmpfs "$new/sys/fs/cgroup"
while [ "$1" != -- ]; do
    mkdir -p "$new$1"
    mount --bind "$1" "$new$1"
    shift
done
shift
exec chroot "$new" "$@"
"""


def run_on_v1_alone(box: Box, bundle: Bundle, *prefix: str):
    """`run`, with init being born before its cgroups are made: there is none to be born in."""
    bundle.write()
    new = box.path / "alone"
    new.mkdir()
    layout = Host().layout()
    words = [*prefix, *box.words("run", "--bundle", str(bundle.path), "c")]
    if not layout.unified:
        return run(words)
    source = Path(__file__).parents[2]
    mounts = [hierarchy.mount for hierarchy in layout.hierarchies]
    script = ["sh", "-euc", ALONE, "sh", str(new), str(source), str(box.path), *mounts]
    return run(["unshare", "--mount", *script, "--", *words])


STRACE = ["strace", "-f", "-qq", "-s", "256"]
on_v1 = pytest.mark.skipif(V2 or not shutil.which("strace"), reason="for cgroup v1, with strace")


@on_v1
@pytest.mark.parametrize("refused", ["", "tasks"])
def test_v1_alone_has_the_process_in_every_cgroup(box: Box, refused: str) -> None:
    """It joins them by itself, or is moved where it cannot."""
    bundle = box.bundle().args("cat", "/proc/1/cgroup")
    bundle.without("cgroup")
    name = bundle.linux["cgroupsPath"]
    refusal = ["-e", "inject=openat:error=EACCES", "-P", f"{ROOT}/pids{name}/tasks"] if refused else []
    log = box.path / "log"
    done = run_on_v1_alone(box, bundle, *STRACE, *(refusal or ["-e", "trace=clone3,mkdir"]), "-o", str(log))
    assert done.ok, done
    traced = log.read_text()
    if refused:
        assert "(INJECTED)" in traced
    else:
        assert 0 < traced.index("clone3(") < traced.index(f'{name}"'), "the cgroups are made after the birth"
    places = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in done.out.splitlines()}
    for hierarchy in Host().layout().hierarchies:
        assert places[",".join(hierarchy.controllers)].endswith(name)
    assert box.left() == []


@pytest.mark.skipif(V2, reason="of hierarchies beside each other")
@pytest.mark.parametrize("covered", ["unified", "pids"])
def test_a_hierarchy_that_another_mount_covers_is_left_alone(box: Box, covered: str) -> None:
    """mountinfo lists it as before, but its path leads elsewhere. In a mount namespace of the test's own."""
    if not (ROOT / covered).exists():
        pytest.skip(f"there is no {covered} here")
    bundle = box.bundle().args("cat", "/proc/self/cgroup")
    bundle.without("cgroup")
    bundle.write()
    cover = 'mount -t tmpfs none "$1"; shift; exec "$@"'
    words = box.words("run", "--bundle", str(bundle.path), "c")
    done = run(["unshare", "--mount", "sh", "-euc", cover, "sh", str(ROOT / covered), *words])
    assert done.ok, done
    name = bundle.linux["cgroupsPath"]
    inside = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in done.out.splitlines()}
    assert inside["memory"].endswith(name)
    assert not inside["" if covered == "unified" else covered].endswith(name)


@on_v1
@pytest.mark.skipif(not V2 and not Host().layout().unified, reason="there is no v2 tree beside v1")
def test_of_v1_beside_v2_only_that_is_made_before_the_birth(box: Box) -> None:
    """To be born there takes a cgroup; the others are made while init makes its namespaces."""
    bundle = box.bundle().args("true")
    name = bundle.linux["cgroupsPath"]
    bundle.write()
    log = box.path / "log"
    words = box.words("run", "--bundle", str(bundle.path), "c")
    assert run([*STRACE, "-e", "trace=clone3,mkdir", "-o", str(log), *words]).ok
    calls = log.read_text()
    birth = calls.index("clone3(")
    assert "CLONE_INTO_CGROUP" in calls[birth:].partition("\n")[0]
    unified, pids = (calls.index(f'mkdir("{place}{name}"') for place in (Host().layout().unified, f"{ROOT}/pids"))
    assert unified < birth < pids


@on_v1
@pytest.mark.parametrize(("call", "file"), [("mkdir", ""), ("write", "/pids.max")])
def test_v1_alone_a_cgroup_that_fails_after_the_birth_leaves_nothing(box: Box, call: str, file: str) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["resources"] = {"pids": {"limit": 23}}
    place = f"{ROOT}/pids{bundle.linux['cgroupsPath']}{file}"
    done = run_on_v1_alone(box, bundle, *STRACE, "-e", f"inject={call}:error=EIO", "-P", place, "-o", "/dev/null")
    assert done.status == 1 and "(EIO)" in done.err and "pids" in done.err, done
    assert box.left() == []


def test_a_second_container_in_the_same_cgroup_is_refused_and_the_first_lives(driven: Driven) -> None:
    first = driven.bundle().args(*SLEEP)
    driven.start(first)
    second = driven.bundle().args("true")
    second.linux["cgroupsPath"] = first.linux["cgroupsPath"]
    done = driven.run(second, "d")
    assert done.status == 1
    assert "not empty: 1 process(es) found" in done.err
    assert driven.box.state()["status"] == "running"
    assert driven.box.names() == ["c"]


def test_state_json_names_the_cgroups_where_readers_of_runcs_file_look(driven: Driven) -> None:
    driven.start(driven.bundle(pids={"limit": 23}).args(*SLEEP))
    record = json.loads((driven.box.root / "c" / "state.json").read_text())
    pid, paths = record["init_process_pid"], record["cgroup_paths"]
    assert (Path(paths["" if V2 else "pids"]) / "pids.max").read_text() == "23\n"
    assert all(str(pid) in (Path(path) / "cgroup.procs").read_text().split() for path in paths.values())


# pause and resume


def test_pause_and_resume(driven: Driven) -> None:
    box = driven.box
    driven.start(driven.bundle().args(*SLEEP))
    box.ok("pause", "c")
    assert box.state()["status"] == "paused"
    assert "container not running" in box.call("pause", "c").err
    assert "paused" in box.call("exec", "c", "true").err
    box.ok("resume", "c")
    assert box.state()["status"] == "running"
    assert "container not paused" in box.call("resume", "c").err
    box.ok("exec", "c", "true")
    box.ok("pause", "c")
    box.ok("kill", "c", "KILL")
    wait_for_status(box, "stopped")
    assert "container not running" in box.call("pause", "c").err
    box.ok("delete", "c")


def wait_for_status(box: Box, status: str) -> None:
    while box.state()["status"] != status:
        time.sleep(0.02)


# update


@pytest.mark.parametrize(
    ("flags", "on_v1", "on_v2"),
    [
        (["--memory", "64m"], ("memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")),
        (["--memory", "-1"], ("memory.limit_in_bytes", "9223372036854771712"), ("memory.max", "max")),
        (["--memory-reservation", "33554432"], ("memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432")),
        (["--memory=64m", "--memory-swap=96m"],
         ("memory.memsw.limit_in_bytes", str(96 * MEGA)), ("memory.swap.max", str(32 * MEGA))),
        (["--pids-limit", "9"], ("pids.max", "9"), ("pids.max", "9")),
        (["--pids-limit", "-1"], ("pids.max", "max"), ("pids.max", "max")),
        (["--cpu-share", "512"], ("cpu.shares", "512"), ("cpu.weight", "59")),
        (["--cpu-quota", "30000"], ("cpu.cfs_quota_us", "30000"), ("cpu.max", "30000 100000")),
        (["--cpu-period", "50000"], ("cpu.cfs_period_us", "50000"), ("cpu.max", "20000 50000")),
        (["--cpu-burst", "1000"], ("cpu.cfs_burst_us", "1000"), ("cpu.max.burst", "1000")),
        (["--cpu-idle", "1"], ("cpu.idle", "1"), ("cpu.idle", "1")),
        (["--cpuset-cpus", "0"], ("cpuset.cpus", "0"), ("cpuset.cpus", "0")),
        (["--cpuset-mems", "0"], ("cpuset.mems", "0"), ("cpuset.mems", "0")),
        (["--blkio-weight", "300"], ("blkio.bfq.weight", "300"), ("io.weight", "default 2930")),
        (["--kernel-memory", "1m"], ("pids.max", "50"), ("pids.max", "50")),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_each_flag_of_update(box: Box, flags: "list[str]", on_v1: "tuple[str, str]", on_v2: "tuple[str, str]") -> None:
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle(pids={"limit": 50}, cpu={"quota": 20000}).args(*SLEEP))
    done = box.ok("--debug", "update", *flags, "c")
    assert ("memory.kernel is ignored" in done.err) == (flags[0] == "--kernel-memory")
    file, value = on_v2 if V2 else on_v1
    assert driven.read(file).splitlines()[0] == value


@pytest.mark.parametrize("source", ["file", "-"])
def test_update_from_json(driven: Driven, source: str) -> None:
    box = driven.box
    driven.start(driven.bundle(pids={"limit": 50}).args(*SLEEP))
    text = json.dumps({"memory": {"limit": 64 * MEGA}, "pids": {"limit": 8}, "cpu": None})
    path = box.path / "resources.json"
    path.write_text(text)
    with open(path) as given:
        box.ok("update", "--resources", str(path) if source == "file" else "-", "c", stdin=given)
    assert (driven.read(LIMIT), driven.read(PIDS)) == (str(64 * MEGA), "8")
    kept = json.loads((box.root / "c" / "config.json").read_text())["linux"]["resources"]
    assert (kept["pids"], kept["memory"]) == ({"limit": 8}, {"limit": 64 * MEGA})


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--memory", "lots"], "--memory: invalid value"),
        (["--pids-limit", "5x"], "--pids-limit: invalid value"),
        (["--cpuset-cpus", "4000"], "cpu.cpus: CPUs 4000 are not there: this machine has"),
        (["--cpu-share", "1"], "minimum allowed cpu-shares is 2"),
        (["--resources", "/nonexistent"], "--resources: read /nonexistent"),
        (["--pids-limit", "7", "--cpu-quota", "500"], "cpu.quota"),
        (["--memory", "17179869185g"], "--memory: invalid value '17179869185g' (it is to be below"),  # 2^64 and a GiB
        (["--memory", "8388608t"], "--memory: invalid value"),
        (["--cpu-share", "18446744073709551616"], "--cpu-share: invalid value"),
        (["--cpu-quota=-9223372036854775809"], "--cpu-quota: invalid value"),
    ],
)
def test_an_update_that_is_refused_changes_nothing(box: Box, flags: "list[str]", text: str) -> None:
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle(pids={"limit": 50}).args(*SLEEP))
    done = box.call("update", *flags, "c")
    assert done.status == 1
    assert text in done.err
    assert driven.read(PIDS) == "50"
    kept = json.loads((box.root / "c" / "config.json").read_text())["linux"]["resources"]
    assert kept["pids"] == {"limit": 50}


def refused_resources(driven: Driven, resources: "dict[str, object]") -> str:
    path = driven.box.path / "resources.json"
    path.write_text(json.dumps(resources))
    done = driven.box.call("update", "--resources", str(path), "c")
    assert done.status == 1, done
    return str(done.err)


@pytest.mark.parametrize("section", ["pids", "memory", "cpu", "unified", "rdma"])
@pytest.mark.parametrize("value", [5, []], ids=repr)
def test_what_is_no_object_in_resources_is_named(box: Box, section: str, value: object) -> None:
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle().args(*SLEEP))
    assert f"{section}: must be an object, not {value!r}" in refused_resources(driven, {section: value})


@pytest.mark.parametrize("value", [2**64, "\ud800"], ids=ascii)
def test_what_the_kept_config_cannot_hold_is_refused(box: Box, value: object) -> None:
    """Of a program, whose values no parser has seen: the next command could not read it."""
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle().args(*SLEEP))
    with pytest.raises(Error, match=r"^linux.resources: line 1, column "):
        pyoci.Runtime(str(box.root)).update("c", {"of-tomorrow": value})
    assert box.ok("exec", "c", "true")


@pytest.mark.skipif(V2, reason="on v2 the rules are one program, which is replaced whole")
def test_device_rules_of_a_refused_update_are_put_back(box: Box) -> None:
    """They are many writes: the kernel takes the first, and refuses the second."""
    driven = Driven(box, "cgroupfs")
    mine: "dict[str, object]" = {"allow": True, "type": "c", "major": 7, "access": "rw"}
    driven.start(driven.bundle(devices=[{"allow": False, "access": "rwm"}, {**mine, "minor": 1}]).args(*SLEEP), "above")
    top = driven.place("devices.list", "above").parent
    bundle = driven.bundle(devices=[{"allow": False, "access": "rwm"}])
    bundle.linux["cgroupsPath"] = f"/{top.name}/below"
    driven.start(bundle.args(*SLEEP))
    before = sorted(driven.read("devices.list").splitlines())
    wanted = [{"allow": False, "access": "rwm"}, {**mine, "minor": 1}, {**mine, "minor": 2}]
    assert "devices[2]: write 'c 7:2 rw' to devices.allow" in refused_resources(driven, {"devices": wanted})
    assert sorted(driven.read("devices.list").splitlines()) == before
    box.ok("delete", "--force", "c")


@pytest.mark.skipif(V2, reason="v2 has no such file")
def test_the_oom_killer_of_a_refused_update_is_put_back(box: Box) -> None:
    """Its file shows more than may be written to it."""
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle().args(*SLEEP))
    missing = [{"major": 250, "minor": 99, "rate": 1000}]
    wanted = {"memory": {"disableOOMKiller": True}, "blockIO": {"throttleReadBpsDevice": missing}}
    assert "ENODEV" in refused_resources(driven, wanted)
    assert "oom_kill_disable 0" in driven.read("memory.oom_control")


def test_update_of_a_stopped_container(box: Box) -> None:
    box.made_container(box.bundle().args("true"), "c")
    box.ok("start", "c")
    wait_for_status(box, "stopped")
    assert "container not running" in box.call("update", "--pids-limit", "5", "c").err


# events and stats


def test_events_tell_of_a_kill_for_memory_and_end_with_the_container(driven: Driven) -> None:
    box = driven.box
    fifo = box.path / "go"
    os.mkfifo(fifo)
    bundle = driven.bundle(memory={"limit": 16 * MEGA, "swap": 16 * MEGA})
    bundle.bind(fifo, "/tmp/go")
    # the hog is a child: the container's own process lives on and tells of its end
    driven.start(bundle.shell("read _ < /tmp/go; (sort /dev/zero); exit 0"))
    events = box.begin("events", "--interval", "50ms", "c")
    while b'"stats"' not in os.pread(events.out.fileno(), 1 << 16, 0):
        time.sleep(0.02)
    fifo.write_text("\n")
    done = events.finish()
    assert done.ok, done
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert {line["id"] for line in lines} == {"c"}
    assert [line["type"] for line in lines].count("oom") == 1
    assert lines[0]["data"]["memory"]["usage"]["limit"] == 16 * MEGA


def test_events_once(driven: Driven) -> None:
    driven.start(driven.bundle(pids={"limit": 50}).args(*SLEEP))
    line = json.loads(driven.box.ok("events", "--stats", "c").out)
    assert (line["type"], line["id"]) == ("stats", "c")
    pids = line["data"]["pids"]
    assert (pids["current"], pids["limit"]) == (1, 50)
    assert line["data"]["network_interfaces"] is None


@pytest.mark.skipif(not V2, reason="needs cgroup v2: v1 counts less")
def test_what_v2_counts(driven: Driven) -> None:
    """Each figure against the kernel's file; a process is killed for memory, a fork refused."""
    memory, cpu = {"limit": 16 * MEGA, "swap": 16 * MEGA}, {"quota": 20000, "period": 100000}
    bundle = driven.bundle(pids={"limit": 4}, memory=memory, cpu=cpu, unified={"memory.high": "max"})
    fifo = driven.box.path / "told"
    os.mkfifo(fifo)
    bundle.bind(fifo, "/tmp/told")
    forks = "(sort /dev/zero); (for i in 1 2 3 4 5 6; do sleep 1000 & done) 2> /dev/null; "
    driven.start(bundle.shell(forks + "echo > /tmp/told; exec sleep 1000"))
    fifo.read_text()
    data = json.loads(driven.box.ok("events", "--stats", "c").out)["data"]
    memory, pids = data["memory"], data["pids"]
    assert 15 * MEGA < memory["usage"]["max"] <= int(driven.read("memory.peak"))
    assert (memory["events"]["oom_kill"], memory["events_local"]["oom_kill"]) == (1, 1)
    assert (memory["high"], memory["oom_group"]) == ((1 << 64) - 1, False)
    assert (pids["current"], pids["peak"], pids["limit"]) == (3, 4, 4)
    assert pids["failcnt"] > 0
    assert data["cpu"]["throttling"]["periods"] > 0
    assert {"cpu", "memory", "blkio"} <= {key for key in data if "psi" in (data[key] or {})}
    metrics = driven.box.ok("stats", "--format=openmetrics", "c").out
    assert 'pyoci_memory_events_total{id="c",event="oom_kill"} 1\n' in metrics
    assert 'pyoci_processes_peak{id="c"} 4\n' in metrics


def test_events_of_nothing(box: Box) -> None:
    box.made_container(box.bundle().args("true"), "c")
    box.ok("start", "c")
    wait_for_status(box, "stopped")
    assert "container with id c is not running" in box.call("events", "--stats", "c").err
    assert "container with id c is not running" in box.call("events", "c").err
    assert "greater than 0" in box.call("events", "--interval", "0s", "c").err


def test_stats_of_several_containers(box: Box) -> None:
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle(memory={"limit": 64 * MEGA}).args(*SLEEP), "one")
    driven.start(driven.bundle().shell("while :; do :; done"), "two")
    header, one, two = box.ok("stats", "--once", "--interval", "300ms").out.splitlines()
    assert header.split()[:2] == ["ID", "STATUS"]
    assert one.split()[:2] == ["one", "running"]
    assert one.split()[4] == "64.0MiB"
    assert float(two.split()[2]) > float(one.split()[2])
    lines = [json.loads(line) for line in box.ok("stats", "--once", "--format", "json", "two").out.splitlines()]
    assert [line["id"] for line in lines] == ["two"]
    assert lines[0]["stats"]["cpu"]["usage"]["total"] > 0
    metrics = box.ok("stats", "--format=openmetrics").out
    assert 'pyoci_container_running{id="one"} 1' in metrics
    assert metrics.endswith("# EOF\n")
    box.ok("kill", "one", "KILL")
    wait_for_one(box, "one")
    assert "one" not in box.ok("stats", "--once", "--interval", "50ms").out
    assert "stopped" in box.ok("stats", "--once", "--interval", "50ms", "--all").out


def test_the_interrupt_key_ends_stats_and_leaves_the_terminal_as_it_was(box: Box) -> None:
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle().args(*SLEEP))
    terminal = Interactive(box.words("stats", "--interval", "50ms"))
    try:
        for _ in range(2):  # it goes on by itself
            terminal.screen.expect(r"ID +STATUS.*\n.*c +running.*\n")
        terminal.screen.type("\x03")
        assert terminal.wait() == 0
        assert terminal.mode() == terminal.before
        os.write(terminal.slave, b"all said")
        end = terminal.screen.expect(r"(?s)(.*)all said").group(1)
    finally:
        terminal.close()
    assert "Traceback" not in end
    assert "error" not in end
    assert "\x1b[?" not in end  # no cursor hidden, no other screen: nothing that would have to be put back
    assert box.state()["status"] == "running"


def wait_for_one(box: Box, name: str) -> None:
    while box.state(name)["status"] != "stopped":
        time.sleep(0.02)


# ps and kill


def test_ps_lists_what_runs_below_as_well(driven: Driven) -> None:
    box = driven.box
    state = driven.start(driven.bundle().shell("sleep 1000 & exec sleep 1000"))
    # not detached: its end has to be taken note of by somebody, or the first process cannot end (pid_namespaces(7))
    other = box.begin("exec", "c", *SLEEP)
    while box.ok("ps", "c").out.count("sleep 1000") < 3:
        assert other.process.poll() is None
    pids = json.loads(box.ok("ps", "--format", "json", "c").out)
    assert len(pids) == 3 and state["pid"] in pids
    box.ok("kill", "c", "KILL")
    assert other.finish().status == 137


def test_kill_all_reaches_what_outlived_the_first_process(driven: Driven) -> None:
    box = driven.box
    bundle = driven.bundle().shell("sleep 1000 & sleep 1000 & exit 0")
    bundle.without("pid")
    driven.start(bundle)
    wait_for_status(box, "stopped")
    procs = driven.place("cgroup.procs" if V2 else "pids.max").parent / "cgroup.procs"
    pids = [int(line) for line in procs.read_text().split()]
    assert len(pids) == 2
    watches = [os.pidfd_open(pid) for pid in pids]
    box.ok("kill", "--all", "c", "KILL")
    for watch in watches:
        wait_for_end(watch)
    box.ok("delete", "c")


def wait_for_end(pidfd: int) -> None:
    import select

    assert select.select([pidfd], [], [], PATIENCE)[0]
    os.close(pidfd)


def test_delete_by_force_takes_what_forks_all_the_time(driven: Driven) -> None:
    bundle = driven.bundle().shell("f() { while :; do sleep 0.01 & wait; done; }; f & f & f & wait")
    bundle.without("pid")
    driven.start(bundle)
    driven.box.ok("delete", "--force", "c")
    assert driven.box.left() == []


# exec


def test_exec_is_in_the_containers_cgroup(driven: Driven) -> None:
    box = driven.box
    bundle = driven.bundle().args(*SLEEP)
    bundle.without("cgroup")
    state = driven.start(bundle)
    first = Path(f"/proc/{state['pid']}/cgroup").read_text()
    assert box.ok("exec", "c", "cat", "/proc/self/cgroup").out == first


def test_exec_below_and_not_above(box: Box) -> None:
    driven = Driven(box, "cgroupfs")
    bundle = driven.bundle().args(*SLEEP)
    bundle.without("cgroup")
    driven.start(bundle)
    top = driven.place("pids.max").parent
    (top / "below").mkdir()
    value = "below" if V2 else "pids:below"
    out = box.ok("exec", "--cgroup", value, "c", "cat", "/proc/self/cgroup").out
    assert sum(line.endswith("/below") for line in out.splitlines()) == 1
    for wrong in ("..", "below/../..", "../" + top.name + "x", "nothing"):
        done = box.call("exec", "--cgroup", wrong if V2 else f"pids:{wrong}", "c", "true")
        assert done.status == 255
        assert "cgroup" in done.err
    (top / "below").rmdir()


@pytest.mark.skipif(V2, reason="the cpuset of v1 alone is empty at first")
def test_a_cgroup_that_takes_no_process_is_named(box: Box) -> None:
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle().args(*SLEEP))
    top = driven.place("cpuset.cpus").parent
    (top / "below").mkdir()
    done = box.call("exec", "--cgroup", "cpuset:below", "c", "true")
    (top / "below").rmdir()
    assert done.status == 255
    assert f"join cgroups: {top}/below: no space left on device (ENOSPC)" in done.err


@pytest.mark.skipif(V2, reason="on v2 each level's program decides for itself, and refuses when a device is opened")
def test_a_device_that_the_parent_forbids_is_refused_and_nothing_stays(box: Box) -> None:
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle(devices=[{"allow": False, "access": "rwm"}]).args(*SLEEP))
    top = driven.place("devices.list").parent
    rule = {"allow": True, "type": "b", "major": 7, "minor": 0, "access": "r"}
    below = driven.bundle(devices=[{"allow": False, "access": "rwm"}, rule])
    below.linux["cgroupsPath"] = f"/{top.name}/below"
    done = driven.run(below, "below")
    assert done.status == 1
    assert "linux.resources.devices[1]" in done.err
    assert "the parent cgroup does not allow it" in done.err
    assert not (top / "below").exists()
    assert not (box.root / "below").exists()


# the mount


@pytest.mark.parametrize("namespace", ["own", "host"])
def test_the_mount_shows_the_containers_own_cgroup(driven: Driven, namespace: str) -> None:
    """On v2, in the host's cgroup namespace, as a part of the whole tree."""
    bundle = driven.bundle(pids={"limit": 23})
    if namespace == "host":
        bundle.without("cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid", "noexec", "nodev"])
    inside = "/sys/fs/cgroup$(cut -c4- /proc/self/cgroup)" if V2 else "/sys/fs/cgroup/pids"
    script = f"cat {inside}/pids.max; echo 99 > {inside}/pids.max; ls /sys/fs/cgroup; mount"
    done = driven.run(bundle.shell(script))
    lines = done.out.splitlines()
    assert lines[0] == "23", done
    assert "ead-only" in done.err
    if not V2:
        shown = {name for name in os.listdir(ROOT) if name != "unified" and not (ROOT / name).is_symlink()}
        assert shown <= set(lines)


def test_disabled_cgroups(box: Box) -> None:
    bundle = box.bundle().args("cat", "/proc/self/cgroup")
    bundle.without("cgroup")
    bundle.write()
    done = box.ok("--cgroup-manager", "disabled", "run", "--bundle", str(bundle.path), "c")
    ours = sorted(line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines())
    assert sorted(line.split(":", 2)[2] for line in done.out.splitlines()) == ours


def test_ps_of_a_container_without_cgroups_is_its_first_process(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.without("cgroup")
    bundle.write()
    box.ok("--cgroup-manager", "disabled", "run", "-d", "--bundle", str(bundle.path), "c")
    pid = box.state()["pid"]
    assert json.loads(box.ok("ps", "--format", "json", "c").out) == [pid]
    lines = box.ok("ps", "c", "-o", "pid,args").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[str(pid), "sleep"]]
    fd = os.pidfd_open(pid)
    box.ok("kill", "c", "KILL")
    select.select([fd], [], [], PATIENCE)
    os.close(fd)
    assert box.ok("ps", "--format", "json", "c").out == "null\n"


def test_stats_whose_reader_goes_away_ends_in_silence(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    reading, writing = os.pipe()
    begun = box.begin("stats", "--format", "json", "--interval", "10ms", "c", stdout=writing)
    os.close(writing)
    assert os.read(reading, 1) == b"{"
    os.close(reading)
    done = begun.finish()
    assert (done.status, done.err) == (141, ""), done


@pytest.mark.skipif(not SYSTEMD, reason="systemd is not PID 1 here")
@pytest.mark.systemd
def test_no_unit_is_left_after_a_container_that_failed(box: Box) -> None:
    driven = Driven(box, "systemd")
    bundle = driven.bundle(memory={"limit": 16 * MEGA, "swap": 16 * MEGA})
    name = bundle.linux["cgroupsPath"].rpartition(":")[2]
    done = driven.run(bundle.shell("sort /dev/zero"))
    assert done.status == 137
    words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", f"pyoci-{name}.scope"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.skipif(SYSTEMD, reason="systemd is PID 1 here")
def test_the_systemd_driver_without_systemd(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["cgroupsPath"] = "system.slice:pyoci:x"
    bundle.write()
    done = box.call("--systemd-cgroup", "run", "--bundle", str(bundle.path), "c")
    assert done.status == 1
    assert "systemd not running on this host" in done.err
    assert box.left() == []


@pytest.mark.skipif(V2, reason="hybrid machines and v1 have several mounts")
def test_delete_does_not_forget_a_cgroup_that_is_out_of_sight(box: Box) -> None:
    """Its hierarchy is covered where the command runs: rmdir says ENOENT, and it lives on."""
    box.started(box.bundle().args(*SLEEP))
    cover = 'mount --make-rprivate / && mount -t tmpfs tmpfs /sys/fs/cgroup/pids && exec "$@"'
    done = run(["unshare", "-m", "sh", "-c", cover, "sh", *box.words("delete", "--force", "c")])
    assert done.status == 1, done
    assert "remove cgroup /sys/fs/cgroup/pids/" in done.err and "it is out of sight" in done.err, done
    assert box.names() == ["c"]
    box.ok("delete", "--force", "c")
    assert box.left() == []


# stats --graph


def graph(box: Box, *words: str, columns: int = 60, rows: int = 14) -> Interactive:
    """The command on a terminal."""
    return Interactive(box.words("stats", "--graph", "--interval", "100ms", *words), rows=rows, columns=columns)


def test_a_graph_follows_the_terminal_and_ends_with_the_container(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle(memory={"limit": 64 * MEGA}).shell("while :; do :; done"), "busy")
    command = graph(box, "busy")
    screen = command.screen
    screen.expect(r"busy  running  1 processes")
    screen.expect(r"CPU [1-9][0-9.]* %  \(top: \d+ %\)\x1b\[K")
    screen.expect("█")
    screen.expect(r"memory [0-9.]+[KM]iB of 64.0MiB")
    screen.resize(rows=6, columns=12)
    os.kill(command.process.pid, signal.SIGWINCH)  # as the terminal tells the programs in front of it
    screen.expect(r"\x1b\[Hbusy  runni\x1b\[K")
    drawn = screen.expect(r"(?s)\x1b\[H(.*?)\x1b\[J")[1]
    lines = re.sub(r"\x1b\[[0-9;]*[mK]", "", drawn).split("\r\n")
    assert len(lines) <= 6 and max(map(len, lines)) <= 11
    box.ok("kill", "busy", "KILL")
    screen.expect(r"busy  stopp")
    assert command.wait() == 0
    assert screen.expect(r"\x1b\[\?25h"), "the cursor is there again"
    command.close()


def test_a_graph_of_all_ends_with_the_interrupt_key(box: Box) -> None:
    command = graph(box)
    command.screen.expect("no container is running")
    driven = Driven(box, "cgroupfs")
    driven.start(driven.bundle().args(*SLEEP), "later")
    command.screen.expect("later  running")
    box.ok("delete", "--force", "later")
    command.screen.type("\x03")
    assert command.wait() == 0
    assert command.screen.expect(r"\x1b\[\?25h")
    command.close()


def test_a_graph_wants_a_terminal(box: Box) -> None:
    refused = box.call("stats", "--graph")
    assert refused.status == 1 and "--graph needs a terminal as standard output" in refused.err
    assert "--format json is for programs" in refused.err
    for words in (["--once"], ["--format", "json"]):
        assert "--graph goes with neither --once nor --format" in box.call("stats", "--graph", *words).err


@pytest.mark.skipif(V2, reason="v2 kills frozen processes")
def test_delete_below_a_frozen_parent_says_so_at_once(box: Box) -> None:
    bundle = box.bundle().args(*SLEEP)
    bundle.linux["cgroupsPath"] = f"/{box.tag}-above/c"
    bundle.write()
    box.ok("create", "--bundle", str(bundle.path), "c")
    box.ok("start", "c")
    above = Path(ROOT, "freezer", f"{box.tag}-above")
    (above / "freezer.state").write_text("FROZEN")
    try:
        refused = box.call("delete", "--force", "c")
    finally:
        (above / "freezer.state").write_text("THAWED")
    assert not refused.ok and f"cgroup {above} is frozen, and no process below it can end: thaw it first" in refused.err
    box.ok("delete", "--force", "c")
    assert box.left() == []
