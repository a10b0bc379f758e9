"""Filters on real processes: loaded at the right moment, for start and for exec, and asked of an agent."""

import array
import fcntl
import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.support.box import Box
from tests.support.calls import MKDIR, arm32, numbers, rule
from tests.support.command import Started, run, tampered

pytestmark = pytest.mark.root
PROFILES = Path(__file__).parents[1] / "data" / "seccomp"
SLEEP = "while :; do sleep 0.1; done"
_RECV, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV and _SEND, linux/seccomp.h
MKDIRS = numbers(*MKDIR)


def denies(*names: str, errno: int = 13) -> "dict[str, Any]":
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule(*names, errnoRet=errno)]}


# Filters


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("*.json")))
def test_engines_profiles(box: Box, name: str, uid: int, late: bool) -> None:
    """With and without no_new_privs, as root and not: an engine's profile lets through what we do ourselves."""
    bundle = box.bundle().shell("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; cat /proc/self/comm")
    bundle.linux["seccomp"] = json.loads((PROFILES / f"{name}.json").read_text())
    bundle.process.update(user={"uid": uid, "gid": uid}, noNewPrivileges=late)
    result = box.run(bundle)
    assert result.out.split() == ["NoNewPrivs:", str(int(late)), "Seccomp:", "2", "cat"], result


@pytest.mark.parametrize(("call", "errno"), [(0xF0005, 0), (0xF0002, 1), (39, 28), (900, 38)])
@pytest.mark.skipif(os.uname().machine != "aarch64", reason="needs a processor that runs programs of 32-bit arm, too")
def test_a_program_of_32_bit_arm(box: Box, call: int, errno: int) -> None:
    """set_tls, without which none starts, cacheflush, mkdir, and a call of years to come."""
    bundle = box.bundle().args("/arm32")
    program = bundle.rootfs / "arm32"
    program.write_bytes(arm32(call))
    program.chmod(0o755)
    try:
        run([str(program)])
    except OSError as problem:
        pytest.skip(f"this machine runs no programs of 32-bit arm: {problem}")
    rules = [rule("execve", "exit", "set_tls", action="SCMP_ACT_ALLOW"), rule(*MKDIR, errnoRet=28)]
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "syscalls": rules,
    }
    assert box.run(bundle).status == errno


def test_a_denied_call_gets_its_errno(box: Box) -> None:
    bundle = box.bundle().shell("mkdir /tmp/x")
    bundle.linux["seccomp"] = denies(*MKDIR, errno=28)
    result = box.run(bundle)
    assert result.status == 1
    assert "No space left on device" in result.err


def test_the_first_create_of_a_root_keeps_its_filter(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["seccomp"] = denies(*MKDIR)
    assert not box.root.exists()
    assert box.run(bundle).ok
    assert len(list((box.root / "@seccomp").iterdir())) == 1


@pytest.mark.parametrize(("action", "status"), [("KILL", 128 + 31), ("KILL_PROCESS", 128 + 31), ("TRAP", 128 + 31)])
def test_actions_that_end_the_process(box: Box, action: str, status: int) -> None:
    bundle = box.bundle().args("mkdir", "/tmp/x")
    rules = [rule(*MKDIR, action=f"SCMP_ACT_{action}")]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    assert box.run(bundle).status == status


def test_a_call_for_a_tracer_that_is_not_there_does_not_exist(box: Box) -> None:
    bundle = box.bundle().args("mkdir", "/tmp/x")
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule(*MKDIR, action="SCMP_ACT_TRACE")]}
    assert "Function not implemented" in box.run(bundle).err


@pytest.mark.parametrize("flag", ["LOG", "TSYNC", "SPEC_ALLOW"])
def test_flags(box: Box, flag: str) -> None:
    bundle = box.bundle().args("grep", "Speculation_Store_Bypass", "/proc/self/status")
    bundle.linux["seccomp"] = {**denies(*MKDIR), "flags": [f"SECCOMP_FILTER_FLAG_{flag}"]}
    assert "Speculation_Store_Bypass" in box.output(bundle)


def test_what_a_filter_must_allow_with_no_new_privs(box: Box) -> None:
    """Of what the runtime does itself only execve comes after the filter."""
    bundle = box.bundle().args("/bin/true")
    busybox = [
        "arch_prctl", "brk", "execve", "exit", "exit_group", "getuid", "geteuid", "getgid", "getegid", "mprotect",
        "prctl", "prlimit64", "readlink", "readlinkat", "rseq", "set_robust_list", "set_tid_address", "setuid",
        "setgid",
        "getrandom", "uname",
    ]  # fmt: skip
    rules = [rule(*busybox, action="SCMP_ACT_ALLOW")]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": rules}
    result = box.run(bundle)
    assert result.ok, result


def test_exec_gets_the_containers_filter(box: Box) -> None:
    bundle = box.bundle().shell(SLEEP)
    bundle.linux["seccomp"] = denies(*MKDIR)
    box.started(bundle)
    result = box.call("exec", "c", "mkdir", "/tmp/x")
    assert result.status == 1
    assert "Permission denied" in result.err
    box.ok("exec", "c", "true")


@pytest.mark.parametrize("late", [True, False])
def test_hooks_of_the_image_are_filtered(box: Box, late: bool) -> None:
    bundle = box.bundle().args("true")
    bundle.process["noNewPrivileges"] = late
    bundle.linux["seccomp"] = denies(*MKDIR)
    for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
        bundle.hook(kind, "/bin/mkdir", args=["mkdir", str(box.path / kind)])
    bundle.hook("startContainer", "/bin/mkdir", args=["mkdir", "/tmp/hook"])
    result = box.run(bundle)
    assert result.status == 1 and "hooks.startContainer[0]" in result.err and "Permission denied" in result.err, result
    assert not (bundle.rootfs / "tmp" / "hook").exists()
    assert (box.path / "createContainer").is_dir() and (box.path / "poststop").is_dir()


def test_the_compiled_filter_is_kept_and_is_no_container(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["seccomp"] = denies(*MKDIR)
    box.output(bundle)
    box.output(bundle)
    (entry,) = (box.root / "@seccomp").iterdir()
    before = entry.stat().st_mtime_ns
    box.output(bundle)
    assert entry.stat().st_mtime_ns == before
    assert box.ok("list", "-q").out == ""


def test_a_refused_profile_leaves_nothing(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["seccomp"] = {**denies(*MKDIR), "architectures": ["SCMP_ARCH_S390X"]}
    result = box.create(bundle, "c")
    assert result.status == 1
    assert "linux.seccomp.architectures[0]" in result.err
    assert box.names() == []


# Agents


class Agent:
    """Listens at a socket, takes one listener with what came along, answers one call, and lets it go."""

    def __init__(self, path: Path, answer: "Callable[[int], Optional[bytes]]") -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(4)
        self.socket.settimeout(60)
        self.documents: "list[dict[str, Any]]" = []
        self.calls: "list[int]" = []
        self.answer = answer
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            data, ancillary, _, _ = peer.recvmsg(1 << 16, socket.CMSG_SPACE(64))
            fds = array.array("i")
            for level, kind, bytes_ in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(bytes_)
            while True:
                more = peer.recv(1 << 16)
                if not more:
                    break
                data += more
            self.documents.append(json.loads(data))
            threading.Thread(target=self._decide, args=(fds[0],), daemon=True).start()

    def _decide(self, listener: int) -> None:
        """Until nobody is left who could ask."""
        import select

        while True:
            poll = select.poll()
            poll.register(listener, select.POLLIN)
            (_, event), *_ = poll.poll(60000) or [(0, select.POLLHUP)]
            if event & select.POLLHUP:
                return
            request = bytearray(80)
            try:
                fcntl.ioctl(listener, _RECV, request)
            except OSError:
                continue
            (token,), (number,) = struct.unpack_from("=Q", request), struct.unpack_from("=i", request, 16)
            self.calls.append(number)
            error = self.answer(number)
            response = struct.pack("=QqiI", token, 0, -error if error else 0, 0 if error else 1)
            try:
                fcntl.ioctl(listener, _SEND, bytearray(response))
            except OSError:
                continue

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def agent(box: Box) -> Any:
    made: "list[Agent]" = []

    def make(answer: "Callable[[int], Optional[int]]") -> Agent:
        made.append(Agent(box.path / "agent.sock", answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def asking(path: Path, *names: str, **more: Any) -> "dict[str, Any]":
    rules = [rule(*names, action="SCMP_ACT_NOTIFY")]
    return {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path), "syscalls": rules, **more}


@pytest.mark.parametrize("late", [True, False])
def test_an_agent_decides(box: Box, agent: Any, late: bool) -> None:
    listening = agent(lambda number: 122 if number in MKDIRS else None)
    bundle = box.bundle().shell("mkdir /tmp/x")
    bundle.process["noNewPrivileges"] = late
    bundle.config["annotations"] = {"a": "b"}
    bundle.linux["seccomp"] = asking(listening.path, *MKDIR, listenerMetadata="of the test")
    result = box.run(bundle, name="asked")
    assert "Disk quota exceeded" in result.err or "Quota exceeded" in result.err, result
    (document,) = listening.documents
    assert document["ociVersion"] == "1.3.0"
    assert document["fds"] == ["seccompFd"]
    assert document["metadata"] == "of the test"
    assert document["pid"] == document["state"]["pid"] > 1
    assert document["state"]["id"] == "asked"
    assert document["state"]["status"] == "creating"
    assert document["state"]["bundle"] == str(bundle.path)
    assert document["state"]["annotations"] == {"a": "b"}


def test_an_agent_is_asked_by_exec_too(box: Box, agent: Any) -> None:
    listening = agent(lambda number: 122 if number in MKDIRS else None)
    bundle = box.bundle().shell(SLEEP)
    bundle.linux["seccomp"] = asking(listening.path, *MKDIR)
    pid = box.started(bundle)["pid"]
    assert box.call("exec", "c", "mkdir", "/tmp/x").status == 1
    assert set(MKDIRS) & set(listening.calls)
    first, second = listening.documents
    assert first["pid"] == pid
    assert second["pid"] not in (0, pid)
    assert second["state"]["pid"] == pid
    assert second["state"]["status"] == "running"
    assert "metadata" not in second


@pytest.mark.parametrize("late", [True, False])
def test_an_agent_may_judge_the_call_that_brings_it_the_listener(box: Box, agent: Any, late: bool) -> None:
    """sendmsg goes out of a thread that is not filtered: otherwise both sides would wait for ever."""
    listening = agent(lambda number: None)
    bundle = box.bundle().args("true")
    bundle.process["noNewPrivileges"] = late
    bundle.linux["seccomp"] = asking(listening.path, "sendmsg", "recvmsg", "recvfrom", "close", "execve")
    assert box.run(bundle).ok
    assert listening.calls


def test_a_filter_may_forbid_what_the_handover_needs(box: Box, agent: Any) -> None:
    listening = agent(lambda number: None)
    bundle = box.bundle().args("true")
    profile = asking(listening.path, *MKDIR)
    needed = ("sendmsg", "recvfrom", "recvmsg", "sched_yield", "futex")
    profile["syscalls"].append(rule(*needed, action="SCMP_ACT_KILL_PROCESS"))
    bundle.linux["seccomp"] = profile
    assert box.run(bundle).ok


def test_nobody_listens(box: Box) -> None:
    """A tracer holds init up in its end: `start` does not leave a container that still runs."""
    bundle = box.bundle().args("true")
    bundle.linux["seccomp"] = asking(box.path / "nobody.sock", *MKDIR)
    pid = box.made_container(bundle, "c")["pid"]
    tracer = Started([*tampered("exit_group:delay_enter=1000000"), "-p", str(pid)])
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        assert tracer.process.poll() is None
    result = box.call("start", "c")
    assert result.status == 1
    assert "linux.seccomp.listenerPath" in result.err
    assert "(ENOENT)" in result.err
    assert box.state()["status"] == "stopped"
    tracer.finish()


def test_nobody_listens_any_more_at_exec(box: Box, agent: Any) -> None:
    listening = agent(lambda number: None)
    bundle = box.bundle().shell(SLEEP)
    bundle.linux["seccomp"] = asking(listening.path, *MKDIR)
    box.started(bundle)
    listening.close()
    listening.path.unlink()
    result = box.call("exec", "c", "true")
    assert result.status != 0
    assert "linux.seccomp.listenerPath" in result.err
    assert box.state()["status"] == "running"


def test_without_a_rule_that_asks_nobody_is_told(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.linux["seccomp"] = {**denies(*MKDIR), "listenerPath": str(box.path / "nobody.sock")}
    assert box.run(bundle).ok
