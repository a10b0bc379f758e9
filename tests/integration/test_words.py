"""Texts that people's scripts and documentation know from runc, and that a drop-in has to say, too."""

import json
import os
import re
import select
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.calls import MKDIR, rule
from tests.support.command import run as command

pytestmark = pytest.mark.root
NO_AGENT = "failed to connect with seccomp agent specified in the seccomp profile: "
SETS = ("bounding", "effective", "permitted")


def asking(path: Path, *names: str) -> "dict[str, Any]":
    rules = [rule(*names, action="SCMP_ACT_NOTIFY")]
    return {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path), "syscalls": rules}


def test_an_agent_that_is_not_there(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.process["noNewPrivileges"] = False  # the filter is then loaded by create
    for path in (box.path / "nobody.sock", box.path / "no" / "directory.sock"):
        bundle.linux["seccomp"] = asking(path, *MKDIR)
        result = box.run(bundle)
        assert result.status == 1
        assert f"unable to start container process: linux.seccomp.listenerPath: {NO_AGENT}" in result.err
        assert "no such file or directory (ENOENT)" in result.err


def test_what_an_agent_cannot_judge(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["seccomp"] = asking(box.path / "agent.sock", "write")
    assert "SCMP_ACT_NOTIFY cannot be used for the write syscall" in box.run(bundle).err
    bundle.linux["seccomp"] = {**asking(box.path / "agent.sock", *MKDIR), "defaultAction": "SCMP_ACT_NOTIFY"}
    assert "SCMP_ACT_NOTIFY cannot be used as default action" in box.run(bundle).err
    bundle.linux["seccomp"] = asking(box.path / "agent.sock", *MKDIR)
    del bundle.linux["seccomp"]["listenerPath"]
    assert "listenerPath is not set" in box.run(bundle).err


def test_an_ambient_capability_that_is_not_inheritable(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.process["capabilities"] = {**{kind: ["CAP_KILL"] for kind in SETS}, "ambient": ["CAP_KILL"]}
    result = box.run(bundle)
    assert result.ok and result.err == "", "buildah asks for it each time, and shows its user what we say"
    assert "ambient" in box.call("validate", "--bundle", str(bundle.path)).out


@pytest.mark.parametrize("kind", ["proc", "sysfs"])
@pytest.mark.parametrize("way", ["link", "dangling", "file"])
def test_a_filesystem_that_wants_an_ordinary_directory(box: Box, kind: str, way: str) -> None:
    bundle = box.bundle().args("true")
    mount = next(mount for mount in bundle.config["mounts"] if mount["type"] == kind)
    place = bundle.rootfs / mount["destination"].strip("/")
    if place.exists():
        shutil.rmtree(place)
    if way == "file":
        place.touch()
    else:
        place.symlink_to("tmp" if way == "link" else "nowhere")
    err = box.run(bundle).err
    assert f'error mounting \\"{kind}\\" to rootfs at \\"{mount["destination"]}\\": ' in err
    assert f'filesystem \\"{kind}\\" must be mounted on ordinary directory' in err
    assert f"mounts[{bundle.config['mounts'].index(mount)}] ({mount['destination']})" in err


def test_exec_into_a_cgroup_that_is_not_there(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    err = box.call("exec", "--cgroup", "/nope", "c", "true").err
    known = r"error adding pid \d+ to cgroups: failed to write \d+: |can't open cgroup: "
    assert re.search(rf"({known})open /sys/fs/cgroup/\S*/nope/cgroup.procs: no such file or directory \(ENOENT\)", err)
    assert "../.. is not a sub cgroup path" in box.call("exec", "--cgroup", "../..", "c", "true").err


INIT = "unable to start container process: error during container init: "


def other(bundle: Bundle, path: str, value: Any) -> Bundle:
    """The bundle with another value at a place of its config."""
    at: Any = bundle.config
    *way, last = path.split("/")
    for name in way:
        at = at[int(name)] if name.isdigit() else at.setdefault(name, {})
    at[int(last) if last.isdigit() else last] = value
    return bundle


def no_namespace(kind: str) -> "list[dict[str, str]]":
    return [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount", "cgroup") if name != kind]


SECCOMP = {"defaultAction": "SCMP_ACT_ALLOW"}
COMPARED = {"names": [*MKDIR], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "NEAR"}]}
MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
# What runc 1.1.5 says to the same config on Debian 12; of its `error during container init: ` what we find out before
# there is one has none
REFUSED = [
    ("linux/sysctl", {"kernel.pid_max": "1"}, 'sysctl "kernel.pid_max" is not in a separate kernel namespace'),
    ("linux/sysctl", {"": "1"}, 'sysctl "" is not in a separate kernel namespace'),
    ("linux/sysctl", {"kernel.hostname": "x"},
     'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field'),
    ("linux/sysctl", {"net.ipv4.nosuch": "1"},
     INIT + "linux.sysctl[net.ipv4.nosuch]: open /proc/sys/net/ipv4/nosuch: no such file or directory"),
    ("linux/sysctl", {"net.ipv4.ip_forward": "x"},
     INIT + "linux.sysctl[net.ipv4.ip_forward]: write /proc/sys/net/ipv4/ip_forward: invalid argument"),
    ("process/env", ["PATH=/bin", "FOO"], 'process.env[1]: invalid environment variable: "FOO"'),
    ("process/env", [""], 'process.env[0]: invalid environment variable: ""'),
    ("process/env", ["=x=y"], 'process.env[0]: environment variable name can\'t be empty: "=x=y"'),
    ("process/env", ["A=\0b"], "environment variable value can't contain null(\\x00): \"A=\\x00b\""),
    ("process/rlimits", [{"type": "RLIMIT_FOO", "soft": 1, "hard": 1}], "wrong rlimit value: "),
    ("process/rlimits", [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}],
     "process.rlimits[0]: error setting rlimit type 4: invalid argument"),
    ("process/rlimits", [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 2**40}],
     f"{INIT}process.rlimits[0] (RLIMIT_NOFILE): error setting rlimits for ready process: error setting rlimit type 7: "
     "operation not permitted (EPERM) (fs.nr_open is "),
    ("linux/namespaces/1/path", "/nope", "namespace path: lstat /nope: no such file or directory"),
    ("linux/namespaces/1/path", "/etc/passwd", "failed to setns into network namespace: it is no namespace"),
    ("linux/namespaces/1/path", "/proc/self/ns/ipc", "failed to setns into network namespace: "),
    ("linux/namespaces/1/path", "/proc/self/ns/./ipc", "failed to setns into network namespace: "),
    ("linux/namespaces/0", {"type": "network"}, 'malformed spec file: duplicated ns {"network" ""}'),
    ("linux/namespaces/0", {"type": "nosuch"}, 'namespace {"nosuch" ""} does not exist'),
    ("linux/namespaces/0", {"type": "user"}, "User namespaces enabled, but no uid mappings found"),
    ("linux/seccomp", {"defaultAction": "SCMP_ACT_FOO"}, "string SCMP_ACT_FOO is not a valid action for seccomp"),
    ("linux/seccomp", {**SECCOMP, "architectures": ["SCMP_ARCH_FOO"]},
     "string SCMP_ARCH_FOO is not a valid arch for seccomp"),
    ("linux/seccomp", {**SECCOMP, "syscalls": [COMPARED]}, "string NEAR is not a valid operator for seccomp"),
    ("linux/rootfsPropagation", "foo", "rootfsPropagation=foo is not supported"),
    ("linux/devices", [{"path": "/dev/x", "type": "q", "major": 1, "minor": 3}], 'invalid device type "q"'),
    ("process/cwd", "", "process.cwd: Cwd property must not be empty"),
    ("process/cwd", "x", "process.cwd: Cwd must be an absolute path"),
    ("process/cwd", "/bin/busybox", f"{INIT}process.cwd: mkdir /bin/busybox: not a directory"),
    ("mounts/3", {"destination": "/a", "source": "/nope", "options": ["bind"]},
     f'{INIT}mounts[3] (/a): error mounting "/nope" to rootfs at "/a": stat /nope: no such file or directory'),
    ("mounts/3", {"destination": "/a", "type": "tmpsf", "source": "x"},
     f'{INIT}mounts[3] (/a): error mounting "x" to rootfs at "/a": open filesystem type: tmpsf: no such device'),
    ("mounts/3", {"destination": "/bin", "source": "/etc/passwd", "options": ["bind"]},
     'error mounting "/etc/passwd" to rootfs at "/bin": a file on a directory: not a directory'),
    ("mounts/3", {"destination": "/etc/file", "source": "/etc", "options": ["bind"]},
     'error mounting "/etc" to rootfs at "/etc/file": '),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), REFUSED, ids=[case[0] for case in REFUSED])
def test_words_of_refusals(box: Box, path: str, value: Any, words: str) -> None:
    bundle = other(box.bundle().args("true"), path, value)
    (bundle.rootfs / "etc" / "file").touch()
    result = box.call("--log", str(box.path / "log"), *written(bundle))
    assert result.status == 1 and words in result.err, result
    assert box.left() == []


def written(bundle: Bundle) -> "list[str]":
    bundle.write()
    return ["create", "--bundle", str(bundle.path), "c"]


@pytest.mark.parametrize(
    ("kind", "key", "words"),
    [("ipc", "kernel.shmmax", "is not allowed in the hosts ipc namespace"),
     ("network", "net.ipv4.ip_forward", "not allowed in host network namespace"),
     ("uts", "kernel.domainname", "is not in a separate kernel namespace")],
)  # fmt: skip
def test_words_for_sysctls_of_the_host(box: Box, kind: str, key: str, words: str) -> None:
    bundle = other(box.bundle().args("true"), "linux/sysctl", {key: "1"})
    del bundle.config["hostname"]
    for spaces in (no_namespace(kind), [*no_namespace(kind), {"type": kind, "path": f"/proc/self/ns/{kind[:3]}"}]):
        bundle.linux["namespaces"] = spaces
        assert f'sysctl \\"{key}\\" {words}' in box.call(*written(bundle)).err


def test_words_for_a_limit_that_takes_a_capability(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.process["rlimits"] = [{"type": "RLIMIT_MEMLOCK", "soft": 64, "hard": 2**40}]
    poor = ["prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
    result = command([*poor, *box.words(*written(bundle))])
    assert f"{INIT}process.rlimits[0] (RLIMIT_MEMLOCK): error setting rlimits for ready process: " in result.err
    assert "error setting rlimit type 8: operation not permitted (EPERM) (raising a hard limit takes CAP" in result.err


def test_words_for_a_source_that_the_runtime_opens(box: Box, tmp_path: Path) -> None:
    """With a user namespace that may not pass the way to it."""
    closed = box.path / "closed"
    closed.mkdir(mode=0o700)
    bundle = box.bundle().args("true")
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = MAPS
    bundle.bind(closed / "nope", "/a")
    err = box.call("--log", str(box.path / "log"), *written(bundle)).err
    assert f'{INIT}mounts[4] (/a): error mounting "{closed}/nope" to rootfs at "/a": stat {closed}/nope: no such' in err


@pytest.mark.parametrize("path", ["/a/b", "a:b", "a:b:c:d"])
def test_words_for_a_path_that_is_no_units(box: Box, path: str) -> None:
    """The same on a host without systemd: the path is looked at first."""
    bundle = other(box.bundle().args("true"), "linux/cgroupsPath", path)
    words = ["--systemd-cgroup", "--log", str(box.path / "log"), *written(bundle)]
    expected = f'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "{path}" instead'
    assert expected in box.call(*words).err


EXEC = [
    (["-u", "foo"], 'parsing foo as int for uid failed: bad uid: "foo"'),
    (["-u", "1:foo"], 'parsing foo as int for gid failed: bad gid: "foo"'),
    (["--cwd", "/nope"], 'chdir to cwd ("/nope") set in config.json failed: no such file or directory'),
    (["--cwd", "/bin/busybox"], 'chdir to cwd ("/bin/busybox") set in config.json failed: not a directory'),
    (["--cwd", "nope"], "Cwd must be an absolute path"),
    (["-e", "FOO"], 'invalid environment variable: "FOO"'),
    (["-e", "=x=y"], 'environment variable name can\'t be empty: "=x=y"'),
    (["--process", "/nope"], "open /nope: no such file or directory"),
]


def test_words_of_exec(box: Box) -> None:
    log = ["--log", str(box.path / "log")]
    assert "exec failed: container does not exist" in box.call(*log, "exec", "c", "true").err
    first = os.pidfd_open(box.started(box.bundle().args("sleep", "1000"))["pid"])
    for options, words in EXEC:
        result = box.call(*log, "exec", *options, "c", "true")
        assert result.status == 255 and result.err.startswith("exec failed: "), result
        assert words in result.err, result
        assert "error during container init" not in result.err
    box.ok("pause", "c")
    paused = "exec failed: cannot exec in a paused container (use --ignore-paused to override)"
    assert paused in box.call(*log, "exec", "c", "true").err
    box.ok("resume", "c")
    box.ok("kill", "c", "KILL")
    assert select.select([first], [], [], 30)[0]
    os.close(first)
    leftovers.reap()
    assert "exec failed: cannot exec in a stopped container" in box.call(*log, "exec", "c", "true").err


PHASES = {
    "create": ["reading config.json", "checking the config", "compiling the plan", "starting the container's process"],
    "start": ["the container's state", "talking with the container's process"],
    "exec": ["checking the config", "compiling the plan", "starting the container's process"],
    "delete": ["killing what is left of the container", "the container's cgroups"],
    "run": ["reading config.json", "compiling the plan", "waiting for the container's process"],
}


def test_debug_says_the_phases(box: Box) -> None:
    """Each command's lines are in its log, with --debug alone, in their order; a log is JSON throughout."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    quick = box.bundle().args("true")
    quick.write()
    for words in (
        ["create", "--bundle", str(bundle.path), "c"],
        ["start", "c"],
        ["exec", "c", "true"],
        ["delete", "--force", "c"],
        ["run", "--bundle", str(quick.path), "q"],
    ):
        log = box.path / f"{words[0]}.log"
        box.ok("--debug", "--log-format", "json", "--log", str(log), *words)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        said = [line["msg"] for line in lines if line["level"] == "debug"]
        places = [said.index(f"{words[0]}: {phase}") for phase in PHASES[words[0]]]
        assert places == sorted(places), said
    box.ok("--log", str(log), "run", "--bundle", str(quick.path), "q")
    assert len(log.read_text().splitlines()) == len(lines)


def received(server: socket.socket) -> int:
    peer, _ = server.accept()
    with peer:
        fds = socket.recv_fds(peer, 100, 1)[1]
    return fds[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_through_the_pidfd_right_after_start(box: Box, number: signal.Signals) -> None:
    """Also before init has become the program: it ends either way, and is not lost."""
    bundle = box.bundle().args("sleep", "1000")
    if number != signal.SIGKILL:  # the kernel keeps others from the first process of a pid namespace
        bundle.without("pid")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(box.path / "s"))
        server.listen(1)
        box.made_container(bundle, "c", "--pidfd-socket", str(box.path / "s"))
        pidfd = received(server)
    try:
        box.ok("start", "c")
        signal.pidfd_send_signal(pidfd, number)
        assert select.select([pidfd], [], [], 30)[0]
    finally:
        os.close(pidfd)
    assert box.state()["status"] == "stopped"
