"""process and what belongs to it: user, environment, limits, scheduling, personality, directories."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import Box

pytestmark = pytest.mark.root


def status_field(box: Box, name: str, **process: object) -> str:
    bundle = box.bundle().args("grep", f"^{name}:", "/proc/self/status")
    bundle.process.update(process)
    return box.output(bundle).split(":", 1)[1].strip()


def test_user_groups_and_umask(box: Box) -> None:
    bundle = box.bundle().shell("id -u; id -g; id -G; umask; grep ^Groups /proc/self/status")
    bundle.process["user"] = {"uid": 1234, "gid": 5678, "umask": 0o27, "additionalGids": [9, 5678, 4294967294]}
    lines = box.output(bundle).split("\n")
    assert lines[:4] == ["1234", "5678", "5678 9 4294967294", "0027"]
    assert lines[4].split()[1:] == ["9", "5678", "4294967294"]


def test_callers_groups_are_dropped(box: Box) -> None:
    bundle = box.bundle().args("grep", "^Groups", "/proc/self/status")
    bundle.write()
    result = box.call("run", "--bundle", str(bundle.path), "c", preexec_fn=lambda: os.setgroups([7, 8]))
    assert result.out.split() == ["Groups:"], result


def test_default_umask_is_022(box: Box) -> None:
    bundle = box.bundle().shell("umask")
    bundle.write()
    result = box.call("run", "--bundle", str(bundle.path), "c", preexec_fn=lambda: os.umask(0o77))
    assert result.out == "0022\n", result


@pytest.mark.parametrize("value", [0, 0o777, 0o77])
def test_umask(box: Box, value: int) -> None:
    bundle = box.bundle().shell("umask")
    bundle.process["user"]["umask"] = value
    assert int(box.output(bundle), 8) == value


def test_id_of_all_ones_is_refused(box: Box) -> None:
    """setuid(-1) would change nothing and succeed: the program would run as root."""
    for key in ("uid", "gid"):
        bundle = box.bundle().args("true")
        bundle.process["user"][key] = 2**32 - 1
        result = box.run(bundle)
        assert result.status == 1, result
        assert "process.user" in result.err, result
    assert box.left() == []


def test_cwd(box: Box) -> None:
    bundle = box.bundle().args("pwd")
    bundle.process["cwd"] = "/made/on/demand"
    assert box.output(bundle) == "/made/on/demand\n"
    assert (bundle.rootfs / "made/on/demand").stat().st_mode & 0o7777 == 0o755


def test_cwd_that_only_the_user_may_enter(box: Box) -> None:
    """root without CAP_DAC_OVERRIDE may not: the directory is entered again as the user."""
    bundle = box.bundle().args("pwd")
    (bundle.rootfs / "home").mkdir()
    os.chmod(bundle.rootfs / "home", 0o700)
    os.chown(bundle.rootfs / "home", 1000, 1000)
    bundle.process.update(cwd="/home", user={"uid": 1000, "gid": 1000})
    assert box.output(bundle) == "/home\n"


def test_cwd_that_the_user_may_not_enter(box: Box) -> None:
    bundle = box.bundle().args("pwd")
    (bundle.rootfs / "home").mkdir()
    os.chmod(bundle.rootfs / "home", 0o700)
    bundle.process.update(cwd="/home", user={"uid": 1000, "gid": 1000})
    result = box.run(bundle)
    # entered as root, as other runtimes do: the program is there, and can go nowhere
    assert result.ok or "process.cwd" in result.err, result
    assert box.left() == []


@pytest.mark.parametrize("way", ["/proc/self/fd/7", "/proc/1/fd/3", "/proc/self/cwd", "/proc/self/root/tmp"])
def test_cwd_by_a_descriptor_left_open_is_refused(box: Box, way: str) -> None:
    """The way of CVE-2024-21626."""
    bundle = box.bundle().args("pwd")
    bundle.process["cwd"] = way
    bundle.write()
    result = box.call("run", "--bundle", str(bundle.path), "c", pass_fds=[], preexec_fn=None)
    assert result.status == 1, result
    assert "process.cwd" in result.err, result
    assert box.left() == []


def test_cwd_through_a_link_of_the_image(box: Box) -> None:
    bundle = box.bundle().args("pwd", "-P")
    (bundle.rootfs / "link").symlink_to("/tmp")
    bundle.process["cwd"] = "/link"
    assert box.output(bundle) == "/tmp\n"


def test_environment(box: Box) -> None:
    bundle = box.bundle().args("env")
    bundle.process["env"] = ["A=1", "PATH=/bin", "A=2", "EMPTY=", "B=x=y", "ä=ü"]
    result = box.run(bundle, env={"PATH": "/usr/bin", "HOST": "1"})
    assert sorted(result.out.strip().split("\n")) == ["A=2", "B=x=y", "EMPTY=", "HOME=/", "PATH=/bin", "ä=ü"], result


@pytest.mark.parametrize(
    "passwd, home",
    [
        ("root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n", "/home/me"),
        ("me:x:1000:1000::/home/me:/bin/sh", "/home/me"),
        ("me:x:1000:1000::/first:/bin/sh\nme2:x:1000:1000::/second:/bin/sh\n", "/first"),
        ("", "/"),
        ("broken\n::::::\nx:y\nme:x:1000:1000::/late:\n", "/late"),
        ("me:x:01000:1000::/octal:\n", "/octal"),
        ("me:x:-1:1000::/minus:\nme:x:1000x:1000::/letters:\n", "/"),
        ("me:x:1000:1000:::/bin/sh\n", "/"),
        ("a" * 20000 + "\nme:x:1000:1000::/after-long:/bin/sh\n", "/after-long"),
        ("x:x:5:5::/x:/x\n" * 5000 + "me:x:1000:1000::/many:/bin/sh\n", "/many"),
    ],
)
def test_home_from_passwd(box: Box, passwd: str, home: str) -> None:
    bundle = box.bundle().shell("echo $HOME")
    (bundle.rootfs / "etc" / "passwd").write_text(passwd)
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.output(bundle) == f"{home}\n"


@pytest.mark.parametrize("kind", ["fifo", "link-out", "link-in", "directory", "huge", "device", "binary"])
def test_hostile_passwd(box: Box, kind: str) -> None:
    """It must not hang us, fill our memory, or have a file of the host read."""
    bundle = box.bundle().shell("echo $HOME")
    passwd = bundle.rootfs / "etc" / "passwd"
    secret = box.path / "secret"
    secret.write_text("me:x:1000:1000::/leaked:/bin/sh\n")
    if kind == "fifo":
        os.mkfifo(passwd)
    elif kind == "link-out":
        passwd.symlink_to(f"/{'../' * 12}{secret}")
    elif kind == "link-in":
        passwd.symlink_to("/tmp/passwd")
        (bundle.rootfs / "tmp" / "passwd").write_text("me:x:1000:1000::/inside:\n")
    elif kind == "directory":
        passwd.mkdir()
    elif kind == "huge":
        with open(passwd, "wb") as file:
            file.truncate(8 << 30)
    elif kind == "device":
        os.mknod(passwd, 0o20666, os.makedev(1, 5))
    elif kind == "binary":
        passwd.write_bytes(os.urandom(100000))
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.output(bundle) in ("/\n", "/inside\n")


def test_home_given_is_kept(box: Box) -> None:
    bundle = box.bundle().shell("echo $HOME")
    bundle.process["env"].append("HOME=/given")
    assert box.output(bundle) == "/given\n"


def test_rlimits(box: Box) -> None:
    bundle = box.bundle().shell("cat /proc/self/limits")
    asked = {
        "RLIMIT_NOFILE": ("Max open files", 77, 99), "RLIMIT_CORE": ("Max core file size", 0, 0),
        "RLIMIT_NPROC": ("Max processes", 50, 60), "RLIMIT_CPU": ("Max cpu time", 100, 200),
        "RLIMIT_FSIZE": ("Max file size", 1000000, 2000000), "RLIMIT_STACK": ("Max stack size", 8000000, 9000000),
    }  # fmt: skip
    bundle.process["rlimits"] = [{"type": name, "soft": soft, "hard": hard} for name, (_, soft, hard) in asked.items()]
    lines = box.output(bundle)
    for words, soft, hard in asked.values():
        line = next(line for line in lines.split("\n") if line.startswith(words))
        assert line[len(words) :].split()[:2] == [str(soft), str(hard)], line


def test_limits_do_not_hinder_the_setup(box: Box) -> None:
    """Hardly a file, no process: they are the user's limits, not ours."""
    bundle = box.bundle().args("true")
    bundle.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 10}, {"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NPROC", "soft": 1, "hard": 1},
    ]  # fmt: skip
    bundle.hook("createContainer", "/bin/true")
    bundle.linux["maskedPaths"] = ["/proc/kcore", "/sys/firmware"]
    result = box.run(bundle)
    assert result.ok, result


def test_limit_that_the_kernel_refuses_names_its_place(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.process["rlimits"] = [
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}, {"type": "RLIMIT_NOFILE", "soft": 2**63, "hard": 2**63},
    ]  # fmt: skip
    result = box.run(bundle)
    assert result.status == 1, result
    assert "process.rlimits[1] (RLIMIT_NOFILE)" in result.err, result
    assert box.left() == []


@pytest.mark.parametrize("value", [0, 500, 1000])
def test_oom_score_adj(box: Box, value: int) -> None:
    bundle = box.bundle().args("cat", "/proc/self/oom_score_adj")
    bundle.process["oomScoreAdj"] = value
    assert box.output(bundle) == f"{value}\n"


def test_oom_score_that_is_refused_names_its_place(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.process["oomScoreAdj"] = 1001
    result = box.run(bundle)
    assert result.status == 1, result
    assert "process.oomScoreAdj" in result.err
    assert box.left() == []


def io_priority(pid: int) -> str:
    return subprocess.run(["ionice", "-p", str(pid)], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    "given, words",
    [
        ({"class": "IOPRIO_CLASS_BE", "priority": 6}, "best-effort: prio 6"),
        ({"class": "IOPRIO_CLASS_IDLE", "priority": 0}, "idle"),
        ({"class": "IOPRIO_CLASS_RT", "priority": 2}, "realtime: prio 2"),
    ],
)
def test_io_priority(box: Box, given: dict[str, object], words: str) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.process["ioPriority"] = given
    assert io_priority(box.started(bundle)["pid"]) == words


@pytest.mark.parametrize(
    "given, policy, priority, nice",
    [
        ({"policy": "SCHED_BATCH", "nice": 7}, os.SCHED_BATCH, 0, 7),
        ({"policy": "SCHED_OTHER", "nice": -3}, os.SCHED_OTHER, 0, -3),
        ({"policy": "SCHED_IDLE"}, os.SCHED_IDLE, 0, 0),
        ({"policy": "SCHED_FIFO", "priority": 5}, os.SCHED_FIFO, 5, 0),
        ({"policy": "SCHED_RR", "priority": 9, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, os.SCHED_RR, 9, 0),
    ],
)
def test_scheduler(box: Box, given: dict[str, object], policy: int, priority: int, nice: int) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.process["scheduler"] = given
    created = box.create(bundle, "c")
    if not created.ok and "EPERM" in created.err:  # a cgroup without real-time share, or a host that forbids it
        pytest.skip(f"this host refuses it: {created.err}")
    assert created.ok, created
    box.ok("start", "c")
    pid = box.state()["pid"]
    assert os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == policy
    assert os.sched_getparam(pid).sched_priority == priority
    if policy in (os.SCHED_BATCH, os.SCHED_OTHER):
        assert os.getpriority(os.PRIO_PROCESS, pid) == nice


def test_deadline_scheduler(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.process["scheduler"] = {"policy": "SCHED_DEADLINE", "runtime": 10**6, "deadline": 10**8, "period": 10**8}
    created = box.create(bundle, "c")
    if not created.ok and ("EPERM" in created.err or "EBUSY" in created.err):
        pytest.skip(f"this host refuses it: {created.err}")
    assert created.ok, created
    assert os.sched_getscheduler(box.state()["pid"]) == 6


def test_personality(box: Box) -> None:
    bundle = box.bundle().args("uname", "-m")
    bundle.linux["personality"] = {"domain": "LINUX32"}
    assert box.output(bundle) in ("i686\n", "armv8l\n")
    bundle = box.bundle().args("cat", "/proc/self/personality")
    bundle.linux["personality"] = {"domain": "LINUX"}
    if os.geteuid() == 0:
        assert int(box.output(bundle), 16) == 0


def test_no_new_privileges(box: Box) -> None:
    assert status_field(box, "NoNewPrivs", noNewPrivileges=True) == "1"
    assert status_field(box, "NoNewPrivs", noNewPrivileges=False) == "0"


@pytest.mark.parametrize("on, gained", [(True, False), (False, True)])
def test_set_user_id_program_gains_nothing_with_it(box: Box, on: bool, gained: bool) -> None:
    # a copy that is no link of the template's; busybox gives rights up again, so ask for those it was started with
    bundle = box.bundle().args("/suid/busybox", "grep", "^CapPrm", "/proc/self/status")
    (bundle.rootfs / "suid").mkdir()
    copy = bundle.rootfs / "suid" / "busybox"
    copy.write_bytes((box.template / "bin" / "busybox").read_bytes())
    copy.chmod(0o4755)
    bundle.process.update(user={"uid": 1000, "gid": 1000}, noNewPrivileges=on)
    bundle.args("/suid/busybox", "sleep", "1000")
    pid = box.started(bundle)["pid"]
    groups = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().split("\n") if ":\t" in line)
    # the saved user ID is what the kernel gave, should busybox have dropped the others
    assert ("0" in groups["Uid"].split()) == gained, groups["Uid"]


def test_keyring(box: Box) -> None:
    """A session keyring of its own, unless told not to: the caller's keys are not the container's."""
    if not Path("/proc/keys").exists():
        pytest.skip("this kernel has no keys")
    show = box.bundle().args("cat", "/proc/keys")
    # names of our own: keyrings of containers that others run, or have just ended, are listed too
    for name, options, has in ((f"{box.tag}-1", (), True), (f"{box.tag}-2", ("--no-new-keyring",), False)):
        result = box.run(show, *options, name=name)
        assert result.ok, result
        assert (f" _ses.{name}: " in result.out) is has, result.out


def test_signals_are_those_of_a_fresh_process(box: Box) -> None:
    """Python ignores SIGPIPE; callers block and ignore more. None of it may reach the program."""
    import signal

    def spoil() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT})

    bundle = box.bundle().args("grep", "^Sig[BI]", "/proc/self/status")
    bundle.write()
    result = box.call("run", "--bundle", str(bundle.path), "c", preexec_fn=spoil)
    assert [int(line.split()[1], 16) for line in result.out.strip().split("\n")] == [0, 0], result


def test_large_arguments_and_environment(box: Box) -> None:
    bundle = box.bundle().shell("echo ${#BIG} $#")
    bundle.process["args"] += ["x"] + ["y" * 1000] * 500
    bundle.process["env"].append("BIG=" + "z" * 100000)
    assert box.output(bundle) == "100000 500\n"


def test_too_large_arguments_name_their_place(box: Box) -> None:
    bundle = box.bundle().args("echo", "x" * 200000)
    result = box.run(bundle)
    assert result.status == 1, result
    assert "process.args" in result.err and "E2BIG" in result.err
    assert box.left() == []


def test_streams_are_the_users_to_open(box: Box) -> None:
    """/dev/stdout of a pipe made by root: the user must be able to open it."""
    bundle = box.bundle().shell("echo again > /dev/stdout")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.write()
    read, write = os.pipe()
    result = box.call("run", "--bundle", str(bundle.path), "c", stdout=write)
    os.close(write)
    assert os.read(read, 100) == b"again\n", result
    os.close(read)


def test_what_is_absent_and_read_as_zero(box: Box) -> None:
    """As programs written in Go read it; also from the file of exec, and in what is kept for later commands."""
    bundle = box.bundle().args("sleep", "1000")
    process = bundle.process
    process["user"] = {}
    process["rlimits"] = [{"type": "RLIMIT_CORE"}]
    process["ioPriority"] = {"class": "IOPRIO_CLASS_BE"}
    process["consoleSize"] = {"height": 30}
    bundle.linux["devices"] = [{"type": "c", "path": "/dev/odd", "major": 1, "minor": 0}]
    bundle.linux["resources"] = {"devices": [{"access": "rwm"}, {"allow": True, "access": "rwm"}]}
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO", "args": [{"op": "SCMP_CMP_EQ"}]}],
    }
    box.started(bundle)
    shows = "id -u; id -g; ulimit -c; stat -c %t:%T /dev/odd"
    assert box.ok("exec", "c", "sh", "-c", shows).out.split() == ["0", "0", "0", "1:0"]
    document = {"args": ["sh", "-c", shows], "cwd": "/", "env": ["PATH=/bin"], "user": {"gid": 7}}
    (box.path / "process.json").write_text(json.dumps(document))
    assert box.ok("exec", "--process", str(box.path / "process.json"), "c").out.split()[:2] == ["0", "7"]
    told = box.call("validate", "--bundle", str(bundle.path))
    assert told.status == 1 and '"uid" is required; create and exec read its absence as zero' in told.out, told


NULLS = [
    "hooks", "annotations", "hostname", "process.rlimits", "process.capabilities", "process.apparmorProfile",
    "process.user.additionalGids", "process.oomScoreAdj", "linux.resources", "linux.sysctl", "linux.seccomp",
    "linux.maskedPaths", "linux.uidMappings", "linux.devices", "linux.rootfsPropagation", "linux.intelRdt",
    "linux.timeOffsets", "linux.netDevices", "linux.namespaces.0.path", "mounts.0.options", "root.readonly",
]  # fmt: skip


def test_null_counts_as_absent_for_the_whole_life_of_a_container(box: Box) -> None:
    """Go writes null for what nobody set. Every command reads the config, or what create has kept of it."""
    bundle = box.bundle().args("sleep", "1000")
    for path in NULLS:
        at: Any = bundle.config
        *way, last = path.split(".")
        for step in way:
            at = at[int(step) if step.isdigit() else step]
        at[last] = None
    box.started(bundle)
    assert box.ok("exec", "c", "echo", "x").out == "x\n"
    process = box.path / "process.json"
    wanted = {"args": ["echo", "y"], "cwd": "/", "env": None, "user": {"uid": 0, "gid": 0}, "rlimits": None}
    process.write_text(json.dumps(wanted))
    assert box.ok("exec", "--process", str(process), "c").out == "y\n"
    box.ok("update", "--pids-limit", "20", "c")
    box.ok("kill", "c", "KILL")
    box.ok("delete", "--force", "c")
