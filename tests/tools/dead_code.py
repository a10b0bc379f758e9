"""Finds code that nothing uses, by vulture: `dead_code.py`. What is used where vulture cannot see it is listed in
dead_code_known.py; names in quoted types, which hot modules have, are found here."""

import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("pyoci", "conformance", "bench", "csrc", "tests")


def in_types(tree: ast.AST) -> "Iterator[str]":
    """The names in types that are strings."""
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            for part in ast.walk(getattr(node, field, None) or ast.Pass()):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    words = ast.walk(ast.parse(part.value, mode="eval"))
                    yield from (word.id for word in words if isinstance(word, ast.Name))


def main() -> int:
    """Status 1 when something is not used."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    names = {name for path in files for name in in_types(ast.parse(path.read_bytes()))}
    with tempfile.NamedTemporaryFile("w", suffix=".py") as known:
        known.write("\n".join(sorted(names)))
        known.flush()
        words = [sys.executable, "-m", "vulture", *ROOMS, known.name]
        done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    # A generator that yields nothing has its one `yield` behind the `return`
    told = [line for line in done.stdout.splitlines() if "unreachable code after 'return'" not in line]
    print(*told, sep="\n", end="\n" if told else "")
    return 1 if told or done.returncode not in (0, 3) else 0


if __name__ == "__main__":
    sys.exit(main())
