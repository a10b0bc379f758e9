"""config-linux.md, seccomp: what happens to system calls, tried one by one by the probe."""

import platform
from typing import Any

import pytest

from conformance.agent import Agent
from conformance.case import Case
from conformance.verdict import Refused

EPERM, ENOSYS, ENOENT, SIGSYS = 1, 38, 2, 31
OPTIONAL = "config.md#valid-values lets a runtime choose what it supports"


def filtered(case: Case, *rules: dict[str, Any], **seccomp: Any) -> dict[str, Any]:
    """The base configuration with a filter that allows everything but what the rules say."""
    content: dict[str, Any] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **seccomp}
    return case.config(linux={"seccomp": content}, process={"noNewPrivileges": True})


# getpriority is a call that the probe makes for no reason but a test
def rule(action: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"names": list(names) or ["getpriority"], "action": action, **more}


def outcome(case: Case, config: dict[str, Any], verb: str = "syscall:getpriority", **options: Any) -> tuple[int, int]:
    """(errno, signal) of the attempt."""
    attempt = case.observe(config, verb, **options).did(verb.split(":", maxsplit=1)[0])
    return attempt["errno"], attempt["signal"]


@pytest.mark.judges("linux.seccomp.action.errno", "linux.seccomp.errno-default", "linux.seccomp.names")
def test_errno(case: Case) -> None:
    config = filtered(case, rule("SCMP_ACT_ERRNO", "getpriority", "getsid"))
    for name in ("linux.seccomp.action.errno", "linux.seccomp.errno-default"):
        case.equal(name, "errno, signal of getpriority", (EPERM, 0), outcome(case, config))
    seen = case.observe(config, "syscall:getpriority", "syscall:getsid", "syscall:getuid")
    errors = [attempt["errno"] for attempt in seen["did"]]
    case.equal("linux.seccomp.names", "errno of two calls named, and of one that is not", [EPERM, EPERM, 0], errors)


@pytest.mark.judges("linux.seccomp.errno")
def test_errno_given(case: Case) -> None:
    config = filtered(case, rule("SCMP_ACT_ERRNO", errnoRet=ENOENT))
    case.equal("linux.seccomp.errno", "errno of getpriority", (ENOENT, 0), outcome(case, config))


# everything the probe and the C library need to report a little, when the default is an error
NEEDED = [
    "execve",
    "exit",
    "exit_group",
    "write",
    "writev",
    "read",
    "pread64",
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "prlimit64",
    "getrlimit",
    "readlink",
    "readlinkat",
    "getrandom",
    "newfstatat",
    "fstat",
    "stat",
    "lstat",
    "clone",
    "clone3",
    "fork",
    "vfork",
    "wait4",
    "rt_sigprocmask",
    "rt_sigaction",
    "rt_sigreturn",
    "open",
    "openat",
    "close",
    "futex",
    "sched_yield",
    "access",
    "faccessat",
    "faccessat2",
    "nanosleep",
    "clock_nanosleep",
    "tgkill",
    "gettid",
    "getpid",
    "madvise",
    "fcntl",
    "dup3",
    "dup2",
    "dup",
    "prctl",
    "capget",
    "capset",
    "setuid",
    "setgid",
    "setgroups",
    "setresuid",
    "setresgid",
    "chdir",
    "fchdir",
    "getcwd",
    "statx",
    "epoll_pwait",
    "epoll_ctl",
    "epoll_create1",
    "sigaltstack",
    "mincore",
    "eventfd2",
    "pipe2",
    "getdents64",
    "close_range",
    "ioctl",
    "umask",
    "statfs",
    "fstatfs",
    "lseek",
    "setsid",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "sendmsg",
    "recvmsg",
    "sendto",
    "recvfrom",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "keyctl",
    "getsockname",
    "getpeername",
    "socket",
    "connect",
    "accept4",
    "uname",
    "rt_sigtimedwait",
    "kill",
    "execveat",
    "unlinkat",
    "mkdirat",
    "fchmod",
    "fchown",
    "sched_getaffinity",
    "sched_setaffinity",
    "restart_syscall",
    "time",
    "clock_gettime",
    "gettimeofday",
]


def strict(case: Case, **seccomp: Any) -> dict[str, Any]:
    """A filter whose default is an error. sync is not on its list."""
    content: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": NEEDED, "action": "SCMP_ACT_ALLOW"}],
        **seccomp,
    }
    return case.config(linux={"seccomp": content}, process={"noNewPrivileges": True, "args": ["/probe"]})


@pytest.mark.judges("linux.seccomp.default-action", "linux.seccomp.default-errno-default", "linux.seccomp.action.allow")
def test_default_action(case: Case) -> None:
    seen = case.observe(strict(case), "syscall:sync", "syscall:getuid")
    error = seen.did("syscall", "sync")["errno"]
    for name in ("linux.seccomp.default-action", "linux.seccomp.default-errno-default"):
        case.equal(name, "errno of a call that no rule names", EPERM, error)
    case.equal(
        "linux.seccomp.action.allow", "errno of a call that is allowed", 0, seen.did("syscall", "getuid")["errno"]
    )


@pytest.mark.judges("linux.seccomp.default-errno")
def test_default_errno(case: Case) -> None:
    seen = case.observe(strict(case, defaultErrnoRet=ENOENT), "syscall:sync")
    case.equal(
        "linux.seccomp.default-errno", "errno of a call that no rule names", ENOENT, seen.did("syscall")["errno"]
    )


@pytest.mark.judges("linux.seccomp.default-errno-unsupported", "linux.seccomp.errno-unsupported")
@pytest.mark.parametrize("action", ["SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS"])
def test_errno_with_other_actions(case: Case, action: str) -> None:
    with_errno = filtered(case, rule(action, errnoRet=ENOENT), defaultAction="SCMP_ACT_LOG")
    case.refused("linux.seccomp.errno-unsupported", f"errnoRet with {action}", with_errno)
    default = filtered(case, rule("SCMP_ACT_ERRNO"), defaultAction="SCMP_ACT_ALLOW", defaultErrnoRet=ENOENT)
    case.refused("linux.seccomp.default-errno-unsupported", "defaultErrnoRet with SCMP_ACT_ALLOW", default)


ACTIONS: dict[str, tuple[str, list[tuple[int, int]]]] = {
    "kill": ("SCMP_ACT_KILL", [(-1, SIGSYS)]),
    "kill-process": ("SCMP_ACT_KILL_PROCESS", [(-1, SIGSYS)]),
    "kill-thread": ("SCMP_ACT_KILL_THREAD", [(-1, SIGSYS)]),
    "trap": ("SCMP_ACT_TRAP", [(-1, SIGSYS)]),
    "trace": ("SCMP_ACT_TRACE", [(ENOSYS, 0)]),
    "log": ("SCMP_ACT_LOG", [(0, 0)]),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.judges(f"linux.seccomp.action.{name}")) for name in ACTIONS]
)
def test_action(case: Case, name: str) -> None:
    action, wanted = ACTIONS[name]
    found = outcome(case, filtered(case, rule(action)))
    case.judge(f"linux.seccomp.action.{name}", found in wanted, f"{action}: errno and signal {wanted}", found)


@pytest.mark.judges(
    "linux.seccomp.action.kill", "linux.seccomp.action.kill-thread", "linux.seccomp.action.kill-process"
)
def test_whom_a_kill_takes(case: Case) -> None:
    for name, action, process_ends in (
        ("kill", "SCMP_ACT_KILL", False),
        ("kill-thread", "SCMP_ACT_KILL_THREAD", False),
        ("kill-process", "SCMP_ACT_KILL_PROCESS", True),
    ):
        attempt = case.observe(filtered(case, rule(action)), "thread:getpriority").did("thread")
        found = attempt["signal"] == SIGSYS
        case.equal(f"linux.seccomp.action.{name}", f"{action} of one thread ends the process", process_ends, found)


OPERATORS: dict[str, tuple[dict[str, Any], list[tuple[int, bool]]]] = {
    "ne": ({"value": 7, "op": "SCMP_CMP_NE"}, [(6, True), (7, False), (8, True)]),
    "lt": ({"value": 7, "op": "SCMP_CMP_LT"}, [(6, True), (7, False), (8, False)]),
    "le": ({"value": 7, "op": "SCMP_CMP_LE"}, [(6, True), (7, True), (8, False)]),
    "eq": ({"value": 7, "op": "SCMP_CMP_EQ"}, [(6, False), (7, True), (8, False)]),
    "ge": ({"value": 7, "op": "SCMP_CMP_GE"}, [(6, False), (7, True), (8, True)]),
    "gt": ({"value": 7, "op": "SCMP_CMP_GT"}, [(6, False), (7, False), (8, True)]),
    "masked-eq": (
        {"value": 0xF0, "valueTwo": 0x50, "op": "SCMP_CMP_MASKED_EQ"},
        [(0x5A, True), (0x6A, False), (0x15F, True)],
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.judges(f"linux.seccomp.op.{name}")) for name in OPERATORS]
)
def test_operator(case: Case, name: str) -> None:
    condition, cases = OPERATORS[name]
    config = filtered(case, rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=77, args=[{"index": 0, **condition}]))
    seen = case.observe(config, *(f"syscall:getpgid:{value}" for value, _ in cases))
    found = [(value, attempt["errno"] == 77) for (value, _), attempt in zip(cases, seen["did"])]
    case.equal(f"linux.seccomp.op.{name}", f"matches of {condition}", cases, found)


@pytest.mark.judges("linux.seccomp.args-index")
def test_index(case: Case) -> None:
    second = [{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}]
    config = filtered(case, rule("SCMP_ACT_ERRNO", "setpriority", errnoRet=77, args=second))
    seen = case.observe(config, "syscall:setpriority:99:5", "syscall:setpriority:5:99")
    found = [attempt["errno"] == 77 for attempt in seen["did"]]
    case.equal("linux.seccomp.args-index", "matches of index 1 = 5, with (99, 5) and (5, 99)", [True, False], found)


@pytest.mark.judges(
    "linux.seccomp.action-error",
    "linux.seccomp.architecture-error",
    "linux.seccomp.flag-error",
    "linux.seccomp.op-error",
    "linux.seccomp.names-empty-error",
)
def test_bad_values(case: Case) -> None:
    nonsense = [{"index": 0, "value": 1, "op": "SCMP_CMP_NONSENSE"}]
    for name, asked, config in (
        ("action-error", "SCMP_ACT_NONSENSE", filtered(case, rule("SCMP_ACT_NONSENSE"))),
        ("action-error", "a default of SCMP_ACT_NONSENSE", filtered(case, defaultAction="SCMP_ACT_NONSENSE")),
        (
            "architecture-error",
            "SCMP_ARCH_NONSENSE",
            filtered(case, rule("SCMP_ACT_ERRNO"), architectures=["SCMP_ARCH_NONSENSE"]),
        ),
        (
            "flag-error",
            "a flag of no kernel",
            filtered(case, rule("SCMP_ACT_ERRNO"), flags=["SECCOMP_FILTER_FLAG_NONSENSE"]),
        ),
        ("op-error", "SCMP_CMP_NONSENSE", filtered(case, rule("SCMP_ACT_ERRNO", args=nonsense))),
        ("names-empty-error", "names: []", filtered(case, {"names": [], "action": "SCMP_ACT_ERRNO"})),
    ):
        case.refused(f"linux.seccomp.{name}", asked, config)


@pytest.mark.judges("linux.seccomp.flags")
@pytest.mark.parametrize("flag", ["TSYNC", "LOG", "SPEC_ALLOW"])
def test_flags(case: Case, flag: str) -> None:
    config = filtered(case, rule("SCMP_ACT_ERRNO"), flags=[f"SECCOMP_FILTER_FLAG_{flag}"])
    found = outcome(case, config, may_refuse=OPTIONAL)
    case.equal("linux.seccomp.flags", f"errno and signal of getpriority, with {flag}", (EPERM, 0), found)


OTHERS = {"x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]}


@pytest.mark.judges("linux.seccomp.architectures")
def test_architectures(case: Case) -> None:
    machine = platform.machine()
    case.needs(machine in OTHERS, "the probe knows a second entry to the kernel on x86_64 and aarch64 only")
    plain = case.observe(case.config(), "entry32").did("entry32")
    case.needs(plain["errno"] == 0 and plain["signal"] == 0, "the kernel has no 32-bit system calls")
    both = filtered(case, rule("SCMP_ACT_ERRNO", "getppid", errnoRet=77), architectures=OTHERS[machine])
    found = case.observe(both, "entry32", "syscall:getppid")
    errors = [attempt["errno"] for attempt in found["did"]]
    case.equal("linux.seccomp.architectures", f"errno of getppid, of 32 bits and on {machine}", [77, 77], errors)


LISTENER = ("stream-socket", "one-state", "closed", "fd", "metadata")
STATE = ("json", "scm-rights", "fds-first", "oci-version", "pid", "state")


@pytest.mark.judges(
    "linux.seccomp.action.notify",
    *(f"linux.seccomp.listener.{name}" for name in LISTENER),
    *(f"linux.seccomp.state.{name}" for name in STATE),
)
def test_the_agent(case: Case) -> None:
    path = case.session.place / f"agent-{case.session.next_name()}"
    case.after(lambda: path.unlink(missing_ok=True))
    config = filtered(
        case, rule("SCMP_ACT_NOTIFY", "sethostname"), listenerPath=str(path), listenerMetadata="some data"
    )
    config["process"]["args"] = ["/probe", "report", "syscall:sethostname:0:0"]
    with Agent(path, errno=77) as agent:
        container = case.container(config)
        created = container.create()
        started = container.start() if created.ok else created
        if not started.ok:
            raise Refused("create or start", str(started))
        pid = container.pid
        seen = case.report_of(container)
        state = agent.state()
    case.equal("linux.seccomp.action.notify", "errno, the agent's", 77, seen.did("syscall")["errno"])
    case.judge("linux.seccomp.listener.stream-socket", agent.connections, "a connection", agent.connections)
    sent = [message[:60] for message in agent.messages]
    case.judge("linux.seccomp.listener.one-state", state and agent.connections == 1, "one state, one connection", sent)
    case.equal("linux.seccomp.listener.closed", "closed by the runtime", True, agent.closed_by_runtime)
    names = state.get("fds")
    case.equal("linux.seccomp.listener.fd", "fds", ["seccompFd"], names)
    case.equal("linux.seccomp.listener.metadata", "metadata", "some data", state.get("metadata"))
    case.judge("linux.seccomp.state.json", state, "a JSON object", sent)
    passed = agent.descriptors_by_message
    case.equal("linux.seccomp.state.scm-rights", "descriptors passed", 1, sum(passed))
    case.equal("linux.seccomp.state.fds-first", "descriptors of the first message", 1, passed[0] if passed else 0)
    version = state.get("ociVersion")
    case.judge("linux.seccomp.state.oci-version", isinstance(version, str) and version, "ociVersion", version)
    case.equal("linux.seccomp.state.pid", "pid", pid, state.get("pid"))
    inner = state.get("state") or {}
    found = (inner.get("id"), inner.get("bundle"))
    case.equal("linux.seccomp.state.state", "id and bundle in state", (container.id, str(container.bundle.path)), found)


@pytest.mark.judges(
    "linux.seccomp.listener.send-error", "linux.seccomp.listener.ignored", "linux.seccomp.listener.metadata-alone-error"
)
def test_the_agent_is_not_there(case: Case) -> None:
    nobody = "/no/such/agent"
    config = filtered(case, rule("SCMP_ACT_NOTIFY", "sethostname"), listenerPath=nobody)
    case.refused("linux.seccomp.listener.send-error", "SCMP_ACT_NOTIFY with nobody listening", config)
    ignored = filtered(case, rule("SCMP_ACT_ERRNO"), listenerPath=nobody)
    case.equal("linux.seccomp.listener.ignored", "errno and signal of getpriority", (EPERM, 0), outcome(case, ignored))
    alone = filtered(case, rule("SCMP_ACT_ERRNO"), listenerMetadata="data")
    case.refused("linux.seccomp.listener.metadata-alone-error", "listenerMetadata without listenerPath", alone)
