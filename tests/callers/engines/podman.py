"""podman with a private store: `$P` is its command, `$I` the image, `$RT` the runtime's name."""

import json
import subprocess
from pathlib import Path

import compare

from engines import debian
from engines.base import Engine, busybox_root
from tests.support import leftovers
from tests.support.image import image_archive

IMAGE = "localhost/bb:latest"

_CONF = """[containers]
# below the hard limits of a machine without CAP_SYS_RESOURCE
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
{limit}
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime_supports_json = ["runc", "crun", "pyoci"]
# podman 4.3 reads this name, later ones that with an s
runtime_supports_nocgroup = ["crun", "pyoci"]
runtime_supports_nocgroups = ["crun", "pyoci"]
[engine.runtimes]
{runtime} = ["{binary}"]
[network]
network_config_dir = "{directory}/networks"
"""


def _limit() -> str:
    """podman limits the number of processes unless told not to, which fails where cgroup v2 has no such controller."""
    known = Path("/sys/fs/cgroup/cgroup.controllers")
    return "pids_limit = 0" if known.exists() and "pids" not in known.read_text() else ""


class Podman(Engine):
    name = "podman"

    def start(self) -> None:
        here = self.directory
        policy = here / "home" / ".config" / "containers" / "policy.json"
        policy.parent.mkdir(parents=True)
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        (here / "networks").mkdir()
        (here / "containers.conf").write_text(
            _CONF.format(runtime=self.runtime, binary=self.binary, directory=here, limit=_limit())
        )
        image_archive(busybox_root(here / "rootfs"), here / "image.tar", IMAGE)
        self.environment.update(
            HOME=str(here / "home"),
            CONTAINERS_CONF=str(here / "containers.conf"),
            I=IMAGE,
            DEB=debian.REFERENCE,
            DEBTAR=str(debian.archive()),
            RT=self.runtime,
            RTBIN=self.binary,
            D=str(here),
            P=compare.quoted(self.command()),
            R=compare.quoted([*self.command(), "run", "--rm", "--network", "none"]),
        )
        self._prepare()
        loaded = self.script("$P load -q -i image.tar")
        assert loaded.status == 0, loaded

    def command(self) -> list[str]:
        here = self.directory
        return [
            "podman",
            *("--root", str(here / "root"), "--runroot", str(here / "run"), "--tmpdir", str(here / "tmp")),
            *("--storage-driver", "overlay", "--runtime", self.runtime),
        ]

    def _prepare(self) -> None:
        pass

    def after(self, script: str) -> None:
        if " -d" in script or "create" in script or "--name" in script or "kube" in script:
            self.script("$P pod rm -af -t 0; $P rm -af -t 0")

    def stop(self) -> None:
        self.script("$P pod rm -af -t 0; $P rm -af -t 0; $P volume rm -af; $P rmi -af")
        for name in ("root/overlay", "root/overlay-containers"):
            for point in reversed(leftovers.mounts_below(str(self.directory / name))):
                subprocess.run(["umount", "-l", point], check=False)

    def containers(self) -> list[str]:
        """Ids of all containers there ever were."""
        ids = set()
        log = self.directory / "tmp" / "events" / "events.log"
        for line in log.read_text().split("\n") if log.exists() else ():
            event = json.loads(line) if line else {}
            if event.get("Type") == "container":
                ids.add(event["ID"])
        return sorted(ids)

    def remains(self) -> list[str]:
        """State of the runtime and cgroups of containers that are gone."""
        found = []
        cgroups = leftovers.cgroups_named("libpod-")
        for id in self.containers():
            found += [path for path in cgroups if id in path]
            found += [str(path) for path in (Path("/run") / self.runtime / id,) if path.exists()]
        return found

    def version(self) -> str:
        lines = []
        for words in (["podman", "--version"], ["conmon", "--version"]):
            out = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()
            lines.append(out.split("\n")[0].replace("version ", ""))
        return ", ".join(lines)
