"""podman's checkpoint, restore, export and import, with pyoci as its runtime and a store of the test's own."""

import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_checkpoint import COUNTER, CRIU, until, why_not

from tests.support import leftovers
from tests.support.box import Box
from tests.support.command import PYOCI, Result, run

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.engine,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(not shutil.which("podman"), reason="needs podman"),
]
CONF = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime_supports_json = ["pyoci"]
[engine.runtimes]
pyoci = ["{runtime}"]
[network]
network_config_dir = "{home}/networks"
"""


class Podman:
    """podman with everything below one directory; images are one of busybox."""

    def __init__(self, box: Box) -> None:
        home = Path(tempfile.mkdtemp(prefix="pyoci-podman-"))  # a run root has at most 50 characters
        policy = home / ".config" / "containers" / "policy.json"
        policy.parent.mkdir(parents=True)
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        (home / "networks").mkdir()
        (home / "bin").mkdir()
        (home / "bin" / "criu").symlink_to(CRIU)
        (home / "containers.conf").write_text(CONF.format(runtime=PYOCI, home=home))
        self.home = home
        self.environment = {
            "HOME": str(home),
            "CONTAINERS_CONF": str(home / "containers.conf"),
            "PATH": f"{home}/bin:{os.environ['PATH']}",
        }
        subprocess.run(["tar", "-C", str(box.template), "-cf", str(home / "image.tar"), "."], check=True)
        self.ok("import", str(home / "image.tar"), "bb:latest")

    def call(self, *words: str) -> Result:
        places = [f"--{name}={self.home}/{name}" for name in ("root", "runroot", "tmpdir")]
        flags = ["--storage-driver=vfs", "--runtime=pyoci", f"--runtime-flag=criu={CRIU}"]
        return run(["podman", *places, *flags, *words], env=self.environment)

    def ok(self, *words: str) -> str:
        result = self.call(*words)
        assert result.ok, result
        return result.out

    def await_helpers(self) -> None:
        """conmon, and the podman that it starts when a container has ended, outlive the `rm` that ends it."""
        while helpers := [pid for pid in leftovers.descendants() if str(self.home) in leftovers.describe(pid)]:
            for pid in helpers:
                try:
                    fd = os.pidfd_open(pid)
                except ProcessLookupError:
                    continue
                ended = select.select([fd], [], [], 60)[0]
                os.close(fd)
                assert ended, f"does not end: {leftovers.describe(pid)}"
            leftovers.reap()

    def count(self, name: str) -> int:
        return len(self.ok("exec", name, "ls", "/tmp/count").split())

    def status(self, name: str) -> str:
        return self.ok("inspect", "--format", "{{.State.Status}}", name).strip()


@pytest.fixture
def podman(box: Box) -> "Iterator[Podman]":
    made = Podman(box)
    try:
        made.ok("run", "-d", "--name", "c", "--network", "none", "bb", "sh", "-c", COUNTER)
        until(lambda: made.count("c") > 2)
        yield made
    finally:
        made.call("rm", "--all", "--force", "--time", "0")
        made.await_helpers()
        for mount in reversed(Path("/proc/self/mountinfo").read_text().split("\n")):
            if mount and mount.split(" ")[4].startswith(str(made.home)):
                subprocess.run(["umount", "-l", mount.split(" ")[4]], check=False)
        shutil.rmtree(made.home, ignore_errors=True)


def test_checkpoint_and_restore(podman: Podman) -> None:
    at = podman.count("c")
    podman.ok("container", "checkpoint", "c")
    assert podman.status("c") == "exited"
    podman.ok("container", "restore", "c")
    assert podman.status("c") == "running"
    until(lambda: podman.count("c") > at + 3)


def test_export_and_import_under_another_name(podman: Podman) -> None:
    at = podman.count("c")
    archive = str(podman.home / "saved.tar.gz")
    podman.ok("container", "checkpoint", "--export", archive, "c")
    podman.ok("rm", "--force", "c")
    podman.ok("container", "restore", "--import", archive, "--name", "other")
    until(lambda: podman.count("other") > at + 3)


def test_export_of_one_that_goes_on(podman: Podman) -> None:
    archive = podman.home / "saved.tar.gz"
    podman.ok("container", "checkpoint", "--leave-running", "--export", str(archive), "c")
    assert archive.stat().st_size > 0
    at = podman.count("c")
    until(lambda: podman.count("c") > at)
