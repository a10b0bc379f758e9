"""The mutants' table: enough of them, each breaking something that the catalogue has, and the wrapper's parsing."""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "mutants"))

import faults
from faults import FAULTS
from mutant import config_path, parse

from conformance.requirements import load


def test_there_are_enough() -> None:
    assert len(FAULTS) >= 120


def test_each_breaks_requirements_of_the_catalogue() -> None:
    catalogue = load()
    assert [(name, one) for name, fault in FAULTS.items() for one in fault.breaks if one not in catalogue] == []
    assert [name for name, fault in FAULTS.items() if not fault.breaks] == []


def test_each_does_exactly_one_kind_of_thing() -> None:
    for name, fault in FAULTS.items():
        assert sum(part is not None for part in fault[1:]) == 1, name


def test_the_operation_is_found_behind_global_options() -> None:
    call = parse("/usr/bin/x", ["--root", "/r", "--debug", "create", "--bundle", "/b", "id"])
    assert (call.operation, call.rest, call.id()) == ("create", ["--bundle", "/b", "id"], "id")
    assert config_path(call) == "/b/config.json"
    assert call.with_rest(["id"]) == ["--root", "/r", "--debug", "create", "id"]


def test_a_fault_that_cannot_edit_leaves_the_configuration_alone(tmp_path: Path) -> None:
    """Otherwise its error would fail every test, and look like a catch."""
    (tmp_path / "config.json").write_text('{"mounts": []}')
    seen = tmp_path / "seen"
    runtime = tmp_path / "runtime"
    runtime.write_text(f'#!/bin/sh\ncp "$3/config.json" {seen}\n')
    runtime.chmod(0o755)
    wrapper = Path(faults.__file__).with_name("mutant.py")
    words = [
        sys.executable,
        "-I",
        "-S",
        str(wrapper),
        "swaps-last-mounts",
        str(runtime),
        "create",
        "--bundle",
        str(tmp_path),
        "id",
    ]
    done = subprocess.run(words, check=False)
    assert (done.returncode, json.loads(seen.read_text())) == (0, {"mounts": []})


def test_the_configuration_is_edited_for_the_runtime_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hostname": "x"}')
    seen = tmp_path / "seen"
    runtime = tmp_path / "runtime"
    runtime.write_text(f'#!/bin/sh\ncp "$3/config.json" {seen}\n')
    runtime.chmod(0o755)
    wrapper = Path(faults.__file__).with_name("mutant.py")
    words = [
        sys.executable,
        "-I",
        "-S",
        str(wrapper),
        "ignores-hostname",
        str(runtime),
        "create",
        "--bundle",
        str(tmp_path),
        "id",
    ]
    subprocess.run(words, check=True)
    assert json.loads(seen.read_text()) == {}
    assert (tmp_path / "config.json").read_text() == '{"hostname": "x"}'
