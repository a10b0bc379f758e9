"""podman of an ordinary user: its own home, XDG_RUNTIME_DIR and ranges of subordinate ids."""

import os
import subprocess
from pathlib import Path

from engines.podman import Podman
from tests.support import stranger

USER = 64321
NAME = "pyoci-test"
_RANGE = f"{NAME}:5000000:65536\n"
# The user exists in a mount namespace only: the host's files stay as they are
_BECOME = (
    "for f in passwd group subuid subgid; do mount --bind {etc}/$f /etc/$f || exit 1; done; "
    f'exec setpriv --reuid={USER} --regid={USER} --clear-groups "$@"'
)


class Rootless(Podman):
    name = "podman, rootless"

    def _prepare(self) -> None:
        etc = self.directory / "etc"
        etc.mkdir()
        for name, line in (("passwd", f"{NAME}:x:{USER}:{USER}::/:/bin/sh\n"), ("group", f"{NAME}:x:{USER}:\n")):
            (etc / name).write_text((Path("/etc") / name).read_text() + line)
        for name in ("subuid", "subgid"):
            (Path("/etc") / name).touch()
            (etc / name).write_text(_RANGE)
        (self.directory / "xdg").mkdir()
        (self.directory / "xdg").chmod(0o700)
        self.environment.update(XDG_RUNTIME_DIR=str(self.directory / "xdg"), USER=NAME, LOGNAME=NAME)
        subprocess.run(["chown", "-R", "-h", f"{USER}:{USER}", str(self.directory)], check=True)
        self.prefix = ["sh", "-c", _BECOME.format(etc=etc), "become"]
        self.prefix = [*(stranger.opened() or ["unshare", "-m"]), *self.prefix]
        program = subprocess.run(
            [*self.prefix, self.binary, "--version"],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        # a runtime (or its interpreter) below /root is nobody else's
        self.unusable = program.stderr.decode().strip() if program.returncode != 0 else None

    def stop(self) -> None:
        super().stop()
        pause = list((self.directory / "xdg").rglob("pause.pid")) + list(self.directory.glob("tmp/pause.pid"))
        for path in pause:
            try:
                os.kill(int(path.read_text()), 9)
            except ProcessLookupError:
                pass

    def remains(self) -> list[str]:
        state = self.directory / "xdg" / self.runtime
        ids = set(self.containers())
        return [str(path) for path in state.iterdir() if path.name in ids] if state.exists() else []
