"""Runs pyoci (or a program like it) so that nothing it starts can hang a test: output in files, time bounded."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional

from tests.support import leftovers

PYOCI = os.environ.get("PYOCI", str(Path(__file__).parents[2] / "build" / "bin" / "pyoci"))
PATIENCE = int(os.environ.get("PYOCI_PATIENCE", "60"))  # seconds: a guard against hangs, not a measure

# Before a command: a host with cgroup v2 alone, for it. The kernel does not mount the same tree twice at one place.
_MOUNT = "[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup"
V2_ALONE = ["unshare", "-m", "sh", "-c", f'{_MOUNT} && exec "$@"', "sh"]


class Result:
    """How a command ended, and what it said."""

    def __init__(self, words: list[str], status: int, out: str, err: str) -> None:
        self.words, self.status, self.out, self.err = words, status, out, err

    @property
    def ok(self) -> bool:
        return self.status == 0

    def __repr__(self) -> str:
        return f"{' '.join(self.words)}\n  status {self.status}\n  stdout {self.out!r}\n  stderr {self.err!r}"


def finish(words: list[str], process: "subprocess.Popen[bytes]", out: Any, err: Any) -> Result:
    """Waits, and kills what does not end: then the status is -9."""
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read().decode("utf-8", "replace"))
        file.close()
    return Result(words, status, *texts)


class Started:
    """A command under way."""

    def __init__(self, words: list[str], **popen: Any) -> None:
        self.words = words
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", self.out)
        popen.setdefault("stderr", self.err)
        self.process = subprocess.Popen(words, **popen)
        leftovers.OWN.add(self.process.pid)

    def finish(self) -> Result:
        try:
            return finish(self.words, self.process, self.out, self.err)
        finally:
            leftovers.OWN.discard(self.process.pid)


def tampered(inject: str) -> list[str]:
    """What stands before a command whose system calls, and its children's, strace(1) is to delay: the value of its
    --inject, such as `sendmsg:delay_exit=300000` (microseconds)."""
    calls = inject.partition(":")[0]
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={inject}"]


def at_each_call(names: "Iterable[str]", attempt: "Callable[[list[str]], bool]", signal: str = "KILL") -> int:
    """Has a command get a signal as it enters each of its system calls of these names: the first, the second and so on.

    attempt: is given the words that stand before the command; says whether the command went through without a signal
    Returns how many calls there were. One name at a time: strace counts those of one name, also where it is given more.
    """
    made = 0
    for name in sorted(names):
        for number in range(1, 300):  # how often a command waits, or reads, is not always the same
            inject = f"inject={name}:signal={signal}:when={number}"
            if attempt(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e", inject]):
                break
            made += 1
        else:
            raise AssertionError(f"the command did not come to an end within 300 calls of {name}")
    return made


def run(words: list[str], input: Optional[bytes] = None, **popen: Any) -> Result:
    """Runs a command. Its streams are files: a container that outlives it keeps them open, and a pipe would not end."""
    if input is not None:
        source = tempfile.TemporaryFile()
        source.write(input)
        source.seek(0)
        popen["stdin"] = source
    return Started(words, **popen).finish()
