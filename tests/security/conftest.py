"""The regression suite of published flaws: what each test covers, its controls, and the count at the end."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from controls import Control, Crun, Mutant, Runc

from tests.support import fixtures
from tests.support.box import Box

box, template = fixtures.box, fixtures.template  # pytest finds them here


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(*ids): the published flaws and threats that a test is about")


@pytest.hookimpl(hookwrapper=True)  # pytest 7, as Debian 12 has it, knows no other way
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = (yield).get_result()
    if report.when == "call":
        for marker in item.iter_markers("covers"):
            report.user_properties += [("covers", name) for name in marker.args]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    passed: "set[str]" = set()
    controls: "list[str]" = []
    for report in terminalreporter.stats.get("passed", []):
        passed |= {value for key, value in report.user_properties if key == "covers"}
        controls += [value for key, value in report.user_properties if key == "control"]
    if passed:
        terminalreporter.write_line(f"covered: {len(passed)} ids: {' '.join(sorted(passed))}")
        terminalreporter.write_line(f"controls that failed, as they should: {len(controls)}: {' '.join(controls)}")


@pytest.fixture
def runc(box: Box, record_property: Any) -> Iterator[Control]:
    with Runc(box, record_property) as control:
        yield control


@pytest.fixture
def crun(box: Box, record_property: Any) -> Iterator[Control]:
    with Crun(box, record_property) as control:
        yield control


@pytest.fixture
def mutant(box: Box, record_property: Any) -> Iterator[Any]:
    """mutant(file, old, new): pyoci with one place of csrc/init, or of pyoci/, changed."""
    made: "list[Mutant]" = []

    def make(file: str, old: str, new: str) -> Mutant:
        made.append(Mutant(box, record_property, file, old, new))
        return made[-1]

    yield make
    for one in made:
        one.__exit__()
