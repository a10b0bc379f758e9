"""podman of an ordinary user: its own home, XDG_RUNTIME_DIR and ranges of subordinate ids."""

import os
import subprocess
from pathlib import Path
from typing import List

from engines.podman import Podman

USER = 64321
_RANGE = f"{USER}:5000000:65536\n"


class Rootless(Podman):
    """The ranges are put into /etc/subuid and /etc/subgid: newuidmap reads no other file."""

    name = "podman, rootless"

    def _prepare(self) -> None:
        self.user = USER
        for file in ("/etc/subuid", "/etc/subgid"):
            path = Path(file)
            text = path.read_text() if path.exists() else ""
            if _RANGE not in text:
                path.write_text(text + _RANGE)
        (self.directory / "xdg").mkdir()
        (self.directory / "xdg").chmod(0o700)
        self.environment.update(XDG_RUNTIME_DIR=str(self.directory / "xdg"), USER="pyocitest", LOGNAME="pyocitest")
        subprocess.run(["chown", "-R", "-h", f"{USER}:{USER}", str(self.directory)], check=True)
        self.directory.parent.chmod(0o755)

    def after(self, script: str) -> None:
        super().after(script)

    def stop(self) -> None:
        self.script("$P pod rm -af -t 0; $P rm -af -t 0; $P volume rm -af; $P rmi -af; "
                    "p=$(cat xdg/libpod/tmp/pause.pid tmp/pause.pid 2>/dev/null) && kill $p")
        for file in ("/etc/subuid", "/etc/subgid"):
            path = Path(file)
            path.write_text(path.read_text().replace(_RANGE, ""))
        # what the user's containers own is not the user's outside: root removes it
        os.chmod(self.directory, 0o711)

    def remains(self) -> List[str]:
        state = self.directory / "xdg" / self.runtime
        ids = set(self.containers())
        return [str(path) for path in state.iterdir() if path.name in ids] if state.exists() else []
