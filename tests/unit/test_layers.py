"""Imports run downwards only, those inside functions as well; those for types alone are none. docs/design.md has the
rooms, this list their order."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "pyoci"

# From the top: a module imports from its own line and from those below. A module's name goes before its room's.
LAYERS = """
    start.boot
    __main__
    cli containerd
    doctor sandbox
    runtime
    process hostcheck
    checkpoint
    container
    documents
    cgroups init
    plan
    seccomp validate
    host
    network
    options kinds
    ids json sizes start
    linux
    fileio paths spelling
    errors
    _native _shim commit pyoci
"""
LEVELS = {name: level for level, line in enumerate(reversed(LAYERS.split("\n"))) for name in line.split()}


def level_of(module: str) -> int:
    """How far up a module is. Raises KeyError for one whose room is not listed."""
    name = module.removeprefix("pyoci.")
    while name not in LEVELS and "." in name:
        name = name.rpartition(".")[0]
    return LEVELS[name]


def modules(home: Path) -> "dict[str, Path]":
    """Every module of pyoci by its name."""
    found = {}
    for path in home.rglob("*.py"):
        parts = ["pyoci", *path.relative_to(home).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, known: "set[str]") -> "Iterator[str]":
    """What a module imports of pyoci when it runs."""
    pending: "list[ast.AST]" = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "pyoci")
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports are absolute"
            if (node.module or "").partition(".")[0] == "pyoci":
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    yield whole if whole in known or whole == "pyoci._native" else str(node.module)
        pending += ast.iter_child_nodes(node)


def graph(home: Path) -> "dict[str, set[str]]":
    """Each module and those that it imports, its own packages left out: Python imports them anyway."""
    every = modules(home)
    return {name: set(imports(path.read_text(), set(every))) - {name} for name, path in every.items()}


def upwards(found: "dict[str, set[str]]") -> "list[str]":
    """The imports that go up."""
    pairs = ((name, other) for name, others in sorted(found.items()) for other in sorted(others))
    return [f"{name} imports {other}" for name, other in pairs if level_of(name) < level_of(other)]


@pytest.fixture(scope="module")
def found() -> "dict[str, set[str]]":
    return graph(HOME)


def test_imports_run_downwards(found: "dict[str, set[str]]") -> None:
    assert upwards(found) == []


def test_there_is_no_circle(found: "dict[str, set[str]]") -> None:
    try:
        TopologicalSorter(found).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_every_room_is_listed(found: "dict[str, set[str]]") -> None:
    names = {name.removeprefix("pyoci.").partition(".")[0] for name in found}
    assert names <= {name.partition(".")[0] for name in LEVELS}


@pytest.mark.parametrize(
    "source",
    [
        "from pyoci.cli import table",
        "def f():\n    import pyoci.cli.table",
        "if TYPE_CHECKING:\n  pass\nelse:\n  from pyoci import cli",
    ],
)
def test_container_may_not_import_the_command_line(found: "dict[str, set[str]]", source: str) -> None:
    wrong = {**found, "pyoci.container.create": set(imports(source, set(found)))}
    new = set(upwards(wrong)) - set(upwards(found))
    assert [line.split(" imports ")[0] for line in new] == ["pyoci.container.create"]


def test_what_is_imported_for_types_alone_is_none(found: "dict[str, set[str]]") -> None:
    assert list(imports("if TYPE_CHECKING:\n    from pyoci.cli import table", set(found))) == []
