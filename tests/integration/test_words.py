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
from support.box import Box
from support.calls import MKDIR, rule

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
