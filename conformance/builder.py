"""Builds the probe with the system's compiler."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).with_name("probe")
FLAGS = ["-std=gnu11", "-O1", "-static", "-pthread"]


class NoProbe(Exception):
    """The probe could not be built; the text says what is missing."""


def build_probe(target: Path) -> Path:
    """Compiles the probe to the file `target`, once for all workers of a run, or copies the one that was installed.

    Raises NoProbe when there is no compiler or no static C library.
    """
    if target.exists():
        return target
    draft = target.with_suffix(f".{os.getpid()}")
    brought = SOURCES / f"probe-{platform.machine()}"
    if brought.exists() and not os.environ.get("CC"):
        shutil.copyfile(brought, draft)
        draft.chmod(0o755)
    else:
        compile_probe(draft)
    try:
        os.link(draft, target)  # not a rename: another worker may be linking to the file that is there
    except FileExistsError:
        pass
    draft.unlink()
    return target


def compile_probe(draft: Path) -> None:
    """Calls the compiler. Raises NoProbe."""
    wanted = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    compiler = next((found for found in map(shutil.which, wanted) if found), None)
    if not compiler:
        raise NoProbe("no C compiler: install one (Debian: apt-get install gcc libc6-dev), or set CC")
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    command = [compiler, *FLAGS, "-o", str(draft), *sources]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        hint = ""
        if "cannot find -lc" in result.stderr or "cannot find -lpthread" in result.stderr:
            hint = "\nThere is no static C library (Debian: libc6-dev has one; Fedora: glibc-static)."
        raise NoProbe(f"the probe does not compile: {' '.join(command)}\n{result.stderr}{hint}")
