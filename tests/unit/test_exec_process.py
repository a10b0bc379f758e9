"""What the document of exec leaves out: every property of process is decided."""

import json
from pathlib import Path
from typing import Any

import pytest

from pyoci.container.exec import _INHERITED, complete

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "config.json").read_text())
OF_THE_DOCUMENT = {"args", "commandLine", "consoleSize", "cwd", "env", "terminal"}
OWN: "dict[str, Any]" = {
    "apparmorProfile": "own", "capabilities": {"bounding": ["CAP_KILL"]}, "execCPUAffinity": {"initial": "0"},
    "ioPriority": {"class": "IOPRIO_CLASS_IDLE"}, "noNewPrivileges": True, "oomScoreAdj": 5,
    "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}], "scheduler": {"policy": "SCHED_BATCH"},
    "selinuxLabel": "a:b:c:d", "user": {"uid": 1, "gid": 2, "umask": 7, "additionalGids": [3]},
    "env": ["A=1"], "cwd": "/own", "args": ["own"], "terminal": True, "consoleSize": {"height": 1, "width": 2},
}  # fmt: skip
SET: "dict[str, Any]" = {
    "apparmorProfile": "set", "capabilities": {}, "execCPUAffinity": {"final": "1"},
    "ioPriority": {"class": "IOPRIO_CLASS_BE"}, "noNewPrivileges": False, "oomScoreAdj": 0,
    "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}], "scheduler": {"policy": "SCHED_OTHER"},
    "selinuxLabel": "e:f:g:h", "user": {"uid": 0, "gid": 0, "umask": 0},
}  # fmt: skip
DOCUMENT: "dict[str, Any]" = {"args": ["sh"], "cwd": "/"}


def test_every_property_of_a_process_is_decided() -> None:
    assert set(SCHEMA["definitions"]["process"]["properties"]) - OF_THE_DOCUMENT == set(_INHERITED)
    assert set(_INHERITED) == set(SET) and set(SET) <= set(OWN)


@pytest.mark.parametrize("name", _INHERITED)
@pytest.mark.parametrize("value", ["absent", None, "", []])
def test_what_is_left_out_is_the_containers(name: str, value: Any) -> None:
    document = dict(DOCUMENT) if value == "absent" else {**DOCUMENT, name: value}
    assert complete(document, OWN)[name] == OWN[name]


@pytest.mark.parametrize("name", _INHERITED)
def test_what_is_set_is_the_documents(name: str) -> None:
    assert complete({**DOCUMENT, name: SET[name]}, OWN)[name] == SET[name]


def test_what_a_program_is_given_is_the_documents_alone() -> None:
    whole = complete(DOCUMENT, OWN)
    assert {name: whole[name] for name in whole if name in OF_THE_DOCUMENT} == DOCUMENT


def test_the_umask_is_the_containers_where_the_user_has_none() -> None:
    assert complete({**DOCUMENT, "user": {"uid": 9, "gid": 9}}, OWN)["user"] == {"uid": 9, "gid": 9, "umask": 7}


def test_of_a_container_that_says_nothing_nothing_comes() -> None:
    assert complete(DOCUMENT, {}) == DOCUMENT
