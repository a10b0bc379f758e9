"""An engine with private state that drives one runtime: what the engines of these tests have in common."""

import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Optional

import compare
from compare import Outcome

from tests.support import leftovers

_PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/tmp:/bin/sh\n"
_GROUP = "root:x:0:\napp:x:1000:\nextra:x:77:\n"


def busybox_root(path: Path) -> Path:
    """A root file system of busybox alone."""
    for name in ("bin", "etc", "root", "proc", "sys", "dev", "run", "home"):
        (path / name).mkdir(parents=True)
    (path / "tmp").mkdir()
    (path / "tmp").chmod(0o1777)
    binary = path / "bin" / "busybox"
    binary.write_bytes(Path("/bin/busybox").read_bytes())
    binary.chmod(0o755)
    applets = subprocess.run(["/bin/busybox", "--list"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    for name in applets:
        if name != "busybox":
            (path / "bin" / name).symlink_to("busybox")
    (path / "etc" / "passwd").write_text(_PASSWD)
    (path / "etc" / "group").write_text(_GROUP)
    return path


def settle(keep: int = 0) -> list[str]:
    """Waits until no process is left below this one but the first `keep` trees; returns those that never end.

    Engines clean up after a container in the background: its end is not theirs."""
    deadline = time.monotonic() + 30  # a guard; the wait ends with the last process
    while True:
        leftovers.reap()
        left = leftovers.descendants() - set(leftovers.OWN)
        if len(left) <= keep or time.monotonic() > deadline:
            return [leftovers.describe(pid) for pid in sorted(left)] if len(left) > keep else []
        time.sleep(0.02)


class Engine:
    """name: for the table. directory: everything it keeps. environment: of each of its commands."""

    name = ""

    def __init__(self, directory: Path, runtime: str, binary: str) -> None:
        self.directory, self.runtime, self.binary = directory, runtime, binary
        self.environment: dict[str, str] = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        self.prefix: list[str] = []  # words before the shell of every script

    # why this machine's runtime cannot be called by the engine's user
    unusable: Optional[str] = None

    def start(self) -> None:
        """Makes the configuration and the image, and starts daemons."""

    def stop(self) -> None:
        """Removes containers, ends daemons."""

    def after(self, script: Any) -> None:
        """Removes what an operation may have left on purpose."""

    def version(self) -> str:
        raise NotImplementedError

    def script(self, script: "str | Callable[[Any], str]") -> Outcome:
        """Runs a script of the engine's words, or a function of the engine that returns its findings; returns what it
        did without what changes from run to run."""
        if not isinstance(script, str):
            return Outcome(0, compare.steady(script(self), str(self.directory)), "")
        outcome = compare.shell(script, self.environment, self.directory, self.prefix)
        where = str(self.directory)
        return Outcome(outcome.status, compare.steady(outcome.out, where), compare.steady(outcome.err, where))


def image_archive(
    root: Path, archive: Path, reference: str, command: Optional[list[str]] = None, path: str = "/bin"
) -> Path:
    """An archive in the form of `docker save`: one layer, a command, a PATH."""
    import hashlib
    import json

    layer = BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(root, arcname=".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {"Cmd": command or ["/bin/sh"], "Env": [f"PATH={path}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "tests"}],
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = json.dumps([{"Config": f"{name}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}])
    with tarfile.open(archive, "w") as tar:
        for member, data in (
            (f"{digest}/layer.tar", layer.getvalue()),
            (f"{name}.json", config),
            ("manifest.json", manifest.encode()),
        ):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return archive
