"""Containers of users without privilege: with their own id alone, and with ranges of /etc/subuid."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import Box
from tests.support.calls import MKDIR, rule
from tests.support.command import run
from tests.support.stranger import Stranger, open_box, opened

pytestmark = pytest.mark.root
SLEEP = "trap 'exit 7' TERM; while :; do sleep 0.1; done"
UID = 54321


@pytest.fixture
def user(box: Box) -> Iterator[Stranger]:
    with open_box(box) as made:
        yield Stranger(made, UID)


def words(text: str) -> "list[list[str]]":
    return [line.split() for line in text.splitlines()]


def test_the_way_to_what_lies_in_a_closed_directory(box: Box) -> None:
    """These tests themselves can be run below a /root that is closed, as Debian has it."""
    program = box.path / "home" / "checkout" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho reached\ntest ! -e {box.path}/home/secret || echo secret\n")
    program.chmod(0o755)
    box.path.chmod(0o755)
    (box.path / "home" / "secret").touch()
    (box.path / "home").chmod(0o700)
    as_user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", str(program)]
    result = run([*opened(str(program)), *as_user])
    assert result.ok and result.out == "reached\n", result


# With one's own id


def test_spec_rootless_runs(user: Stranger) -> None:
    bundle = user.bundle().shell("id -u; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; hostname")
    own = ["0", str(UID), "1"]
    assert words(user.output(bundle)) == [["0"], own, own, ["deny"], ["pyoci"]]


def test_the_whole_life(user: Stranger) -> None:
    bundle = user.bundle().shell(SLEEP)
    bundle.write()
    user.ok("create", "--bundle", str(bundle.path), "c")
    state = json.loads(user.ok("state", "c").out)
    assert state["status"] == "created"
    user.ok("start", "c")
    assert json.loads(user.ok("state", "c").out)["status"] == "running"
    assert user.ok("exec", "c", "sh", "-c", "id -u; readlink /proc/1/exe").out == "0\n/bin/busybox\n"
    assert user.ok("list", "-q").out == "c\n"
    assert user.call("delete", "c").status == 1
    user.ok("kill", "c", "TERM")
    wait(state["pid"])
    assert json.loads(user.ok("state", "c").out)["status"] == "stopped"
    user.ok("delete", "c")
    assert user.ok("list", "-q").out == ""


def wait(pid: int) -> None:
    import select

    from tests.support import leftovers

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([fd], [], [], 30)[0]
    os.close(fd)
    leftovers.reap()


def test_its_capabilities_end_at_the_namespace(user: Stranger) -> None:
    bundle = user.bundle().shell("grep ^Cap /proc/self/status; cat /etc/shadow")
    shadow = user.box.path / "shadow"
    shadow.write_text("secret")
    shadow.chmod(0o600)
    bundle.bind(shadow, "/etc/shadow", "bind", "ro")
    result = user.run(bundle)
    found = {name: int(value, 16) for name, value in words(result.out)}
    assert found["CapInh:"] == found["CapAmb:"] == 0
    assert "Permission denied" in result.err
    assert "secret" not in result.out


def test_the_devices_are_there(user: Stranger) -> None:
    assert user.output(user.bundle().shell("echo x > /dev/null; head -c 3 /dev/zero | od -An -tx1")) == " 00 00 00\n"


def test_a_filter_without_no_new_privs(user: Stranger) -> None:
    bundle = user.bundle().shell("mkdir /tmp/x")
    bundle.process["noNewPrivileges"] = False
    rules = [rule(*MKDIR, errnoRet=28)]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    assert "No space left" in user.run(bundle).err


def test_a_killed_create_is_cleaned_up(user: Stranger) -> None:
    bundle = user.bundle().shell(SLEEP)
    user.started(bundle)
    user.ok("delete", "--force", "c")
    assert user.box.names() == []


# Refusals


def refusal(user: Stranger, bundle: Any) -> str:
    result = user.run(bundle)
    assert result.status == 1, result
    assert result.err.count("\n") == 1
    assert user.box.names() == []
    return result.err


def test_no_user_namespace(user: Stranger) -> None:
    bundle = user.bundle()
    bundle.without("user")
    bundle.linux.pop("uidMappings")
    bundle.linux.pop("gidMappings")
    assert "rootless container requires user namespaces" in refusal(user, bundle)


def test_supplementary_groups_need_a_map_of_groups(user: Stranger) -> None:
    bundle = user.bundle()
    bundle.process["user"]["additionalGids"] = [5]
    text = refusal(user, bundle)
    assert "process.user.additionalGids" in text
    assert "newgidmap" in text


def test_ids_that_are_not_ones_own(user: Stranger) -> None:
    """Nobody has granted this user anything: the helper says so, and so do we."""
    if not shutil.which("newuidmap"):
        pytest.skip("needs newuidmap (Debian: uidmap)")
    bundle = user.bundle()
    bundle.linux["uidMappings"].append({"containerID": 1, "hostID": 700000, "size": 10})
    text = refusal(user, bundle)
    assert "linux.uidMappings" in text
    assert "/etc/subuid" in text


def test_id_mapped_mounts_are_roots(user: Stranger) -> None:
    bundle = user.bundle()
    bundle.bind(bundle.rootfs, "/mnt", "bind", "idmap")
    assert "only root can make id-mapped mounts" in refusal(user, bundle)


def test_limits_need_a_cgroup(user: Stranger) -> None:
    bundle = user.bundle()
    bundle.linux["resources"] = {"memory": {"limit": 1 << 26}}
    assert "cgroup" in refusal(user, bundle)


def test_a_state_root_that_is_roots(user: Stranger) -> None:
    user.box.root.mkdir(mode=0o700)
    bundle = user.bundle()
    assert "permission denied (EACCES)" in user.run(bundle).err


# With granted ranges


@pytest.fixture
def granted(box: Box) -> "Iterator[Stranger]":
    """A user of the system who has been granted ids."""
    name = f"pyoci-{os.getpid()}"
    for program in ("newuidmap", "newgidmap", "useradd"):
        if not shutil.which(program):
            pytest.skip(f"needs {program} (Debian: uidmap, passwd)")
    uid = 50000 + os.getpid() % 10000
    subprocess.run(["useradd", "-M", "-u", str(uid), name], check=True)
    try:
        with open_box(box) as made:
            yield Stranger(made, uid)
    finally:
        subprocess.run(["userdel", name], check=True)


def grant(file: str, uid: int) -> int:
    import pwd

    name = pwd.getpwuid(uid).pw_name
    for line in Path(file).read_text().splitlines():
        owner, first, _ = line.split(":")
        if owner == name:
            return int(first)
    raise AssertionError(f"{name} has nothing in {file}")


def with_ranges(user: Stranger) -> Any:
    bundle = user.bundle()
    for key, file in (("uidMappings", "/etc/subuid"), ("gidMappings", "/etc/subgid")):
        bundle.linux[key].append({"containerID": 1, "hostID": grant(file, user.uid), "size": 65536})
    return bundle


def test_granted_ids(granted: Stranger) -> None:
    bundle = with_ranges(granted)
    bundle.process["user"] = {"uid": 7, "gid": 8, "additionalGids": [9, 10]}
    bundle.shell("id -u; id -G; cat /proc/self/setgroups; wc -l < /proc/self/uid_map")
    assert granted.output(bundle).splitlines() == ["7", "8 9 10", "allow", "2"]


def test_exec_as_a_granted_user(granted: Stranger) -> None:
    bundle = with_ranges(granted).shell(SLEEP)
    bundle.process["user"] = {"uid": 7, "gid": 8}
    granted.started(bundle)
    assert granted.ok("exec", "-u", "9:10", "c", "sh", "-c", "id -u; id -g").out == "9\n10\n"
    granted.ok("kill", "c", "KILL")


def test_the_helpers_are_not_looked_up_in_the_containers_path(granted: Stranger) -> None:
    bundle = with_ranges(granted).shell("echo ok")
    fake = granted.runtime / "newuidmap"
    fake.write_text(f"#!/bin/sh\ntouch {granted.runtime}/canary\n")
    fake.chmod(0o755)
    bundle.process["env"] = [f"PATH={granted.runtime}:/bin"]
    bundle.write()
    line = granted.words("run", "--bundle", str(bundle.path), "c")
    line[line.index("PATH=/usr/bin:/bin")] = f"PATH={granted.runtime}:/usr/bin:/bin"
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=60)
    assert done.stdout == "ok\n"
    assert not (granted.runtime / "canary").exists()


def test_more_than_was_granted(granted: Stranger) -> None:
    bundle = with_ranges(granted)
    bundle.linux["uidMappings"][1]["size"] = 1 << 20
    text = refusal(granted, bundle)
    assert "linux.uidMappings" in text
    assert "not allowed" in text
