"""config.md, process: what the program is given, seen by the program."""

import os
from pathlib import Path
from typing import Any

import pytest

from conformance import host
from conformance.case import Case
from conformance.terminal import ConsoleSocket

CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
OPTIONAL = "config.md#valid-values lets a runtime choose what it supports"


def process(case: Case, **changes: Any) -> dict[str, Any]:
    return case.config(process=changes)


@pytest.mark.judges("config.process.cwd")
@pytest.mark.parametrize("cwd", ["/data", "/"])
def test_cwd(case: Case, cwd: str) -> None:
    case.equal("config.process.cwd", "working directory", cwd, case.observe(process(case, cwd=cwd))["cwd"])


@pytest.mark.judges("config.process.cwd-required", "config.process.cwd-absolute")
def test_bad_cwd(case: Case) -> None:
    case.refused("config.process.cwd-required", "a process without cwd", process(case, cwd=None))
    case.refused("config.process.cwd-required", "an empty cwd", process(case, cwd=""))
    case.refused("config.process.cwd-absolute", "the relative cwd data", process(case, cwd="data"))


@pytest.mark.judges("config.process.env")
def test_env(case: Case) -> None:
    env = ["PATH=/", "ONE=1", "SPACES=a b  c", "EMPTY=", "EQUALS=a=b", "HOME=/data", "UTF8=grün"]
    seen = case.observe(process(case, env=env))
    theirs = [entry.encode("latin-1").decode("utf-8") for entry in seen["env"]]
    missing = [entry for entry in env if entry not in theirs]
    case.equal("config.process.env", "variables missing", [], missing)
    strangers = [entry for entry in theirs if entry not in env]
    case.equal("config.process.env", "variables that nobody asked for", [], strangers)


@pytest.mark.judges("config.process.args", "runtime.start.runs-program")
def test_args(case: Case) -> None:
    args = ["/probe", "report", "read:/no such file", "stat:", "until:/data", "stat:/grün"]
    seen = case.observe(process(case, args=args))
    theirs = [entry.encode("latin-1").decode("utf-8") for entry in seen["args"]]
    for name in ("config.process.args", "runtime.start.runs-program"):
        case.equal(name, "arguments", args, theirs)


@pytest.mark.judges("config.process.args-search")
def test_args_are_searched_in_path(case: Case) -> None:
    seen = case.observe(process(case, args=["probe", "report"], env=["PATH=/no-such:/data:/"]))
    case.equal("config.process.args-search", "arguments of a program found in PATH", ["probe", "report"], seen["args"])


@pytest.mark.judges("config.process.args-required", "config.process.args-not-found")
def test_bad_args(case: Case) -> None:
    case.refused("config.process.args-required", "a process without args", process(case, args=None))
    case.refused("config.process.args-required", "empty args", process(case, args=[]))
    case.refused("config.process.args-not-found", "a program that does not exist", process(case, args=["/no/such"]))
    case.refused("config.process.args-not-found", "a program that PATH does not have", process(case, args=["no-such"]))
    case.refused("config.process.args-not-found", "a file that is no program", process(case, args=["/data/file"]))


@pytest.mark.judges("config.process.user.uid", "config.process.user.gid", "config.process.user.additional-gids")
def test_user(case: Case) -> None:
    case.needs_root()
    # the caller has a supplementary group of its own, which must not stick
    user = {"uid": 1000, "gid": 1001, "additionalGids": [1002, 7]}
    seen = case.observe(process(case, user=user), extra_groups=[4242])
    case.equal("config.process.user.uid", "real, effective, saved uid", [1000] * 3, seen["uids"])
    case.equal("config.process.user.gid", "real, effective, saved gid", [1001] * 3, seen["gids"])
    theirs = sorted(set(seen["groups"]) - {1001})
    case.equal("config.process.user.additional-gids", "supplementary groups", [7, 1002], theirs)
    none = case.observe(process(case, user={"uid": 0, "gid": 0}), extra_groups=[4242])
    theirs = sorted(set(none["groups"]) - {0})
    case.equal("config.process.user.additional-gids", "supplementary groups, none asked for", [], theirs)


@pytest.mark.judges("config.process.user.umask")
@pytest.mark.parametrize("umask", [0o077, 0o027, 0])
def test_umask(case: Case, umask: int) -> None:
    seen = case.observe(process(case, user={"uid": 0, "gid": 0, "umask": umask}), umask=0o022)
    case.equal("config.process.user.umask", "umask", oct(umask), oct(seen["umask"]))


@pytest.mark.judges("config.process.user.umask-unset")
def test_umask_unset(case: Case) -> None:
    seen = case.observe(case.config(), umask=0o026)
    case.equal("config.process.user.umask-unset", "umask, the caller's", oct(0o026), oct(seen["umask"]))


RLIMITS = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_DATA": 2,
    "RLIMIT_STACK": 3,
    "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9,
    "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13,
    "RLIMIT_RTPRIO": 14,
    "RLIMIT_RTTIME": 15,
}


def below(current: int, wish: int) -> int:
    """A limit that may be set without privilege: not above the current hard one."""
    return min(wish, current) if current >= 0 else wish


@pytest.mark.judges("config.process.rlimits.soft", "config.process.rlimits.hard", "config.process.rlimits.getrlimit")
def test_rlimits(case: Case) -> None:
    import resource

    wishes: dict[str, list[int]] = {}
    for name, number in RLIMITS.items():
        if name in ("RLIMIT_NICE", "RLIMIT_RTPRIO"):
            hard = below(resource.getrlimit(number)[1], 5)
            wishes[name] = [hard // 2, hard]
        else:
            hard = below(resource.getrlimit(number)[1], (1 << 31) + number if number not in (6, 7) else 900 + number)
            wishes[name] = [hard - 3, hard]
    limits = [{"type": name, "soft": soft, "hard": hard} for name, (soft, hard) in wishes.items()]
    seen = case.observe(process(case, rlimits=limits))
    theirs = {name: seen["rlimits"].get(str(number), [None, None]) for name, number in RLIMITS.items()}
    known = {name: value is not None for name, value in theirs.items()}
    case.equal("config.process.rlimits.getrlimit", "getrlimit succeeds", dict.fromkeys(RLIMITS, True), known)
    for index, which in enumerate(("soft", "hard")):
        wanted = {name: wish[index] for name, wish in wishes.items()}
        found = {name: pair[index] for name, pair in theirs.items()}
        case.equal(f"config.process.rlimits.{which}", f"{which} limits", wanted, found)


@pytest.mark.judges("config.process.rlimits.type-error", "config.process.rlimits.duplicate-error")
def test_bad_rlimits(case: Case) -> None:
    one = {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}
    unknown = process(case, rlimits=[{**one, "type": "RLIMIT_NONSENSE"}])
    case.refused("config.process.rlimits.type-error", "the type RLIMIT_NONSENSE", unknown)
    twice = process(case, rlimits=[one, {**one, "soft": 50}])
    case.refused("config.process.rlimits.duplicate-error", "RLIMIT_NOFILE twice", twice)


@pytest.mark.judges("config.process.apparmor-profile", "config.process.selinux-label")
def test_labels(case: Case) -> None:
    if host.has_apparmor():
        seen = case.observe(process(case, apparmorProfile="unconfined"))
        label = (seen["lsm_label"] or "").strip()
        case.equal("config.process.apparmor-profile", "AppArmor profile", "unconfined", label)
    else:
        config = process(case, apparmorProfile="a-profile")
        case.refused("config.process.apparmor-profile", "a profile on a host without AppArmor", config)
    if host.has_selinux():
        wanted = "system_u:system_r:container_t:s0:c4,c5"
        seen = case.observe(process(case, selinuxLabel=wanted))
        case.equal("config.process.selinux-label", "SELinux label", wanted, (seen["lsm_label"] or "").strip("\n\0"))
    else:
        config = process(case, selinuxLabel="system_u:system_r:container_t:s0")
        case.refused("config.process.selinux-label", "a label on a host without SELinux", config)


SETS = ("bounding", "permitted", "inheritable", "effective", "ambient")


@pytest.mark.judges(*(f"config.process.capabilities.{name}" for name in SETS))
def test_capabilities_of_root(case: Case) -> None:
    case.needs_root()
    wanted = {
        "bounding": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID"],
        "permitted": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID"],
        "effective": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID"],
        "inheritable": ["CAP_KILL", "CAP_CHOWN"],
        "ambient": [],
    }
    judge_capabilities(case, process(case, capabilities=wanted), wanted)


@pytest.mark.judges(*(f"config.process.capabilities.{name}" for name in SETS))
def test_capabilities_of_a_user(case: Case) -> None:
    """An ordinary user keeps over execve only what is ambient: permitted and effective are that set."""
    case.needs_root()
    kept = ["CAP_KILL"]
    asked = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "ambient": kept,
    }
    config = process(case, capabilities=asked, user={"uid": 1000, "gid": 1000})
    judge_capabilities(case, config, {**asked, "permitted": kept, "effective": kept})


@pytest.mark.judges(*(f"config.process.capabilities.{name}" for name in SETS))
def test_no_capabilities(case: Case) -> None:
    case.needs_root()
    none: dict[str, list[str]] = {name: [] for name in SETS}
    judge_capabilities(case, process(case, capabilities=none), none)


def judge_capabilities(case: Case, config: dict[str, Any], wanted: dict[str, list[str]]) -> None:
    seen = case.observe(config)["capabilities"]
    for name in SETS:
        numbers = sorted(CAPABILITIES[capability] for capability in wanted[name])
        case.equal(f"config.process.capabilities.{name}", f"{name} set {wanted[name]}", numbers, seen[name])


@pytest.mark.judges("config.process.capabilities.unknown-goes-on")
@pytest.mark.parametrize("name", ["CAP_OF_NO_KERNEL", "CAP_SYS_RESOURCE"])
def test_a_capability_that_cannot_be_granted(case: Case, name: str) -> None:
    sets = {which: ["CAP_KILL", name] for which in ("bounding", "permitted", "effective")}
    if name == "CAP_SYS_RESOURCE":
        case.needs(not host.capable(24), "the suite itself has CAP_SYS_RESOURCE, so that it can be granted")
    refused, seen = case.attempt(process(case, capabilities=sets, args=["/probe", "exit:0"]))
    case.judge("config.process.capabilities.unknown-goes-on", not refused, f"a container, without {name}", seen)


@pytest.mark.judges("config.process.no-new-privileges")
@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges(case: Case, value: bool) -> None:
    seen = case.observe(process(case, noNewPrivileges=value))
    case.equal("config.process.no-new-privileges", "no_new_privs", int(value), seen["no_new_privs"])


@pytest.mark.judges("config.process.oom-score-adj.set")
@pytest.mark.parametrize("value", [500, 0])
def test_oom_score_adj(case: Case, value: int) -> None:
    # without CAP_SYS_RESOURCE nobody may go below the lowest value that was set with it, which is usually 0
    wanted = value if host.capable(24) else value + 100
    with_own_score(case, 100)
    seen = case.observe(process(case, oomScoreAdj=wanted), anew=True)
    case.equal("config.process.oom-score-adj.set", "oom_score_adj", str(wanted), (seen["oom_score_adj"] or "").strip())


@pytest.mark.judges("config.process.oom-score-adj.unset")
def test_oom_score_adj_unset(case: Case) -> None:
    with_own_score(case, 123)
    seen = case.observe(case.config(), anew=True)
    case.equal("config.process.oom-score-adj.unset", "the caller's", "123", (seen["oom_score_adj"] or "").strip())


def with_own_score(case: Case, value: int) -> None:
    """Gives this process, and so the runtime, a score that is not the default."""
    own = Path("/proc/self/oom_score_adj")
    before = own.read_text()
    own.write_text(str(value))
    case.after(lambda: own.write_text(before))


OTHER, FIFO, RR, BATCH, IDLE, DEADLINE = 0, 1, 2, 3, 5, 6


@pytest.mark.judges("config.process.scheduler.policy", "config.process.scheduler.nice")
def test_scheduler_of_time_sharing(case: Case) -> None:
    batch = process(case, scheduler={"policy": "SCHED_BATCH", "nice": 5})
    seen = case.observe(batch, may_refuse=OPTIONAL)["scheduler"]
    case.equal("config.process.scheduler.policy", "policy SCHED_BATCH", BATCH, seen["policy"])
    case.equal("config.process.scheduler.nice", "nice", 5, seen["nice"])
    idle = case.observe(process(case, scheduler={"policy": "SCHED_IDLE"}), may_refuse=OPTIONAL)["scheduler"]
    case.equal("config.process.scheduler.policy", "policy SCHED_IDLE", IDLE, idle["policy"])


@pytest.mark.judges("config.process.scheduler.nice")
def test_nice_value_that_is_not_given(case: Case) -> None:
    """The caller has another one. Not with SCHED_IDLE: sched_setattr(2) leaves its nice value as it was."""
    case.needs(host.capable(23), "needs CAP_SYS_NICE")
    config = process(case, scheduler={"policy": "SCHED_BATCH"})
    seen = case.observe(config, may_refuse=OPTIONAL, preexec_fn=lambda: os.nice(3))["scheduler"]
    case.equal("config.process.scheduler.nice", "nice, not given", 0, seen["nice"])


@pytest.mark.judges("config.process.scheduler.policy", "config.process.scheduler.priority")
@pytest.mark.parametrize("policy", [FIFO, RR])
def test_scheduler_of_real_time(case: Case, policy: int) -> None:
    case.needs(host.capable(23), "needs CAP_SYS_NICE")
    name = {FIFO: "SCHED_FIFO", RR: "SCHED_RR"}[policy]
    # a v1 cpu cgroup without a real-time share lets nobody run in real time: it is asked for as well
    config = process(case, scheduler={"policy": name, "priority": 7})
    if host.cgroup_v1("cpu") and case.runtime.cgroup_manager == "cgroupfs":
        case.needs(False, "a cgroup v1 hierarchy with real-time group scheduling gives new groups no real time")
    seen = case.observe(config, may_refuse=OPTIONAL)["scheduler"]
    case.equal("config.process.scheduler.policy", name, policy, seen["policy"])
    case.equal("config.process.scheduler.priority", "priority", 7, seen["priority"])


@pytest.mark.judges("config.process.scheduler.flags")
def test_scheduler_flags(case: Case) -> None:
    flags = {"policy": "SCHED_BATCH", "nice": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}
    seen = case.observe(process(case, scheduler=flags), may_refuse=OPTIONAL)["scheduler"]
    case.equal("config.process.scheduler.flags", "SCHED_FLAG_RESET_ON_FORK", 1, seen["flags"] & 1)


@pytest.mark.judges("config.process.scheduler.deadline", "config.process.scheduler.policy")
def test_scheduler_of_deadlines(case: Case) -> None:
    case.needs(host.capable(23), "needs CAP_SYS_NICE")
    times = {"runtime": 10_000_000, "deadline": 30_000_000, "period": 40_000_000}
    config = process(case, scheduler={"policy": "SCHED_DEADLINE", **times})
    if case.runtime.cgroup_manager != "disabled" and host.cgroup_v1("cpu"):
        case.needs(False, "a cgroup v1 hierarchy with real-time group scheduling gives new groups no real time")
    seen = case.observe(config, may_refuse=OPTIONAL)["scheduler"]
    case.equal("config.process.scheduler.policy", "SCHED_DEADLINE", DEADLINE, seen["policy"])
    case.equal("config.process.scheduler.deadline", "times", times, {key: seen[key] for key in times})


@pytest.mark.judges("config.process.scheduler.policy-error", "config.process.io-priority-error")
def test_bad_scheduling(case: Case) -> None:
    policy = process(case, scheduler={"policy": "SCHED_NONSENSE"})
    case.refused("config.process.scheduler.policy-error", "the policy SCHED_NONSENSE", policy)
    io_class = process(case, ioPriority={"class": "IOPRIO_CLASS_NONSENSE", "priority": 1})
    case.refused("config.process.io-priority-error", "the class IOPRIO_CLASS_NONSENSE", io_class)


@pytest.mark.judges("config.process.io-priority")
@pytest.mark.parametrize(("name", "number"), [("BE", 2), ("IDLE", 3)])
def test_io_priority(case: Case, name: str, number: int) -> None:
    config = process(case, ioPriority={"class": f"IOPRIO_CLASS_{name}", "priority": 6})
    seen = case.observe(config, may_refuse=OPTIONAL)
    case.equal(
        "config.process.io-priority", "class and priority", (number, 6), (seen["ioprio"] >> 13, seen["ioprio"] & 7)
    )


@pytest.mark.judges("config.process.exec-cpu-affinity")
def test_exec_cpu_affinity_is_not_for_the_first_process(case: Case) -> None:
    case.needs(len(os.sched_getaffinity(0)) > 1, "needs two processors")
    usual = case.observe(case.config())["affinity"]
    one = str(usual[-1])
    seen = case.observe(process(case, execCPUAffinity={"initial": one, "final": one}))["affinity"]
    case.equal("config.process.exec-cpu-affinity", "affinity of the first process", usual, seen)


@pytest.mark.judges(
    "config.process.terminal",
    "config.process.console-size",
    "linux.devices.default.console",
)
def test_terminal(case: Case) -> None:
    config = process(case, terminal=True, consoleSize={"height": 43, "width": 97})
    container = case.container(
        case.config(config, process={"args": ["/probe", "report", "stat:/dev/console", "stat:/dev/stdin"]})
    )
    with ConsoleSocket(container.bundle.path / "tty") as console:
        created = container.create("--console-socket", str(console.path))
        if not created.ok:
            case.judge("config.process.terminal", False, "a container with a terminal", created)
            case.judge("config.process.console-size", False, "a container with a terminal", created)
            case.judge("linux.devices.default.console", False, "a container with a terminal", created)
            return
        master = console.receive()
        container.start()
        container.wait()
        seen = console.report(master)
    case.equal("config.process.terminal", "standard streams are terminals", [True] * 3, seen["terminal"]["isatty"])
    case.equal("config.process.terminal", "it is the controlling one", seen["sid"], seen["terminal"].get("session"))
    size = (seen["terminal"].get("rows"), seen["terminal"].get("columns"))
    case.equal("config.process.console-size", "rows and columns", (43, 97), size)
    link = seen["fds"]["0"].get("link", "")
    case.judge("config.process.terminal", link.startswith("/dev/pts/"), "a terminal of the container's devpts", link)
    terminal, device = seen.did("stat", "/dev/stdin"), seen.did("stat", "/dev/console")
    same = [device.get(f"target_{key}") for key in ("major", "minor", "dev")]
    wanted = [terminal.get(f"target_{key}") for key in ("major", "minor", "dev")]
    case.equal("linux.devices.default.console", "/dev/console, as a device", wanted, same)


@pytest.mark.judges("config.process.terminal-default", "config.process.console-size-ignored")
def test_no_terminal(case: Case) -> None:
    seen = case.observe(case.config())
    case.equal("config.process.terminal-default", "terminals", [False] * 3, seen["terminal"]["isatty"])
    seen = case.observe(process(case, consoleSize={"height": 43, "width": 97}))
    case.equal("config.process.console-size-ignored", "terminals", [False] * 3, seen["terminal"]["isatty"])


@pytest.mark.judges("runtime-linux.fds.stdio-only")
def test_descriptors(case: Case) -> None:
    reader, writer = os.pipe()
    case.after(lambda: os.close(reader))
    case.after(lambda: os.close(writer))
    seen = case.observe(case.config(), pass_fds=(reader, writer))
    case.equal("runtime-linux.fds.stdio-only", "open descriptors", ["0", "1", "2"], sorted(seen["fds"]))
