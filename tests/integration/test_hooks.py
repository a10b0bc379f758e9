"""Hooks: the namespaces, the moment, the standard input, the environment of each kind, and what a failure does."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle

pytestmark = pytest.mark.root
KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
SPACES = ["mnt", "net", "pid", "ipc", "uts", "cgroup", "user"]

# Arguments: directory of the log, kind. Says everything about where it runs; works in busybox and in any /bin/sh.
RECORDER = f"""#!/bin/sh
PATH_BEFORE=$PATH; PATH=/bin:/usr/bin; log=$1; kind=$2
echo $kind >> $log/order
for n in {" ".join(SPACES)}; do readlink /proc/self/ns/$n; done > $log/$kind.ns
pwd > $log/$kind.cwd
cat > $log/$kind.state
test -e /inside && touch $log/$kind.inside
ls /proc/self/fd > $log/$kind.fds
exit 0
"""


def script(place: Path, text: str) -> str:
    place.write_text(text)
    place.chmod(0o755)
    return str(place)


class Recorded:
    """A bundle whose hooks of all kinds write down what they see, into the rootfs, which all of them can reach."""

    def __init__(self, box: Box) -> None:
        self.bundle = box.bundle()
        root = self.bundle.rootfs
        self.log = root / "log"
        self.log.mkdir()
        (root / "inside").touch()
        outside = script(box.path / "recorder", RECORDER)
        script(root / "recorder", RECORDER)
        for kind in KINDS:
            if kind == "startContainer":
                self.bundle.hook(kind, "/recorder", args=["recorder", "/log", kind])
            else:
                self.bundle.hook(kind, outside, args=["recorder", str(self.log), kind])

    def read(self, kind: str, what: str) -> str:
        return (self.log / f"{kind}.{what}").read_text()

    def state(self, kind: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read(kind, "state"))
        return document

    def order(self) -> list[str]:
        return (self.log / "order").read_text().split()


def spaces_of(pid: "int | str") -> list[str]:
    return [os.readlink(f"/proc/{pid}/ns/{name}") for name in SPACES]


def test_moments_namespaces_and_state_of_each_kind(box: Box) -> None:
    recorded = Recorded(box)
    bundle = recorded.bundle.args("sleep", "1000")
    bundle.config["annotations"] = {"a": "b"}
    state = box.made_container(bundle, "c")
    pid = state["pid"]
    assert recorded.order() == KINDS[:3]
    container = spaces_of(pid)
    box.ok("start", "c")
    assert recorded.order() == KINDS[:5]
    box.ok("delete", "--force", "c")
    assert recorded.order() == KINDS
    for kind in KINDS:
        expected = container if kind in ("createContainer", "startContainer") else spaces_of("self")
        assert recorded.read(kind, "ns").split() == expected, kind
        document = recorded.state(kind)
        assert (document["id"], document["bundle"]) == ("c", str(bundle.path)), kind
        assert document["annotations"] == {"a": "b"}
        assert document["ociVersion"] == "1.3.0"
    statuses = {kind: recorded.state(kind)["status"] for kind in KINDS}
    assert statuses == {
        "prestart": "creating",
        "createRuntime": "creating",
        "createContainer": "creating",
        "startContainer": "created",
        "poststart": "running",
        "poststop": "stopped",
    }
    pids = {kind: recorded.state(kind).get("pid") for kind in KINDS}
    assert pids == {
        "prestart": pid,
        "createRuntime": pid,
        "createContainer": 1,  # as seen where it runs
        "startContainer": 1,
        "poststart": pid,
        "poststop": 0,
    }


def test_only_start_container_runs_in_the_new_root(box: Box) -> None:
    recorded = Recorded(box)
    assert box.run(recorded.bundle.args("true")).ok
    assert recorded.order() == KINDS
    inside = [kind for kind in KINDS if (recorded.log / f"{kind}.inside").exists()]
    assert inside == ["startContainer"]
    for kind in KINDS:
        expected = "/" if kind == "startContainer" else str(recorded.bundle.path)
        assert recorded.read(kind, "cwd").strip() == expected, kind


def test_hooks_inherit_no_descriptors(box: Box) -> None:
    recorded = Recorded(box)
    assert box.run(recorded.bundle.args("true")).ok
    for kind in KINDS:
        assert set(recorded.read(kind, "fds").split()) <= {"0", "1", "2", "3"}, kind  # 3 is the listing's own


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_of_a_kind_run_in_order(box: Box, kind: str) -> None:
    bundle = box.bundle().args("true")
    log = bundle.rootfs / "log"
    inside = kind == "startContainer"
    shell, file = ("/bin/sh", "/log") if inside else ("/bin/sh", str(log))
    for n in range(5):
        bundle.hook(kind, shell, args=["sh", "-c", f"echo {n} >> {file}"])
    assert box.run(bundle).ok
    assert log.read_text().split() == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("kind", KINDS)
def test_environment_and_arguments_are_the_hooks_own(box: Box, kind: str) -> None:
    bundle = box.bundle().args("true")
    file = "/log" if kind == "startContainer" else str(bundle.rootfs / "log")
    text = f'echo "$0 $#" > {file}; /bin/cat /proc/self/environ >> {file}'
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", text, "zero", "one", "two"], env=["A=1", "B=x=y"])
    assert box.run(bundle, env={"PATH": "/bin", "SECRET": "1"}).ok
    first, environment = (bundle.rootfs / "log").read_text().split("\n", 1)
    assert first == "zero 2"
    # dash and ash add PWD and their like; nothing of the caller's may be there
    names = dict(pair.partition("=")[::2] for pair in environment.split("\0") if pair)
    assert (names["A"], names["B"]) == ("1", "x=y")
    assert not {"SECRET", "HOME", "LC_CTYPE"} & set(names), names


@pytest.mark.parametrize("kind", KINDS)
def test_empty_environment_is_not_an_absent_one(box: Box, kind: str) -> None:
    bundle = box.bundle().args("true")
    file = "/log" if kind == "startContainer" else str(bundle.rootfs / "log")
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", f"/bin/cat /proc/self/environ > {file}"], env=[])
    assert box.run(bundle, env={"PATH": "/bin:/usr/bin", "TERM": "of-the-caller"}).ok
    assert "of-the-caller" not in (bundle.rootfs / "log").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_without_env_a_hook_gets_no_environment_of_the_container(box: Box, kind: str) -> None:
    bundle = box.bundle().args("true")
    bundle.process["env"] += ["LD_PRELOAD=/evil.so", "CONTAINER=1"]
    file = "/log" if kind == "startContainer" else str(bundle.rootfs / "log")
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", f"/bin/cat /proc/self/environ > {file}"])
    assert box.run(bundle, env={"PATH": "/bin:/usr/bin", "LD_DEBUG": "help"}).ok
    environment = (bundle.rootfs / "log").read_text()
    assert "LD_" not in environment and "CONTAINER" not in environment and "LC_CTYPE" not in environment, environment
    assert "PATH=/bin:/usr/bin" in environment


def test_start_container_hook_has_what_the_program_has_and_no_more(box: Box) -> None:
    """It comes out of the image, so it gets nothing that the image's program would not get."""
    shows = 'id -u; id -g; id -G; grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status'
    bundle = box.bundle().shell(f"{{ {shows}; }} > /tmp/program")
    bundle.hook("startContainer", "/bin/sh", args=["sh", "-c", f"{{ {shows}; }} > /tmp/hook"], env=["PATH=/bin"])
    bundle.process["user"] = {"uid": 7, "gid": 8, "additionalGids": [9]}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]}  # fmt: skip
    assert box.run(bundle).ok
    seen = (bundle.rootfs / "tmp" / "hook").read_text()
    assert seen.startswith("7\n8\n8 9\n") and seen == (bundle.rootfs / "tmp" / "program").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_failing_hook(box: Box, kind: str) -> None:
    """runtime.md, "Lifecycle": every failure but poststop's ends the container, and poststop hooks run."""
    bundle = box.bundle().args("sleep", "1000")
    after = box.path / "poststop-ran"
    bundle.hook(kind, "/bin/true")
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", "echo last words >&2; exit 3"])
    bundle.hook("poststop", "/bin/sh", args=["sh", "-c", f"/bin/cat > {after}"])
    created = box.create(bundle, "c")
    failed = created
    if kind in ("startContainer", "poststart", "poststop"):
        assert created.ok, created
        failed = box.call("start", "c")
    if kind == "poststop":
        assert failed.ok, failed
        failed = box.call("delete", "--force", "c")
        assert failed.ok, failed
    else:
        assert failed.status == 1, failed
    for words in (f"hooks.{kind}[1] (/bin/sh)", f"error running {kind} hook #1: exit status 3", "last words"):
        assert words in failed.err, failed
    assert failed.err.count("\n") == 1, failed
    assert after.exists(), "poststop did not run"
    assert json.loads(after.read_text())["status"] == "stopped"
    assert box.left() == []


def test_poststop_hooks_all_run_though_one_fails(box: Box) -> None:
    bundle = box.bundle().args("true")
    log = box.path / "log"
    for n in (0, 1, 2):
        bundle.hook("poststop", "/bin/sh", args=["sh", "-c", f"echo {n} >> {log}; exit {n}"])
    result = box.run(bundle)
    assert result.status == 0, result
    assert log.read_text().split() == ["0", "1", "2"]
    assert "hooks.poststop[1]" in result.err and "hooks.poststop[2]" in result.err


@pytest.mark.parametrize("kind", KINDS[:5])
def test_hook_after_a_failed_one_does_not_run(box: Box, kind: str) -> None:
    bundle = box.bundle().args("true")
    file = "/log" if kind == "startContainer" else str(bundle.rootfs / "log")
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", "exit 1"])
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", f"echo > {file}"])
    result = box.run(bundle)
    assert result.status == 1, result
    assert not (bundle.rootfs / "log").exists()
    assert box.left() == []


@pytest.mark.parametrize("kind", ["prestart", "createContainer", "startContainer", "poststop"])
@pytest.mark.parametrize("timeout", [2147484, 2**31, 2**62])
def test_a_timeout_of_more_than_the_kernel_counts_to(box: Box, kind: str, timeout: int) -> None:
    bundle = box.bundle().args("true")
    bundle.hook(kind, "/bin/true", timeout=timeout)
    done = box.run(bundle)
    assert done.ok and not done.err, done


@pytest.mark.parametrize("kind", KINDS)
def test_hook_past_its_timeout_is_killed_with_what_it_started(box: Box, kind: str) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", "/bin/sleep 1000 & /bin/sleep 1000"], timeout=1)
    results = [box.create(bundle, "c"), box.call("start", "c"), box.call("delete", "--force", "c")]
    said = "".join(result.err for result in results)
    assert f"hooks.{kind}[0]" in said, said
    assert "hook ran past specified timeout of 1" in said, said
    assert box.left() == []


@pytest.mark.parametrize("kind, before", [*((kind, 0) for kind in KINDS[:3]), ("poststart", 1), ("poststop", 2)])
def test_interrupt_key_ends_a_command_whose_hook_hangs(box: Box, kind: str, before: int) -> None:
    """And the hook. What was being created is gone; what was there before can be deleted.

    before: how many commands of a container's life come first
    """
    bundle = box.bundle().args("sleep", "1000")
    fifo, first = box.path / "begun", box.path / "first"
    os.mkfifo(fifo)
    first.mkdir()
    hangs_once = f"/bin/rmdir {first} || exit 0; echo > {fifo}; exec /bin/sleep 1000"
    bundle.hook(kind, "/bin/sh", args=["sh", "-c", hangs_once])
    bundle.write()
    life = [["create", "--bundle", str(bundle.path), "c"], ["start", "c"], ["delete", "--force", "c"]]
    for words in life[:before]:
        box.ok(*words)
    hanging = box.begin(*life[before])
    fifo.read_text()
    hanging.process.send_signal(signal.SIGINT)
    result = hanging.finish()
    assert (result.status, result.out) == (130, ""), result
    if before:
        box.ok("delete", "--force", "c")
    assert box.left() == []


@pytest.mark.parametrize("kind", KINDS)
def test_hook_that_does_not_exist(box: Box, kind: str) -> None:
    bundle = box.bundle().args("true")
    bundle.hook(kind, "/no/such/hook")
    results = [box.create(bundle, "c"), box.call("start", "c"), box.call("delete", "--force", "c")]
    said = "".join(result.err for result in results)
    assert f"hooks.{kind}[0] (/no/such/hook): error running {kind} hook #0: start it: no such file" in said, said
    assert "no such file or directory (ENOENT)" in said, said
    assert box.left() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "no such file or directory (ENOENT) (the path is {whose}; if the file is there, its interpreter"),
        ("closed", "permission denied (EACCES) (it is no file that may be executed (chmod +x)"),
        ("bare", "exec format error (ENOEXEC) (a program of another architecture, or a script without #!)"),
    ],
)
def test_hook_that_cannot_be_started_is_told_why(box: Box, kind: str, name: str, said: str) -> None:
    bundle = box.bundle().args("true")
    for file, mode in (("closed", 0o644), ("bare", 0o755)):
        (bundle.rootfs / file).write_text("echo\n")
        (bundle.rootfs / file).chmod(mode)
    inside = kind == "startContainer"
    bundle.hook(kind, f"/{name}" if inside else f"{bundle.rootfs}/{name}")
    results = [box.create(bundle, "c"), box.call("start", "c"), box.call("delete", "--force", "c")]
    told = "".join(result.err for result in results)
    whose = "the container's" if inside else "the host's"
    assert f"error running {kind} hook #0: start it: {said.format(whose=whose)}" in told, told


def test_hook_without_args_is_called_by_its_path(box: Box) -> None:
    bundle = box.bundle().args("true")
    hook = script(box.path / "hook", f'#!/bin/sh\necho "$0 $#" > {box.path}/said\n')
    bundle.hook("createRuntime", hook)
    assert box.run(bundle).ok
    assert (box.path / "said").read_text() == f"{hook} 0\n"


def test_hook_that_reads_nothing_and_one_that_leaves_a_daemon(box: Box) -> None:
    """A large state and a pipe held open by a daemon must not hang the runtime."""
    bundle = box.bundle().args("true")
    bundle.config["annotations"] = {"big": "x" * 300000}
    bundle.hook("createRuntime", "/bin/true")
    bundle.hook("createRuntime", "/bin/sh", args=["sh", "-c", f"/bin/sleep 1000 & echo $! > {box.path}/daemon"])
    assert box.run(bundle).ok
    daemon = int((box.path / "daemon").read_text())
    assert daemon in leftovers.descendants()
    leftovers.kill({daemon})
    leftovers.reap()


def test_output_of_a_hook_is_one_printable_line_of_the_error(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.hook("createRuntime", "/bin/sh", args=["sh", "-c", r"printf 'a\nb\033[31mc\n'; exit 1"])
    result = box.run(bundle)
    assert result.status == 1
    assert result.err.count("\n") == 1 and "\033" not in result.err, result
    assert "a b" in result.err


def test_create_runtime_hook_can_enter_the_containers_network(box: Box) -> None:
    """What network plug-ins do: the namespaces exist, and the state names the process that is in them."""
    bundle = box.bundle().args("hostname")
    hook = script(
        box.path / "hook",
        "#!/bin/sh\npid=$(grep -o '\"pid\":[0-9]*' | cut -d: -f2)\nnsenter --target $pid --uts hostname renamed\n",
    )
    bundle.config.pop("hostname")
    bundle.hook("createRuntime", hook, env=["PATH=/bin:/usr/bin"])
    assert box.output(bundle) == "renamed\n"


def test_mounts_made_by_create_container_hooks_are_seen(box: Box) -> None:
    """createContainer hooks run after the mounts and before the switch of the root, in the container's namespace."""
    bundle: Bundle = box.bundle().args("cat", "/tmp/here")
    (box.path / "data").mkdir()
    (box.path / "data" / "here").write_text("mounted\n")
    bundle.hook(
        "createContainer", "/bin/mount", args=["mount", "--bind", str(box.path / "data"), str(bundle.rootfs / "tmp")]
    )
    assert box.output(bundle) == "mounted\n"
