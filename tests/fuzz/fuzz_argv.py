"""Command lines: a status, and one line on standard error when it is not 0; no exception that nobody thought of."""

import os
import posix
import shutil
import time

from pyoci import cli
from pyoci.cli import log, output, table
from pyoci.errors import Error

_told: "list[str]" = []


def seeds() -> "list[bytes]":
    """Each command with each flag, words ended by NUL as the kernel has them."""
    found = []
    for name in table.COMMANDS:
        for flag, short, kind in table.flags_of(name):
            value = {"bool": [], "number": ["1"], "duration": ["1s"]}.get(kind, ["x"])
            found.append([name, f"--{flag}", *value, "c"])
            found.append([name, f"-{short or flag}={'1' if value else 'true'}", "--", "c", "true"])
    found += [["--root", "r", "--log", "l", "--log-format", "json", "--debug", "state", "c"], ["--version"]]
    return ["\0".join(words).encode() for words in found]


class Unforeseen(Exception):
    """Something was raised that no command means to raise."""


def _report(call: "log.Call", problem: BaseException) -> int:
    # what the kernel says of a file that a flag names is told as it is
    if not isinstance(problem, (Error, OSError)) or log.describe(call, problem)[0].startswith("internal error"):
        raise Unforeseen from problem
    return _report_really(call, problem)


def _write(fd: int, text: str) -> None:
    if fd == output.STDERR and "level=warning" not in text and "level=debug" not in text:
        _told.append(text)


def _sleep(seconds: float) -> None:
    raise Error("the fuzzer does not wait")


_report_really = log.report
log.report = _report
log.write = output.write = _write
time.sleep = _sleep


def test(data: bytes) -> None:
    """One command line, in an empty directory."""
    words = [os.fsdecode(word) for word in data.split(b"\0")]
    os.mkdir("here")
    os.chdir("here")
    posix.environ[b"XDG_RUNTIME_DIR"] = os.getcwdb()
    _told.clear()
    try:
        status = cli.main(words)
    finally:
        os.chdir("..")
        shutil.rmtree("here")
    assert 0 <= status <= 255
    assert len(_told) == (status != 0) or "validate" in words, (status, _told)  # its status 1 is a judgement
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in _told), _told
