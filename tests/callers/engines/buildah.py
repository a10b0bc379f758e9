"""buildah with a private store: `$B` is its command, `$I` the image, `$RUN` runs in the working container w1."""

import subprocess

import compare

from engines.podman import IMAGE, Podman


class Buildah(Podman):
    name = "buildah"

    def command(self) -> list[str]:
        here = self.directory
        return [
            "podman",
            "--root",
            str(here / "root"),
            "--runroot",
            str(here / "run"),
            "--tmpdir",
            str(here / "tmp"),
            "--storage-driver",
            "overlay",
            "--runtime",
            self.runtime,
        ]

    def _prepare(self) -> None:
        here = self.directory
        buildah = [
            "buildah",
            "--root",
            str(here / "root"),
            "--runroot",
            str(here / "run"),
            "--storage-driver",
            "overlay",
        ]
        self.environment.update(
            B=compare.quoted(buildah),
            RUN=compare.quoted([*buildah, "run", "--runtime", self.binary]),
            BUD=compare.quoted([*buildah, "bud", "--runtime", self.binary, "--network", "none"]),
            TMPDIR=str(here / "tmp"),
        )
        (here / "tmp").mkdir()

    def after(self, script: str) -> None:
        self.script("$B rm -a")

    def stop(self) -> None:
        self.script("$B rm -a; $B rmi -af")
        super().stop()

    def version(self) -> str:
        out = subprocess.run(["buildah", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
        return " ".join(out.split()[:3]).replace("version ", "")


__all__ = ["IMAGE", "Buildah"]
