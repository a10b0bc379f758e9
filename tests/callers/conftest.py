"""Engines for the tests of a session, and the table of what is the same with pyoci as with runc."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import compare
import pytest
import table
from compare import Operation
from engines.base import Engine, settle

from tests.support import leftovers

Pair = tuple[Engine, Engine]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engines-table", metavar="FILE", help="write what each engine did with pyoci and runc to FILE")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "core: the few operations of an engine that every change must pass")
    config.pluginmanager.register(table.Collector(config), "engines-table")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/callers/" in str(item.path):
            item.add_marker(pytest.mark.engine)
            operation = getattr(item, "callspec", None) and item.callspec.params.get("operation")
            if isinstance(operation, Operation) and operation.core:
                item.add_marker(pytest.mark.core)


@pytest.fixture(scope="session")
def engines() -> Iterator[Callable[[type[Engine]], Pair]]:
    """Starts an engine twice, for runc and for pyoci, when a test first asks for it; all end with the session."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    leftovers.adopt_orphans()
    made: dict[type[Engine], list[Engine]] = {}

    def pair(kind: type[Engine]) -> Pair:
        if kind not in made:
            made[kind] = []
            # short: podman refuses a runroot of more than 50 characters; its name is part of names of containerd's
            base = Path(tempfile.gettempdir(), f"e-{secrets.token_hex(4)}")
            base.mkdir()
            base.chmod(0o711)
            for runtime, binary in compare.RUNTIMES:
                (base / runtime).mkdir()
                made[kind].append(kind(base / runtime, runtime, binary))
            for engine in made[kind]:
                engine.start()
        return made[kind][0], made[kind][1]

    yield pair
    problems = []
    for kind in reversed(list(made)):
        for engine in made[kind]:
            try:
                engine.stop()
            except Exception as error:  # the other engines must end, too
                problems.append(f"{kind.name} with {engine.runtime} does not stop: {error}")
    problems += [f"process {line}" for line in settle()]
    leftovers.kill(leftovers.descendants())
    for kind, both in made.items():
        for engine in both:
            problems += [f"mount {path}" for path in leftovers.mounts_below(str(engine.directory))]
            problems += [f"{kind.name} with {engine.runtime}: {path}" for path in getattr(engine, "remains", list)()]
    for both in made.values():
        base = both[0].directory.parent
        if not leftovers.mounts_below(str(base)):
            shutil.rmtree(base, ignore_errors=True)
    assert not problems, "left on the host:\n" + "\n".join(problems)


@pytest.fixture
def same(
    engines: Callable[[type[Engine]], Pair], record_property: Callable[[str, Any], None]
) -> Callable[[type[Engine], Operation], None]:
    """Runs an operation with runc, then with pyoci; fails where pyoci's outcome is another one."""

    def judge(kind: type[Engine], operation: Operation) -> None:
        def note(verdict: str, reason: str = "") -> None:
            record_property("engine", [kind.name, versions, operation.name, verdict, reason])

        versions = ""
        missing = operation.missing()
        if missing is not None:
            note("cannot be tested here", missing)
            pytest.skip(missing)
        reference, ours = engines(kind)
        versions = ours.version()
        reason = ours.unusable or ours.cannot(operation.script)
        if reason is not None:
            note("cannot be tested here", reason)
            pytest.skip(reason)
        expected = reference.script(operation.script)
        reference.after(operation.script)
        failure = operation.failure(expected)
        if failure is not None:
            if operation.core:
                pytest.fail(f"{kind.name}, {operation.name}, with runc: {failure}\n{expected}", pytrace=False)
            note("cannot be tested here", f"with runc: {failure}")
            pytest.skip(f"does not work with runc on this machine: {failure}")
        found = ours.script(operation.script)
        ours.after(operation.script)
        differences = operation.differences(expected, found)
        note("different" if differences else "same", "; ".join(differences))
        if differences:
            pytest.fail(
                f"{kind.name}, {operation.name}: {operation.script}\n  "
                + "\n  ".join(differences)
                + f"\nrunc: {expected}\npyoci: {found}",
                pytrace=False,
            )

    return judge
