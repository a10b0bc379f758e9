"""An engine with private state that drives one runtime: what the engines of these tests have in common."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import compare
from compare import Outcome

from tests.support import leftovers

TEMPLATE = "pyoci-template"  # of containerd's plugin: it stays for a while, to be ready for the next pod
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
        left = {pid for pid in leftovers.descendants() - leftovers.OWN if leftovers.name_of(pid) != TEMPLATE}
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

    def cannot(self, script: Any) -> Optional[str]:
        """Why this engine cannot do an operation whatever the runtime does."""
        return None

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
