"""Writes csrc/rare.txt and csrc/together.txt: what hot commands, on configs of engines, make of their modules.

rare.txt: functions that they never call. setup.py leaves them out of their modules' code until they are called
(docs/design.md). An entry too many costs its caller some microseconds, one that is missing costs all commands a little,
one that fits no function nothing. together.txt: modules that are always loaded together, a line each group: setup.py
keeps their code in one piece, which is read faster. Run it as root, with cgroup v1, when hot commands have changed.
"""

import ast
import marshal
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType

HOME = Path(__file__).parents[2]
sys.path.insert(0, str(HOME))

from bench.world import CALLERS, World  # noqa: E402

LEAST = 250  # bytes of code: what stands for a function has its price, too
FOLLOWED = """
import sys
seen = set()
sys.setprofile(lambda frame, event, arg: seen.add(frame.f_code) if event == "call" else None)
from pyoci.cli import main
status = main(sys.argv[2:])
sys.setprofile(None)
with open(sys.argv[1], "a") as file:
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == "pyoci" and str(getattr(module, "__file__", "")).endswith(".py"):
            print("loaded", " ".join(sys.argv[2:]), module.__file__, sep="\\t", file=file)
    for code in seen:
        if "/pyoci/" in code.co_filename:
            print(code.co_name, code.co_firstlineno, code.co_filename, sep="\\t", file=file)
sys.exit(status)
"""


class Follower:
    """Runs commands and keeps what they loaded (files) and called (name, line, file)."""

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


def follow(world: World) -> "tuple[dict[Path, set[str]], set[tuple[str, int, str]]]":
    """What was loaded, by which calls; and what was called."""
    log = world.place / "called"
    follower = Follower(str(world.states / "rare"), log)
    bundles = [world.bundle("sleep", "1000"), world.bundle("true")]
    for recording in ("podman58-run-create", "containerd21-opts-create"):
        if (CALLERS / f"{recording}.json").exists():
            bundles += [world.engine_bundle(recording, "sleep", "1000"), world.engine_bundle(recording, "true")]
    for long, short in zip(bundles[::2], bundles[1::2]):
        follower.life(long, world.name())
        follower.run("run", "--bundle", str(short), world.name())
    lines = [line.split("\t") for line in log.read_text().splitlines()]
    called = {(line[0], int(line[1]), line[2]) for line in lines if line[0] != "loaded"}
    loaded: "dict[Path, set[str]]" = {}
    for line in lines:
        if line[0] == "loaded":
            loaded.setdefault(Path(line[2]), set()).add(line[1])
    return loaded, called


def functions(path: Path) -> "list[tuple[str, CodeType]]":
    """The functions of a module and the methods of its classes: qualified name, code."""
    found = []

    def look(code: CodeType, prefix: str, depth: int) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
                if constant.co_flags & 0x2:  # CO_NEWLOCALS: a function, where a class's body has none
                    found.append((prefix + constant.co_name, constant))
                elif depth == 0:
                    look(constant, f"{constant.co_name}.", 1)

    look(compile(ast.parse(path.read_text()), str(path), "exec", optimize=2), "", 0)
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__")


def main() -> None:
    """Follows the commands, writes the lists."""
    world = World(str(HOME / "build" / "bin" / "pyoci"), sys.executable)
    try:
        loaded, called = follow(world)
    finally:
        world.close()
    rare = []
    together: "dict[frozenset[str], list[str]]" = {}
    for path in sorted(loaded):
        if "v1" not in path.stem:  # what a host decides, not a command
            together.setdefault(frozenset(loaded[path]), []).append(name_of(path))
        for name, code in functions(path):
            if (code.co_name, code.co_firstlineno, str(path)) not in called and len(marshal.dumps(code)) >= LEAST:
                rare.append(f"{name_of(path)}:{name}")
    groups = sorted(" ".join(names) for names in together.values() if len(names) > 1)
    (HOME / "csrc" / "rare.txt").write_text("\n".join(rare) + "\n")
    (HOME / "csrc" / "together.txt").write_text("\n".join(groups) + "\n")
    print(len(rare), "functions,", len(groups), "groups")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("rare.py: needs root")
    main()
