"""The doctor tells what this host has, and finds what is taken away by hand, in a mount namespace of the test's own."""

import json
import os
import subprocess
import tempfile

import pytest

from tests.support.command import PYOCI
from tests.support.stranger import opened

pytestmark = pytest.mark.root

UID = 54321
AS_USER = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
ACCOUNT = "(cat /etc/passwd; echo some:x:54321:54321::/:/bin/sh) > $T/passwd; mount --bind $T/passwd /etc/passwd"
GRANT = f"{ACCOUNT}; echo some:100000:65536 > $T/ids; mount --bind $T/ids /etc/subuid; mount --bind $T/ids /etc/subgid"


def doctor(tmp_path, before="", user=False):
    """Exit status, checks by group and name, after `before` was done to the host in a mount namespace."""
    place = tempfile.mkdtemp()
    os.chmod(place, 0o1777)
    script = f'set -e; export TMPDIR={place}; T=$1; shift; {before or ":"}; exec "$@"'
    words = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path)]
    words += [*(opened() if user else []), *(AS_USER if user else []), PYOCI, "doctor", "--format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["user"] == (UID if user else 0)
    assert document["works"] == (done.returncode == 0)
    os.rmdir(place)  # nothing is left in it
    return done.returncode, {(check["group"], check["name"]): check for check in document["checks"]}


def no(checks):
    return {key for key, check in checks.items() if not check["works"]}


@pytest.mark.parametrize("user", [False, True])
def test_every_no_has_its_cure_and_no_yes_has_one(tmp_path, user):
    status, checks = doctor(tmp_path, user=user)
    assert status == 0
    assert all(bool(check["cure"]) != check["works"] for check in checks.values())
    assert all(check["detail"] for check in checks.values() if not check["works"])


def test_for_people_each_line_says_yes_or_no():
    done = subprocess.run([PYOCI, "doctor"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  yes mount: " in done.stdout
    assert done.stdout.endswith("root: containers can be run\n")
    assert "\033" not in done.stdout


def test_an_unknown_format_is_refused():
    done = subprocess.run([PYOCI, "doctor", "--format", "x"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "--format is one of human, json" in done.stderr


def test_user_namespaces_that_are_switched_off_are_found(tmp_path):
    """The setting itself is the whole machine's, so a namespace of the test's own has it."""
    words = ["unshare", "-Urm", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "sh", PYOCI]
    done = subprocess.run(
        [*words, "doctor", "--format", "json"], capture_output=True, text=True, timeout=60, check=False
    )
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert not checks["user"]["works"]
    assert "max_user_namespaces=" in checks["user"]["cure"]


@pytest.mark.parametrize("key", [("cgroups", "mounted"), ("cgroups", "limit of memory")])
def test_cgroups_that_are_not_mounted_are_found(tmp_path, key):
    assert key not in no(doctor(tmp_path)[1])
    status, checks = doctor(tmp_path, "umount -R -l /sys/fs/cgroup")
    assert key in no(checks)
    assert status == 1


def test_ranges_are_tried(tmp_path):
    if not os.path.exists("/usr/bin/newuidmap"):
        pytest.skip("newuidmap is not installed")
    status, checks = doctor(tmp_path, GRANT, user=True)
    assert status == 0
    assert checks["ids", "a container with ranges"]["works"], checks["ids", "a container with ranges"]
    assert checks["ids", "/etc/subuid"]["detail"] == "65536 ids from 100000"


@pytest.mark.parametrize(
    ("before", "key"),
    [
        ("true", ("ids", "/etc/subuid")),
        (f"{GRANT}; umount /etc/passwd", ("ids", "/etc/subuid")),
        (f"{GRANT}; mount --bind /dev/null /usr/bin/newuidmap", ("ids", "newuidmap")),
        (f"{GRANT}; mount --bind /dev/null /usr/bin/newgidmap", ("ids", "newgidmap")),
        (f"{GRANT}; cp /usr/bin/newuidmap $T/h; chmod 755 $T/h; mount --bind $T/h /usr/bin/newuidmap", None),
    ],
)  # fmt: skip
def test_ranges_that_cannot_be_had_are_found(tmp_path, before, key):
    """The last one is a helper without its set-user-ID bit: only the trial finds that."""
    if not os.path.exists("/usr/bin/newuidmap"):
        pytest.skip("newuidmap is not installed")
    _, checks = doctor(tmp_path, before, user=True)
    assert key is None or key in no(checks)
    assert ("ids", "a container with ranges") in no(checks)
