"""The suite knows no runtime: neither imports the other. And the command says what is wrong with its use."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def imports(path: Path) -> "set[str]":
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(("package", "other"), [("conformance", "pyoci"), ("pyoci", "conformance")])
def test_neither_imports_the_other(package: str, other: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    assert [str(path) for path in files if other in imports(path)] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --runtime"),
        (["--runtime", "/no/such/runtime"], "no such program"),
        (["--runtime", "/bin/true", "--select", "no.such.thing"], "no requirement is chosen"),
    ],
)
def test_wrong_usage(arguments: "list[str]", said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, said in done.stderr) == (2, True)


def test_listing() -> None:
    command = [sys.executable, "-m", "conformance", "--list", "--select", "runtime-linux"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="judging without --rootless needs root")
def test_a_missing_compiler_is_named() -> None:
    command = [sys.executable, "-m", "conformance", "--runtime", "/bin/true", "--jobs", "1"]
    environment = {**os.environ, "CC": "/no/such/compiler"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert (done.returncode, "no C compiler" in done.stderr) == (3, True)
