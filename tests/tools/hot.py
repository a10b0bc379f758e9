"""Writes the measured part of csrc/start/hot.txt: modules that hot commands load, those that most of them load first,
each with these commands. The rest of the file is kept. Run it as root, with cgroup v1, when hot commands have changed:
tests/integration/test_imports.py refuses a module that is not listed, and the commit says why it is needed.
"""

import os
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[2]
sys.path.insert(0, str(HOME))

from bench.world import CALLERS, World  # noqa: E402
from csrc.build import hot  # noqa: E402

FOLLOWED = """
import sys
import pyoci
pyoci.is_command = True
from pyoci.cli import main
status = main(sys.argv[3:])
with open(sys.argv[1], "a") as file:
    print(sys.argv[2], *sorted(name for name in sys.modules if name.partition(".")[0] == "pyoci"), file=file)
sys.exit(status)
"""


class Follower:
    """Runs commands and keeps what they loaded, a line each."""

    def __init__(self, root: str, log: Path) -> None:
        self.root = root
        self.log = log

    def run(self, label: str, *words: str) -> None:
        """Runs a command that must succeed, what it loads is kept under the label."""
        line = [sys.executable, "-c", FOLLOWED, str(self.log), label, "--root", self.root, *words]
        quiet = subprocess.DEVNULL
        subprocess.run(line, check=True, cwd=HOME, stdin=quiet, stdout=quiet)

    def plain_life(self, bundle: Path, name: str) -> None:
        """The commands of tests/integration/test_imports.py: nothing is asked for that costs a module."""
        self.run("create", "create", "--bundle", str(bundle), name)
        self.run("state", "state", name)
        self.run("start", "start", name)
        self.run("exec", "exec", "--detach", name, "sleep", "1000")
        self.run("kill", "kill", name, "KILL")
        self.run("delete", "delete", "--force", name)
        self.run("run", "run", "--detach", "--bundle", str(bundle), name)
        self.run("delete", "delete", "--force", name)

    def life(self, bundle: Path, name: str) -> None:
        """Every hot command on one container, with the options of an engine."""
        self.run("create+", "create", "--bundle", str(bundle), "--pid-file", f"{self.log}.pid", name)
        self.run("state+", "state", name)
        self.run("start+", "start", name)
        self.run("exec+", "exec", name, "true")
        self.run("kill+", "kill", name, "KILL")
        self.run("delete+", "delete", "--force", name)


def follow(world: World) -> "list[tuple[str, list[str]]]":
    """Label and modules of each of the commands."""
    follower = Follower(str(world.states / "hot"), world.place / "loaded")
    bundles = [world.bundle("sleep", "1000"), world.bundle("true")]
    follower.plain_life(bundles[0], world.name())
    for recording in ("podman58-run-create", "containerd21-opts-create"):
        if (CALLERS / f"{recording}.json").exists():
            bundles += [world.engine_bundle(recording, "sleep", "1000"), world.engine_bundle(recording, "true")]
    for long, short in zip(bundles[::2], bundles[1::2]):
        follower.life(long, world.name())
        follower.run("run+", "run", "--bundle", str(short), world.name())
    lines = [line.split() for line in follower.log.read_text().splitlines()]
    return [(label, modules) for label, *modules in lines]


def measured(followed: "list[tuple[str, list[str]]]") -> "list[str]":
    """The list's lines: those that most commands loaded first, and which commands these were."""
    labels: "dict[str, list[str]]" = {}
    for label, modules in followed:
        for module in modules:
            if not module.startswith("pyoci._native"):
                labels.setdefault(module, []).append(label)
    names = sorted(labels, key=lambda name: (-len(labels[name]), name))
    return [" ".join([name, *_commands(set(labels[name]))]) for name in names]


def _commands(labels: "set[str]") -> "list[str]":
    return sorted(label for label in labels if label.rstrip("+") == label or label.rstrip("+") not in labels)


def main() -> None:
    """Follows the commands, writes the list."""
    world = World(str(HOME / "build" / "bin" / "pyoci"), sys.executable)
    try:
        lines = measured(follow(world))
    finally:
        world.close()
    file = Path(hot.LIST)
    begin, heading, rest = file.read_text().partition(f"[{hot.MEASURED}]\n")
    kept = rest[rest.index("\n[") :]
    file.write_text(begin + heading + "\n".join(lines) + "\n" + kept)
    print(len(lines), "modules")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("hot.py: needs root")
    main()
