"""csrc/start/hot.txt names modules that there are: whoever renames one runs tests/tools/hot.py."""

from pathlib import Path

HOME = Path(__file__).parents[2]


def file_of(module: str) -> Path:
    path = HOME.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_every_module_is_there_once() -> None:
    modules = (HOME / "csrc" / "start" / "hot.txt").read_text().split()
    assert [module for module in modules if not file_of(module).exists()] == []
    assert len(set(modules)) == len(modules) > 30
