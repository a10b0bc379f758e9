"""The habits that a quick start asks for stay in the modules that hot commands load (csrc/start/hot.txt); others are
ordinary Python. docs/hacking.md says why."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from csrc.build import hot

HOME = Path(__file__).parents[2]

# What is a part of Python's program, or of the few files that start/boot.py finds by itself
AT_HAND = {
    "_frozen_importlib",
    "_imp",
    "_json",
    "_pyoci",
    "_signal",
    "_thread",
    "builtins",
    "errno",
    "fcntl",
    "gc",
    "marshal",
    "posix",
}
AT_HAND |= {"itertools", "select", "struct", "sys", "termios", "time"}
# `make build` writes these
GENERATED = {
    "pyoci._shim", "pyoci.commit", "pyoci.linux.kernel", "pyoci.plan.ops", "pyoci.plan.words", "pyoci.seccomp._library",
    "pyoci.cgroups.systemd._library",
    "pyoci.validate._accept", "pyoci.validate._accept_rest",
}  # fmt: skip


# What containerd's plugin loads at all, and what for: each costs every pod the second half of Python's start, or more
RARELY = {
    "pyoci.checkpoint.request": "CRIU",
    "pyoci.checkpoint.restore": "CRIU",
    "pyoci.documents.features": "-info",
    "pyoci.cgroups.stats": "Stats",
    "tomllib": "/etc/pyoci/shim.toml is there",
    "traceback": "--debug",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(HOME).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in (HOME / "pyoci").rglob("*.py")}
WRITTEN = sorted(set(FILES) - GENERATED)
WARM = {name for heading, names in hot.sections().items() if heading.startswith("warm") for name in names}
HOT = [name for name in WRITTEN if name in hot.modules() and name not in WARM]
COLD = [name for name in WRITTEN if name not in hot.modules()]


def is_late(node: ast.AST) -> bool:
    """What is in it is not imported with the module itself, if ever."""
    return isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")


def catches_its_lack(node: ast.AST) -> bool:
    return isinstance(node, ast.Try) and any("ImportError" in ast.unparse(part) for part in node.handlers)


def imports(tree: ast.AST, leave_out: "Callable[[ast.AST], bool]") -> "Iterator[tuple[ast.stmt, str]]":
    """The imports below a node with the modules' names, but not those below what is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((node, name if name in {*FILES, *GENERATED} else str(node.module)) for name in whole)
        elif not leave_out(node):
            yield from imports(node, leave_out)


def quoted(tree: ast.AST) -> "Iterator[ast.expr]":
    """The annotations that are strings, or have some in them."""
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            for part in ast.walk(getattr(node, field, None) or ast.Pass()):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part


def slow_habits(source: str) -> "list[str]":
    """What a hot module may not do: import, when it is loaded itself, what a start has not at hand."""
    allowed = {*AT_HAND, *GENERATED, *hot.modules()} - WARM
    done = imports(ast.parse(source), lambda node: is_late(node) or catches_its_lack(node))
    return [f"line {node.lineno}: imports {name}" for node, name in done if name not in allowed]


def costly(source: str) -> "list[str]":
    """What a module of the plugin may not import, be it inside a function."""
    allowed = {*AT_HAND, *GENERATED, *hot.modules(), *RARELY, "_socket"}
    done = imports(ast.parse(source), lambda node: isinstance(node, ast.If) and is_late(node))
    return [f"line {node.lineno}: imports {name}" for node, name in done if name not in allowed]


def hot_habits(source: str) -> "list[str]":
    """What a cold module has no need to do."""
    tree, lines = ast.parse(source), source.splitlines()
    found = [f"line {part.lineno}: quoted" for part in quoted(tree)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node) == "TYPE_CHECKING = False":
            found.append(f"line {node.lineno}: from typing import TYPE_CHECKING")
        if isinstance(node, ast.FunctionDef):
            late = [part for part, _ in imports(node, catches_its_lack)]
            found += [
                f"line {part.lineno}: imports late and does not say why" for part in late if says_nothing(lines, part)
            ]
    found += [f"line {node.lineno}: os" for node, name in imports(tree, lambda node: False) if name == "posix"]
    return found


def says_nothing(lines: "list[str]", node: ast.stmt) -> bool:
    return not any("  # " in line for line in lines[node.lineno - 1 : node.end_lineno])


@pytest.mark.parametrize("module", HOT)
def test_a_hot_module_imports_what_is_at_hand(module: str) -> None:
    assert slow_habits(FILES[module].read_text()) == []


@pytest.mark.parametrize("module", [name for name in WRITTEN if name.startswith("pyoci.containerd.") and name in WARM])
def test_the_plugin_does_without_the_rest_of_python(module: str) -> None:
    assert costly(FILES[module].read_text()) == []


@pytest.mark.parametrize("module", COLD)
def test_a_cold_module_is_ordinary_python(module: str) -> None:
    assert hot_habits(FILES[module].read_text()) == []


def test_the_list_names_each_module_once() -> None:
    names = [name for name in hot.modules() if name not in GENERATED]
    assert sorted(names) == sorted(set(names)), "what is measured is no longer kept by hand"
    assert set(names) <= set(FILES)
    assert len(hot.sections()[hot.MEASURED]) > 30
    assert all(commands for commands in hot.sections()[hot.MEASURED].values())


@pytest.mark.parametrize(
    ("judge", "source"),
    [
        (slow_habits, "from __future__ import annotations"),
        (slow_habits, "import os"),
        (slow_habits, "from pyoci.cli import help"),
        (slow_habits, "class A:\n    from typing import Any"),
        (costly, "def f() -> None:\n    from pyoci.container.events import statistics"),
        (costly, "def f() -> None:\n    import os"),
        (hot_habits, "TYPE_CHECKING = False"),
        (hot_habits, "def f() -> 'int': ..."),
        (hot_habits, "def f(a: list['int']) -> None: ..."),
        (hot_habits, "import posix"),
        (hot_habits, "def f() -> None:\n    import os"),
    ],
)
def test_a_habit_is_found(judge: "Callable[[str], list[str]]", source: str) -> None:
    assert judge(source) != []


@pytest.mark.parametrize(
    ("judge", "source"),
    [
        (slow_habits, "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import os"),
        (slow_habits, "import posix\nfrom pyoci.cli import table\ndef f():\n    import os"),
        (hot_habits, "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nimport os"),
        (hot_habits, "def f() -> None:\n    import jsonschema  # where it is missing, an error says so"),
        (hot_habits, "def f() -> None:\n    try:\n        import jsonschema\n    except ImportError:\n        pass"),
    ],
)
def test_nothing_else_is(judge: "Callable[[str], list[str]]", source: str) -> None:
    assert judge(source) == []
