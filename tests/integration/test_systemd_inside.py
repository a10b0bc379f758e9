"""A container whose first process is systemd: it boots to its target in a cgroup of its own, and ends when asked. For
the machine of tests/vm: its own files, below a layer that takes the changes, are the container's."""

import json
import os
import select
import subprocess
from pathlib import Path

import pytest
from cgroup_tools import SYSTEMD, V2

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PATIENCE

pytestmark = [
    pytest.mark.root,
    pytest.mark.systemd,
    pytest.mark.cgroup_v2,
    pytest.mark.slow,
    pytest.mark.skipif(not (V2 and SYSTEMD), reason="needs cgroup v2 and a root filesystem with systemd in it"),
]
STOP = "37"  # SIGRTMIN+3: systemd(1), "halt"
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN SYS_CHROOT "
    "SETFCAP AUDIT_WRITE SYS_ADMIN SYS_RESOURCE"
)


@pytest.fixture
def system(box: Box) -> Bundle:
    bundle = box.bundle()
    layers = box.path / "layers"
    layers.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(layers)], check=True)
    for name in ("upper", "work"):
        (layers / name).mkdir()
    options = f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(bundle.rootfs)], check=True)
    units = bundle.rootfs / "etc/systemd/system"
    (units / "vm-agent.service").unlink(missing_ok=True)  # the machine's own, for whom there is no device here
    (units / "vm-agent.service").symlink_to("/dev/null")
    bundle.args("/sbin/init")
    names = [f"CAP_{name}" for name in CAPABILITIES.split()]
    bundle.process.update(
        env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=oci"],
        capabilities=dict.fromkeys(("bounding", "effective", "permitted"), names),
        noNewPrivileges=False,
    )
    for place in ("/run", "/run/lock", "/tmp", "/var/lib/systemd/linger"):
        bundle.mount(place, type="tmpfs", source="tmpfs", options=["nosuid", "nodev", "mode=755"])
    bundle.mount("/dev/shm", type="tmpfs", source="shm", options=["nosuid", "nodev"])
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["rw", "nosuid", "noexec", "nodev"])
    yield bundle
    box.call("delete", "--force", "c")
    for place in (bundle.rootfs, layers):
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
def test_systemd_boots_and_ends_when_asked(box: Box, system: Bundle, driver: str) -> None:
    if driver == "systemd":
        system.linux["cgroupsPath"] = f"system.slice:pyoci:{box.tag}"
    system.write()
    box.ok("--cgroup-manager", driver, "run", "-d", "--bundle", str(system.path), "c")
    own = Path(json.loads((box.root / "c" / "state.json").read_text())["cgroup"]["cgroup_paths"][""])
    ended = os.pidfd_open(box.state()["pid"])
    wait = "until [ -S /run/systemd/private ]; do :; done; systemctl is-system-running --wait"
    state = box.call("exec", "c", "sh", "-c", wait)
    assert state.out == "running\n", (state, box.call("exec", "c", "systemctl", "--failed", "--no-legend"))
    units = box.ok("exec", "c", "systemctl", "list-units", "--plain", "--no-legend", "--state=active").out
    print(units)
    assert "multi-user.target" in units
    assert {"init.scope", "system.slice"} <= set(os.listdir(own))  # in its own cgroup, on the host
    assert box.ok("exec", "c", "cat", "/run/systemd/container").out == "oci\n"
    assert box.ok("exec", "c", "cat", "/proc/self/cgroup").out.startswith("0::/")
    box.ok("kill", "c", STOP)
    assert select.select([ended], [], [], PATIENCE)[0]
    os.close(ended)
    box.ok("delete", "c")
    assert not own.exists()
