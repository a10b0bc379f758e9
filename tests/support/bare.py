"""Calls functions of pyoci in the interpreters that users get, nothing imported before.

Tests run in one that has half of the standard library, and what is there by accident hides what a command lacks.
"""

import marshal
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyoci

PACKAGE = Path(pyoci.__file__).parent
KINDS = ("stock", "ours")

# Each call is a fork's: what it imports is gone for the next one
WORKER = """
def run(words):
    import marshal, posix
    def read(size):
        data = b""
        while len(data) < size:
            data += posix.read(0, size - len(data)) or posix._exit(0)
        return data
    while True:
        module, name, args, kwargs = marshal.loads(read(int.from_bytes(read(8), "little")))
        child = posix.fork()
        if not child:
            try:
                function = getattr(__import__(module, None, None, [name]), name)
                result = ("", function(*args, **kwargs))
            except BaseException as problem:
                result = (type(problem).__name__, str(problem))
            data = marshal.dumps(result)
            data = len(data).to_bytes(8, "little") + data
            while data:
                data = data[posix.write(1, data) :]
            posix._exit(0)
        status = posix.waitpid(child, 0)[1]
        if status:
            data = marshal.dumps(("died", str(status)))
            posix.write(1, len(data).to_bytes(8, "little") + data)
"""


class Bare:
    """An interpreter that waits for calls."""

    def __init__(self, kind: str, place: Path) -> None:
        self.kind = kind
        words = _stock() if kind == "stock" else _ours(place)
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, module: str, function: str, /, *args: Any, **kwargs: Any) -> "tuple[str, Any]":
        """("", what it returns) or (exception's name, its text)."""
        assert self._process.stdin
        assert self._process.stdout
        data = marshal.dumps((module, function, args, kwargs))
        self._process.stdin.write(len(data).to_bytes(8, "little") + data)
        self._process.stdin.flush()
        size = self._process.stdout.read(8)
        assert len(size) == 8, f"the {self.kind} interpreter ended"
        answer: "tuple[str, Any]" = marshal.loads(self._process.stdout.read(int.from_bytes(size, "little")))
        return answer

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


def _stock() -> "list[str]":
    code = f"import sys; sys.path.append({str(PACKAGE.parent)!r})\n{WORKER}\nrun([])"
    return [os.path.realpath(sys.executable), "-I", "-S", "-B", "-X", "utf8", "-c", code]


def _ours(place: Path) -> "list[str]":
    return program(place, WORKER)


def program(place: Path, main: str) -> "list[str]":
    """pyoci's program takes a checkout's sources from where its first word says they are. There, `main` is the text of
    __main__.py, and has the function run(words)."""
    package = place / "pyoci"
    package.mkdir()
    for entry in PACKAGE.iterdir():
        if entry.name != "__main__.py":
            (package / entry.name).symlink_to(entry)
    (package / "__main__.py").write_text(main)
    return [str(package / "programs" / "interpreter"), "0"]
