"""checkpoint and restore with a real CRIU: $PYOCI_CRIU, that of tests/tools/criu.sh, or the installed one."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cgroup_tools import ROOT, hybrid
from test_plan_done import CALLS, check

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PATIENCE, Result, at_each_call, run
from tests.support.pty import ConsoleSocket

_BROUGHT = Path(__file__).parents[2] / "build" / "criu" / "criu"
CRIU = os.environ.get("PYOCI_CRIU") or (str(_BROUGHT) if _BROUGHT.exists() else shutil.which("criu") or "")
# Not in one file: CRIU wants a file that was open to be of the same size when it restores, and the counter may have
# gone on. Without programs of its own: a process in vfork(2) waits for one that CRIU has stopped, and CRIU for it
STEP = "i=$((i + 1)); : > /tmp/count/$i; read -t 0.05 x <> /wait"
COUNTER = f"i=0; mkdir -p /tmp/count; [ -p /wait ] || mkfifo /wait; while :; do {STEP}; done"


def why_not() -> str:
    """Why CRIU cannot be tested here, "" when it can."""
    pytest.importorskip("google.protobuf", reason="needs the Python library protobuf")
    if not CRIU:
        return "needs criu"
    done = subprocess.run([CRIU, "check"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"criu does not work on this kernel: {done.stderr.strip()[-200:]}"


pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]


def has_soft_dirty() -> bool:
    """Whether the kernel tells which pages were written (criu check --feature mem_dirty_track)."""
    words = [CRIU, "check", "--feature", "mem_dirty_track"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def version() -> "tuple[int, ...]":
    """CRIU's."""
    text = subprocess.run([CRIU, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", text.split("\n")[0]))


def needs_tcp() -> None:
    """Skips where CRIU cannot save TCP sockets at all."""
    if not shutil.which("iptables-restore"):
        pytest.skip("CRIU locks connections with iptables-restore")
    kernel = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    if kernel >= (6, 16) and version() < (4, 2):
        pytest.skip("CRIU before 4.2 asks sockets for options that Linux 6.16 knows of unix sockets only")


def until(happened: "Callable[[], object]") -> None:
    """Waits for something that nobody can tell us of."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        select.select([], [], [], 0.02)


def number(path: Path) -> int:
    """What a counter has come to: in a file, or as directories."""
    try:
        if path.is_dir():
            return len(os.listdir(path))
        return int(path.read_text() or 0)
    except (FileNotFoundError, IsADirectoryError, ValueError):  # it may be being made
        return 0


class Saved:
    """A container that counts, and its images."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.bundle = box.bundle().shell(COUNTER)
        self.count = self.bundle.rootfs / "tmp" / "count"
        self.images = box.path / "images"

    def start(self, name: str = "c") -> None:
        self.bundle.write()
        result = self.box.create(self.bundle, name, **devnull())
        assert result.ok, result
        self.box.ok("start", name)
        until(lambda: number(self.count) > 2)

    def checkpoint(self, *flags: str, name: str = "c") -> Result:
        return self.box.call("--criu", CRIU, "checkpoint", "--image-path", str(self.images), *flags, name)

    def restore(self, *flags: str, name: str = "c", bundle: "Bundle | None" = None, **popen: Any) -> Result:
        place = str((bundle or self.bundle).path)
        words = ["--criu", CRIU, "restore", "--image-path", str(self.images), "--bundle", place, "--detach"]
        return self.box.call(*words, *flags, name, **popen)


def devnull() -> "dict[str, Any]":
    """No streams."""
    return {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@pytest.fixture
def saved(box: Box) -> Saved:
    return Saved(box)


def good(result: Result) -> None:
    assert result.ok, result


def test_counter_goes_on(saved: Saved) -> None:
    saved.start()
    good(saved.checkpoint())
    assert saved.box.names() == []
    stopped_at = number(saved.count)
    pid_file = saved.box.path / "pid"
    good(saved.restore("--pid-file", str(pid_file)))
    until(lambda: number(saved.count) > stopped_at + 3)
    state = saved.box.state()
    assert (state["status"], state["pid"]) == ("running", int(pid_file.read_text()))
    assert saved.box.ok("exec", "c", "cat", "/proc/1/cmdline").out.startswith("sh\0-c\0")
    saved.box.ok("delete", "--force", "c")
    assert saved.box.left() == []


def test_the_container_goes_on_when_asked(saved: Saved) -> None:
    saved.start()
    good(saved.checkpoint("--leave-running"))
    at = number(saved.count)
    until(lambda: number(saved.count) > at)
    assert saved.box.state()["status"] == "running"


def test_paused_container(saved: Saved) -> None:
    """containerd pauses before it asks for a checkpoint; what stays, stays paused."""
    saved.start()
    saved.box.ok("pause", "c")
    good(saved.checkpoint("--leave-running"))
    assert saved.box.state()["status"] == "paused"
    good(saved.checkpoint())
    assert saved.box.left() == []
    at = number(saved.count)
    good(saved.restore())
    until(lambda: number(saved.count) > at)


def test_to_another_directory_and_name(saved: Saved) -> None:
    """As an engine does on another host: a rootfs without the directories that create made."""
    saved.bundle.mount("/made/here", type="tmpfs", source="tmpfs")
    saved.start()
    good(saved.checkpoint())
    at = number(saved.count)
    other = saved.box.bundle()
    os.mkfifo(other.rootfs / "wait")
    shutil.copytree(saved.bundle.rootfs / "tmp", other.rootfs / "tmp", dirs_exist_ok=True)
    cgroup = other.linux["cgroupsPath"]
    other.config = {**saved.bundle.config, "linux": {**saved.bundle.linux, "cgroupsPath": cgroup}}
    other.write()
    good(saved.restore(name="other", bundle=other))
    until(lambda: number(other.rootfs / "tmp" / "count") > at + 2)
    assert number(saved.count) == at
    pid = saved.box.state("other")["pid"]
    groups = Path(f"/proc/{pid}/cgroup").read_text()
    assert cgroup in groups


def test_bind_mounts_masks_and_read_only_paths(saved: Saved) -> None:
    shared = saved.box.path / "shared"
    shared.mkdir()
    saved.bundle.bind(shared, "/shared", "rbind")
    saved.bundle.linux["maskedPaths"] = ["/proc/kcore", "/proc/keys", "/sys/firmware"]
    saved.bundle.linux["readonlyPaths"] = ["/proc/sys", "/etc"]
    saved.start()
    good(saved.checkpoint())
    good(saved.restore())
    saved.box.ok("exec", "c", "sh", "-c", "echo from inside > /shared/file")
    assert (shared / "file").read_text() == "from inside\n"
    assert saved.box.ok("exec", "c", "cat", "/proc/keys").out == ""
    assert not saved.box.call("exec", "c", "touch", "/etc/x").ok


def test_network_namespace_by_path(saved: Saved) -> None:
    holder = saved.box.started(saved.box.bundle().args("sleep", "1000"), "holder")
    path = f"/proc/{holder['pid']}/ns/net"
    saved.bundle.namespace("network", path)
    saved.start()
    good(saved.checkpoint())
    good(saved.restore())
    assert os.stat(f"/proc/{saved.box.state()['pid']}/ns/net").st_ino == os.stat(path).st_ino
    saved.box.ok("delete", "--force", "c")


def test_process_tree_with_pipes_on_a_terminal(saved: Saved) -> None:
    saved.bundle.process["terminal"] = True
    saved.bundle.shell("echo ready; while read line; do echo $line | sed s/a/b/ | cat; done")
    listener = ConsoleSocket(saved.box.path / "console")
    saved.bundle.write()
    good(saved.box.create(saved.bundle, "c", "--console-socket", str(listener.path)))
    screen, _ = listener.receive()
    saved.box.ok("start", "c")
    screen.expect("ready\r\n")
    good(saved.checkpoint())
    screen.close()
    good(saved.restore("--console-socket", str(listener.path)))
    screen, _ = listener.receive()
    screen.type("xay\r")
    screen.expect("xby\r\n")
    saved.box.ok("delete", "--force", "c")
    screen.close()
    listener.close()


def test_tcp_connection_over_loopback(saved: Saved) -> None:
    needs_tcp()
    server = "mkfifo /tmp/f; nc -l -p 99 < /tmp/f > /tmp/got & exec 3> /tmp/f;"
    client = "while ! grep -qs ':0063 .* 0A' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done;"
    loop = f"i=0; mkdir -p /tmp/count; mkfifo /wait; while :; do {STEP}; echo $i; done"
    saved.bundle.shell(f"{server} {client} ( {loop} ) | nc 127.0.0.1 99")
    saved.start()
    got = saved.bundle.rootfs / "tmp" / "got"
    until(lambda: got.exists() and got.stat().st_size > 4)
    refused = saved.checkpoint()
    assert not refused.ok
    assert saved.box.state()["status"] == "running"
    good(saved.checkpoint("--tcp-established"))
    size = got.stat().st_size
    good(saved.restore("--tcp-established"))
    until(lambda: got.stat().st_size > size + 10)
    lines = got.read_text().split()
    assert lines == [str(n) for n in range(1, len(lines) + 1)]


def test_pre_dump_and_what_changed_since(saved: Saved) -> None:
    if not has_soft_dirty():
        pytest.skip("this kernel does not track which pages were written")
    saved.start()
    parent = saved.box.path / "parent"
    words = ["--criu", CRIU, "checkpoint", "--pre-dump", "--image-path", str(parent), "c"]
    good(saved.box.call(*words))
    assert saved.box.state()["status"] == "running"
    good(saved.checkpoint("--parent-path", "../parent"))
    at = number(saved.count)
    good(saved.restore())
    until(lambda: number(saved.count) > at)


def test_foreground_gives_the_exit_status(saved: Saved) -> None:
    saved.bundle.shell("cd tmp; mkdir -p count/1 count/2 count/3; while [ ! -e end ]; do sleep 0.05; done; exit 7")
    saved.start()
    good(saved.checkpoint())
    (saved.bundle.rootfs / "tmp" / "end").write_text("")
    words = ["--criu", CRIU, "restore", "--image-path", str(saved.images), "--bundle", str(saved.bundle.path), "c"]
    assert saved.box.call(*words, **devnull()).status == 7
    assert saved.box.left() == []


def test_only_what_runs_can_be_saved(saved: Saved) -> None:
    saved.bundle.write()
    good(saved.box.create(saved.bundle, "c", **devnull()))
    failed = saved.checkpoint()
    assert "Container cannot be checkpointed in created state" in failed.err
    saved.box.ok("start", "c")
    saved.box.ok("kill", "c", "KILL")
    until(lambda: saved.box.state()["status"] == "stopped")
    assert "Container cannot be checkpointed in stopped state" in saved.checkpoint().err


def test_a_failure_quotes_criu_and_names_its_log(saved: Saved) -> None:
    """A file of the host behind another descriptor than the standard streams: nothing could be put in its place."""
    outside = saved.box.path / "outside"
    with open(outside, "w") as file:
        arrange = {"preexec_fn": lambda: os.dup2(file.fileno(), 3), "close_fds": False, **devnull()}
        good(saved.box.create(saved.bundle, "c", "--preserve-fds", "1", **arrange))
    saved.box.ok("start", "c")
    work = saved.box.path / "nobody" / "made" / "it"
    failed = saved.checkpoint("--work-path", str(work))
    assert failed.status == 1
    assert "dump: criu failed: Error (" in failed.err
    assert str(outside) in failed.err
    assert f"log: {work}/dump.log" in failed.err
    assert saved.box.state()["status"] == "running"


def test_streams_that_are_files_of_the_host(saved: Saved) -> None:
    """A log, as containerd's plugin and others give it: the restored container writes to what `restore` has."""
    saved.bundle.args("sh", "-c", COUNTER.replace(": >", "echo $i; : >"))
    before, after = saved.box.path / "before", saved.box.path / "after"
    with open(before, "a") as file:
        good(saved.box.create(saved.bundle, "c", stdin=subprocess.DEVNULL, stdout=file, stderr=file))
    saved.box.ok("start", "c")
    until(lambda: before.read_text().endswith("\n"))
    good(saved.checkpoint())
    saved.box.ok("delete", "--force", "c")
    counted = before.read_text()
    with open(after, "a") as file:
        good(saved.restore(stdin=subprocess.DEVNULL, stdout=file, stderr=file))
    until(lambda: after.read_text().endswith("\n"))
    assert before.read_text() == counted
    assert int(after.read_text().split()[0]) >= int(counted.split()[-1])


def test_a_failing_restore_leaves_nothing(saved: Saved) -> None:
    saved.start()
    good(saved.checkpoint())
    (saved.images / "pstree.img").unlink()
    failed = saved.restore()
    assert failed.status == 1
    assert f"log: {saved.images}/restore.log" in failed.err
    assert saved.box.left() == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["checkpoint", "--manage-cgroups-mode", "some"], "--manage-cgroups-mode"),
        (["checkpoint", "--empty-ns", "pid"], "--empty-ns"),
        (["checkpoint", "--parent-path", "/abs"], "--parent-path"),
        (["checkpoint", "--page-server", "nowhere"], "--page-server"),
    ],
)
def test_bad_values_are_refused(saved: Saved, words: "list[str]", told: str) -> None:
    saved.start()
    failed = saved.checkpoint(*words[1:])
    assert (failed.status, told in failed.err) == (1, True)
    assert saved.box.state()["status"] == "running"


def test_a_criu_that_is_not_there(saved: Saved) -> None:
    saved.start()
    failed = saved.box.call("--criu", "/no/criu", "checkpoint", "--image-path", str(saved.images), "c")
    assert "start /no/criu: no such file or directory (ENOENT) (install criu, or name it with --criu)" in failed.err


def test_cgroup_mount(saved: Saved) -> None:
    """On v1 its hierarchies are the host's, and after the restore those of the new container."""
    saved.bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro"])
    saved.start()
    good(saved.checkpoint())
    good(saved.restore())
    listed = saved.box.ok("exec", "c", "ls", "/sys/fs/cgroup").out.split()
    assert listed
    saved.box.ok("delete", "--force", "c")
    assert saved.box.left() == []


V2_ALONE = """mount --make-rprivate / && umount -l /sys/fs/cgroup/unified &&
mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@" """


@pytest.mark.skipif(not hybrid(), reason="needs hierarchies of v1 beside a tree of v2")
def test_cgroups_of_others_do_not_come_back(saved: Saved) -> None:
    """Where v2 alone is mounted on a machine that has v1, a container is at the top of v1's hierarchies: what others
    had there at the checkpoint, and have removed since, is not made anew. What it has below its own cgroup is."""
    alone = ["unshare", "-m", "sh", "-c", V2_ALONE, "sh"]
    box = saved.box
    place = ["--bundle", str(saved.bundle.path)]
    images = ["--image-path", str(saved.images)]
    saved.bundle.write()
    good(run([*alone, *box.words("run", "--detach", *place, "c")], **devnull()))
    until(lambda: number(saved.count) > 2)
    others = [ROOT / tree / f"{box.tag}-others" for tree in ("cpu", "pids", "unified")]
    inner = ROOT / "unified" / saved.bundle.linux["cgroupsPath"].strip("/") / "inner"
    for path in [*others, inner]:
        path.mkdir()
    good(run([*alone, *box.words("--criu", CRIU, "checkpoint", *images, "c")]))
    for path in others:
        path.rmdir()
    good(run([*alone, *box.words("--criu", CRIU, "restore", "--detach", *images, *place, "c")], **devnull()))
    assert [path for path in others if path.exists()] == []
    assert inner.is_dir()
    good(run([*alone, *box.words("delete", "--force", "c")]))
    assert box.left() == []


def test_restore_killed_leaves_what_delete_finds(saved: Saved) -> None:
    """The runtime ends at each message it would send to CRIU or to its mounts; CRIU may go on without it."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    saved.start()
    good(saved.checkpoint())
    words = ["--criu", CRIU, "restore", "--image-path", str(saved.images), "--bundle", str(saved.bundle.path)]

    def attempt(tracer: "list[str]") -> bool:
        done = run([*tracer, *saved.box.words(*words), "--detach", "c"])
        saved.box.ok("delete", "--force", "c")
        until(lambda: saved.box.left() == [])
        assert done.status in (0, -signal.SIGKILL), done
        return done.ok

    assert at_each_call(["sendto", "sendmsg", "recvmsg", "move_mount", "umount2"], attempt) > 5


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_what_restore_plans_is_done(saved: Saved) -> None:
    """The list against what strace sees, the hook and the limits among it; and what is left goes by the list."""
    saved.bundle.linux["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 50}}
    saved.bundle.hook("createRuntime", "/bin/true", args=["true", "here"])
    saved.start()
    good(saved.checkpoint())
    flags = ["--image-path", str(saved.images), "--bundle", str(saved.bundle.path)]
    document = json.loads(saved.box.ok("--criu", CRIU, "plan", "--json", "--restore", *flags).out)
    steps = [step for step in document["steps"] if step["operation"] != "pid-file"]
    assert [step["operation"] for step in document["delete"]].count("release-root") == 1
    told = [step["where"] for step in steps]
    assert "linux.resources.memory.limit" in told and "hooks.createRuntime[0] (/bin/true)" in told
    log = saved.box.path / "trace"
    words = saved.box.words("--criu", CRIU, "restore", *flags, "--detach", "plan")
    good(run(["strace", "-qq", "-s", "300", "-o", str(log), "-e", f"trace={CALLS}", *words], **devnull()))
    assert check(steps, log.read_text(errors="replace").split("\n")) > 10
    record = json.loads(Path(saved.box.root, "plan", "state.json").read_text())
    assert "release_root" not in [name for name, _, _ in record["undo"]]
    saved.box.ok("delete", "--force", "plan")
    assert saved.box.left() == []
