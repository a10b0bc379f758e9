"""Compiles the helpers in C that lie beside this file."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CFLAGS = ["-O2", "-Wall", "-Wextra", "-Werror", "-I", str(HERE.parent / "csrc")]


def compiled(source: Path, target: Path, *flags: str) -> str:
    """A program, or library, of one C file."""
    subprocess.run(["cc", *CFLAGS, *flags, "-o", str(target), str(source)], check=True)
    return str(target)
