"""What is said to mistakes that people make: tests/data/mistakes.json has the change of a config and the line expected.

Each line there was read and judged: it names the place, the cause, and where one can be known the cure. A line that
changes is judged anew. PYOCI_WRITE_MISTAKES=1 writes what is said now; read the difference before it is committed.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from support.box import Box
from support.bundle import Bundle

pytestmark = pytest.mark.root
FILE = Path(__file__).parents[1] / "data" / "mistakes.json"
MISTAKES: "dict[str, dict[str, Any]]" = json.loads(FILE.read_text())


def changed(bundle: Bundle, changes: "dict[str, Any]") -> None:
    """Sets places of the config; null removes one, and "+" at the end of a list's name adds to it."""
    for path, value in changes.items():
        at: Any = bundle.config
        *way, last = path.split(".")
        for name in way:
            at = at[int(name)] if name.isdigit() else at.setdefault(name, {})
        if last.endswith("+"):
            at.setdefault(last[:-1], []).extend(value)
        elif value is None:
            del at[last]
        else:
            at[int(last) if last.isdigit() else last] = value


def made(bundle: Bundle, files: "dict[str, list[Any]]") -> None:
    """Files of the bundle: content, mode."""
    for name, (content, mode) in files.items():
        path = bundle.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(int(mode, 8))


def said(box: Box, mistake: "dict[str, Any]") -> "tuple[int, str]":
    """Status and line; places of this run's own have names."""
    bundle = box.bundle().args("sleep", "1000")
    changed(bundle, mistake.get("config", {}))
    bundle.write()
    made(bundle, mistake.get("files", {}))
    names = {"{bundle}": str(bundle.path), "{cgroup}": bundle.linux.get("cgroupsPath", "")}

    def words(template: "list[str]") -> "list[str]":
        filled = []
        for word in template:
            for name, value in names.items():
                word = word.replace(name, value)
            filled.append(word)
        return filled

    for before in mistake.get("before", []):
        box.ok(*words(before))
    log = ["--log", str(box.path / "log")]
    result = box.call(*log, *words(mistake.get("call", ["create", "--bundle", "{bundle}", "c"])))
    line = result.err
    for name, value in names.items():
        line = line.replace(value, name) if value else line
    line = line.replace(str(box.root), "{root}").replace(str(box.path), "{box}").strip("\n")
    return result.status, re.sub('^time="[^"]*" ', "", line)  # where the log could not be opened


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(box: Box, name: str) -> None:
    mistake = MISTAKES[name]
    status, line = said(box, mistake)
    if os.environ.get("PYOCI_WRITE_MISTAKES"):
        now = json.loads(FILE.read_text())
        now[name].update(status=status, line=line)
        FILE.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
        return
    assert (status, line) == (mistake["status"], mistake["line"])
