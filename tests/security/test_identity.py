"""Users, groups, capabilities, cgroups, and what `exec` gets."""

import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest
from controls import Control

from tests.support.box import Box
from tests.support.calls import MKDIR, rule

covers = pytest.mark.covers
SLEEP = "while :; do sleep 0.1; done"
STATUS = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig(Blk|Ign|Cgt))' /proc/self/status"


def status(text: str) -> "dict[str, list[str]]":
    return {words[0]: words[1:] for words in (line.split() for line in text.splitlines())}


@covers("CVE-2016-3697")
def test_a_number_is_a_number(box: Box) -> None:
    bundle = box.bundle().shell(f"{STATUS}; {SLEEP}")
    (bundle.rootfs / "etc" / "passwd").write_text("1000:x:0:0::/:/bin/sh\n")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    box.started(bundle.shell(SLEEP))
    assert status(box.ok("exec", "-u", "1000", "c", "sh", "-c", STATUS).out)["Uid:"] == ["1000"] * 4
    assert Path(f"/proc/{box.state()['pid']}/status").read_text().split("Uid:\t")[1].split()[0] == "1000"


BAD = ["4294967295", "4294967296", "-1", "9223372036854775808", "1.5", "true", '"0"', "[]", "1e300"]


@covers("CVE-2024-40635", "CVE-2026-46680", "P13")
@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("key", ["uid", "gid", "additionalGids"])
def test_ids_out_of_range(box: Box, key: str, value: str) -> None:
    bundle = box.bundle().args("id")
    bundle.process["user"] = {"uid": 0, "gid": 0, **({key: ["@"]} if key == "additionalGids" else {key: "@"})}
    bundle.write()
    config = bundle.path / "config.json"
    config.write_text(config.read_text().replace('"@"', value))
    result = box.call("run", "--bundle", str(bundle.path), "c")
    assert result.status == 1, result
    assert f"process.user.{key}" in result.err
    assert result.err.count("\n") == 1


@covers("CVE-2024-40635", "CVE-2026-46680")
def test_a_runtime_that_takes_minus_one_is_caught(box: Box, crun: Control) -> None:
    bundle = box.bundle().args("id", "-u")
    bundle.process["user"] = {"uid": 4294967295, "gid": 0}
    crun.failed(crun.run(bundle).out == "0\n")


NO_NUMBERS = ["1e0", "0x1", "\uff11", "1_0", " 1", "1 ", "+1"]


@covers("CVE-2024-40635", "CVE-2026-30892", "P15")
@pytest.mark.parametrize("user", [*NO_NUMBERS, "-1", "4294967295", "4294967296", "1:", ":1", "1:-1", "root", ""])
def test_users_of_exec_that_are_none(box: Box, user: str) -> None:
    box.started(box.bundle().shell(SLEEP))
    result = box.call("exec", "-u", user, "c", "id")
    assert result.status != 0, result
    assert "uid=" not in result.out


@covers("CVE-2026-30892")
@pytest.mark.parametrize(("user", "ids"), [("1", ("1", "0")), ("7:8", ("7", "8")), ("0:5", ("0", "5"))])
def test_users_of_exec(box: Box, user: str, ids: "tuple[str, str]") -> None:
    box.started(box.bundle().shell(SLEEP))
    found = status(box.ok("exec", "-u", user, "c", "sh", "-c", STATUS).out)
    assert (found["Uid:"][0], found["Gid:"][0]) == ids


# Capabilities and groups


@covers("CVE-2016-8867", "CVE-2018-10856", "CVE-2021-20188")
def test_a_user_gets_no_capabilities_unless_ambient(box: Box) -> None:
    bundle = box.bundle().shell(STATUS)
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    names = ["CAP_CHOWN", "CAP_NET_ADMIN"]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted", "inheritable"), names)
    bundle.process["capabilities"]["ambient"] = []
    found = status(box.output(bundle))
    assert [int(found[name][0], 16) for name in ("CapPrm:", "CapEff:", "CapAmb:")] == [0, 0, 0]


@covers("CVE-2022-29162", "CVE-2022-27650", "CVE-2025-27612", "CVE-2022-24769")
@covers("CVE-2022-27649", "CVE-2022-27651", "CVE-2022-27652")
@pytest.mark.parametrize("options", [[], ["--cap", "CAP_SYS_ADMIN"], ["-u", "1"], ["-u", "1", "--cap", "CAP_CHOWN"]])
def test_exec_has_no_inheritable_capabilities(box: Box, options: "list[str]") -> None:
    box.started(box.bundle().shell(SLEEP))
    found = status(box.ok("exec", *options, "c", "sh", "-c", STATUS).out)
    assert int(found["CapInh:"][0], 16) == 0
    if "-u" not in options:
        assert int(found["CapAmb:"][0], 16) == 0


@covers("CVE-2022-29162")
def test_the_template_has_no_inheritable_capabilities(box: Box) -> None:
    bundle = box.bundle()
    box.ok("spec", "--bundle", str(bundle.path))
    assert "inheritable" not in json.loads((bundle.path / "config.json").read_text())["process"]["capabilities"]


@covers("CVE-2022-36109", "CVE-2022-2989", "CVE-2022-2990", "CVE-2022-2995", "CVE-2023-25173")
@pytest.mark.parametrize("groups", [[], [5, 6]])
def test_groups_are_the_configs(box: Box, groups: "list[int]") -> None:
    """None of the caller's is left, none of the config's missing, for init and for exec."""
    bundle = box.bundle().shell(SLEEP)
    bundle.process["user"] = {"uid": 7, "gid": 8, "additionalGids": groups}
    options: "dict[str, Any]" = {"extra_groups": [4242, 777]}
    box.made_container(bundle, "c", **options)
    box.ok("start", "c")
    line = Path(f"/proc/{box.state()['pid']}/status").read_text().split("Groups:\t")[1].splitlines()[0]
    assert line.split() == [str(group) for group in groups]
    words = [f"--additional-gids={group}" for group in groups]
    found = status(box.ok("exec", "-u", "7:8", *words, "c", "sh", "-c", STATUS, **options).out)
    assert "4242" not in found["Groups:"]
    assert "777" not in found["Groups:"]


@covers("CVE-2019-10144", "CVE-2019-10145", "CVE-2019-10147")
def test_exec_is_as_confined_as_init(box: Box) -> None:
    look = f"{STATUS}; cat /proc/self/cgroup /proc/self/limits; for n in /proc/self/ns/*; do readlink $n; done"
    bundle = box.bundle().shell(f"({look}) > /tmp/i; touch /tmp/done; {SLEEP}")
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule(*MKDIR)]}
    box.started(bundle)
    process = box.path / "process.json"
    wait = "while ! test -e /tmp/done; do :; done"
    process.write_text(json.dumps({**bundle.process, "args": ["sh", "-c", f"{wait}; {look}"]}))
    out = box.ok("exec", "--process", str(process), "c").out
    assert out == (bundle.rootfs / "tmp" / "i").read_text()


# Cgroups and sizes


@covers("exec-process-capabilities")
@pytest.mark.parametrize("uid", [0, 1000])
def test_a_process_file_that_says_little_gets_no_more_than_init(box: Box, mutant: Any, uid: int) -> None:
    """Capabilities, no_new_privs, user and limits that FILE leaves out are the container's."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.process["user"] = {"uid": uid, "gid": uid}
    file = box.path / "process.json"
    script = f"{STATUS}; ulimit -n; ! chroot / true 2>/dev/null || echo root changed"
    file.write_text(json.dumps({"args": ["/bin/sh", "-c", script], "cwd": "/"}))
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}]
    pid = box.started(bundle)["pid"]
    out = box.ok("exec", "--process", str(file), "c").out
    assert "root changed" not in out and out.splitlines()[-1] == "99"
    init, found = status(Path(f"/proc/{pid}/status").read_text()), status(out)
    names = ("Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:")
    assert [found[name] for name in names] == [init[name] for name in names]

    inherited = 'result.get(name) in (None, "", [])'
    broken = mutant("container/exec.py", inherited, "False")
    bundle.linux["cgroupsPath"] += "-control"
    assert broken.run(bundle, "--detach", stdin=subprocess.DEVNULL).ok
    out = broken.call("exec", "--process", str(file), "control").out
    broken.failed("NoNewPrivs:\t0" in out)


@covers("CVE-2023-25809", "CVE-2022-0492")
@pytest.mark.parametrize("private", [True, False])
def test_cgroups_of_the_host_cannot_be_written(box: Box, private: bool) -> None:
    bundle = box.bundle().shell(
        "for f in $(find /sys/fs/cgroup -name release_agent -o -name cgroup.procs -o -name notify_on_release); do"
        " (echo 0 > $f) 2>/dev/null && echo WRITTEN $f; done; true"
    )
    if not private:
        bundle.without("cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["nosuid", "noexec", "nodev", "ro"])
    out = box.output(bundle)
    assert "WRITTEN" not in out


V1 = Path("/sys/fs/cgroup/freezer")


@covers("cgroup-nesting")
def test_cgroups_nested_by_a_container_go_with_it(box: Box, mutant: Any) -> None:
    """Deeper than a path is long; integration/test_cgroups_nested.py has the other shapes, ps and kill. The control
    walks by paths."""
    bundle = box.bundle().args("sleep", "1000")
    box.started(bundle)
    top = (V1 if V1.is_dir() else V1.parent) / bundle.linux["cgroupsPath"].strip("/")
    fd = os.open(top, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("n" * 250, dir_fd=fd)
        fd, outer = os.open("n" * 250, os.O_RDONLY, dir_fd=fd), fd
        os.close(outer)
    os.close(fd)
    broken = mutant("cgroups/tree.py", "_move(host, name, fd)", '_move(host, "/".join([*names, name]), fd)')
    broken.root.symlink_to(box.root)
    kept = broken.call("delete", "--force", "c")
    broken.failed(kept.status == 1 and "file name too long" in kept.err and top.is_dir(), kept)
    box.ok("delete", "--force", "c")
    assert box.left() == []


@covers("cgroup-freezing")
@pytest.mark.skipif(not V1.is_dir(), reason="v2 kills frozen processes")
def test_a_container_that_freezes_itself_can_be_killed(box: Box, mutant: Any) -> None:
    bundle = box.bundle().args("sleep", "1000")
    pid = box.started(bundle)["pid"]
    sub = V1 / bundle.linux["cgroupsPath"].strip("/") / "sub"
    sub.mkdir()
    (sub / "cgroup.procs").write_text(str(pid))
    (sub / "freezer.state").write_text("FROZEN")
    pidfd = os.pidfd_open(pid)
    thawed = "        if not tree.has_children(path):"
    broken = mutant("cgroups/v1.py", thawed, "        if True:")
    broken.root.symlink_to(box.root)
    broken.call("kill", "c", "KILL")
    broken.failed(not select.select([pidfd], [], [], 0.2)[0])
    box.ok("kill", "c", "KILL")
    assert select.select([pidfd], [], [], 5)[0]
    os.close(pidfd)


@covers("GHSA-5g49-rx9x-qfc6", "runc-exec-cgroup")
@pytest.mark.parametrize("path", ["..", "../x", "/..", "a/../../x", "/../x"])
def test_exec_stays_in_the_containers_cgroup(box: Box, path: str) -> None:
    box.started(box.bundle().shell(SLEEP))
    result = box.call("exec", "--cgroup", path, "c", "true")
    assert result.status != 0
    assert "Traceback" not in result.err


@covers("CVE-2021-43784")
@pytest.mark.parametrize("count", [1, 340, 341, 20000])
def test_many_mappings(box: Box, count: int) -> None:
    bundle = box.bundle().shell("wc -l < /proc/self/uid_map")
    bundle.namespace("user")
    bundle.linux["uidMappings"] = [{"containerID": n, "hostID": 200000 + n, "size": 1} for n in range(count)]
    bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 300000, "size": 65536}]
    result = box.run(bundle)
    if not result.ok:
        assert "linux.uidMappings" in result.err, result
    else:
        assert result.out == f"{count}\n"


@covers("CVE-2021-43784")
@pytest.mark.parametrize("size", [65535, 65536, 65537, 131000, 1 << 24])
def test_long_strings(box: Box, size: int) -> None:
    bundle = box.bundle().shell("echo ${#LONG}")
    bundle.process["env"].append("LONG=" + "x" * size)
    result = box.run(bundle)
    assert (result.ok and result.out == f"{size}\n") or (result.status != 0 and result.err.count("\n") == 1), result


@covers("CVE-2017-5985", "CVE-2022-47952")
def test_a_namespace_that_is_none(box: Box) -> None:
    bundle = box.bundle().args("true")
    secret = box.path / "secret"
    secret.touch()
    bundle.namespace("network", str(secret))
    assert "it is no namespace" in box.run(bundle).err
    bundle.namespace("network", "/proc/self/ns/uts")
    assert box.run(bundle).status == 1
