"""Cgroups of a user without privilege: what systemd delegates is used, what it does not is refused or done without.

For the machine of tests/vm: it has systemd, and the user `tester`, whose manager lingers.
"""

import json
import os
import pwd
import shutil
from pathlib import Path

import pytest
from cgroup_tools import SYSTEMD, V2

from tests.support.bundle import make_rootfs
from tests.support.command import PYOCI, run


def unprivileged():
    try:
        return pwd.getpwnam("tester")
    except KeyError:
        return None


pytestmark = [
    pytest.mark.root,
    pytest.mark.systemd,
    pytest.mark.cgroup_v2,
    pytest.mark.skipif(not (V2 and SYSTEMD and unprivileged()), reason="needs cgroup v2, systemd and the user tester"),
]


class User:
    """Commands of the user: in a scope that systemd delegated to it, as a login gives; or outside of any such."""

    def __init__(self, home: Path) -> None:
        self.entry = unprivileged()
        self.home = home
        runtime = f"/run/user/{self.entry.pw_uid}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_RUNTIME_DIR": runtime,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
        }

    def call(self, *words, place="delegated", before=()):
        become = ["setpriv", "--reuid", "tester", "--regid", str(self.entry.pw_gid), "--init-groups"]
        scope = ["systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes", "--"] if place == "delegated" else []
        done = run([*before, *become, *scope, *words], env=self.environment, cwd=self.home)
        return done.status, done.out, done.err

    def pyoci(self, *words, **options):
        return self.call(PYOCI, "--root", str(self.home / "state"), *words, **options)

    def bundle(self, *args, **linux):
        path = self.home / "bundle"
        if not path.exists():
            make_rootfs(path / "rootfs")
            shutil.chown(path, "tester")
            status, _, error = self.call(PYOCI, "spec", "--rootless", "--bundle", str(path))
            assert status == 0, error
        config = json.loads((path / "config.json").read_text())
        config["process"]["terminal"] = False
        config["process"]["args"] = list(args)
        config["linux"].pop("cgroupsPath", None)
        config["linux"]["namespaces"] = [space for space in config["linux"]["namespaces"] if space["type"] != "cgroup"]
        config["linux"].update({"resources": {}, **linux})
        (path / "config.json").write_text(json.dumps(config))
        return str(path)


@pytest.fixture
def user(tmp_path_factory):
    home = tmp_path_factory.mktemp("tester")
    os.chmod(home.parent, 0o755)
    shutil.chown(home, "tester")
    for parent in home.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            os.chmod(parent, parent.stat().st_mode | 0o011)
    made = User(home)
    yield made
    made.pyoci("--systemd-cgroup", "delete", "--force", "c")


LIMITS = {"pids": {"limit": 21}, "memory": {"limit": 32 << 20}}
OWN = f"/user@{unprivileged().pw_uid if unprivileged() else 0}.service/"


def test_limits_through_the_users_systemd(user):
    bundle = user.bundle("sleep", "1000", resources=LIMITS)
    status, _, error = user.pyoci("--systemd-cgroup", "run", "-d", "--bundle", bundle, "c")
    assert status == 0, error
    record = json.loads((user.home / "state" / "c" / "state.json").read_text())["cgroup"]
    place = Path(record["cgroup_paths"][""])
    assert OWN in str(place)
    assert place.name == "runc-c.scope"
    assert (place / "pids.max").read_text() == "21\n"
    assert (place / "memory.max").read_text() == f"{32 << 20}\n"
    status, _, error = user.pyoci("update", "--pids-limit", "33", "c")
    assert status == 0, error
    assert (place / "pids.max").read_text() == "33\n"
    status, out, error = user.pyoci("exec", "c", "cat", "/proc/self/cgroup")
    assert (status, out) == (0, f"0::{str(place)[len('/sys/fs/cgroup') :]}\n"), error
    for words in (("pause", "c"), ("resume", "c"), ("kill", "c", "KILL"), ("delete", "--force", "c")):
        status, _, error = user.pyoci(*words)
        assert status == 0, error
    assert not place.exists()
    units = user.call("systemctl", "--user", "list-units", "--all", "--plain", "--no-legend", "runc-c.scope")
    assert units == (0, "", "")


def test_limits_in_a_delegated_cgroup(user):
    """The cgroupfs driver: beside our own scope, in a slice that belongs to the user."""
    status, out, error = user.pyoci("run", "--bundle", user.bundle("cat", "/proc/self/cgroup", resources=LIMITS), "c")
    assert status == 0, error
    assert OWN in out
    assert out.endswith("/c\n")


def test_without_delegation_a_modest_container_runs_where_we_are(user):
    bundle = user.bundle("cat", "/proc/self/cgroup")
    status, out, error = user.pyoci("run", "--bundle", bundle, "c", place="outside")
    assert status == 0, error
    assert out == Path("/proc/self/cgroup").read_text()


def test_exec_where_there_is_no_cgroup(user):
    status, _, error = user.pyoci("run", "-d", "--bundle", user.bundle("sleep", "1000"), "c", place="outside")
    assert status == 0, error
    status, out, error = user.pyoci("exec", "c", "cat", "/proc/self/cgroup", place="outside")
    assert (status, out) == (0, Path("/proc/self/cgroup").read_text()), error
    status, _, error = user.pyoci("pause", "c", place="outside")
    assert status == 1
    assert "no cgroup" in error


@pytest.mark.parametrize("linux", [{"resources": LIMITS}, {"cgroupsPath": "/asked/for"}], ids=["limits", "path"])
def test_without_delegation_one_that_asks_is_refused(user, linux):
    bundle = user.bundle("true", **linux)
    status, _, error = user.pyoci("run", "--bundle", bundle, "c", place="outside")
    assert status == 1
    assert "rootless needs no limits + no cgrouppath when no permission is granted for cgroups" in error
    assert list((user.home / "state").iterdir()) == []


def test_a_controller_that_is_not_delegated_is_named(user):
    limits = {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 << 20}]}
    bundle = user.bundle("true", resources=limits)
    status, _, error = user.pyoci("--systemd-cgroup", "run", "--bundle", bundle, "c")
    assert status == 1
    assert "linux.resources.hugepageLimits[0].limit: cannot set hugetlb.2MB.max" in error
    assert "'hugetlb' not available" in error


def test_without_a_session_the_driver_says_what_is_missing(user):
    bundle = user.bundle("true")
    user.environment.pop("XDG_RUNTIME_DIR")
    user.environment.pop("DBUS_SESSION_BUS_ADDRESS")
    status, _, error = user.pyoci("--systemd-cgroup", "run", "--bundle", bundle, "c", place="outside")
    assert status == 1
    assert "XDG_RUNTIME_DIR" in error


def test_the_session_bus_is_missing(user):
    """The user's systemd is asked on its private socket."""
    user.environment.pop("DBUS_SESSION_BUS_ADDRESS")
    script = f'mount --bind /dev/null {user.environment["XDG_RUNTIME_DIR"]}/bus && exec "$@"'
    hidden = ["unshare", "-m", "sh", "-c", script, "sh"]
    bundle = user.bundle("cat", "/proc/self/cgroup", resources=LIMITS)
    words = [PYOCI, "--root", str(user.home / "state"), "--systemd-cgroup", "run", "--bundle", bundle, "c"]
    status, out, error = user.call(*words, place="outside", before=hidden)
    assert status == 0, error
    assert OWN in out
    assert out.endswith("/runc-c.scope\n")


def test_linger_is_off(user):
    """Nobody of this name is logged in, and no systemd of his runs."""
    bundle = user.bundle("true", resources=LIMITS)
    user.environment["XDG_RUNTIME_DIR"] = "/run/user/4242"
    user.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/run/user/4242/bus"
    status, _, error = user.pyoci("--systemd-cgroup", "run", "--bundle", bundle, "c", place="outside")
    assert status == 1
    assert "connect to systemd at /run/user/4242/bus: no such file or directory (ENOENT)" in error
    assert "loginctl enable-linger" in error
    assert not list(user.home.glob("state/*"))


DELEGATED = """
set -e
own=/sys/fs/cgroup$(cut -d : -f 3 /proc/self/cgroup)
mkdir "$own/caller"
echo 0 > "$own/caller/cgroup.procs"
exec "$@"
"""


def test_a_delegated_cgroup_without_a_controller(user):
    """What is missing is named, and the file that has systemd delegate it; what is there is used."""
    slice_name = f"pyocid{os.getpid()}.slice"

    def run_delegated(bundle):
        words = ["systemd-run", "--wait", "--pipe", "--quiet", "--collect", f"--slice={slice_name}", "--uid=tester"]
        words += ["-p", "Delegate=pids", "--setenv=PATH", "sh", "-c", DELEGATED, "sh"]
        return run([*words, PYOCI, "--root", str(user.home / "state"), "run", "--bundle", bundle, "c"])

    done = run_delegated(user.bundle("cat", "/proc/self/cgroup", resources={"pids": {"limit": 21}}))
    assert done.ok, done
    assert done.out.endswith("/c\n")
    done = run_delegated(user.bundle("true", resources={"cpu": {"cpus": "0"}}))
    assert done.status == 1
    assert "linux.resources.cpu.cpus: cannot set cpuset.cpus: controller 'cpuset' not available" in done.err
    assert "/etc/systemd/system/user@.service.d/delegate.conf" in done.err
    assert list((user.home / "state").iterdir()) == []


@pytest.mark.parametrize("place", ["delegated", "outside"])
def test_the_doctor_of_a_user(user, place):
    """Outside of what systemd delegates no limit can be set but by systemd: that is the cure."""
    status, out, error = user.call(PYOCI, "doctor", "--format", "json", place=place)
    assert status == 0, error
    checks = {check["name"]: check for check in json.loads(out)["checks"] if check["group"] == "cgroups"}
    assert checks["systemd"]["works"], checks
    limits = [checks[f"limit of {name}"] for name in ("memory", "cpu", "pids")]
    assert [limit["works"] for limit in limits] == [place == "delegated"] * 3, checks
    if place == "outside":
        assert "--systemd-cgroup" in limits[0]["cure"]
