"""dockerd, unpacked from its package, with private data, execution root and sockets: `$K` is docker, `$R` a run."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Optional

from engines import debian
from engines.base import Engine, busybox_root
from engines.containerd import BUILT, OURS, PLUGIN, Daemon, kept
from tests.support import leftovers
from tests.support.image import image_archive

IMAGE = "bb:latest"
UNPACKED = Path(os.environ.get("DOCKER", str(Path(__file__).parents[3] / "build" / "callers" / "docker")))


class Docker(Engine):
    name = "dockerd"

    def start(self) -> None:
        here = self.directory
        for name in ("bin", "home", "tmp"):
            (here / name).mkdir()
        # what runs containers without asking for the default runtime, as BuildKit does, finds ours by this name, too
        (here / "bin" / "runc").symlink_to(self.binary)
        (here / "bin" / "docker-init").symlink_to("/usr/bin/tini-static")
        image_archive(busybox_root(here / "rootfs"), here / "image.tar", IMAGE)
        path = f"{here}/bin:{UNPACKED}/usr/bin:{UNPACKED}/usr/sbin:{os.environ['PATH']}"
        self.environment.update(
            PATH=path,
            HOME=str(here / "home"),
            TMPDIR=str(here / "tmp"),
            DOCKER_HOST=f"unix://{here}/d.sock",
            I=IMAGE,
            DEB=debian.REFERENCE,
            DEBTAR=str(debian.archive()),
            K="docker",
            R="docker run --rm --network none",
            RT=self.runtime,
            D=str(here),
        )
        self.daemon: Optional[Daemon] = None
        self.begin()
        loaded = self.script("$K load -q -i image.tar")
        assert loaded.status == 0, loaded

    def begin(self) -> None:
        here = self.directory
        words = [
            "dockerd",
            "--data-root",
            str(here / "data"),
            "--exec-root",
            str(here / "exec"),
            "--pidfile",
            str(here / "pid"),
            "--host",
            f"unix://{here}/d.sock",
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--ip6tables=false",
            "--storage-driver",
            "overlay2",
            "--cgroup-parent",
            f"/{here.parent.name}-{self.runtime}",
            "--default-runtime",
            f"{self.runtime}-under-test",
            "--live-restore",
            "--config-file",
            str(here / "daemon.json"),
            *self.words(),
        ]
        settings = {"experimental": True, "runtimes": {f"{self.runtime}-under-test": self.entry()}}  # checkpoint is
        (here / "daemon.json").write_text(json.dumps(settings))
        self.daemon = Daemon(words, str(here / "log"), self.environment, str(here / "d.sock"))

    def entry(self) -> dict[str, str]:
        """The runtime, in daemon.json."""
        return {"path": self.binary}

    def words(self) -> list[str]:
        """More words for dockerd."""
        return []

    def after(self, script: Any) -> None:
        if not isinstance(script, str) or " -d" in script or "--name" in script or "create" in script:
            self.script("$K rm -f $($K ps -aq)")

    def containerds(self) -> set[int]:
        return _with(b"containerd\0--config", f"{self.directory}/".encode())

    def stop(self) -> None:
        self.script("$K rm -f $($K ps -aq); $K volume rm -f $($K volume ls -q)")
        if self.daemon is not None:
            self.daemon.end()
        leftovers.kill(self.containerds())  # only after dockerd was killed itself
        leftovers.remove_cgroups(f"{self.directory.parent.name}-{self.runtime}")
        for point in reversed(leftovers.mounts_below(str(self.directory))):
            subprocess.run(["umount", "-l", point], check=False)

    def remains(self) -> list[str]:
        state = self.directory / "exec" / f"runtime-{self.runtime}-under-test" / "moby"
        return [str(path) for path in state.iterdir() if path.name != "@seccomp"] if state.exists() else []

    def version(self) -> str:
        return f"docker {_version()}"


class DockerShim(Docker):
    """The same with pyoci's own plugin beside containerd's with runc."""

    name = f"dockerd, {OURS}"

    def start(self) -> None:
        self.space = f"{self.directory.parent.name}-{self.runtime}"
        super().start()

    def begin(self) -> None:
        if self.runtime == "pyoci" and BUILT not in self.environment["PATH"]:
            self.environment["PATH"] += f":{BUILT}"
        super().begin()

    def entry(self) -> dict[str, str]:
        return {"runtimeType": PLUGIN} if self.runtime == "pyoci" else super().entry()

    def words(self) -> list[str]:
        return ["--containerd-namespace", self.space]

    def cannot(self, script: Any) -> Optional[str]:
        if isinstance(script, str) and "checkpoint create ck" in script:
            return "docker tells runc's plugin alone that the container is to end"
        return None

    def remains(self) -> list[str]:
        return kept("pyoci", self.space) if self.runtime == "pyoci" else super().remains()

    @staticmethod
    def knows_plugins() -> bool:
        """Whether this dockerd can be told of one: 23 and later can."""
        return int(_version().split(".")[0]) >= 23


def _version() -> str:
    docker = str(UNPACKED / "usr/sbin/dockerd")
    out = subprocess.run([docker, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return out.split()[2].split("+")[0].rstrip(",")


def _with(*marks: bytes) -> set[int]:
    """Pids below this process whose command line has all marks."""
    found = set()
    for pid in leftovers.descendants():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if all(mark in line for mark in marks):
            found.add(pid)
    return found
