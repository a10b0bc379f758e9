"""Bundles that cannot be run: one clear line, status 1, and nothing made on the host."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.box import Box
from tests.support.bundle import BASE, Config

pytestmark = pytest.mark.root
UNSEEMLY = re.compile("Traceback|internal error|Error:")  # ours to mend, whatever is read


def change(path: str, value: Any) -> Callable[[Config], None]:
    """Sets one place of a config; None removes it."""

    def apply(config: Config) -> None:
        at: Any = config
        *way, last = path.split(".")
        for name in way:
            at = at[int(name) if name.isdigit() else name]
        if value is None:
            del at[last]
        else:
            at[last] = value

    return apply


def append(path: str, *values: Any) -> Callable[[Config], None]:
    def apply(config: Config) -> None:
        at: Any = config
        for name in path.split("."):
            at = at.setdefault(name, [] if name == path.rsplit(".", maxsplit=1)[-1] else {})
        at.extend(values)

    return apply


# what is changed, and what the error must name
CASES: dict[str, tuple[Callable[[Config], None], str]] = {
    "missing-root": (change("root.path", "nowhere"), "root.path"),
    "root-is-a-file": (change("root.path", "config.json"), "root.path"),
    "no-root": (change("root", None), "root"),
    "unknown-namespace": (append("linux.namespaces", {"type": "galaxy"}), "linux.namespaces[6]"),
    "namespace-twice": (append("linux.namespaces", {"type": "pid"}), "linux.namespaces"),
    "args-empty": (change("process.args", []), "process.args"),
    "no-args": (change("process.args", None), "process"),
    "no-process": (change("process", None), "process"),
    "cwd-relative": (change("process.cwd", "tmp"), "process.cwd"),
    "cwd-empty": (change("process.cwd", ""), "process.cwd"),
    "mount-without-destination": (append("mounts", {"type": "tmpfs", "source": "tmpfs"}), "mounts[4]"),
    "mount-without-type": (append("mounts", {"destination": "/x"}), "mounts[4]"),
    "mount-over-root": (append("mounts", {"destination": "/", "type": "tmpfs", "source": "tmpfs"}), "mounts[4]"),
    "mount-in-proc": (append("mounts", {"destination": "/proc/x", "type": "tmpfs", "source": "t"}), "mounts[4]"),
    "mount-on-proc": (append("mounts", {"destination": "/proc", "type": "tmpfs", "source": "t"}), "mounts[4]"),
    "bind-without-source": (append("mounts", {"destination": "/x", "options": ["bind"]}), "mounts[4]"),
    "bind-with-data": (
        append("mounts", {"destination": "/x", "source": "/tmp", "options": ["bind", "size=1"]}), "mounts[4]"
    ),
    "no-version": (change("ociVersion", None), "ociVersion"),
    "version-2": (change("ociVersion", "2.0.0"), "ociVersion"),
    "version-nonsense": (change("ociVersion", "one"), "ociVersion"),
    "version-number": (change("ociVersion", 1), "ociVersion"),
    "rlimit-unknown": (change("process.rlimits", [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]), "process.rlimits[0]"),
    "rlimit-twice": (
        change("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2), "process.rlimits"
    ),
    "env-without-equals": (append("process.env", "NAME"), "process.env[2]"),
    "env-without-name": (append("process.env", "=x"), "process.env[2]"),
    "nul-in-args": (change("process.args", ["a\0b"]), "process.args"),
    "nul-in-hostname": (change("hostname", "a\0b"), "hostname"),
    "hostname-without-uts": (change("linux.namespaces", [{"type": "pid"}, {"type": "mount"}]), "hostname"),
    "sysctl-of-the-host": (change("linux.sysctl", {"kernel.panic": "1"}), "linux.sysctl"),
    "sysctl-way-out": (change("linux.sysctl", {"net.../../kernel/panic": "1"}), "linux.sysctl"),
    "hook-relative": (change("hooks", {"prestart": [{"path": "hook"}]}), "hooks.prestart[0]"),
    "propagation-unknown": (change("linux.rootfsPropagation", "sideways"), "linux.rootfsPropagation"),
    "device-type": (change("linux.devices", [{"path": "/dev/x", "type": "q"}]), "linux.devices[0]"),
    "personality": (change("linux.personality", {"domain": "DOS"}), "linux.personality"),
    "io-class": (change("process.ioPriority", {"class": "IOPRIO_CLASS_X", "priority": 1}), "process.ioPriority"),
    "scheduler": (change("process.scheduler", {"policy": "SCHED_X"}), "process.scheduler"),
    "time-offsets": (change("linux.timeOffsets", {"monotonic": {"secs": 1}}), "linux.timeOffsets"),
    "mappings": (change("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}]), "linux.uidMappings"),
    "args-of-numbers": (change("process.args", [1]), "process.args"),
    "apparmor": (change("process.apparmorProfile", "x"), "process.apparmorProfile"),
    "selinux": (change("process.selinuxLabel", "x"), "process.selinuxLabel"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_config_that_cannot_be_run(box: Box, case: str) -> None:
    bundle = box.bundle()
    config = copy.deepcopy(BASE)
    config["linux"]["cgroupsPath"] = bundle.linux["cgroupsPath"]
    CASES[case][0](config)
    (bundle.path / "config.json").write_text(json.dumps(config))
    for command in ("create", "run"):
        result = box.call(command, "--bundle", str(bundle.path), "c")
        assert result.status == 1, result
        assert result.err.count("\n") == 1 and not UNSEEMLY.search(result.err), result
        assert CASES[case][1] in result.err, result
        assert result.out == ""
        assert box.left() == []


TEXTS = {
    "empty": b"",
    "not-json": b"ociVersion: 1.3.0",
    "cut-off": b'{"ociVersion": "1.3.0"',
    "array": b"[]",
    "null": b"null",
    "number": b"1",
    "not-utf-8": b'{"ociVersion": "\xff\xfe"}',
    "two-documents": b"{} {}",
    "deep": b"[" * 100000 + b"]" * 100000,
    "empty-object": b"{}",
}


@pytest.mark.parametrize("case", sorted(TEXTS))
def test_file_that_is_no_config(box: Box, case: str) -> None:
    bundle = box.bundle()
    (bundle.path / "config.json").write_bytes(TEXTS[case])
    result = box.call("create", "--bundle", str(bundle.path), "c")
    assert result.status == 1, result
    assert result.err.count("\n") == 1 and not UNSEEMLY.search(result.err), result
    assert box.left() == []


# What people write, and where the error must point
SYNTAX = {
    b'{"a":1,}': "line 1, column 8: expected a property's name",
    b"{a:1}": "line 1, column 2: expected a property's name",
    b'{\n"a":0644}': "line 2, column 6: expected ',' or '}'",
    b'{"a":"\\x"}': "line 1, column 7: invalid escape",
    b'{"a":"\t"}': "line 1, column 7: a control character",
    b'{"a":1 // no\n}': "line 1, column 8: expected ',' or '}'",
    b'{"a":"b': "line 1, column 6: a string that does not end",
    b"[1,]": "line 1, column 4: expected a value",
}


@pytest.mark.parametrize("text", SYNTAX, ids=range(len(SYNTAX)))
def test_every_document_that_is_no_json_is_refused_with_its_place(box: Box, text: bytes) -> None:
    """With the interpreter that users get: what the tests' own has imported must not matter."""
    bundle = box.bundle().args("sleep", "1000")
    box.started(bundle)
    file = box.path / "document"
    file.write_bytes(text)
    for words in (["exec", "--process", str(file), "c"], ["update", "--resources", str(file), "c"]):
        result = box.call(*words)
        assert SYNTAX[text] in result.err, result
        assert result.status != 0 and not UNSEEMLY.search(result.err), result
    (bundle.path / "config.json").write_bytes(text)
    for words in (["create", "--bundle", str(bundle.path), "d"], ["run", "--bundle", str(bundle.path), "d"]):
        result = box.call(*words)
        assert f"config.json: {SYNTAX[text]}" in result.err, result
        assert result.status == 1 and not UNSEEMLY.search(result.err), result


def test_no_config(box: Box) -> None:
    bundle = box.bundle()
    result = box.call("create", "--bundle", str(bundle.path), "c")
    assert result.status == 1
    assert "config.json not found" in result.err
    assert box.left() == []


def test_no_bundle(box: Box) -> None:
    result = box.call("create", "--bundle", str(box.path / "nowhere"), "c")
    assert result.status == 1
    assert result.err.count("\n") == 1, result
    assert box.left() == []


def test_config_that_is_a_directory_or_a_pipe(box: Box) -> None:
    import os

    bundle = box.bundle()
    (bundle.path / "config.json").mkdir()
    assert box.call("create", "--bundle", str(bundle.path), "c").status == 1
    (bundle.path / "config.json").rmdir()
    os.mkfifo(bundle.path / "config.json")
    assert box.call("create", "--bundle", str(bundle.path), "c").status == 1
    assert box.left() == []
