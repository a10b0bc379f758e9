"""exec: one more process in a container, as the command line and --process say."""

import json
import os
import select
from pathlib import Path
from typing import Any

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.command import PATIENCE, run

pytestmark = pytest.mark.root
SPACES = ["mnt", "net", "pid", "ipc", "uts", "cgroup", "user"]


@pytest.fixture
def running(box: Box) -> Box:
    """A box with the container c running."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.process["env"] = ["PATH=/bin", "OF_CONTAINER=1"]
    bundle.process["cwd"] = "/tmp"
    box.started(bundle)
    return box


def test_in_the_containers_namespaces_root_and_cgroups(running: Box) -> None:
    pid = running.state()["pid"]
    text = running.ok("exec", "c", "sh", "-c", f"for n in {' '.join(SPACES)}; do readlink /proc/self/ns/$n; done").out
    assert text.split() == [os.readlink(f"/proc/{pid}/ns/{name}") for name in SPACES]
    assert running.ok("exec", "c", "hostname").out == "box\n"
    result = running.ok("exec", "--detach", "--pid-file", str(running.path / "pid"), "c", "sleep", "1000")
    assert result.out == ""
    other = int((running.path / "pid").read_text())
    assert Path(f"/proc/{other}/cgroup").read_text() == Path(f"/proc/{pid}/cgroup").read_text()


@pytest.mark.parametrize("status", [0, 1, 42])
def test_exit_status(running: Box, status: int) -> None:
    assert running.call("exec", "c", "sh", "-c", f"exit {status}").status == status


def test_exit_status_of_a_killed_process(running: Box) -> None:
    assert running.call("exec", "c", "sh", "-c", "kill -9 $$").status == 137


def test_streams(running: Box) -> None:
    result = running.call("exec", "c", "sh", "-c", "cat; echo problem >&2", input=b"words")
    assert (result.out, result.err) == ("words", "problem\n")


def test_process_is_the_configs_where_nothing_else_is_said(running: Box) -> None:
    lines = running.ok(
        "exec", "c", "sh", "-c", "pwd; id -u; echo $OF_CONTAINER; grep ^Cap /proc/self/status"
    ).out.split("\n")
    assert lines[:3] == ["/tmp", "0", "1"]
    mask = 1 << 29 | 1 << 5 | 1 << 10
    caps = {line.split(":")[0]: int(line.split()[1], 16) for line in lines[3:] if line}
    assert caps == {"CapInh": 0, "CapPrm": mask, "CapEff": mask, "CapBnd": mask, "CapAmb": 0}


def test_flags(running: Box) -> None:
    flags = [
        "--user", "1000:2000", "--cwd", "/etc", "--env", "A=1", "--env", "OF_CONTAINER=2", "--cap", "CAP_NET_RAW",
        "--additional-gids", "7", "--additional-gids", "8", "--no-new-privs",
    ]  # fmt: skip
    script = "id -u; id -g; pwd; echo $A $OF_CONTAINER; grep -E '^(Groups|NoNewPrivs|CapBnd)' /proc/self/status"
    lines = running.ok("exec", *flags, "c", "sh", "-c", script).out.split("\n")
    assert lines[:4] == ["1000", "2000", "/etc", "1 2"]
    assert lines[4].split() == ["Groups:", "7", "8"]
    found = dict(line.split(":\t") for line in lines[4:] if line)
    assert found["NoNewPrivs"] == "1"
    assert int(found["CapBnd"], 16) >> 13 & 1


def test_process_file(running: Box) -> None:
    process: dict[str, Any] = {
        "args": ["sh", "-c", "id -u; pwd; echo $X; umask; grep ^CapEff /proc/self/status; ulimit -n"],
        "cwd": "/bin",
        "env": ["PATH=/bin", "X=file"],
        "user": {"uid": 77, "gid": 78, "umask": 0o7},
        "capabilities": {},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 33, "hard": 44}],
    }
    file = running.path / "process.json"
    file.write_text(json.dumps(process))
    lines = running.ok("exec", "--process", str(file), "c").out.split("\n")
    assert lines[:4] == ["77", "/bin", "file", "0007"]
    assert int(lines[4].split()[1], 16) == 0
    assert lines[5] == "33"


OF_FILE = """id -u; id -g; id -G; umask; pwd; echo "PATH:$OF_CONTAINER"; ulimit -n; cat /proc/self/oom_score_adj
    grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status | cut -f 2"""


def left_out(box: Box, process: "dict[str, Any]") -> "list[str]":
    """What a process is that leaves out most, in a container that says everything."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.process.update(
        user={"uid": 1000, "gid": 1001, "umask": 0o77, "additionalGids": [1002]},
        env=["PATH=/bin", "OF_CONTAINER=1"], cwd="/tmp", oomScoreAdj=123,
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
        ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6}, scheduler={"policy": "SCHED_BATCH", "nice": 3},
    )  # fmt: skip
    box.started(bundle)
    file = box.path / "process.json"
    file.write_text(json.dumps({"args": ["/bin/sh", "-c", OF_FILE], "cwd": "/", **process}))
    return box.ok("exec", "--process", str(file), "c").out.split("\n")


def test_what_a_process_file_leaves_out_is_the_containers(box: Box) -> None:
    """What limits a process is not lost by being forgotten; what it is given (args, cwd, env) is the file's alone."""
    lines = left_out(box, {})
    assert lines[:8] == ["1000", "1001", "1001 1002", "0077", "/", "PATH:", "100", "123"]
    mask = f"{1 << 29 | 1 << 5 | 1 << 10:016x}"
    none = "0" * 16
    assert lines[8:14] == [none, none, none, mask, none, "1"], "execve(2) leaves uid 1000 no more than its bounding set"


def test_what_a_process_file_sets_is_its_own(box: Box) -> None:
    everything = {
        "user": {"uid": 0, "gid": 0, "umask": 0o27}, "capabilities": {"bounding": ["CAP_CHOWN"]}, "oomScoreAdj": 0,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 30, "hard": 40}], "noNewPrivileges": False,
    }  # fmt: skip
    lines = left_out(box, everything)
    assert lines[:8] == ["0", "0", "0", "0027", "/", "PATH:", "30", "0"]
    assert lines[11:14] == [f"{1:016x}", "0" * 16, "0"]


def test_a_user_without_a_umask_has_the_containers(box: Box) -> None:
    lines = left_out(box, {"user": {"uid": 7, "gid": 8}})
    assert lines[:4] == ["7", "8", "8", "0077"], "groups are part of the user"


def test_a_container_without_capabilities_gives_none(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    del bundle.process["capabilities"]
    box.started(bundle)
    file = box.path / "process.json"
    status = "grep ^Cap /proc/self/status | cut -f 2"
    file.write_text(json.dumps({"args": ["/bin/sh", "-c", status], "cwd": "/", "user": {"uid": 0, "gid": 0}}))
    for words in (["--process", str(file), "c"], ["c", "/bin/sh", "-c", status]):
        assert box.ok("exec", *words).out.split() == ["0" * 16] * 5


def test_limits_do_not_hinder_the_setup(running: Box) -> None:
    """Fewer files than init has open, no process, no byte: they are the user's limits, not ours."""
    names = ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_FSIZE")
    process = {
        "args": ["true"],
        "cwd": "/",
        "env": ["PATH=/bin"],
        "user": {"uid": 77, "gid": 78},
        "rlimits": [{"type": name, "soft": 3, "hard": 3} for name in names],
    }
    file = running.path / "process.json"
    file.write_text(json.dumps(process))
    running.ok("exec", "--process", str(file), "c")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"args": []}', '{"args": ["x"], "cwd": "relative"}'])
def test_bad_process_file(running: Box, text: str) -> None:
    file = running.path / "process.json"
    file.write_text(text)
    result = running.call("exec", "--process", str(file), "c")
    assert result.status == 255, result
    assert result.err.count("\n") == 1 and "Traceback" not in result.err, result


def test_pid_file_and_detach(running: Box) -> None:
    file = running.path / "pid"
    running.ok("exec", "--detach", "--pid-file", str(file), "c", "sleep", "1000")
    pid = int(file.read_text())
    assert pid in leftovers.descendants()
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x001000\x00"


def test_processes_end_with_the_container(running: Box) -> None:
    for _ in range(3):
        running.ok("exec", "--detach", "c", "sleep", "1000")
    running.ok("delete", "--force", "c")
    assert running.left() == []


def test_delete_does_not_wait_for_the_parents_of_others(running: Box) -> None:
    """The first process of a pid namespace cannot quite end before somebody, here nobody, has reaped what exec left."""
    running.ok("exec", "--detach", "c", "sleep", "1000")
    log = running.path / "log"
    result = run(["strace", "-qq", "-e", "trace=poll", "-o", str(log), *running.words("delete", "--force", "c")])
    assert result.ok, result
    # each call waits for 10 ms; the kernel had a moment to begin with the end
    assert log.read_text().count("(Timeout)") < 100
    assert running.left() == []


def test_exec_in_created_and_stopped_containers(box: Box) -> None:
    init = os.pidfd_open(box.made_container(box.bundle().args("true"), "c")["pid"])
    assert box.call("exec", "c", "echo", "here").out == "here\n", "callers prepare a created container by exec"
    box.ok("kill", "c", "KILL")
    assert select.select([init], [], [], PATIENCE)[0], "a killed process takes a moment to end"
    os.close(init)
    leftovers.reap()
    result = box.call("exec", "c", "true")
    assert result.status == 255
    assert "cannot exec in a stopped container" in result.err


def test_exec_reports_a_bad_user_and_cwd(running: Box) -> None:
    result = running.call("exec", "--cwd", "relative", "c", "true")
    assert result.status == 255 and "cwd" in result.err.lower(), result
    result = running.call("exec", "--user", "nobody", "c", "true")
    assert result.status != 0 and result.err.count("\n") == 1, result


def test_exec_sees_mounts_of_the_container_only(running: Box) -> None:
    text = running.ok("exec", "c", "cat", "/proc/self/mountinfo").out
    assert {line.split(" ")[4] for line in text.strip().split("\n")} == {"/", "/proc", "/dev", "/dev/pts", "/sys"}


def test_exec_leads_its_own_session(running: Box) -> None:
    file = running.path / "pid"
    running.ok("exec", "--detach", "--pid-file", str(file), "c", "sleep", "1000")
    pid = int(file.read_text())
    assert os.getsid(pid) == pid


def test_replaced_passwd_and_path_of_the_image_are_used_safely(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    os.mkfifo(bundle.rootfs / "etc" / "passwd")
    box.started(bundle)
    assert box.ok("exec", "--user", "5", "c", "sh", "-c", "echo $HOME").out == "/\n"


def test_exec_into_a_container_of_the_hosts_namespaces(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    for kind in ("pid", "ipc", "cgroup"):
        bundle.without(kind)
    box.started(bundle)
    assert box.ok("exec", "c", "readlink", "/proc/self/ns/pid").out.strip() == os.readlink("/proc/self/ns/pid")


def test_exec_in_a_time_namespace(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 5000000}}
    box.started(bundle)
    assert float(box.ok("exec", "c", "cat", "/proc/uptime").out.split()[0]) > 5000000


def test_signals_reach_the_process_in_the_foreground(running: Box) -> None:
    os.mkfifo(running.path / "b1" / "rootfs" / "up")
    words = ["exec", "c", "sh", "-c", "trap 'exit 7' USR1; echo up > /up; while :; do sleep 0.05; done"]
    begun = running.begin(*words)
    assert (running.path / "b1" / "rootfs" / "up").read_text() == "up\n"
    import signal

    begun.process.send_signal(signal.SIGUSR1)
    assert begun.finish().status == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-t", "-d"], "cannot allocate tty if pyoci will detach without setting console socket"),
        (["-t", "--console-socket", "/s"], "cannot use console socket if pyoci will not detach or allocate tty"),
        (["-d", "--console-socket", "/s"], "cannot use console socket if pyoci will not detach or allocate tty"),
    ],
)
def test_a_terminal_needs_one_who_takes_it(running: Box, words: list[str], message: str) -> None:
    before = leftovers.descendants()
    result = running.call("exec", *words, "c", "touch", "/was-here")
    assert result.status == 255, result
    assert "process.terminal" in result.err and message in result.err, result
    assert not (running.path / "b1" / "rootfs" / "was-here").exists()
    assert leftovers.descendants() == before


@pytest.mark.parametrize("flag", ["--pid-file", "--pidfd-socket"])
@pytest.mark.parametrize("detach", [["--detach"], []], ids=["detached", "foreground"])
def test_a_process_of_which_the_caller_is_not_told_is_ended(running: Box, flag: str, detach: "list[str]") -> None:
    place = running.path / "taken"
    place.mkdir()
    result = running.call("exec", *detach, flag, str(place), "c", "sleep", "1000")
    assert result.status == 255 and flag in result.err, result
    assert json.loads(running.ok("ps", "--format", "json", "c").out) == [running.state()["pid"]]
    assert not (running.path / ".taken").exists()
