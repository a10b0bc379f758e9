"""pyoci below systemd's own services: a Type=notify unit that runs it directly, and podman's quadlets. docs/engines.md
has the units. For the machine of tests/vm."""

import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cgroup_tools import ROOT, SYSTEMD, V2

from tests.support.box import Box
from tests.support.command import PATIENCE, PYOCI

pytestmark = [
    pytest.mark.root,
    pytest.mark.systemd,
    pytest.mark.cgroup_v2,
    pytest.mark.skipif(not (V2 and SYSTEMD), reason="needs cgroup v2 and systemd as PID 1"),
]
UNITS = Path("/run/systemd/system")
QUADLET = "/usr/lib/systemd/system-generators/podman-system-generator"
PROGRAM = """
import os, signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
print("up", flush=True)
signal.sigwait([signal.SIGTERM])
print("down", flush=True)
"""


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def journal(unit: str) -> str:
    subprocess.run(["journalctl", "--sync"], check=True)
    words = ["journalctl", "--quiet", "--output=cat", f"--unit={unit}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


class Service:
    """A unit of the test's own."""

    def __init__(self, name: str, logs: bool = True) -> None:
        self.name = name
        self.logs = logs  # under its own name: the journal goes by the cgroup of who writes

    def show(self, *names: str) -> "list[str]":
        return [systemctl("show", "-P", name, self.name) for name in names]

    def start(self) -> None:
        done = subprocess.run(["systemctl", "start", self.name], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stderr, journal(self.name))

    def wait_for(self, state: str, restarts: str) -> None:
        """Until systemd says so; the signals of its bus tell when to look again."""
        words = ["busctl", "monitor", "--json=short", "--match", "type='signal',member='PropertiesChanged'"]
        deadline = time.monotonic() + PATIENCE / 4
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as monitor:
            assert monitor.stdout is not None
            try:
                while self.show("ActiveState", "NRestarts") != [state, restarts]:
                    left = deadline - time.monotonic()
                    assert left > 0, (self.show("ActiveState", "SubState", "NRestarts"), journal(self.name))
                    if select.select([monitor.stdout], [], [], min(left, 5))[0]:
                        os.read(monitor.stdout.fileno(), 1 << 16)
            finally:
                monitor.kill()


@pytest.fixture(params=["disabled", "cgroupfs", "systemd"])
def service(box: Box, request: pytest.FixtureRequest) -> Iterator[Service]:
    bundle = box.bundle().args("/usr/bin/python3", "-I", "-S", "-c", PROGRAM)
    bundle.linux.pop("cgroupsPath", None)
    bundle.bind("/usr", "/usr")
    for name in ("lib", "lib64"):
        os.symlink(f"usr/{name}", bundle.rootfs / name)
    bundle.write()
    name = f"pyoci-{box.tag[-10:]}"
    options = f"--root {box.root}"
    (UNITS / f"{name}.service").write_text(
        f"""[Service]
Type=notify
ExecStart={PYOCI} {options} --cgroup-manager {request.param} run --bundle {bundle.path} {name}
ExecStopPost=-{PYOCI} {options} delete --force {name}
Restart=on-failure
Delegate=yes
TimeoutStopSec={PATIENCE}
"""
    )
    systemctl("daemon-reload")
    service = Service(f"{name}.service", request.param == "disabled")
    yield service
    systemctl("stop", service.name)
    (UNITS / service.name).unlink()
    systemctl("daemon-reload")
    systemctl("reset-failed", service.name)


def test_a_service_that_is_a_container(service: Service, box: Box) -> None:
    """It starts when the container says so, starts anew when it is killed, stops when asked, and logs."""
    service.start()
    assert service.show("ActiveState", "SubState", "NRestarts") == ["active", "running", "0"]
    pid = box.state(service.name.removesuffix(".service"))["pid"]
    os.kill(pid, 9)
    service.wait_for("active", "1")
    state = box.state(service.name.removesuffix(".service"))
    assert (state["status"], state["pid"] != pid) == ("running", True)
    systemctl("stop", service.name)
    assert service.show("ActiveState", "Result") == ["inactive", "success"]
    assert box.names() == []
    said = journal(service.name).splitlines()
    assert (said.count("up"), said.count("down")) == ((2, 1) if service.logs else (0, 0)), said


def test_a_service_whose_runtime_is_killed(service: Service, box: Box) -> None:
    """ExecStopPost takes away what is left; then it starts anew."""
    service.start()
    name = service.name.removesuffix(".service")
    before = box.state(name)["pid"]
    runtime = int(Path(f"/proc/{before}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(runtime, 9)
    service.wait_for("active", "1")
    assert box.state(name)["pid"] != before
    systemctl("stop", service.name)
    assert (service.show("ActiveState"), box.names()) == (["inactive"], [])


@pytest.fixture
def quadlet(box: Box) -> Iterator[Service]:
    if not os.path.exists(QUADLET):
        pytest.skip("this podman has no quadlets (4.4 and newer)")
    name = f"pyoci-{box.tag[-10:]}"
    file = Path(f"/run/containers/systemd/{name}.container")
    file.parent.mkdir(parents=True, exist_ok=True)
    script = "trap 'echo down; exit 0' TERM; echo up; while :; do sleep 1000 & wait; done"
    file.write_text(
        f"""[Container]
Rootfs={box.bundle().rootfs}
ContainerName={name}
Network=none
GlobalArgs=--runtime {PYOCI}
Exec=/bin/sh -c "{script}"
PodmanArgs=--memory 64m
[Service]
Restart=on-failure
"""
    )
    systemctl("daemon-reload")
    service = Service(f"{name}.service")
    yield service
    systemctl("stop", service.name)
    file.unlink()
    systemctl("daemon-reload")
    systemctl("reset-failed", service.name)


def podman(*words: str) -> str:
    return subprocess.run(["podman", *words], capture_output=True, text=True, check=True).stdout.strip()


def test_a_quadlet(quadlet: Service) -> None:
    """podman puts the container below the service's cgroup (`--cgroups=split`)."""
    name = quadlet.name.removesuffix(".service")
    quadlet.start()
    assert podman("inspect", "-f", "{{.OCIRuntime}} {{.State.Status}}", name) == f"{PYOCI} running"
    pid = podman("inspect", "-f", "{{.State.Pid}}", name)
    place = Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")
    assert place.startswith(f"/system.slice/{quadlet.name}/"), place
    assert (ROOT / place[1:] / "memory.max").read_text() == f"{64 << 20}\n"
    os.kill(int(pid), 9)
    quadlet.wait_for("active", "1")
    assert podman("inspect", "-f", "{{.State.Status}}", name) == "running"
    systemctl("stop", quadlet.name)
    assert quadlet.show("ActiveState", "Result") == ["inactive", "success"]
    assert podman("ps", "-aq", "--filter", f"name={name}") == ""
    said = journal(quadlet.name).splitlines()
    assert (said.count("up"), said.count("down")) == (2, 1), said
