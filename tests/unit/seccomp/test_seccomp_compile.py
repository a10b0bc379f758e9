"""What a profile may hold, how it is refused, and what happens to calls that are younger than it."""

import errno
from typing import Any

import pytest
from bpf import Call, decode, run
from reference import NATIVE, SETS, numbers

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.plan import ops, seccomp
from pyoci.plan.model import Plan
from pyoci.plan.request import Request
from pyoci.seccomp import compiler

READ, FUTEX_WAITV, NEVER = numbers(NATIVE)["read"], 449, 900
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050000 | errno.ENOSYS


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action, **more}


def answers(document: dict[str, Any], *numbers: int) -> list[int]:
    code = decode(compiler.compile_profile(document).program)
    return [run(code, Call(SETS[NATIVE].token, number).words()) for number in numbers]


def test_calls_younger_than_the_profile_do_not_exist() -> None:
    document = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("read", "openat2")]}
    assert answers(document, READ, 437, 438, NEVER, 1) == [ALLOW, ALLOW, ENOSYS, ENOSYS, EPERM]


def test_a_denied_call_counts_for_the_age_of_the_profile() -> None:
    rules = [rule("read"), rule("futex_waitv", action="SCMP_ACT_ERRNO", errnoRet=13)]
    assert answers({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}, 448, FUTEX_WAITV) == [EPERM, 0x0005000D]


def test_calls_of_arm_alone_are_not_younger() -> None:
    """Their numbers lie above all others. No program of 32-bit arm starts without set_tls."""
    rules = [rule("openat2", "set_tls")]
    document = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_ARM"], "syscalls": rules}
    code = decode(compiler.compile_profile(document).program)
    arm = [run(code, Call(SETS["arm"].token, number).words()) for number in (437, 438, 0xEFFFF, 0xF0002, 0xF0005)]
    assert arm == [ALLOW, ENOSYS, ENOSYS, EPERM, ALLOW]


@pytest.mark.parametrize("action", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
def test_a_profile_that_lets_newer_calls_through_is_left_alone(action: str) -> None:
    document = {"defaultAction": action, "syscalls": [rule("read", action="SCMP_ACT_ERRNO")]}
    assert ENOSYS not in answers(document, READ, NEVER)


def test_a_profile_that_says_enosys_itself_needs_no_help() -> None:
    document = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.ENOSYS, "syscalls": [rule("read")]}
    assert answers(document, READ, 1, NEVER) == [ALLOW, ENOSYS, ENOSYS]


def test_a_profile_without_rules_knows_no_age() -> None:
    assert answers({"defaultAction": "SCMP_ACT_ERRNO"}, READ, NEVER) == [EPERM, EPERM]


def test_unknown_calls_are_skipped() -> None:
    document = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("no_such_call", "read", "ümläut")]}
    assert answers(document, READ, READ + 1) == [ALLOW, ENOSYS]


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("SCMP_ACT_KILL", 0),
        ("SCMP_ACT_KILL_THREAD", 0),
        ("SCMP_ACT_KILL_PROCESS", 0x80000000),
        ("SCMP_ACT_TRAP", 0x00030000),
        ("SCMP_ACT_ERRNO", 0x00050001),
        ("SCMP_ACT_TRACE", 0x7FF00001),
        ("SCMP_ACT_LOG", 0x7FFC0000),
        ("SCMP_ACT_NOTIFY", 0x7FC00000),
    ],
)
def test_every_action(action: str, code: int) -> None:
    assert answers({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("read", action=action)]}, READ) == [code]


def test_every_action_is_tested() -> None:
    assert len(compiler.ACTIONS) == 9


@pytest.mark.parametrize("value", [0, 1, 13, 4094])
def test_errnos(value: int) -> None:
    rules = [rule("read", action="SCMP_ACT_ERRNO", errnoRet=value)]
    assert answers({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}, READ) == [0x00050000 | value]
    assert answers({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": value}, READ) == [0x00050000 | value]


def test_many_rules_are_searched_by_halves() -> None:
    """The list's depth shows in the number of steps to the last answer; by halves it stays small."""
    names = ["read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "mprotect", "munmap"]
    names += ["brk", "ioctl", "pread64", "pwrite64", "readv", "writev", "access", "pipe", "select", "sched_yield"]
    names += ["mremap", "msync", "mincore", "madvise", "shmget", "shmat", "shmctl", "dup", "dup2", "pause", "nanosleep"]
    document = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(name) for name in names]}
    code = decode(compiler.compile_profile(document).program)
    steps = max(_steps(code, number) for number in range(450))
    assert steps < 24, "with a list it would be more than the number of rules"


def _steps(code: list[Any], number: int) -> int:
    counted = _Counted(code)
    run(counted, Call(SETS[NATIVE].token, number).words())
    return counted.looked


class _Counted(list):  # type: ignore[type-arg]
    looked = 0

    def __getitem__(self, at: Any) -> Any:
        self.looked += 1
        return super().__getitem__(at)


# Refusals


def refusal(document: dict[str, Any]) -> Error:
    with pytest.raises(Error) as caught:
        compiler.compile_profile(document)
    return caught.value


def test_an_architecture_of_the_other_byte_order() -> None:
    problem = refusal({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_S390X"]})
    assert problem.location == "linux.seccomp.architectures[1]"
    assert "byte order" in problem.text


def test_an_architecture_that_the_library_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler.Library, "_token", lambda self, name: 0)
    problem = refusal({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_M68K"]})
    assert problem.location == "linux.seccomp.architectures[0]"
    assert "does not know SCMP_ARCH_M68K" in problem.text


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "NAME", "libseccomp.so.no")
    problem = refusal({"defaultAction": "SCMP_ACT_ALLOW"})
    assert "libseccomp.so.no, which is not installed" in problem.text
    assert "install" in problem.hint


def test_a_filter_that_is_too_large() -> None:
    rules = []
    for value in range(1500):
        args = [{"index": index, "value": value << 32 | value, "op": "SCMP_CMP_EQ"} for index in range(3)]
        rules.append(rule("ioctl", args=args))
    problem = refusal({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})
    assert problem.location == "linux.seccomp"
    assert "4096" in problem.text


# The step


def step(document: Any, **process: Any) -> Plan:
    config = {"process": process, "linux": {"seccomp": document}}
    plan = Plan()
    seccomp.compile_seccomp(Request(config, None, "/bundle", "c"), plan)  # type: ignore[arg-type]
    return plan


def flags(document: dict[str, Any]) -> int:
    (found,) = step(document).steps
    assert found.operation == ops.SECCOMP
    value = found.fields[1]
    assert type(value) is int
    return value


def test_flags() -> None:
    base: dict[str, Any] = {"defaultAction": "SCMP_ACT_ALLOW"}
    assert flags(base) == kernel.SECCOMP_FILTER_FLAG_SPEC_ALLOW
    assert flags({**base, "flags": []}) == 0
    both = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]
    assert flags({**base, "flags": both}) == kernel.SECCOMP_FILTER_FLAG_LOG | kernel.SECCOMP_FILTER_FLAG_TSYNC


def test_flags_of_a_profile_that_asks_an_agent() -> None:
    base: dict[str, Any] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/s"}
    asks = {**base, "syscalls": [rule("mkdir", action="SCMP_ACT_NOTIFY")]}
    listener = kernel.SECCOMP_FILTER_FLAG_NEW_LISTENER
    assert flags({**asks, "flags": []}) == listener
    # the thread that hands the listener over must stay unfiltered
    assert flags({**asks, "flags": ["SECCOMP_FILTER_FLAG_TSYNC"]}) == listener
    killable = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
    assert flags({**asks, "flags": killable}) == listener | kernel.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV


def test_wait_killable_without_an_agent_is_told() -> None:
    plan = step({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]})
    assert plan.steps[0].fields[1] == 0
    assert "WAIT_KILLABLE_RECV" in plan.warnings[0]


@pytest.mark.parametrize("document", [None, {}, {"architectures": ["SCMP_ARCH_X86"]}])
def test_unconfined(document: Any) -> None:
    assert step(document).steps == []


@pytest.mark.parametrize("architectures", [["SCMP_ARCH_X32"], ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]])
@pytest.mark.parametrize("foreign", ["waitpid", "set_tls", "s390_runtime_instr"])
def test_a_call_that_x86_64_has_not_got_takes_no_rule_away(architectures: "list[str]", foreign: str) -> None:
    """With x32 in one filter libseccomp 2.5.4 would forget the rule with args: what it forbids would be allowed."""
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": architectures,
        "syscalls": [
            {"names": [foreign], "action": "SCMP_ACT_TRAP"},
            {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_NE"}]},
            {"names": ["write"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 0, "op": "SCMP_CMP_NE"}]},
        ],
    }
    if NATIVE != "64":
        pytest.skip("x32 is of x86-64")
    filter = decode(compiler.compile_profile(profile).program)
    for number in (0, 1):
        assert run(filter, Call(SETS["64"].token, number, [9] * 6).words()) == 0x00050001
    assert run(filter, Call(SETS["64"].token, 0, [7] * 6).words()) == 0x7FFF0000
