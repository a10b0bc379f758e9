"""containerd with a private root, state and socket: `$C` is ctr, `$K` is `ctr run` with the runtime, `$I` the image."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Optional

import compare

from engines import debian
from engines.base import TEMPLATE, Engine, busybox_root
from tests.support import leftovers
from tests.support.image import image_archive

IMAGE = "docker.io/library/bb:latest"
RUNC, PLUGIN, OURS = "io.containerd.runc.v2", "io.containerd.pyoci.v1", "containerd-shim-pyoci-v1"
BUILT = str(Path(compare.PYOCI).parent)  # where containerd-shim-pyoci-v1 is

_CONF = """version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = [{disabled}]
[grpc]
  address = "{directory}/c.sock"
[debug]
  level = "info"
[plugins."io.containerd.internal.v1.opt"]
  path = "{directory}/opt"
{plugins}"""


def kept(runtime: str, space: str) -> list[str]:
    """What a plugin still has in its state directory, which is removed if that is nothing."""
    state = Path("/run/containerd", runtime, space)
    shutil.rmtree(state / "@seccomp", ignore_errors=True)  # compiled profiles: a store, not a container's
    found = [str(path) for path in state.iterdir()] if state.exists() else []
    if not found and state.exists():
        state.rmdir()
    return found


class Daemon:
    """A program that runs until it is told to end; it is alive when its socket answers."""

    def __init__(self, words: list[str], log: str, environment: "dict[str, str]", address: str) -> None:
        self.address = address
        with open(log, "ab") as file:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True
            )
        leftovers.OWN.add(self.process.pid)
        deadline = time.monotonic() + 60  # a guard
        while not self._answers():
            leftovers.reap()  # dockerd waits for the end of the containerd of a dead one
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(log) as text:
                    raise RuntimeError(f"{words[0]} does not start:\n{text.read()[-3000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.address) == 0

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        leftovers.OWN.discard(self.process.pid)


class Containerd(Engine):
    name = "containerd (ctr)"
    plugins = ""
    disabled = '"io.containerd.grpc.v1.cri"'

    def start(self) -> None:
        here = self.directory
        # the runtime's state lies in /run/containerd/runc/NAMESPACE, wherever containerd's own is
        self.space = f"{here.parent.name}-{self.runtime}"
        (here / "tmp").mkdir()
        (here / "bin").mkdir()
        (here / "bin" / "runc").symlink_to(self.binary)  # what is found by name is our runtime, too
        (here / "fifo").mkdir()
        (here / "config.toml").write_text(_CONF.format(directory=here, disabled=self.disabled, plugins=self._plugins()))
        image_archive(busybox_root(here / "rootfs"), here / "image.tar", IMAGE)
        self.daemon: Optional[Daemon] = None
        self.begin()
        command = ["ctr", "--address", str(here / "c.sock")]
        run = [
            *command,
            "run",
            "--runtime",
            self.plugin(),
            *self.binary_words(),
            "--fifo-dir",
            str(here / "fifo"),
        ]
        self.environment["CONTAINERD_NAMESPACE"] = self.space
        self.environment.update(
            I=IMAGE,
            DEB=debian.REFERENCE,
            DEBTAR=str(debian.archive()),
            D=str(here),
            RT=self.runtime,
            RTBIN=self.binary,
            C=compare.quoted(command),
            K=compare.quoted(run),
            R=self.plugin(),
            F=f"--fifo-dir {here}/fifo",
        )
        loaded = self.script("$C images import image.tar")
        assert loaded.status == 0, loaded
        # the shim and its state directory: users of a user namespace must pass
        os.chmod(here / "state", 0o711)

    def plugin(self) -> str:
        """The name of containerd's runtime plugin, whose `--runc-binary` the runtime is."""
        return RUNC

    def binary_words(self) -> list[str]:
        """How the plugin is told of the runtime."""
        return ["--runc-binary", self.binary]

    def _plugins(self) -> str:
        return self.plugins

    def begin(self) -> None:
        """Starts the daemon; also again, after its end."""
        here = self.directory
        environment = dict(os.environ, TMPDIR=str(here / "tmp"), PATH=f"{here}/bin:{BUILT}:{os.environ['PATH']}")
        self.daemon = Daemon(
            ["containerd", "-c", str(here / "config.toml")], str(here / "log"), environment, str(here / "c.sock")
        )

    def after(self, script: Any) -> None:
        if not isinstance(script, str) or "c1" in script:
            self.script("$C task kill -s SIGKILL -a c1; $C task rm -f c1; $C c rm c1")

    def stop(self) -> None:
        self.script("for c in $($C c ls -q); do $C task kill -s SIGKILL -a $c; $C task rm -f $c; $C c rm $c; done")
        if self.daemon is not None:
            self.daemon.end()
        leftovers.kill({pid for pid in leftovers.descendants() if leftovers.name_of(pid) == TEMPLATE})
        leftovers.remove_cgroups(f"{self.directory.parent.name}-{self.runtime}")

    def remains(self) -> list[str]:
        """What the runtime has kept of containers that are gone."""
        return kept("pyoci" if self.plugin() == PLUGIN else "runc", self.space)

    def version(self) -> str:
        out = subprocess.run(["containerd", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
        return "containerd " + out.split()[2].split("~")[0]


class ContainerdShim(Containerd):
    """The same with pyoci's own plugin beside containerd's with runc."""

    name = f"containerd (ctr), {OURS}"

    def plugin(self) -> str:
        return PLUGIN if self.runtime == "pyoci" else super().plugin()

    def binary_words(self) -> list[str]:
        return [] if self.runtime == "pyoci" else super().binary_words()

    def cannot(self, script: Any) -> Optional[str]:
        if isinstance(script, str) and "task checkpoint" in script and self.version() < "containerd 2":
            return f"this ctr gives --image-path and --exit to {RUNC} alone"
        return None
