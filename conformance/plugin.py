"""The pytest side: options, the `judges` marker, the `case` fixture, and a line of JSON for every test's verdicts."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Optional

import pytest

from conformance import host
from conformance.builder import NoProbe, build_probe
from conformance.case import Case, Session
from conformance.requirements import Requirement, chosen
from conformance.runtime import Runtime, caller_environment
from conformance.verdict import ERROR, SKIP, Verdict

MARKER = "judges(*ids): the requirements that the test judges"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--oci-runtime", help="the runtime under test")
    group.addoption("--oci-place", help="directory for everything that the run makes")
    group.addoption("--oci-results", help="file that gets a JSON line for every test")
    group.addoption("--oci-select", action="append", default=[], help="requirement id, or the beginning of ids")
    group.addoption("--oci-level", default="all", help="must, should or all")
    group.addoption("--oci-spec", default="99", help="newest version of the specification that counts")
    group.addoption("--oci-cgroup-manager", default="cgroupfs", help="cgroupfs, systemd or disabled")
    group.addoption("--oci-rootless", action="store_true", help="run as an ordinary user")
    group.addoption("--oci-keep", help="directory that keeps the bundles")
    group.addoption("--oci-progress", choices=["terminal", "lines"], help="show progress on standard error")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config), "conformance-recorder")


def requirements_of(item: pytest.Item) -> list[str]:
    return [name for marker in item.iter_markers("judges") for name in marker.args]


def chosen_for(config: pytest.Config) -> dict[str, Requirement]:
    return chosen(config.getoption("oci_select"), config.getoption("oci_level"), config.getoption("oci_spec"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests that judge nothing of what was chosen."""
    wanted = chosen_for(config)
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        names = [name for name in requirements_of(item) if name in wanted]
        item.user_properties.append(("requirements", names))
        (kept if names else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> Generator[Session, None, None]:
    config = request.config
    runtime_path = config.getoption("oci_runtime")
    if not runtime_path:
        pytest.skip("no runtime given: these tests are run by pyoci-conformance")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    if "PYTEST_XDIST_WORKER" in os.environ:
        host.die_with_parent()  # the command may be killed, and what it started must end with it
    own_place = "" if config.getoption("oci_place") else tempfile.mkdtemp(prefix="cf-")
    place = Path(config.getoption("oci_place") or own_place)
    try:
        probe = build_probe(place / "probe")
    except NoProbe as missing:
        pytest.exit(str(missing), returncode=3)
    host.become_subreaper()
    keep = config.getoption("oci_keep")
    yield Session(
        runtime=Runtime(
            path=runtime_path,
            root=place / "root",
            cgroup_manager=config.getoption("oci_cgroup_manager"),
            environment=caller_environment(),
        ),
        place=place,
        probe=probe,
        worker=worker,
        cgroup_parent=place.name,
        rootless=config.getoption("oci_rootless"),
        keep=Path(keep) if keep else None,
        chosen=chosen_for(config),
    )
    if own_place:
        shutil.rmtree(own_place, ignore_errors=True)


@pytest.fixture
def case(request: pytest.FixtureRequest, session: Session) -> Generator[Case, None, None]:
    case = Case(session, request.node.nodeid, requirements_of(request.node))
    yield case
    case.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Optional[bool]:
    """Calls the test ourselves, with what happens in it turned into verdicts."""
    case = pyfuncitem.funcargs.get("case")
    if not isinstance(case, Case):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    try:
        with case.writing():
            pyfuncitem.obj(**arguments)
    finally:
        verdicts = [verdict.as_dict() for verdict in case.verdicts]
        pyfuncitem.user_properties.append(("verdicts", verdicts))
    return True


class Recorder:
    """In the controlling process: one JSON line a test, and the progress line."""

    def __init__(self, config: pytest.Config) -> None:
        path = config.getoption("oci_results")
        self.file = open(path, "a", encoding="utf-8") if path else None
        self.progress = Progress(config.getoption("oci_progress"), Path(config.getoption("oci_runtime") or "").name)
        self.broken = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.progress.total = max(self.progress.total, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        self.progress.total = max(self.progress.total, len(ids))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken = True
            print(f"{report.nodeid}: cannot be collected:\n{report.longreprtext}", file=sys.stderr)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        verdicts = self.verdicts(report)
        if verdicts is None:
            return
        if report.when == "call" or not report.passed:
            self.write(report, verdicts)
            self.progress.count(report.nodeid, report.when != "teardown", report.failed)

    @staticmethod
    def verdicts(report: pytest.TestReport) -> Optional[list[dict[str, Any]]]:
        """The test's verdicts; None for a phase that has none to tell."""
        properties = dict(report.user_properties)
        if report.when == "call":
            found: list[dict[str, Any]] = properties.get("verdicts", [])  # type: ignore[assignment]
            return found
        if report.passed:
            return None
        names: list[str] = properties.get("requirements", [])  # type: ignore[assignment]
        result = SKIP if report.skipped else ERROR
        return [Verdict(name, result, "", report.longreprtext).as_dict() for name in names]

    def write(self, report: pytest.TestReport, verdicts: list[dict[str, Any]]) -> None:
        if self.file:
            text = report.longreprtext if report.failed else ""
            line = {
                "test": report.nodeid,
                "outcome": report.outcome,
                "seconds": round(report.duration, 3),
                "verdicts": verdicts,
                "text": text,
            }
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def pytest_sessionfinish(self) -> None:
        self.progress.end()
        if self.file:
            self.file.close()


class Progress:
    """How far the run is, on standard error: on a terminal in one line that changes, else ten lines a run."""

    def __init__(self, kind: Optional[str], name: str) -> None:
        self.kind, self.name = kind, name
        self.total = self.done = self.failed = 0
        self.begin = time.monotonic()

    def count(self, test: str, whole: bool, failed: bool) -> None:
        """A test has ended (or, when it is not whole, its teardown has failed)."""
        tenth = self.done * 10 // max(self.total, 1)
        self.done += whole
        self.failed += failed
        if self.kind == "terminal":
            width = shutil.get_terminal_size().columns - 1
            print("\r\x1b[K" + self.line(test.rpartition("/")[2])[:width], end="", file=sys.stderr, flush=True)
        elif self.kind == "lines" and self.done * 10 // max(self.total, 1) > tenth:
            print(self.line(), file=sys.stderr, flush=True)

    def line(self, test: str = "") -> str:
        """The runtime, how much of it, and how long the rest may take."""
        rest = (time.monotonic() - self.begin) / max(self.done, 1) * (self.total - self.done)
        told = f"{self.name}: {self.done}/{self.total} tests, {self.failed} failed"
        return f"{told}, {rest:.0f} s to go  {test}".rstrip()

    def end(self) -> None:
        if self.kind == "terminal":
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
