"""Writes csrc/start/hot.txt: modules that hot commands load on configs of engines, those that most of them load first.
setup.py keeps their code close together in the interpreter's program (docs/design.md). An entry too many or too few
costs some page faults. Run it as root, with cgroup v1, when hot commands have changed.
"""

import os
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[2]
sys.path.insert(0, str(HOME))

from bench.world import CALLERS, World  # noqa: E402

FOLLOWED = """
import sys
from pyoci.cli import main
status = main(sys.argv[2:])
with open(sys.argv[1], "a") as file:
    print(*sorted(name for name in sys.modules if name.partition(".")[0] == "pyoci"), file=file)
sys.exit(status)
"""


class Follower:
    """Runs commands and keeps what they loaded, a line each."""

    def __init__(self, root: str, log: Path) -> None:
        self.root = root
        self.log = log

    def run(self, *words: str) -> None:
        """Runs a command that must succeed."""
        line = [sys.executable, "-c", FOLLOWED, str(self.log), "--root", self.root, *words]
        quiet = subprocess.DEVNULL
        subprocess.run(line, check=True, cwd=HOME, stdin=quiet, stdout=quiet)

    def life(self, bundle: Path, name: str) -> None:
        """Every hot command on one container."""
        self.run("create", "--bundle", str(bundle), "--pid-file", f"{self.log}.pid", name)
        self.run("state", name)
        self.run("start", name)
        self.run("state", name)
        self.run("exec", name, "true")
        self.run("kill", name, "KILL")
        self.run("delete", "--force", name)


def follow(world: World) -> "list[list[str]]":
    """The modules that each of the commands loaded."""
    follower = Follower(str(world.states / "hot"), world.place / "loaded")
    bundles = [world.bundle("sleep", "1000"), world.bundle("true")]
    for recording in ("podman58-run-create", "containerd21-opts-create"):
        if (CALLERS / f"{recording}.json").exists():
            bundles += [world.engine_bundle(recording, "sleep", "1000"), world.engine_bundle(recording, "true")]
    for long, short in zip(bundles[::2], bundles[1::2]):
        follower.life(long, world.name())
        follower.run("run", "--bundle", str(short), world.name())
    return [line.split() for line in follower.log.read_text().splitlines()]


def main() -> None:
    """Follows the commands, writes the list."""
    world = World(str(HOME / "build" / "bin" / "pyoci"), sys.executable)
    try:
        loaded = follow(world)
    finally:
        world.close()
    often = {name: sum(name in names for names in loaded) for names in loaded for name in names}
    hot = [
        name for name in sorted(often, key=lambda name: (-often[name], name)) if not name.startswith("pyoci._native")
    ]
    (HOME / "csrc" / "start" / "hot.txt").write_text("\n".join(hot) + "\n")
    print(len(hot), "modules")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("hot.py: needs root")
    main()
