"""A containerd of our own in a cgroup of its own, and what its plugins and runtimes use: all but containerd itself."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.clock import Failed
from tests.support.bundle import make_rootfs
from tests.support.image import image_archive
from tests.support.leftovers import remove_cgroups

IMAGE = "docker.io/library/bench:latest"
REFERENCE, OURS = "io.containerd.runc.v2", "io.containerd.pyoci.v1"
_CONFIG = """version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{place}/sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{place}/opt"
"""


class Cost(NamedTuple):
    """Seconds: of the processor, and by the clock."""

    cpu: float
    wall: float


class Node:
    """containerd with an image, in the cgroup /NAME; containers are below it. programs: where the plugin is."""

    def __init__(self, name: str, programs: Path) -> None:
        self.name = name
        self.place = Path(tempfile.mkdtemp(prefix="pyoci-node-"))
        self.cgroup = _hierarchy() / name
        self.cgroup.mkdir()
        self._fifos = self.place / "fifo"
        self._fifos.mkdir()
        self._execs = 0
        (self.place / "config.toml").write_text(_CONFIG.format(place=self.place))
        self.daemon = self._begin(programs)
        make_rootfs(self.place / "rootfs")
        image_archive(self.place / "rootfs", self.place / "image.tar", IMAGE)
        self.ctr("images", "import", str(self.place / "image.tar"))

    def _begin(self, programs: Path) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(self.place)}
        script = f'echo $$ >{self.cgroup}/cgroup.procs && exec "$@"'
        words = ["sh", "-c", script, "sh", "containerd", "-c", str(self.place / "config.toml")]
        with open(self.place / "log", "wb") as log:
            daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 60  # a guard
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(str(self.place / "sock")):
                if daemon.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"containerd does not start: {(self.place / 'log').read_text()[-2000:]}")
                time.sleep(0.02)
        return daemon

    def words(self, *words: str) -> "list[str]":
        return ["ctr", "--address", str(self.place / "sock"), "--namespace", self.name, *words]

    def ctr(self, *words: str) -> None:
        """A command that must succeed."""
        self._call(self.words(*words))

    def _call(self, words: "list[str]") -> None:
        with tempfile.TemporaryFile() as said:  # not a pipe: shims of detached containers may keep it open
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, check=False)
            said.seek(0)
            if done.returncode:
                raise Failed(f"{' '.join(words)}: {said.read().decode(errors='replace')}")

    def words_of_run(self, runtime: str, container: str, *words: str, flags: "tuple[str, ...]" = ()) -> "list[str]":
        """`ctr run` with a runtime; the container's cgroup is none of ours, as in real life."""
        place = ["--cgroup", f"/{self.name}-containers/{container}", "--fifo-dir", str(self._fifos)]
        return self.words("run", "--runtime", runtime, *place, *flags, IMAGE, container, *words)

    def run(self, runtime: str, container: str, *words: str, flags: "tuple[str, ...]" = ()) -> None:
        """Runs that command, which must succeed."""
        self._call(self.words_of_run(runtime, container, *words, flags=flags))

    def execute(self, container: str, *words: str) -> None:
        """`ctr task exec`; its output goes nowhere."""
        self._execs += 1
        name = f"x{self._execs}"
        self._call(self.words("task", "exec", "--fifo-dir", str(self._fifos), "--exec-id", name, container, *words))

    def remove(self, container: str) -> None:
        """A container that runs."""
        self.ctr("task", "kill", "-s", "SIGKILL", container)
        self.ctr("task", "rm", "-f", container)
        self.ctr("containers", "rm", container)

    def cost(self, action: "Callable[[], object]") -> Cost:
        """What others than containerd use for an action, and for what it leaves to be done: until there are as many
        processes as before."""
        rest = len(self.pids())
        used, own, begin = self.used(), self.own(), time.perf_counter()
        action()
        wall = time.perf_counter() - begin
        self.settle(rest)
        return Cost(self.used() - used - (self.own() - own), wall)

    def settle(self, count: int) -> None:
        """Waits until only so many processes are left."""
        deadline = time.monotonic() + 30  # a guard
        while len(self.pids()) > count and time.monotonic() < deadline:
            time.sleep(0.002)

    def pids(self) -> "list[int]":
        """Of containerd and its plugins."""
        return [int(word) for word in (self.cgroup / "cgroup.procs").read_text().split()]

    def shims(self) -> "list[int]":
        """Plugins that live, and pyoci's template."""
        return [pid for pid in self.pids() if pid != self.daemon.pid and b"containerd-shim" in _words(pid)]

    def shim_of(self, container: str) -> int:
        """The shim of a container of its own: its words have its name."""
        (found,) = [pid for pid in self.shims() if container.encode() in _words(pid).split(b"\0")]
        return found

    def used(self) -> float:
        """Seconds of the processor, of the cgroup and all below it."""
        try:
            return int((self.cgroup / "cpuacct.usage").read_text()) / 1e9
        except FileNotFoundError:
            fields = dict(line.split() for line in (self.cgroup / "cpu.stat").read_text().splitlines())
            return int(fields["usage_usec"]) / 1e6

    def own(self) -> float:
        """containerd's own."""
        return cpu_of(self.daemon.pid)

    def close(self) -> None:
        """Ends all that is there."""
        for pid in self.shims():
            os.kill(pid, signal.SIGKILL)
        self.daemon.terminate()
        self.daemon.wait(30)
        remove_cgroups(self.name)
        shutil.rmtree(self.place, ignore_errors=True)


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def cpu_of(pid: int) -> float:
    """Seconds of the processor that a process has used, by the clock that the kernel keeps for it."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


def _hierarchy() -> Path:
    top = Path("/sys/fs/cgroup")
    return top / "cpuacct" if (top / "cpuacct").is_dir() else top
