"""The numbers of docs/security.md: of ids and controls in tests/security, of the fuzz targets' executions."""

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
CONTROLS = {"runc", "crun", "mutant"}  # fixtures of tests/security/conftest.py


def found() -> "Iterator[ast.FunctionDef]":
    for path in sorted((ROOT / "tests" / "security").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node


def ids(test: ast.FunctionDef) -> "set[str]":
    """What its mark `covers` names."""
    names: "set[str]" = set()
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "covers":
            names |= {ast.literal_eval(argument) for argument in decorator.args}
    return names


def has_control(test: ast.FunctionDef) -> bool:
    asked = {argument.arg for argument in test.args.args}
    return bool(asked & CONTROLS) and ".failed(" in ast.unparse(test)


def test_the_counts_in_the_documentation_are_true() -> None:
    each = list(found())
    named: "set[str]" = set().union(*[ids(test) for test in each])
    controlled = sum(has_control(test) for test in each)
    sentence = f"Its {len(each)} tests name {len(named)} ids; {controlled} have controls"
    assert sentence in " ".join(PAGE.split()), f"docs/security.md should say: {sentence}"


def test_every_control_is_asked() -> None:
    """A test that takes a control, and does not look whether it fails, shows nothing."""
    for test in found():
        if {argument.arg for argument in test.args.args} & CONTROLS:
            assert has_control(test), test.name


def test_every_fuzz_target_has_its_figures() -> None:
    driver = runpy.run_path(str(ROOT / "tests" / "fuzz" / "run.py"))
    rows = re.findall(r"^\| (\w+) \|.*\| ([\d,]+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert [name for name, _, _ in rows] == [*driver["IN_C"], *driver["IN_PYTHON"]]
    total = sum(int(executions.replace(",", "")) for _, executions, _ in rows)
    assert f"{total:,} executions in " in PAGE
