"""Runs an operation of an engine with runc and with pyoci, and says whether the outcomes are the same."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Optional

from tests.support import leftovers

REFERENCE = os.environ.get("REFERENCE", "/usr/sbin/runc")
PYOCI = os.environ.get("PYOCI", str(Path(__file__).parents[2] / "build" / "bin" / "pyoci"))
RUNTIMES = (("runc", REFERENCE), ("pyoci", PYOCI))
_CHILDREN = threading.Lock()  # a child is known as ours before anybody takes the status of orphans
PATIENCE = int(os.environ.get("PYOCI_PATIENCE", "60"))  # seconds: a guard against hangs, not a measure


def _criu() -> tuple[str, str]:
    """The path of a CRIU that works here, found by PATH from now on; else why there is none."""
    brought = Path(__file__).parents[2] / "build" / "criu"
    if (brought / "criu").exists():
        os.environ["PATH"] = f"{brought}:{os.environ['PATH']}"
    found = shutil.which("criu")
    if found is None:
        return "/nonexistent", "no CRIU: tests/tools/criu.sh"
    done = subprocess.run([found, "check"], capture_output=True, check=False)
    return (found, "") if done.returncode == 0 else ("/nonexistent", "the CRIU that is here does not know this kernel")


CRIU = _criu()

# Shell words that operations share. `until_` polls a condition: PATIENCE ends what never comes. `tty_` runs an engine's
# command at a terminal of a size that no default has.
PRELUDE = """
until_() { until eval "$1"; do sleep 0.02; done; }
tty_() { script -qec "stty rows 37 cols 101; $1" /dev/null </dev/null; }
"""
# An engine gives its terminal's size to a process that runs already, and complains of one that has ended before it
# could: what is run at a terminal goes on when it has the size. Words for a shell in the container, without a quote.
SIZED = "until stty size 2>/dev/null | grep -q 37.101; do sleep 0.02; done"

_VOLATILE = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[^ \"]*"), "TIME"),
    (re.compile(r"(/[^ :\"]*)?\b(runc|pyoci)\b"), "RUNTIME"),
    (re.compile(r"\bpodman\d+\b"), "podmanNUMBER"),
    (re.compile(r"\r"), ""),
    (re.compile(r"\^[@D](\x08\x08)?"), ""),  # a terminal's echo of the end of its input, at any time
)


class Outcome:
    """What a caller of the engine sees: exit status and output, without what differs from run to run."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    def __repr__(self) -> str:
        return f"status {self.status}\n  stdout {self.out!r}\n  stderr {self.err!r}"


class Operation:
    """A shell script over an engine's command. `status`, `out` and `err` (regular expressions, searched for) say what
    it does where it works: so that two equal failures are not taken for success.

    needs: a path without which it cannot be tested here. core: one of those that every change must pass.
    same_err: error texts are compared too; otherwise only whether `err` is found in both."""

    def __init__(
        self,
        name: str,
        script: Any,
        status: int = 0,
        out: str = "",
        err: str = "",
        needs: Optional[tuple[str, str]] = None,
        core: bool = False,
        blank: Optional[str] = None,
    ) -> None:
        self.name, self.script, self.status, self.out, self.err = name, script, status, out, err
        self.needs, self.core, self.blank = needs, core, blank

    def with_(self, script: str) -> "Operation":
        """The operation after a preparation."""
        self.script = script + self.script
        return self

    def missing(self) -> Optional[str]:
        """Why this machine cannot run the operation at all."""
        if self.needs is not None and not os.path.exists(self.needs[0]):
            return self.needs[1]
        return None

    def failure(self, outcome: Outcome) -> Optional[str]:
        """How an outcome falls short of what the operation is there for."""
        if outcome.status != self.status:
            return (
                f"exit status {outcome.status}, not {self.status}: {last_line(outcome.err) or last_line(outcome.out)}"
            )
        if re.search(self.out, outcome.out, re.MULTILINE) is None:
            return f"output {outcome.out[-200:]!r} is not what was asked for"
        if re.search(self.err, outcome.err, re.MULTILINE) is None:
            return f"error {outcome.err[-200:]!r} is not the expected one"
        return None

    def differences(self, reference: Outcome, ours: Outcome) -> list[str]:
        found = []
        if ours.status != reference.status:
            found.append(f"exit status {ours.status}, runc's {reference.status}: {last_line(ours.err)}")
        if self._comparable(ours.out) != self._comparable(reference.out):
            found.append(f"output {ours.out!r}, runc's {reference.out!r}")
        failure = self.failure(ours)
        if failure is not None and not found:
            found.append(failure)
        return found

    def _comparable(self, text: str) -> str:
        return text if self.blank is None else re.sub(self.blank, "…", text, flags=re.MULTILINE)


def last_line(text: str) -> str:
    lines = text.strip().split("\n")
    return lines[-1][-300:]


def steady(text: str, directory: str) -> str:
    """A text without ids, times, pids in paths, and the engine's private directory."""
    text = text.replace(directory, "DIR")
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def shell(script: str, environment: dict[str, str], cwd: Path, prefix: list[str]) -> Outcome:
    """Runs a script. Streams are files: what outlives the script keeps them open, and a pipe would not end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        words = [*prefix, "/bin/sh", "-c", PRELUDE + script]
        with _CHILDREN:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                cwd=cwd,
                start_new_session=True,
            )
            leftovers.OWN.add(process.pid)
        try:
            status = _wait(process)
        finally:
            with _CHILDREN:
                leftovers.OWN.discard(process.pid)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Outcome(status, texts[0], texts[1])


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """The status of a command. Meanwhile this process, which adopts orphans, takes theirs: an engine waits for the end
    of a container whose monitor is dead."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return process.wait(0.05)
        except subprocess.TimeoutExpired:
            with _CHILDREN:
                leftovers.reap()
        if time.monotonic() > deadline:
            os.killpg(process.pid, 9)
            process.wait()
            return -9


def quoted(words: list[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)
