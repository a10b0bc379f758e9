"""Whole documents: what engines wrote, the official examples, texts that are no JSON, and what is loaded on the way."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from validate_samples import CONFIG, DATA, STATE, changed

from pyoci import validate
from pyoci.errors import Error
from pyoci.hostcheck.anyhost import everywhere
from pyoci.json import document
from pyoci.validate.catalog import CATALOG, ERRORS
from pyoci.validate.pointer import dotted, json_pointer

CALLERS = sorted((DATA / "callers").glob("*.json"))
EXAMPLES = sorted((DATA / "spec-examples").glob("*/*/*.json"))
CHECKS = {"config": validate.check_config, "state": validate.check_state, "features": validate.check_features}
# Good to the official schema; the runtime has nothing to move the devices to.
NOT_RUNNABLE = {"linux-netdevice.json": "net-devices-no-network-namespace"}


@pytest.mark.parametrize("path", CALLERS, ids=[path.stem for path in CALLERS])
def test_what_engines_write_is_accepted(path: Path) -> None:
    raw = path.read_bytes()
    validate.check_runnable_config(document.parse(raw), raw=raw)
    validate.check_config(document.parse(raw))
    assert [problem.code for problem in validate.report(raw, "config", everywhere) if problem.level in ERRORS] == []


def test_there_are_recordings() -> None:
    assert len(CALLERS) >= 48


@pytest.mark.parametrize("path", EXAMPLES, ids=[f"{path.parent.name}-{path.stem}" for path in EXAMPLES])
def test_official_examples(path: Path) -> None:
    kind, verdict, raw = path.parts[-3], path.parts[-2], path.read_bytes()
    errors = [problem.code for problem in validate.report(raw, kind, everywhere) if problem.level in ERRORS]
    if verdict == "good" and path.name in NOT_RUNNABLE:
        assert errors == [NOT_RUNNABLE[path.name]]
        return
    assert bool(errors) == (verdict == "bad")
    try:
        CHECKS[kind](document.parse(raw))
    except Error:
        assert verdict == "bad"
    else:
        assert verdict == "good"


TEXTS = [
    (b'{"a": ', "json-syntax", "a", 1),
    (b"\n\n[1,]", "json-syntax", "[1]", 3),
    (b'{"a":\n "\xff"}', "json-utf8", "", 2),
    (b" " * (document.MAX_BYTES + 1), "json-size", "", 1),
    (b"\xef\xbb\xbf{}", "json-bom", "", 1),
    (b'{"x": {"y": 1,\n"y": 2}}', "json-duplicate-key", "x.y", 2),
    (b'{"x": [0,\n 1e999]}', "json-number", "x[1]", 2),
    (b'{"x": "\\ud800"}', "json-surrogate", "x", 1),
    (b"null", "document-null", "", 1),
    (b"[" * 100_000, "json-syntax", dotted((0,) * 100), 1),
]


@pytest.mark.parametrize(("raw", "code", "place", "line"), TEXTS, ids=[text[1] for text in TEXTS])
def test_text_that_is_no_document(raw: bytes, code: str, place: str, line: int) -> None:
    problems = validate.report(raw, "config", everywhere)
    assert (code, place, line) in [(problem.code, problem.place, problem.line) for problem in problems]


def test_a_hundred_megabytes_cost_nothing() -> None:
    raw = b"[" * 100_000_000
    tracemalloc.start()
    assert [problem.code for problem in validate.report(raw, "config", everywhere)] == ["json-size"]
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_texts_of_refusals_that_callers_know() -> None:
    known = {
        "config cannot be null": None,
        "process property must not be empty": {key: CONFIG[key] for key in CONFIG if key != "process"},
        "args must not be empty": changed(CONFIG, {"process/args": []}),
        "Cwd must be an absolute path": changed(CONFIG, {"process/cwd": "a"}),
        "Cwd property must not be empty": changed(CONFIG, {"process/cwd": ""}),
        "malformed spec file: duplicated ns": changed(CONFIG, {"linux/namespaces/5": {"type": "pid"}}),
        "missing '='": changed(CONFIG, {"process/env": ["A"]}),
        "wrong rlimit value": changed(CONFIG, {"process/rlimits": [{"type": "RLIMIT_X", "soft": 0, "hard": 0}]}),
        "is not in a separate kernel namespace": changed(CONFIG, {"linux/sysctl": {"vm.x": "1"}}),
        "memory+swap limit should be >= memory limit": changed(
            CONFIG, {"linux/resources": {"memory": {"limit": 2, "swap": 1}}}
        ),
    }
    for words, config in known.items():
        with pytest.raises(Error) as caught:
            validate.check_runnable_config(config)
        assert words in caught.value.text


def test_a_refusal_is_one_line_with_the_number_of_others() -> None:
    document = changed(CONFIG, {"process/cwd": "a", "process/args": [], "linux/namespaces/0/type": "x", "hostnme": ""})
    with pytest.raises(Error) as caught:
        validate.check_config(document)
    assert str(caught.value) == (
        'process.cwd: Cwd must be an absolute path, "a" is not, and 2 more problems (`pyoci validate` shows all)'
    )
    with pytest.raises(Error) as caught:
        validate.check_config(changed(CONFIG, {"root": 5}))
    assert str(caught.value) == "root: must be an object, not 5 (`pyoci validate` shows where)"
    with pytest.raises(Error) as caught:
        validate.check_config(changed(CONFIG, {"process/args": []}))
    words = "name the program, then its arguments; `pyoci validate` shows where"
    assert str(caught.value) == f"process.args: args must not be empty ({words})"
    with pytest.raises(Error) as caught:
        validate.check_config([])
    assert caught.value.location == "config.json"


def test_a_process_for_exec() -> None:
    validate.check_process({"cwd": "/", "args": ["sh"], "user": {"uid": 0, "gid": 0}})
    for process, text in (
        (None, "process: process property must not be empty"),
        ({"cwd": "/", "args": []}, "process.args: args must not be empty"),
        ({"cwd": "/", "args": ["a\0"]}, "process.args[0]: must not contain a NUL character"),
        ({"args": ["a"]}, "process: Cwd property must not be empty"),
        ({"cwd": "/", "args": ["a"], "env": [1]}, "process.env[0]: must be a string, not 1"),
    ):
        with pytest.raises(Error) as caught:
            validate.check_process(process)
        assert str(caught.value).startswith(text)


def test_nul_is_found_with_and_without_the_text() -> None:
    document = changed(CONFIG, {"hostname": "a\0"})
    for raw in (None, json.dumps(document).encode()):
        with pytest.raises(Error, match="NUL"):
            validate.check_config(document, raw=raw)
    harmless = changed(CONFIG, {"annotations": {"a": "\0"}})
    validate.check_config(harmless, raw=json.dumps(harmless).encode())


def test_how_places_are_written() -> None:
    path: "tuple[Any, ...]" = ("linux", "sysctl", "a.b", 3, "x~/y", "")
    assert dotted(path) == 'linux.sysctl["a.b"][3]["x~/y"][""]'
    assert json_pointer(path) == "/linux/sysctl/a.b/3/x~0~1y/"
    assert (dotted(()), json_pointer(())) == ("", "")


def test_catalog_names_sections_of_the_spec() -> None:
    for code, (_, section, words) in CATALOG.items():
        assert section.partition("#")[0].endswith(".md"), code
        assert words, code


HOT = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
from pyoci import validate
from pyoci.json import document
raw = open(sys.argv[2], "rb").read()
validate.check_runnable_config(document.parse(raw), raw=raw)
print(*sorted(set(sys.modules) - before))
"""


RARE = ["pyoci.validate.musts_rare"]  # linux.devices, id mappings; kernel: rlimits


@pytest.mark.parametrize(
    "name, more",
    [
        ("podman58-run", ["pyoci.linux", "pyoci.linux.kernel"]),
        ("docker28-privileged", ["pyoci.linux", "pyoci.linux.sysctl", *RARE]),
        ("containerd21-cri-runp", ["pyoci.linux", "pyoci.linux.sysctl"]),
        ("buildah-run-userns", ["pyoci.linux", "pyoci.linux.kernel", "pyoci.linux.sysctl", *RARE]),
    ],
)
def test_accepting_loads_nothing_of_the_library(name: str, more: "list[str]") -> None:
    path = DATA / "callers" / f"{name}-create.json"
    command = [sys.executable, "-I", "-S", "-c", HOT, str(DATA.parents[1]), str(path)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(loaded) == sorted(
        [
            "_json",
            "pyoci",
            "pyoci.errors",
            "pyoci.json",
            "pyoci.json.document",
            "pyoci.validate",
            "pyoci.validate._accept",
            "pyoci.validate.musts",
            "pyoci.validate.musts_linux",
            *more,
        ]
    )


def test_check_state_takes_what_the_runtime_says() -> None:
    validate.check_state({**STATE, "status": "paused", "rootfs": "/r", "owner": ""})


def test_the_tables_of_the_documentation_are_current() -> None:
    """Red: run `python tests/tools/validation_tables.py`."""
    import importlib.util

    path = DATA.parent / "tools" / "validation_tables.py"
    spec = importlib.util.spec_from_file_location("validation_tables", path)
    assert spec and spec.loader
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = tables.DOCUMENT.read_text("utf-8")
    assert tables.filled(text) == text
