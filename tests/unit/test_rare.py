"""csrc/rare.txt names functions that are there: whoever renames one runs tests/tools/rare.py again."""

import ast
from pathlib import Path

HOME = Path(__file__).parents[2]


def functions(path: Path) -> "set[str]":
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found.update(f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef))
    return found


def test_every_entry_is_a_function() -> None:
    unknown = []
    for line in (HOME / "csrc" / "rare.txt").read_text().splitlines():
        module, _, name = line.partition(":")
        path = HOME.joinpath(*module.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not file.exists() or name not in functions(file):
            unknown.append(line)
    assert not unknown
