"""Runtimes that are known to fail: Debian's runc 1.1.5 and crun 1.8.1, and pyoci with one function broken.

A control that does not fail shows that its test could not, either.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import Result, run

ROOT = Path(__file__).parents[2]
_GUARD = 'ulimit -f 200000; exec "$@"'
# crun refuses hybrid cgroups: it is shown a machine without
_PLAIN = 'mount -t tmpfs tmpfs /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'


def version(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    words = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return words[2] if len(words) > 2 else ""


class Control:
    """A runtime with a state root of its own in a box."""

    name = ""
    program: "list[str]" = []

    def __init__(self, box: Box, record: Any) -> None:
        self.box = box
        self.record = record
        self.root = box.path / f"control-{self.name}"

    def __enter__(self) -> "Control":
        return self

    def __exit__(self, *_: object) -> None:
        for container in os.listdir(self.root) if self.root.exists() else ():
            if container[0] != "@":
                run(self.words("delete", "--force", container))

    def words(self, *words: str) -> "list[str]":
        guarded = ["timeout", "-s", "KILL", "30", *self.program, "--root", str(self.root), *words]
        return ["sh", "-c", _GUARD, "sh", *guarded]

    def call(self, *words: str, **popen: Any) -> Result:
        return run(self.words(*words), **popen)

    def run(self, bundle: Bundle, *options: str, name: str = "control", **popen: Any) -> Result:
        bundle.write()
        return self.call("run", *options, "--bundle", str(bundle.path), name, **popen)

    def failed(self, flaw: bool, what: Any = "") -> None:
        """Notes that the flaw shows; were it not to, the test would prove nothing."""
        assert flaw, f"{self.name} does not show the flaw: this test has no teeth: {what}"
        self.record("control", self.name)


class Runc(Control):
    name = "runc-1.1.5"
    program = ["runc"]

    def __init__(self, box: Box, record: Any) -> None:
        super().__init__(box, record)
        if not version("runc").startswith("1.1.5"):
            pytest.skip("the control is Debian's runc 1.1.5")


class Crun(Control):
    name = "crun-1.8.1"

    def __init__(self, box: Box, record: Any) -> None:
        super().__init__(box, record)
        if not version("crun").startswith("1.8.1"):
            pytest.skip("the control is Debian's crun 1.8.1")

    def words(self, *words: str) -> "list[str]":
        flags = ["--cgroup-manager=disabled", "--root", str(self.root)]
        inner = ["timeout", "-s", "KILL", "30", *self.program, "crun", *flags, *words]
        return ["unshare", "-m", "sh", "-c", "ulimit -f 200000; " + _PLAIN, "sh", *inner]

    def run(self, bundle: Bundle, *options: str, name: str = "control", **popen: Any) -> Result:
        before = bundle.config
        bundle.config = {**before, "ociVersion": "1.0.2", "linux": {**before["linux"]}}
        bundle.linux.pop("cgroupsPath", None)
        try:
            return super().run(bundle, *options, name=name, **popen)
        finally:
            bundle.config = before


class Mutant(Control):
    """pyoci with one place of its sources changed: of csrc/init, then init is built anew, or of pyoci/ (a `.py`)."""

    def __init__(self, box: Box, record: Any, file: str, old: str, new: str) -> None:
        import sys

        self.name = f"broken-{Path(file).stem}"
        super().__init__(box, record)
        self.place = box.path / f"mutant-{len(list(box.path.glob('mutant-*')))}"
        shutil.copytree(ROOT / "csrc", self.place / "csrc")
        built = shutil.ignore_patterns("__pycache__", "interpreter")
        shutil.copytree(ROOT / "pyoci", self.place / "pyoci", ignore=built)
        python = file.endswith(".py")
        source = self.place / ("pyoci" if python else "csrc/init") / file
        text = source.read_text()
        assert old in text, f"{file} has changed: {old!r} is not in it"
        source.write_text(text.replace(old, new))
        if not python:
            self._build()
        self.program = [sys.executable, "-I", "-B", str(self.place / "pyoci" / "__main__.py")]

    def _build(self) -> None:
        files = [str(path) for room in ("init", "shared") for path in (self.place / "csrc" / room).glob("*.c")]
        flags = [
            "-std=gnu11",
            "-D_GNU_SOURCE",
            "-O1",
            "-w",
            "-static",
            f"-I{self.place / 'csrc'}",
            "-o",
            str(self.place / "pyoci" / "programs" / "init"),
        ]
        subprocess.run([os.environ.get("CC", "cc"), *flags, *files], check=True)


class Canary:
    """A tree outside of every rootfs. Whatever happens to it was done by a runtime that should not have."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        path.chmod(0o755)
        (path / "ptmx").write_text("canary")
        (path / "file").write_text("canary")
        self.before = self.look()

    def look(self) -> "dict[str, Any]":
        found: "dict[str, Any]" = {}
        for path in [self.path, *sorted(self.path.rglob("*"))]:
            st = path.lstat()
            text: "Optional[str]" = os.readlink(path) if path.is_symlink() else None
            if path.is_file() and not path.is_symlink():
                text = path.read_text()
            found[str(path)] = (st.st_mode, st.st_uid, st.st_gid, st.st_rdev, text)
        return found

    def touched(self) -> bool:
        return self.look() != self.before

    def restore(self) -> None:
        shutil.rmtree(self.path)
        self.__init__(self.path)  # type: ignore[misc]
