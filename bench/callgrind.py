"""Counts the instructions of commands with valgrind: figures that do not depend on the machine's load.

Counted is what happens in user space in every process of the command, from the launcher's first line or, where that
executes something else, from there on. Init is left out: it is another program, and valgrind could not follow it into
its namespaces.
"""

import os
import platform
import re
import subprocess
from pathlib import Path

from bench.compiler import HERE, compiled
from bench.processes import await_end

LIBRARY = Path("/usr/libexec/valgrind")
COUNTED = re.compile(r"^==\d+== Collected : (\d+)", re.MULTILINE)


class Counter:
    """A valgrind that can start containers (count_calls.c), its files in a directory of ours."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        for file in LIBRARY.iterdir():
            (place / file.name).symlink_to(file)
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        library = place / f"vgpreload_callgrind-{machine}-linux.so"
        self.opener = compiled(HERE / "open_pidfd.c", place / "open_pidfd", "-static")
        compiled(HERE / "count_calls.c", library, "-shared", "-fPIC", f'-DOPEN_PIDFD="{self.opener}"')

    def count(self, *words: str) -> int:
        """Instructions of a command, which must succeed."""
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--trace-children=yes"]
        valgrind.append(f"--trace-children-skip=*/proc/self/fd/*,{self.opener}")
        log = self.place / "log"  # a file, because a container keeps standard error open
        environment = {**os.environ, "VALGRIND_LIB": str(self.place)}
        with open(log, "wb") as out:
            done = subprocess.run(
                [*valgrind, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, check=False
            )
        text = log.read_text(errors="replace")
        found = COUNTED.findall(text)
        if done.returncode or not found:
            raise AssertionError(f"{' '.join(words)}: status {done.returncode}\n{text}")
        return sum(map(int, found))

    def bare(self, python: str) -> int:
        """Instructions of the interpreter's bare isolated start."""
        return self.count(python, "-I", "-S", "-c", "pass")

    def life(self, pyoci: str, root: Path, lasting: Path, brief: Path, name: str) -> "dict[str, int]":
        """Instructions of each command, after a first container has left what is kept for the next.

        lasting: a bundle whose program runs until it is killed; brief: one whose program ends."""
        own = [pyoci, "--root", str(root)]
        pid_file = self.place / "pid"
        subprocess.run([*own, "run", "--bundle", str(brief), f"{name}-first"], check=True)
        counts = {"run": self.count(*own, "run", "--bundle", str(brief), f"{name}-run")}
        try:
            steps = f"""create --bundle {lasting} --pid-file {pid_file} {name}
                start {name}
                state {name}
                list
                ps --format json {name}
                exec {name} true
                pause {name}
                resume {name}
                update --pids-limit 99 {name}
                kill {name} KILL"""
            for words in map(str.split, steps.splitlines()):
                counts[words[0]] = self.count(*own, *words)
            await_end(int(pid_file.read_text()))
            counts["delete"] = self.count(*own, "delete", name)
        finally:
            subprocess.run([*own, "delete", "--force", name], check=False)
        return counts
