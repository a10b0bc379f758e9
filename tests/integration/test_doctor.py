"""The doctor tells what this host has, and finds what is taken away by hand, in a mount namespace of the test's own."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import leftovers
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
    script = f'set -e; T=$1; shift; {before or ":"}; mount --bind {place} /tmp; exec "$@"'
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


# Every check is switched off by hand once

HERE = Path(PYOCI).resolve().parents[2]
# A namespace is forbidden in a user namespace of the test's own, where the settings are that namespace's
SETTINGS = {"mount": "mnt", "network": "net"}
UNKNOWN = {  # the flags as the kernel is asked for them; WAIT_KILLABLE_RECV is for listeners only
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32 | 8,
}
# A hierarchy of v1 is unmounted; the tree of v2 is read-only
_LIMIT = (
    'place=$(awk -v c={0} \'$3 == "cgroup" && ("," $4 ",") ~ ("," c ",") {{ print $2 }}\' /proc/mounts); '
    'if [ -n "$place" ]; then for one in $place; do umount -l "$one"; done; '
    "else mount -o remount,bind,ro /sys/fs/cgroup; fi"
)
_FAKE_MODULES = (
    "mount -t tmpfs none /sys/module; mkdir -p /sys/module/apparmor/parameters; echo {} > {}/enabled".format(
        "{}", "/sys/module/apparmor/parameters"
    )
)
OFF: dict[tuple[str, str], "tuple[str, bool]"] = {  # what is done to the host, and whether a user is asked
    ("namespaces", "a procfs of its own"): ("mount -t tmpfs none /proc/irq", True),
    ("security", "seccomp"): (
        "for f in /lib/*/libseccomp.so.2 /usr/lib/*/libseccomp.so.2 /usr/lib64/libseccomp.so.2; do "
        'if [ -e "$f" ]; then mount --bind /dev/null "$(readlink -f "$f")"; fi; done',
        False,
    ),
    ("security", "AppArmor"): (_FAKE_MODULES.format("N"), False),
    ("security", "SELinux"): ("mountpoint -q /sys/fs/selinux && umount -l /sys/fs/selinux || true", False),
    ("security", "Intel RDT"): ("mountpoint -q /sys/fs/resctrl && umount -l /sys/fs/resctrl || true", False),
    ("cgroups", "mounted"): ("umount -R -l /sys/fs/cgroup", False),
    ("cgroups", "limit of memory"): (_LIMIT.format("memory"), False),
    ("cgroups", "limit of cpu"): (_LIMIT.format("cpu"), False),
    ("cgroups", "limit of pids"): (_LIMIT.format("pids"), False),
    ("cgroups", "systemd"): ("[ ! -d /run/systemd ] || mount -t tmpfs none /run/systemd", False),
    ("ids", "newuidmap"): ("mount --bind /dev/null /usr/bin/newuidmap", True),
    ("ids", "newgidmap"): ("mount --bind /dev/null /usr/bin/newgidmap", True),
    ("ids", "/etc/subuid"): (f"{GRANT}; mount --bind /dev/null /etc/subuid", True),
    ("ids", "/etc/subgid"): (f"{GRANT}; mount --bind /dev/null /etc/subgid", True),
    ("ids", "a container with ranges"): (f"{GRANT}; mount --bind /dev/null /etc/subgid", True),
    ("mounts", "ids mapped on /home"): ("mount -t proc none /home", False),
    ("checkpoint", "criu"): ("if f=$(command -v criu); then mount --bind /dev/null $f; fi", False),
    ("installation", "start"): (f"mount --bind /dev/null {HERE}/pyoci/programs/interpreter", False),
    ("installation", "libraries"): (
        f"mount -t tmpfs none $({sys.executable} -c 'import google.protobuf as p; print(p.__path__[0])')",
        False,
    ),
}
# Engines are there when their program is; what they know is what their files say
ENGINES = {
    "podman": ("containers", "containers.conf", '[engine.runtimes]\npyoci = ["/usr/local/bin/pyoci"]'),
    "dockerd": ("docker", "daemon.json", '{"runtimes": {"pyoci": {"path": "/usr/local/bin/pyoci"}}}'),
    "containerd": ("containerd", "config.toml", 'BinaryName = "/usr/local/bin/pyoci"'),
    "crio": ("crio", "crio.conf", 'runtime_path = "/usr/local/bin/pyoci"'),
}


def forbidding(flag: int) -> list[str]:
    """A command before another one: the kernel no longer knows a flag of seccomp(2). A filter says so (EINVAL)."""
    number = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
    steps = [
        (0x20, 0, 0, 0),  # the system call's number
        (0x15, 0, 3, number),
        (0x20, 0, 0, 24),  # its second argument, the flags
        (0x15, 0, 1, flag),
        (0x06, 0, 0, 0x00050000 | errno.EINVAL),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = (
        "import ctypes, os, struct, sys\n"
        f"filter = b''.join(struct.pack('HBBI', *step) for step in {steps})\n"
        f"held = ctypes.create_string_buffer(filter)\n"
        f"program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', {len(steps)}, ctypes.addressof(held)))\n"
        "assert ctypes.CDLL(None).prctl(22, 2, program) == 0\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    return [sys.executable, "-c", code]


def asked(words):
    done = subprocess.run([*words, PYOCI, "doctor", "--format", "json"], capture_output=True, timeout=60, check=False)
    assert done.stderr == b""
    return {(check["group"], check["name"]): check for check in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize("key", OFF, ids=[": ".join(key) for key in OFF])
def test_what_is_switched_off_is_found(tmp_path, key):
    before, user = OFF[key]
    if key == ("mounts", "ids mapped on /home") and not os.path.isdir("/home"):
        pytest.skip("no /home on this host")
    if key[0] == "ids" and not os.path.exists("/usr/bin/newuidmap"):
        pytest.skip("newuidmap is not installed")
    _, checks = doctor(tmp_path, before, user=user)
    assert key in no(checks)
    assert checks[key]["cure"], checks[key]


@pytest.mark.parametrize("kind", ["mount", "pid", "network", "ipc", "uts", "user", "cgroup", "time"])
def test_a_namespace_that_is_forbidden_is_found(kind):
    """The same user namespace with the setting and without: nothing else makes the difference."""
    setting = f"/proc/sys/user/max_{SETTINGS.get(kind, kind)}_namespaces"
    script = '[ -z "$0" ] || echo 0 > $0; exec "$@"'
    space = ["unshare", "-Urm", "sh", "-c", script]
    allowed, forbidden = asked([*space, ""]), asked([*space, setting])
    assert ("namespaces", kind) not in no(allowed)
    assert ("namespaces", kind) in no(forbidden)


@pytest.mark.parametrize("flag", UNKNOWN)
def test_a_flag_that_the_kernel_does_not_know_is_found(flag):
    assert ("security", flag) not in no(asked([]))
    checks = asked(forbidding(UNKNOWN[flag]))
    assert {name for group, name in no(checks) if group == "security"} & set(UNKNOWN) == {flag}


def test_a_security_module_that_is_there_is_seen(tmp_path):
    """Or the tests that switch one off would be content with a doctor that never sees one."""
    assert ("security", "AppArmor") not in no(doctor(tmp_path, _FAKE_MODULES.format("Y"))[1])
    there = "mount -t tmpfs none /sys/fs; mkdir /sys/fs/selinux; touch /sys/fs/selinux/enforce"
    assert ("security", "SELinux") not in no(doctor(tmp_path, there)[1])


@pytest.mark.parametrize("program", ENGINES)
def test_engines(tmp_path, program):
    """Not there, there and not told, there and told, and told in a comment only."""
    directory, file, line = ENGINES[program]
    (tmp_path / directory).mkdir()
    there = "mount -t tmpfs none /usr/local/bin; cp /bin/true $T/e; "
    there += f"cp $T/e /usr/local/bin/{program}; mount -t tmpfs none /etc/{directory}"
    base = "mkdir -p $T/etc; cp -a /etc/passwd /etc/group /etc/ld.so.cache $T/etc; mount --bind $T/etc /etc; "
    base += f"mkdir -p /etc/{directory}; {there}"
    hidden = f"for d in /usr/bin /usr/sbin; do [ ! -e $d/{program} ] || mount --bind /dev/null $d/{program}; done"
    empty = "mount -t tmpfs none /usr/local/bin"
    key = ("engines", program)
    assert key not in doctor(tmp_path, f"{hidden}; {empty}")[1]
    assert key in no(doctor(tmp_path, base)[1])
    told = tmp_path / "told"
    told.write_text(f"{line}\n")
    assert key not in no(doctor(tmp_path, f"{base}; cp $T/told /etc/{directory}/{file}")[1])
    told.write_text(f"# {line}\n".replace("\n#", "").replace("\npyoci", "\n# pyoci"))
    assert key in no(doctor(tmp_path, f"{base}; cp $T/told /etc/{directory}/{file}")[1])


def test_a_library_that_is_loaded_late_is_missed(tmp_path):
    """protobuf is imported by a module of ours, where a checkpoint is made."""
    place = f"$({sys.executable} -c 'import google.protobuf as it; print(it.__path__[0])')"
    broken = f"p={place}; mkdir -p $T/empty; echo 'raise ImportError(name=__name__)' > $T/empty/__init__.py; "
    _, checks = doctor(tmp_path, f"{broken} mount --bind $T/empty $p")
    assert "not installed: protobuf, " in checks["installation", "libraries"]["detail"]


def test_what_a_killed_doctor_has_left_is_removed_by_the_next(tmp_path):
    """Killed while a container of it is there; a doctor that goes on, and what others call so, are left alone."""
    leftovers.adopt_orphans()
    before = leftovers.descendants()
    words = ["unshare", "-m", "sh", "-c", 'mount --bind "$1" /tmp; exec "$0" doctor', PYOCI, str(tmp_path)]
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while not (found := list(tmp_path.glob("pyoci-doctor-*/state"))):
        assert killed.poll() is None, "it had ended before"
    state = found[0]
    while not any(name.startswith("pyoci-doctor") for name in os.listdir(state)):
        assert state.exists(), "it had ended before"
    killed.kill()
    killed.wait()
    (left,) = tmp_path.iterdir()
    going_on = tmp_path / "pyoci-doctor-going-on"
    going_on.mkdir()
    strange = tmp_path / "pyoci-doctor-strange"
    strange.mkdir()
    (strange / "owner").touch()
    os.chown(strange, UID, UID)
    with (going_on / "owner").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not left.exists()
    assert sorted(tmp_path.iterdir()) == [going_on, strange]
    leftovers.reap()
    assert leftovers.descendants() - before == set()
    assert leftovers.cgroups_named(f"pyoci-doctor-{killed.pid}") == []


def test_no_check_is_without_a_test(tmp_path):
    """Whether root may map any ids is no question: he may."""
    tested = {*OFF, *(("engines", name) for name in ENGINES), *(("security", flag) for flag in UNKNOWN)}
    tested |= {("namespaces", kind) for kind in ("mount", "pid", "network", "ipc", "uts", "user", "cgroup", "time")}
    checks = {**doctor(tmp_path)[1], **doctor(tmp_path, user=True)[1]}
    others = {key for key in checks if key not in tested and key != ("ids", "ranges")}
    assert {name for group, name in others if not (group == "mounts" and name.startswith("ids mapped on "))} == set()


def test_ranges_of_others_are_not_offered(tmp_path):
    before = "echo other:100000:65536 > $T/ids; mount --bind $T/ids /etc/subuid; mount --bind $T/ids /etc/subgid"
    _, checks = doctor(tmp_path, before, user=True)
    assert checks["ids", "/etc/subuid"]["cure"] == f"usermod --add-subuids 165536-231071 {UID}"
    assert checks["ids", "/etc/subgid"]["cure"] == f"usermod --add-subgids 165536-231071 {UID}"
