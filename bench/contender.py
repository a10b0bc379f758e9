"""The runtimes that are compared, by the command line that they share."""

import shutil
import subprocess
from pathlib import Path

from bench.clock import Clock, Failed, Took
from bench.processes import await_end


class Contender:
    """One runtime with a state root of its own. newer: it is not of this release of Debian (tests/tools/peers.sh)."""

    def __init__(self, name: str, program: str, root: Path, clock: Clock, newer: bool = False) -> None:
        self.name = name
        self.program = program
        self.root = root
        self.clock = clock
        self.newer = newer

    def words(self, *words: str) -> list[str]:
        return [self.program, "--root", str(self.root), *words]

    def call(self, *words: str) -> Took:
        """Runs a command that must succeed."""
        return self.clock.run(*self.words(*words))

    def run(self, bundle: Path, container: str) -> Took:
        """`run`, until the container's program has ended."""
        return self.call("run", "--bundle", str(bundle), container)

    def create(self, bundle: Path, container: str) -> Took:
        pid_file = self.pid_file(container)
        pid_file.parent.mkdir(exist_ok=True)
        return self.call("create", "--bundle", str(bundle), "--pid-file", str(pid_file), container)

    def start(self, container: str) -> Took:
        return self.call("start", container)

    def life(self, bundle: Path, container: str) -> float:
        """Seconds of create, start and delete together."""
        took = self.create(bundle, container).seconds + self.start(container).seconds
        return took + self.delete(container).seconds

    def delete(self, container: str) -> Took:
        """`delete` of a container whose program ends by itself; the wait for that does not count."""
        await_end(self.pid(container))
        return self.call("delete", container)

    def remove(self, container: str) -> Took:
        """`delete --force`."""
        took = self.call("delete", "--force", container)
        await_end(self.pid(container))
        return took

    def forget(self, container: str) -> None:
        """Removes what a failed command may have left."""
        quiet = subprocess.DEVNULL
        words = self.words("delete", "--force", container)
        subprocess.run(words, stdin=quiet, stdout=quiet, stderr=quiet, check=False)

    def forget_all(self) -> None:
        """Removes every container of this root."""
        for path in self.root.glob("pyoci-bench-*"):
            self.forget(path.name)

    def pid(self, container: str) -> int:
        return int(self.pid_file(container).read_text())

    def pid_file(self, container: str) -> Path:
        return self.root.with_suffix(".pids") / container


def contenders(
    pyoci: str, place: Path, clock: Clock, probe: Path, peers: "Path | None" = None
) -> "tuple[list[Contender], list[str]]":
    """pyoci, then those others that can run a bundle here; and for each that cannot, why. peers: a directory of newer
    ones, each called NAME-VERSION."""
    chosen, left_out = [Contender("pyoci", pyoci, place / "pyoci", clock)], []
    found = [(name, shutil.which(name), False) for name in ("runc", "crun")]
    if peers is not None and peers.is_dir():
        found += [(path.name, str(path), True) for path in sorted(peers.iterdir())]
    for name, program, newer in found:
        if program is None:
            left_out.append(f"{name} is not installed")
            continue
        contender = Contender(name, program, place / name, clock, newer)
        try:
            contender.run(probe, f"probe-{name}")
        except Failed as problem:
            left_out.append(f"{name} cannot run here: {problem}")
            continue
        chosen.append(contender)
    return chosen, left_out
