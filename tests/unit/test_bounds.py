"""A document just within its bounds costs work in proportion to its size: counted in calls, not in seconds."""

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pyoci import validate
from pyoci.cgroups import devices, tree
from pyoci.errors import Error
from pyoci.json import document
from pyoci.validate import musts, schema

CONFIG: "dict[str, Any]" = {
    "ociVersion": "1.3.0",
    "process": {"args": ["/x"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
    "root": {"path": "rootfs"},
    "linux": {},
}


def operations(action: "Callable[[], object]") -> int:
    """How many lines of Python run: loops count, whatever they call."""
    count = 0

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        action()
    except Error:
        pass
    finally:
        sys.settrace(None)
    return count


def rules(many: int, access: "Callable[[int], str]") -> "list[devices.Rule]":
    entries = [
        {"allow": n % 2 == 0, "type": "c", "major": n // 2, "minor": 0, "access": access(n)} for n in range(many)
    ]
    return devices.parse({"devices": entries}, "linux.resources")


@pytest.mark.parametrize("access", [lambda n: "rwm", lambda n: "r" if n % 2 else "w"], ids=["taken back", "in parts"])
@pytest.mark.parametrize("work", [devices.reduce, devices.state_of])
def test_device_rules(work: "Callable[[Any], object]", access: "Callable[[int], str]") -> None:
    small, large = rules(400, access), rules(1600, access)
    assert operations(lambda: work(large)) < 6 * operations(lambda: work(small))


def test_device_rules_have_a_limit_and_equal_ones_do_not_count() -> None:
    many = rules(2 * devices.MOST_RULES + 4, lambda n: "r" if n % 2 else "w")
    with pytest.raises(Error, match=f"device rules that differ; at most {devices.MOST_RULES}"):
        devices.reduce(many)
    assert len(devices.reduce([many[0]] * (3 * devices.MOST_RULES))) == 1


def test_a_cgroups_path_is_as_long_as_a_path_can_be() -> None:
    assert len(tree.components("/a" * 2047)) == 2047
    with pytest.raises(Error) as caught:
        tree.components("/a" * 2048)
    assert caught.value.location == "linux.cgroupsPath"


def test_seccomp_rules_are_given_to_the_library_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyoci.seccomp import compiler

    calls: "list[int]" = []

    class Counting:
        """The library, which counts."""

        def __init__(self, call: Any) -> None:
            self.call = call

        def __getattr__(self, name: str) -> Any:
            if name == "seccomp_rule_add_array":
                calls.append(1)
            return getattr(self.call, name)

    class Library(compiler.Library):
        def __init__(self) -> None:
            super().__init__()
            self.call = Counting(self.call)

    monkeypatch.setattr(compiler, "Library", Library)

    def compiled(names: "list[str]", times: int) -> bytes:
        calls.clear()
        rule = {"names": names, "action": "SCMP_ACT_ERRNO"}
        return compiler.compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] * times}).program

    once = compiled(["open", "read"], 1)
    assert len(calls) == 2
    assert compiled(["open", "read"] * 50, 20) == once
    assert len(calls) == 2


def test_seccomp_rules_have_a_limit() -> None:
    from pyoci.seccomp import compiler

    args = [[{"index": 0, "value": n, "op": "SCMP_CMP_EQ"}] for n in range(compiler._MOST_RULES + 1)]
    each = [{"names": ["dup"], "action": "SCMP_ACT_ERRNO", "args": one} for one in args]
    once = {"names": ["dup"], "action": "SCMP_ACT_ERRNO"}
    with pytest.raises(Error, match="different rules make no filter"):
        compiler.compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [once, *each]})


@pytest.mark.parametrize(
    ("place", "entry"),
    [("rlimits", {"type": "RLIMIT_NOFILES", "soft": 1, "hard": 1}), ("env", "NOTHING"), ("args", 1)],
)
def test_a_refusal_of_many_faults(place: str, entry: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked for is bounded, above all suggestions; the first one is enough to refuse."""
    suggestions: "list[str]" = []
    monkeypatch.setattr(musts, "nearest", lambda word, known: suggestions.append(word) or "")

    def refuse(many: int) -> None:
        document = {**CONFIG, "process": {**CONFIG["process"], place: [entry] * many}}
        with pytest.raises(Error, match="more problem"):
            validate.check_config(document, raw=b"")

    refuse(4 * schema.MOST)
    assert len(suggestions) <= 1 + schema.MOST
    assert operations(lambda: refuse(8 * schema.MOST)) < 3 * operations(lambda: refuse(4 * schema.MOST))


@pytest.mark.parametrize("mount", [{"destination": 1}, 0, {}, {"destination": "/a", "options": [1]}])
def test_more_that_fits_no_schema_than_is_told(mount: object) -> None:
    """The rules trust the types of what the schema did not complain about: they are not asked about the rest."""
    document = {**CONFIG, "mounts": [mount] * (2 * schema.MOST)}
    with pytest.raises(Error, match=r"mounts\[0\].*more problems"):
        validate.check_config(document, raw=b"")
    told = validate.report(json.dumps(document).encode(), "config")
    assert [problem.code for problem in told].count("cut-short") == 1


def test_a_document_has_so_many_values() -> None:
    commas = document.MAX_VALUES
    assert document.parse(b"[0" + b",0" * commas + b"]") == [0] * (commas + 1)
    with pytest.raises(Error, match=f"{commas + 1} values are more than the {commas}"):
        document.parse(b"[0" + b",0" * (commas + 1) + b"]")
    assert document.parse(b'{"a":"' + b',\\"' * (commas + 1) + b'"}') == {"a": ',"' * (commas + 1)}
    assert [found.code for found in validate.report(b"[0" + b",0" * (commas + 1) + b"]", "config")] == ["json-size"]
