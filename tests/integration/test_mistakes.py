"""What is said to mistakes that people make: tests/data/mistakes.json has how each is made, and the line expected.

Each line there was read and judged: it names the place, the cause, and where one can be known the cure. Where nothing
is said, `why` tells why that is right. A line that changes is judged anew. PYOCI_WRITE_MISTAKES=1 writes what is said
now; read the difference before it is committed.

config, files, copies, modes: changes of a bundle that is right    before: commands that come first
host: done in a mount namespace of the command's own               user: the uid that calls
warnings: what the log has of them                                 out: standard output, where it matters
"""

import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import Result, run
from tests.support.stranger import Stranger, open_box

pytestmark = pytest.mark.root
FILE = Path(__file__).parents[1] / "data" / "mistakes.json"
MISTAKES: "dict[str, dict[str, Any]]" = json.loads(FILE.read_text())

DIFFERS = {  # what does so from host to host
    r"\bsh: line 0: ": "sh: ",  # a newer busybox
    r'(?m)^time="[^"]*" ': "",
    r"/sys/fs/cgroup(/[a-z,_]+)?(?=/\{tag\})": "{hierarchy}",
    r"CPUs [0-9,-]+ are not there: this machine has [0-9,-]+": "CPUs {absent} are not there: this machine has {cpus}",
}


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


def made(bundle: Bundle, mistake: "dict[str, Any]") -> None:
    """Files of the bundle: content and mode, or a copy of one of the host's; modes of what is there."""
    files: "dict[str, list[str]]" = mistake.get("files", {})
    for name, (content, mode) in files.items():
        path = bundle.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="latin-1")
        path.chmod(int(mode, 8))
    for name, source in mistake.get("copies", {}).items():
        shutil.copy(source, bundle.path / name)
    for name, mode in mistake.get("modes", {}).items():
        (bundle.path / name).chmod(int(mode, 8))


class Scene:
    """One mistake's bundle and host; names stand for what differs from run to run, in its words and in what is said."""

    def __init__(self, box: Box, mistake: "dict[str, Any]") -> None:
        self.box, self.mistake = box, mistake
        self.user = Stranger(box, mistake["user"]) if "user" in mistake else None
        self.log = (self.user.runtime if self.user else box.path) / "log"
        bundle = box.bundle().args("sleep", "1000")
        self.names = {"{bundle}": str(bundle.path), "{root}": str(box.root), "{box}": str(box.path), "{tag}": box.tag}
        changed(bundle, self.filled(mistake.get("config", {})))
        self.names["{cgroup}"] = bundle.linux.get("cgroupsPath", "")
        bundle.write()
        made(bundle, mistake)

    def filled(self, template: Any) -> Any:
        """Words with what the names stand for."""
        text = json.dumps(template)
        for name, value in self.names.items():
            text = text.replace(name, value)
        return json.loads(text)

    def call(self, words: "list[str]") -> Result:
        whole = (self.user or self.box).words("--log", str(self.log), *self.filled(words))
        host = "\n".join([*self.mistake.get("host", []), 'exec "$@"'])
        apart = ["unshare", "--mount", "sh", "-ec", host, "sh"] if "host" in self.mistake else []
        return run([*apart, *whole])

    def named(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(value, name) if value else text
        for pattern, name in DIFFERS.items():
            text = re.sub(pattern, name, text)
        return text.strip("\n")


def said(scene: Scene) -> "dict[str, Any]":
    """Status and line, and what the log has of warnings."""
    mistake = scene.mistake
    for before in mistake.get("before", []):
        result = scene.call(before)
        assert result.ok, result
    result = scene.call(mistake.get("call", ["create", "--bundle", "{bundle}", "c"]))
    log = scene.log.read_text() if scene.log.exists() else ""
    warnings = re.findall("(?m)^.* level=warning .*$", log)
    found: "dict[str, Any]" = {"status": result.status, "line": scene.named(result.err)}
    if "out" in mistake:
        found["out"] = result.out
    return {**found, "warnings": [scene.named(line) for line in warnings]} if warnings else found


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(box: Box, name: str) -> None:
    mistake = MISTAKES[name]
    with open_box(box) if "user" in mistake else contextlib.nullcontext(box) as place:
        found = said(Scene(place, mistake))
    if os.environ.get("PYOCI_WRITE_MISTAKES"):
        now = json.loads(FILE.read_text())
        now[name].pop("warnings", None)
        now[name].update(found)
        FILE.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
        return
    assert found == {key: mistake[key] for key in ("status", "line", "warnings", "out") if key in mistake}
