"""What strangers meet first: the names, versions and pages of the project fit each other."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import pyoci

TREE = Path(__file__).parents[2]


def project(name: str) -> "dict[str, Any]":
    with (TREE / name).open("rb") as file:
        found: "dict[str, Any]" = tomllib.load(file)["project"]
    return found


def test_the_version_is_semantic_and_everywhere_the_same() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", pyoci.__version__)
    assert project("conformance/pyproject.toml")["version"] == pyoci.__version__
    assert f"pyoci ({pyoci.__version__})" in (TREE / "debian/changelog").read_text().splitlines()[0]


def test_the_changelog_has_a_dated_section_for_the_version() -> None:
    text = (TREE / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[0] == "Unreleased" and all(
        re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", one) for one in sections[1:]
    )
    assert sections[1].startswith(f"[{pyoci.__version__}]")
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"} and "Semantic Versioning" in text


@pytest.mark.parametrize("name", ["pyproject.toml", "conformance/pyproject.toml"])
def test_the_metadata(name: str) -> None:
    about = project(name)
    assert about["authors"] == [{"name": "the pyoci developers"}] and about["classifiers"] and about["keywords"]
    assert not {"urls", "license"} & set(about), "there is no home page yet, and no licence is chosen"
    assert about["name"] != "pyoci", "another project's"


def test_the_classifiers_have_the_pythons_that_builds_know() -> None:
    known = re.search(r"KNOWN = \(\(3, (\d+)\), \(3, (\d+)\)\)", (TREE / "csrc/build/interpreter.py").read_text())
    assert known
    wanted = [f"Programming Language :: Python :: 3.{minor}" for minor in range(int(known[1]), int(known[2]) + 1)]
    assert [one for one in project("pyproject.toml")["classifiers"] if "Python :: 3." in one] == wanted


def test_every_library_that_a_message_names_is_a_dependency() -> None:
    from pyoci.start.installation import LIBRARIES

    about = project("pyproject.toml")
    asked = [
        *about["dependencies"],
        *(one for name in ("systemd", "checkpoint") for one in about["optional-dependencies"][name]),
    ]
    assert {re.split(r"[<>=]", one)[0] for one in asked} == {library for library, _, _ in LIBRARIES.values()}


def test_the_public_check_calls_ours() -> None:
    steps = (TREE / ".github/workflows/check.yml").read_text()
    assert "- run: .ci/run" in steps and (TREE / ".ci/run").stat().st_mode & 0o111
    asked = re.search(r"install -y --no-install-recommends (.*)", steps)
    assert asked and asked[1].split() == ["git", "make", "ca-certificates"], "README promises that no more is needed"


def test_contributing_says_that_no_licence_is_chosen() -> None:
    assert "no licence file yet" in (TREE / "CONTRIBUTING.md").read_text()
    assert not list(TREE.glob("LICEN[CS]E*"))
