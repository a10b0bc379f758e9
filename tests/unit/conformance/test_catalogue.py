"""The catalogue is whole, and every observable requirement has a test."""

import re

import pytest

from conformance import requirements
from conformance.coverage import judged

LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "STATED", "DEFACTO")


@pytest.fixture(scope="module")
def catalogue() -> "dict[str, requirements.Requirement]":
    return requirements.load()


@pytest.fixture(scope="module")
def known() -> "dict[str, list[str]]":
    return judged()


def test_every_file_of_the_catalogue_is_read() -> None:
    assert sorted(path.stem for path in requirements.CATALOGUE.glob("*.json")) == sorted(requirements.FILES)


def test_entries_are_well_formed(catalogue: "dict[str, requirements.Requirement]") -> None:
    for one in catalogue.values():
        assert re.fullmatch(r"[a-z-]+(\.[a-z0-9-]+)+", one.id), one.id
        assert one.level in LEVELS, one.id
        assert one.text.endswith("."), one.id
        assert one.level == "DEFACTO" or re.fullmatch(r"1\.\d\.\d", one.since), one.id


def test_every_observable_requirement_has_a_test(
    catalogue: "dict[str, requirements.Requirement]", known: "dict[str, list[str]]"
) -> None:
    assert [one.id for one in catalogue.values() if not one.unobservable and one.id not in known] == []


def test_tests_name_only_requirements_of_the_catalogue(
    catalogue: "dict[str, requirements.Requirement]", known: "dict[str, list[str]]"
) -> None:
    assert [name for name in known if name not in catalogue] == []
    assert [name for name in known if catalogue[name].unobservable] == []


@pytest.mark.parametrize(
    ("patterns", "level", "spec", "inside", "outside"),
    [
        ([], "must", "99", "runtime.kill.sends-signal", "config.mounts.option.rro"),
        ([], "should", "99", "config.mounts.option.rro", "defacto.run"),
        ([], "all", "99", "defacto.run", "defacto.no-such"),
        (["linux.seccomp"], "all", "99", "linux.seccomp.op.lt", "linux.sysctl"),
        (["config.mounts.option.r"], "all", "99", "", "config.mounts.option.ro"),
        ([], "all", "1.0.2", "config.hostname", "config.domainname"),
    ],
)
def test_choosing(patterns: "list[str]", level: str, spec: str, inside: str, outside: str) -> None:
    chosen = requirements.chosen(patterns, level, spec)
    assert not inside or inside in chosen
    assert outside not in chosen
