"""The runtime under test, as its command line; nothing else of it is known here."""

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

PATIENCE_VARIABLE = "CONFORMANCE_PATIENCE"
PATIENCE = float(os.environ.get(PATIENCE_VARIABLE) or 30)  # seconds until a command counts as hanging, no measure


class Hang(Exception):
    """A command or a container did not come to its end."""


@dataclass
class Result:
    """What a command left: its words, exit status, and what it printed."""

    command: list[str]
    status: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    def __str__(self) -> str:
        said = (self.err.strip() or self.out.strip()).splitlines()
        return f"exit status {self.status}" + (f": {said[-1][:400]}" if said else "")


@dataclass
class Runtime:
    """A runtime by its path, with the options that every command gets.

    path:           the program
    root:           --root, where it keeps its containers
    cgroup_manager: cgroupfs (nothing is passed), systemd (--systemd-cgroup) or disabled (--cgroup-manager disabled)
    """

    path: str
    root: Path
    cgroup_manager: str = "cgroupfs"
    environment: dict[str, str] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    def words(self, *args: str) -> list[str]:
        """The whole command line of an operation."""
        common = ["--root", str(self.root)]
        if self.cgroup_manager == "systemd":
            common.append("--systemd-cgroup")
        elif self.cgroup_manager == "disabled":
            common += ["--cgroup-manager", "disabled"]
        return [self.path, *common, *args]

    def run(self, command: Sequence[str], **options: Any) -> Result:
        """Runs any command line to its end. stdout and stderr, unless given as files, come back as text."""
        self.history.append(shlex.join(command))
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("env", self.environment)
        try:
            done = subprocess.run(command, timeout=PATIENCE, check=False, **options)
        except subprocess.TimeoutExpired:
            raise Hang(f"no end after {PATIENCE:.0f} s: {shlex.join(command)}") from None
        text = [(stream or b"").decode("utf-8", "replace") for stream in (done.stdout, done.stderr)]
        return Result(list(command), done.returncode, text[0], text[1])

    def call(self, *args: str, **options: Any) -> Result:
        """One operation with the common options, such as call("state", "some-id")."""
        return self.run(self.words(*args), **options)

    def state(self, container_id: str) -> Optional[dict[str, Any]]:
        """The state as an object, None when the operation fails or prints something else."""
        result = self.call("state", container_id)
        if not result.ok:
            return None
        try:
            state = json.loads(result.out)
        except ValueError:
            return None
        return state if isinstance(state, dict) else None

    def features(self) -> Optional[dict[str, Any]]:
        """The features structure, None where the runtime gives none."""
        result = self.run([self.path, "features"])
        try:
            structure = json.loads(result.out) if result.ok else None
        except ValueError:
            return None
        return structure if isinstance(structure, dict) else None


def caller_environment() -> dict[str, str]:
    """The environment that the runtime is called with: small, the same everywhere, with a mark to find leaks by."""
    environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "CONFORMANCE_MARK": "of-the-caller"}
    for name in ("XDG_RUNTIME_DIR", "HOME", "COVERAGE_PROCESS_START"):
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment
