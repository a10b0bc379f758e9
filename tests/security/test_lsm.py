"""AppArmor and SELinux: a label that is asked for is in force, or nothing runs; where there is none it is refused.

The virtual machine has AppArmor: `tests/vm/run tests/security/test_lsm.py`.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box

covers = pytest.mark.covers
ENABLED = Path("/sys/module/apparmor/parameters/enabled")
HAS_APPARMOR = ENABLED.exists() and ENABLED.read_text().strip() == "Y"
HAS_SELINUX = Path("/sys/fs/selinux/enforce").exists()
NAME = "pyoci-test"
PROFILE = f"profile {NAME} flags=(attach_disconnected) {{ file, network, capability, signal, deny /tmp/secret rw, }}\n"
SLEEP = "while :; do sleep 0.1; done"

apparmor = pytest.mark.skipif(not HAS_APPARMOR, reason="needs a kernel with AppArmor: tests/vm/run has one")


def parser(*words: str, text: str) -> None:
    if not shutil.which("apparmor_parser"):
        pytest.skip("needs apparmor_parser (Debian: apparmor)")
    subprocess.run(["apparmor_parser", *words], input=text, text=True, check=True)


@pytest.fixture
def profile() -> Iterator[str]:
    parser("--replace", "--skip-cache", text=PROFILE)
    yield NAME
    parser("--remove", text=PROFILE)


@apparmor
@covers("CVE-2019-16884", "CVE-2025-52881", "crun#2063")
@pytest.mark.parametrize("user", [False, True], ids=["host-ids", "user-namespace"])
def test_a_profile_is_in_force(box: Box, profile: str, user: bool) -> None:
    """For the first process and for exec, read from outside, and it denies what it says."""
    bundle = box.bundle().shell(SLEEP)
    bundle.process["apparmorProfile"] = profile
    (bundle.rootfs / "tmp" / "secret").write_text("secret")
    if user:
        bundle.namespace("user")
        for key in ("uidMappings", "gidMappings"):
            bundle.linux[key] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        subprocess.run(["chown", "-R", "200000:200000", str(bundle.rootfs)], check=True)
    pid = box.started(bundle)["pid"]
    assert Path(f"/proc/{pid}/attr/current").read_text().strip("\0\n") == f"{profile} (enforce)"
    seen = box.ok("exec", "c", "sh", "-c", "cat /proc/self/attr/current; cat /tmp/secret 2>&1; true").out
    assert seen.splitlines()[0].strip("\0") == f"{profile} (enforce)"
    assert "Permission denied" in seen
    plain = box.ok("exec", "--apparmor", "unconfined", "c", "cat", "/proc/self/attr/current").out
    assert plain.strip("\0\n") == "unconfined"


@apparmor
@covers("CVE-2019-16884", "crun#2063")
def test_a_profile_that_is_not_loaded(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.process["apparmorProfile"] = "pyoci-test-not-loaded"
    result = box.run(bundle)
    assert result.status != 0
    assert "process.apparmorProfile" in result.err
    assert box.names() == []


@apparmor
@covers("CVE-2015-1334", "CVE-2019-16884", "CVE-2025-52881")
def test_a_profile_where_the_containers_own_procfs_lies(box: Box, profile: str) -> None:
    """The container mounts over its /proc before something joins it: the label is written through a procfs of ours."""
    bundle = box.bundle().shell(
        "mount -t tmpfs t /proc; for p in self thread-self 1; do mkdir -p /proc/$p/attr/apparmor;"
        f" touch /proc/$p/attr/exec /proc/$p/attr/current /proc/$p/attr/apparmor/exec; done; touch /tmp/done; {SLEEP}"
    )
    capabilities = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), capabilities)
    pid = box.started(bundle)["pid"]
    words = ["exec", "--apparmor", profile, "--detach", "--pid-file", str(box.path / "pid"), "c", "sh", "-c", SLEEP]
    box.ok("exec", "c", "sh", "-c", "until test -e /tmp/done; do :; done")
    box.ok(*words)
    joined = (box.path / "pid").read_text()
    assert Path(f"/proc/{joined}/attr/current").read_text().strip("\0\n") == f"{profile} (enforce)"
    assert Path(f"/proc/{pid}/attr/current").read_text().strip("\0\n") == "unconfined"


LABELS = {
    "apparmorProfile": (HAS_APPARMOR, lambda bundle: bundle.process.update(apparmorProfile="x"), "AppArmor"),
    "selinuxLabel": (HAS_SELINUX, lambda bundle: bundle.process.update(selinuxLabel="u:r:t:s0"), "SELinux"),
    "mountLabel": (HAS_SELINUX, lambda bundle: bundle.linux.update(mountLabel="u:r:t:s0"), "SELinux"),
}


@covers("crun#2063", "CVE-2019-16884")
@pytest.mark.parametrize("name", LABELS)
def test_a_label_that_this_kernel_cannot_apply_is_refused(box: Box, name: str) -> None:
    """Unavailable is not ignored: neither by create, nor by exec."""
    present, ask, system = LABELS[name]
    if present:
        pytest.skip(f"this kernel has {system}")
    bundle = box.bundle().args("true")
    ask(bundle)
    result = box.run(bundle)
    assert result.status != 0
    assert name in result.err
    assert system in result.err
    assert box.names() == []
    flag = {"apparmorProfile": "--apparmor", "selinuxLabel": "--process-label"}.get(name)
    if flag:
        box.started(box.bundle().shell(SLEEP))
        result = box.call("exec", flag, "x", "c", "true")
        assert result.status == 255
        assert name in result.err
