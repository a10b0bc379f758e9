"""csrc/rare.txt and together.txt name what is there: whoever renames a function or module runs tests/tools/rare.py."""

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


def file_of(module: str) -> Path:
    path = HOME.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_every_entry_is_a_function() -> None:
    unknown = []
    for line in (HOME / "csrc" / "rare.txt").read_text().splitlines():
        module, _, name = line.partition(":")
        if not file_of(module).exists() or name not in functions(file_of(module)):
            unknown.append(line)
    assert not unknown


def test_every_module_is_there_and_in_one_group() -> None:
    modules = (HOME / "csrc" / "together.txt").read_text().split()
    assert [module for module in modules if not file_of(module).exists()] == []
    assert len(set(modules)) == len(modules) > 30
