"""The project's sources, without anything built."""

import shutil
import subprocess
from pathlib import Path

TREE = Path(__file__).parents[2]
LIST = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]


def copy(target: Path) -> None:
    """Copies what is not ignored by git, and takes part in a build."""
    names = subprocess.run(LIST, cwd=TREE, check=True, capture_output=True).stdout.decode().split("\0")
    for name in names:
        if name and (TREE / name).is_file() and not name.startswith(("tests/", "conformance/", "bench/", "docs/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TREE / name, target / name)
