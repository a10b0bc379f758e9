"""create, start, run, state, kill, delete: what each does, refuses, and says."""

import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import Started

pytestmark = pytest.mark.root
SCHEMAS = Path(__file__).parents[1] / "data" / "spec-schemas"
SLEEP = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"


def one_line(text: str) -> bool:
    return text.endswith("\n") and text.count("\n") == 1 and "Traceback" not in text


def refused(box: Box, *words: str) -> str:
    """The error line of a command that must fail with status 1."""
    result = box.call(*words)
    assert result.status == 1, result
    assert one_line(result.err), result
    return result.err


def wait_gone(pid: int) -> None:
    """Waits for the end of a process that is no child of ours, by its pidfd, and takes its status if we inherit it."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    assert select.select([fd], [], [], 30)[0], f"{pid} does not end"
    os.close(fd)
    leftovers.reap()


# What is inside


def test_run_shows_the_container_from_inside(box: Box) -> None:
    bundle = box.bundle().shell(
        "echo pid $$; hostname; ls /sys/class/net; awk '{print $2}' /proc/mounts; ls /proc | grep -c '^[0-9]';"
        "ip addr show lo"
    )
    lines = box.output(bundle).split("\n")
    assert lines[0] == "pid 1"
    assert lines[1] == "box"
    assert lines[2] == "lo"
    assert lines[3:8] == ["/", "/proc", "/dev", "/dev/pts", "/sys"]
    assert int(lines[8]) <= 3, "processes of the host are visible"
    assert any(",UP" in line for line in lines[9:]), lines


def test_create_start_delete(box: Box) -> None:
    bundle = box.bundle().shell("echo ran > /out")
    state = box.made_container(bundle, "c")
    assert state["status"] == "created"
    assert not (bundle.rootfs / "out").exists(), "the program ran before start"
    box.ok("start", "c")
    wait_gone(state["pid"])
    assert (bundle.rootfs / "out").read_text() == "ran\n"
    stopped = box.state()
    assert (stopped["status"], stopped["pid"]) == ("stopped", 0)
    box.ok("delete", "c")
    assert box.left() == []


def test_capabilities_are_those_asked_for_bit_by_bit(box: Box) -> None:
    bundle = box.bundle().args("cat", "/proc/self/status")
    bundle.process["capabilities"] = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_CHOWN", "CAP_NET_RAW"],
        "inheritable": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"],
        "ambient": ["CAP_KILL"],
    }
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    lines = dict(line.split(":\t") for line in box.output(bundle).split("\n") if ":\t" in line)
    chown, kill, net_raw, setuid = 1 << 0, 1 << 5, 1 << 13, 1 << 7
    assert int(lines["CapBnd"], 16) == chown | kill | net_raw | setuid
    assert int(lines["CapInh"], 16) == chown | kill | setuid
    assert int(lines["CapAmb"], 16) == kill
    # execve(2) of a file without capabilities leaves another user than root the ambient ones
    assert int(lines["CapPrm"], 16) == kill
    assert int(lines["CapEff"], 16) == kill
    assert lines["NoNewPrivs"] == "1"


def test_capabilities_of_root(box: Box) -> None:
    bundle = box.bundle().args("cat", "/proc/self/status")
    bundle.process["capabilities"] = {
        "bounding": ["CAP_CHOWN", "CAP_SYS_CHROOT"],
        "permitted": ["CAP_CHOWN", "CAP_SYS_CHROOT"],
        "effective": ["CAP_CHOWN", "CAP_SYS_CHROOT"],
    }
    lines = dict(line.split(":\t") for line in box.output(bundle).split("\n") if ":\t" in line)
    for name in ("CapBnd", "CapPrm", "CapEff"):
        assert int(lines[name], 16) == 1 << 0 | 1 << 18, name
    assert int(lines["CapInh"], 16) == int(lines["CapAmb"], 16) == 0


@pytest.mark.parametrize("capabilities", [{}, "absent"])
def test_empty_capabilities_leave_none(box: Box, capabilities: Any) -> None:
    """As in runc and crun: nothing is given that was not asked for."""
    bundle = box.bundle().shell("grep ^Cap /proc/self/status")
    bundle.process["capabilities"] = capabilities
    if capabilities == "absent":
        del bundle.process["capabilities"]
    values = [line.split()[1] for line in box.output(bundle).splitlines()]
    assert [int(value, 16) for value in values] == [0] * 5


NEW_CAPABILITY = {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL", "CAP_NEW"]}
NEW_IGNORED = "process.capabilities: ignoring unknown or unavailable capabilities: [CAP_NEW]"


def test_unknown_capability_is_ignored_with_a_warning(box: Box) -> None:
    bundle = box.bundle().shell("grep ^CapEff /proc/self/status")
    bundle.process["capabilities"] = NEW_CAPABILITY
    result = box.run(bundle)
    assert result.status == 0, result
    assert int(result.out.split()[1], 16) == 1 << 5
    assert result.err.count("\n") == 1 and f'level=warning msg="{NEW_IGNORED}"' in result.err
    plan = box.ok("plan", "--bundle", str(bundle.path))
    assert plan.out.splitlines()[-1] == f"   -  warning: {NEW_IGNORED}"


def test_what_is_ignored_is_a_line_of_the_log_unless_the_command_fails(box: Box) -> None:
    """podman reads the whole log of a failed create as one object."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.process["capabilities"] = NEW_CAPABILITY
    bundle.write()
    log = box.path / "log"
    logged = ["--log", str(log), "--log-format", "json"]
    assert box.ok(*logged, "create", "--bundle", str(bundle.path), "c").err == ""
    box.ok("start", "c")
    process = box.path / "process.json"
    wanted = {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "capabilities": NEW_CAPABILITY}
    process.write_text(json.dumps(wanted))
    assert box.ok(*logged, "exec", "--process", str(process), "c").err == ""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["level"], line["msg"]) for line in lines] == [("warning", NEW_IGNORED)] * 2
    log.unlink()
    bundle.linux["cgroupsPath"] += "-other"
    bundle.args("/nowhere").write()
    assert box.call(*logged, "create", "--bundle", str(bundle.path), "d").status == 1
    assert json.loads(log.read_text())["level"] == "error"


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_run_gives_the_exit_status(box: Box, status: int) -> None:
    assert box.run(box.bundle().shell(f"exit {status}")).status == status


def test_run_gives_128_and_the_signal(box: Box) -> None:
    bundle = box.bundle().shell("sh -c 'kill -9 $$'; exit $?")
    assert box.run(bundle).status == 128 + 9
    assert box.left() == []


def test_run_passes_on_signals_and_removes_the_container(box: Box) -> None:
    bundle = box.bundle().shell("trap 'exit 7' USR1; echo up > /up; while :; do sleep 0.05; done")
    os.mkfifo(bundle.rootfs / "up")
    bundle.write()
    running = box.begin("run", "--bundle", str(bundle.path), "c")
    assert (bundle.rootfs / "up").read_text() == "up\n"
    running.process.send_signal(signal.SIGUSR1)
    result = running.finish()
    assert result.status == 7, result
    assert box.left() == []


def test_a_signal_after_the_end_does_not_take_the_status_away(box: Box) -> None:
    """The hook sends it while `run` removes the container."""
    bundle = box.bundle().shell("exit 7")
    bundle.hook("poststop", "/bin/sh", args=["sh", "-c", "kill -TERM $PPID"])
    assert box.run(bundle).status == 7
    assert box.left() == []


def test_run_keep_leaves_a_stopped_container(box: Box) -> None:
    assert box.run(box.bundle().args("true"), "--keep").ok
    assert box.state()["status"] == "stopped"
    box.ok("delete", "c")
    assert box.left() == []


def test_run_detach_returns_while_the_container_runs(box: Box) -> None:
    result = box.run(box.bundle().args("sleep", "1000"), "--detach")
    assert result.ok, result
    assert box.state()["status"] == "running"
    refused(box, "delete", "c")
    box.ok("delete", "--force", "c")
    assert box.left() == []


def test_standard_streams_are_the_callers(box: Box) -> None:
    bundle = box.bundle().shell("cat; echo problem >&2")
    result = box.run(bundle, input=b"words in")
    assert result.out == "words in"
    assert result.err == "problem\n"


def test_pid_file(box: Box, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    state = box.made_container(box.bundle().args("true"), "c", "--pid-file", str(file))
    assert file.read_text() == str(state["pid"])
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]


def test_pid_file_is_not_written_when_create_fails(box: Box, tmp_path: Path) -> None:
    result = box.create(box.bundle().args("/missing"), "c", "--pid-file", str(tmp_path / "pid"))
    assert result.status == 1, result
    assert list(tmp_path.iterdir()) == []
    assert box.left() == []


def test_pid_file_in_a_missing_directory_fails_create_and_leaves_nothing(box: Box, tmp_path: Path) -> None:
    result = box.create(box.bundle().args("true"), "c", "--pid-file", str(tmp_path / "no" / "pid"))
    assert result.status == 1, result
    assert one_line(result.err), result
    assert "--pid-file" in result.err
    assert box.left() == []


# state


def test_state_document_follows_the_schema_at_every_status(box: Box) -> None:
    schema = json.loads((SCHEMAS / "state-schema.json").read_text())
    with warnings.catch_warnings():  # what replaces it came with jsonschema 4.18, too new for Debian 12
        warnings.simplefilter("ignore", DeprecationWarning)
        resolver = jsonschema.RefResolver(f"file://{SCHEMAS}/", schema)
    check = jsonschema.Draft4Validator(schema, resolver=resolver)
    bundle = box.bundle().args("sleep", "1000")
    bundle.config["annotations"] = {"org.example.key": "value"}
    seen = []
    box.made_container(bundle, "c")
    for command in (["start", "c"], ["kill", "c", "KILL"], []):
        state = box.state()
        check.validate(state)
        assert (state["id"], state["bundle"]) == ("c", str(bundle.path))
        assert state["annotations"] == {"org.example.key": "value"}
        assert state["ociVersion"] == "1.3.0"
        seen.append(state["status"])
        if command:
            box.ok(*command)
        if command[:1] == ["kill"]:
            wait_gone(state["pid"])
    assert seen == ["created", "running", "stopped"]


def test_config_changed_after_create_has_no_effect(box: Box) -> None:
    bundle = box.bundle().shell("echo first > /out; exec sleep 1000")
    box.made_container(bundle, "c")
    bundle.shell("echo second > /out").write()
    os.mkfifo(bundle.rootfs / "out")
    box.ok("start", "c")
    assert (bundle.rootfs / "out").read_text() == "first\n"


def test_process_with_the_same_pid_is_not_ours(box: Box) -> None:
    """state.json of a container whose pid was given to another process since: here, ours."""
    state = box.started(box.bundle().args("sleep", "1000"))
    file = box.root / "c" / "state.json"
    record = json.loads(file.read_text())
    real = record["init_process_pid"]
    other = box.begin("--help")
    bystander = os.getpid()
    other.finish()
    box.rewrite_state({**record, "init_process_pid": bystander})
    assert box.state()["status"] == "stopped"
    assert "container not running" in refused(box, "kill", "c", "KILL")
    box.rewrite_state({**record, "init_process_start": record["init_process_start"] + 1})
    assert box.state()["status"] == "stopped"
    assert "container not running" in refused(box, "kill", "c", "KILL")
    os.kill(real, 0)  # nobody was killed
    box.rewrite_state(record)
    assert box.state()["status"] == "running"
    assert state["pid"] == real


DAMAGES = ["", "{", "[]", "{}", '{"init_process_pid": "x"}', "\x00"]


@pytest.mark.parametrize("text", DAMAGES)
def test_damaged_state_without_a_copy_is_reported_and_kept(box: Box, text: str) -> None:
    """Nobody knows what it named: it is for people to look."""
    (box.root / "c").mkdir(parents=True, mode=0o700)
    os.chmod(box.root, 0o700)
    (box.root / "c" / "state.json").write_text(text)
    for words in (["state", "c"], ["start", "c"], ["kill", "c"], ["delete", "c"], ["delete", "--force", "c"]):
        assert "state.json" in refused(box, *words)
    assert "nothing was removed" in refused(box, "delete", "--force", "c")
    assert box.names() == ["c"]
    (box.root / "c" / "state.json").unlink()
    box.ok("delete", "--force", "c")
    assert box.left() == []


# kill


@pytest.mark.parametrize("name", ["TERM", "SIGTERM", "sigterm", "15"])
def test_kill_by_name_and_number(box: Box, name: str) -> None:
    bundle = box.bundle().shell("trap 'echo term > /out; exit 0' TERM; echo up > /up; while :; do sleep 0.05; done")
    os.mkfifo(bundle.rootfs / "up")
    os.mkfifo(bundle.rootfs / "out")
    pid = box.started(bundle)["pid"]
    assert (bundle.rootfs / "up").read_text() == "up\n"
    box.ok("kill", "c", name)
    assert (bundle.rootfs / "out").read_text() == "term\n"
    wait_gone(pid)


def test_kill_without_a_signal_sends_term(box: Box) -> None:
    bundle = box.bundle().shell("trap 'echo term > /out; exit 0' TERM; echo up > /up; while :; do sleep 0.05; done")
    for name in ("up", "out"):
        os.mkfifo(bundle.rootfs / name)
    box.started(bundle)
    assert (bundle.rootfs / "up").read_text() == "up\n"
    box.ok("kill", "c")
    assert (bundle.rootfs / "out").read_text() == "term\n"


def ended_by(box: Box, bundle: Bundle, name: str) -> None:
    """A container that is sent a signal before its start has stopped, and can only be removed."""
    pid = box.made_container(bundle, "c")["pid"]
    box.ok("kill", "c", name)
    wait_gone(pid)
    assert box.state()["status"] == "stopped"
    assert "cannot start a container that has stopped" in refused(box, "start", "c")
    box.ok("delete", "c")
    assert box.left() == []


def test_kill_of_a_created_container(box: Box) -> None:
    ended_by(box, box.bundle().args("true"), "KILL")


def test_a_created_container_is_removed_while_a_signal_ends_it(box: Box) -> None:
    """Whether it has ended yet or not."""
    pid = box.made_container(box.bundle().args("true"), "c")["pid"]
    box.ok("kill", "c", "TERM")
    os.kill(pid, 0)
    box.ok("delete", "--force", "c")


def test_kill_of_a_stopped_container_is_an_error(box: Box) -> None:
    pid = box.made_container(box.bundle().args("true"), "c")["pid"]
    box.ok("start", "c")
    wait_gone(pid)
    assert "container not running" in refused(box, "kill", "c", "KILL")
    assert "container not running" in refused(box, "kill", "c", "0")


@pytest.mark.parametrize("words", [["--all", "c", "KILL"], ["c", "KILL"]])
def test_kill_after_the_first_process_has_ended(box: Box, words: "list[str]") -> None:
    """In the host's pid namespace others outlive it; engines end them by `kill --all`, people by SIGKILL."""
    bundle = box.bundle().shell("setsid sleep 1000 & setsid sleep 1000 & echo up > /up")
    bundle.without("pid")
    os.mkfifo(bundle.rootfs / "up")
    pid = box.made_container(bundle, "c")["pid"]
    box.ok("start", "c")
    assert (bundle.rootfs / "up").read_text() == "up\n"
    wait_gone(pid)
    assert box.state()["status"] == "stopped"
    others = leftovers.descendants() - box.before
    assert len(others) == 2, others
    assert set(json.loads(box.ok("ps", "--format", "json", "c").out)) == others
    assert "container not running" in refused(box, "kill", "c", "TERM")
    box.ok("kill", *words)
    for other in others:
        wait_gone(other)
    assert "container not running" in refused(box, "kill", "c", "KILL")
    box.ok("delete", "c")
    assert box.left() == []


def test_delete_after_the_first_process_has_ended(box: Box) -> None:
    """It is stopped, and what has outlived it ends with it."""
    bundle = box.bundle().shell("setsid sleep 1000 & echo up > /up")
    bundle.without("pid")
    os.mkfifo(bundle.rootfs / "up")
    pid = box.made_container(bundle, "c")["pid"]
    box.ok("start", "c")
    assert (bundle.rootfs / "up").read_text() == "up\n"
    wait_gone(pid)
    box.ok("delete", "c")
    assert box.left() == []


# Outside of the container's pid namespace, in its cgroups: a parent that never takes its child's status
PARENT = """
import os, sys, signal
for path in sys.argv[1:]:
    with open(path + "/cgroup.procs", "w") as file:
        file.write("0")
if os.fork():
    print("ready", flush=True)
signal.pause()
"""


def test_force_ends_a_parent_in_the_cgroup_that_the_first_process_waits_for(box: Box) -> None:
    """As CRIU is one, which goes on after a killed `restore`; pid_namespaces(7): the first process ends after all."""
    pid = box.started(box.bundle().args("sleep", "1000"))["pid"]
    cgroups = leftovers.cgroups_named(box.tag)
    assert cgroups
    words = ["nsenter", "--no-fork", f"--pid=/proc/{pid}/ns/pid", sys.executable, "-c", PARENT, *cgroups]
    parent = Started(words, stdout=subprocess.PIPE)
    assert parent.process.stdout and parent.process.stdout.readline() == b"ready\n"
    box.ok("delete", "--force", "c")
    assert parent.finish().status == -signal.SIGKILL
    assert box.left() == []


@pytest.mark.parametrize("words", [["--all", "c", "KILL"], ["c", "KILL"], ["--all", "c", "TERM"]])
def test_kill_without_cgroups_and_pid_namespace(box: Box, words: "list[str]") -> None:
    """The first process is all that is known then."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.without("pid")
    bundle.write()
    box.ok("--cgroup-manager", "disabled", "run", "--detach", "--bundle", str(bundle.path), "c")
    pid = box.state()["pid"]
    box.ok("kill", *words)
    wait_gone(pid)
    box.ok("delete", "c")


def test_kill_with_the_hosts_pids_ends_everything(box: Box) -> None:
    bundle = box.bundle().shell("setsid sleep 1000 & echo up > /up; exec sleep 1000")
    bundle.without("pid")
    os.mkfifo(bundle.rootfs / "up")
    box.started(bundle)
    assert (bundle.rootfs / "up").read_text() == "up\n"
    everyone = leftovers.descendants() - box.before
    assert len(everyone) == 2
    box.ok("kill", "c", "KILL")
    for one in everyone:
        wait_gone(one)
    box.ok("delete", "c")
    assert box.left() == []


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT", "KILL"])
@pytest.mark.parametrize("pids", [True, False])
def test_signal_before_the_start(box: Box, name: str, pids: bool) -> None:
    """The kernel spares the first process of a pid namespace what it has not asked for."""
    bundle = box.bundle().args("sleep", "1000")
    if not pids:
        bundle.without("pid")
    ended_by(box, bundle, name)


def test_signal_before_the_program(box: Box) -> None:
    """A hook comes before it; and the program has the signals as ever."""
    bundle = box.bundle().shell("trap 'echo ended > /end; exit 7' TERM; echo > /up; while :; do sleep 0.01; done")
    for name in ("up", "end", "hook"):
        os.mkfifo(bundle.rootfs / name)
    bundle.hook("startContainer", "/bin/sh", args=["sh", "-c", "echo > /hook; exec /bin/sleep 1000"])
    pid = box.made_container(bundle, "c")["pid"]
    starts = box.begin("start", "c")
    assert (bundle.rootfs / "hook").read_text() == "\n"
    assert box.state()["status"] == "created"
    box.ok("kill", "c", "TERM")
    wait_gone(pid)
    starts.finish()
    assert box.state()["status"] == "stopped"
    box.ok("delete", "c")
    bundle.config.pop("hooks")
    box.started(bundle)
    assert (bundle.rootfs / "up").read_text() == "\n"
    box.ok("kill", "c", "TERM")
    assert (bundle.rootfs / "end").read_text() == "ended\n"


def test_unknown_signal(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    assert "unknown signal" in refused(box, "kill", "c", "NOSUCH")
    assert box.state()["status"] == "running"


# delete, start, ids


def test_unknown_container(box: Box) -> None:
    for words in (["state", "x"], ["start", "x"], ["kill", "x", "KILL"], ["delete", "x"]):
        assert "container does not exist" in refused(box, *words)
    assert "container does not exist" in box.call("exec", "x", "true").err
    box.ok("delete", "--force", "x")


def test_delete_of_running_and_created(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"), "r")
    box.made_container(box.bundle().args("true"), "m")
    assert "is not stopped: running" in refused(box, "delete", "r")
    assert "is not stopped: created" in refused(box, "delete", "m")
    box.ok("delete", "--force", "r")
    box.ok("delete", "--force", "m")
    assert box.left() == []


def test_start_twice(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    assert "cannot start an already running container" in refused(box, "start", "c")
    assert box.state()["status"] == "running"


def test_second_create_of_an_id_changes_nothing(box: Box) -> None:
    state = box.made_container(box.bundle().args("sleep", "1000"), "c")
    result = box.create(box.bundle().args("true"), "c")
    assert result.status == 1
    assert "container with given ID already exists" in result.err
    assert box.state() == state
    box.ok("start", "c")
    assert box.state()["status"] == "running"


@pytest.mark.parametrize("status", ["created", "running", "paused", "stopped"])
def test_an_id_that_is_taken_is_said_before_its_cgroup_is_looked_at(box: Box, status: str) -> None:
    """The second command has the same bundle, so the same cgroup: in use, or frozen, by the first."""
    bundle = box.bundle().args("sleep", "1000")
    pid = box.made_container(bundle, "c")["pid"]
    if status != "created":
        box.ok("start", "c")
    if status == "paused":
        box.ok("pause", "c")
    if status == "stopped":
        box.ok("kill", "c", "KILL")
        wait_gone(pid)
    place = ["--bundle", str(bundle.path), "c"]
    images = ["--image-path", str(box.path)]
    for words in (["create", *place], ["run", *place], ["run", "-d", *place], ["restore", *images, *place]):
        result = box.call(*words)
        assert (result.status, "container with given ID already exists" in result.err) == (1, True), result
    assert box.state()["status"] == status


BAD_IDS = ["../x", "a/b", ".", "..", "/", "a\nb", "", "ä", "a b", "a\x7f", "a*"]


@pytest.mark.parametrize("name", BAD_IDS)
def test_bad_id_is_refused_by_every_command(box: Box, name: str) -> None:
    bundle = box.bundle()
    bundle.write()
    outside = box.path / "x"
    outside.mkdir()
    for words in (["create", "--bundle", str(bundle.path)], ["start"], ["state"], ["kill"], ["delete", "--force"]):
        result = box.call(*words, "--", name)
        assert result.status == 1, result
        assert one_line(result.err), result
    assert outside.exists()
    assert box.left() == []


@pytest.mark.parametrize("name", ["a", "A-b_c.d+e", "0", "x" * 200])
def test_good_ids(box: Box, name: str) -> None:
    box.started(box.bundle().args("sleep", "1000"), name)
    box.ok("delete", "--force", name)
    assert box.left() == []


def test_state_root_that_others_can_write_is_refused(box: Box) -> None:
    box.root.mkdir()
    os.chmod(box.root, 0o777)
    result = box.create(box.bundle().args("true"), "c")
    assert result.status == 1
    assert "others can write" in result.err
    assert box.left() == []


def test_long_state_root(box: Box) -> None:
    """A socket's address holds 107 bytes."""
    box.root = box.root.joinpath(*["d" * 60] * 4)
    box.started(box.bundle().args("sleep", "1000"))
    assert box.state()["status"] == "running"
    box.ok("delete", "--force", "c")
    assert box.left() == []


# logs


@pytest.mark.parametrize("form", ["text", "json"])
def test_error_is_in_the_log_and_on_stderr(box: Box, tmp_path: Path, form: str) -> None:
    log = tmp_path / "log"
    bundle = box.bundle().args("/missing")
    bundle.write()
    result = box.call("--log", str(log), "--log-format", form, "create", "--bundle", str(bundle.path), "c")
    assert result.status == 1
    assert one_line(result.err), result
    text = log.read_text()
    assert one_line(text)
    if form == "json":
        record = json.loads(text)
        assert record["level"] == "error"
        assert "/missing" in record["msg"]
        assert record["msg"] in result.err
    else:
        assert "level=error" in text
        assert "/missing" in text


def test_closed_standard_streams_do_not_leak_state(box: Box) -> None:
    """With 0 to 2 closed, the first files a runtime opens would become the container's streams."""
    bundle = box.bundle().shell("readlink /proc/self/fd/0 > /out; readlink /proc/self/fd/2 >> /out")
    bundle.write()
    words = " ".join(box.words("run", "--bundle", str(bundle.path), "c"))
    from tests.support.command import run

    result = run(["sh", "-c", f"{words} <&- >&- 2>&-"])
    assert result.status == 0, result
    assert (bundle.rootfs / "out").read_text() == "/dev/null\n/dev/null\n"
