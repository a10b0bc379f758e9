"""Which requirements have a test: read from the tests' markers, without running any."""

import ast
import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from conformance.requirements import DEFACTO_LEVEL, MUST_LEVELS, load

SUITE = Path(__file__).with_name("suite")
HEAD = """\
| document | MUST: observable | with a test | SHOULD and stated: observable | with a test | not observable |
|---|---:|---:|---:|---:|---:|
"""


class Collector:
    """A pytest plugin that notes who judges what."""

    def __init__(self) -> None:
        self.judges: dict[str, list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for marker in item.iter_markers("judges"):
                for name in marker.args:
                    self.judges.setdefault(name, []).append(item.nodeid)


def judged() -> dict[str, list[str]]:
    """Requirement ids with the tests that judge them."""
    code = (
        "import pytest; from conformance.coverage import Collector, SUITE; found = Collector();"
        "status = pytest.main(['-p', 'no:terminal', '-p', 'no:cacheprovider', '--collect-only', '-c',"
        " str(SUITE.parent / 'pytest.ini'), str(SUITE)], plugins=[found]);"
        "print(found.judges); raise SystemExit(status)"
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(SUITE.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"the tests cannot be collected:\n{done.stdout}{done.stderr}")
    found: dict[str, list[str]] = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    return found


def table() -> str:
    """The coverage as a Markdown table, a row a document, and the requirements that nothing outside can judge."""
    known = judged()
    catalogue = list(load().values())
    out = io.StringIO()
    with redirect_stdout(out):
        print(HEAD, end="")
        for document in dict.fromkeys(one.document for one in catalogue if one.level != DEFACTO_LEVEL):
            rows = [one for one in catalogue if one.document == document]
            must = [one for one in rows if one.level in MUST_LEVELS]
            should = [one for one in rows if one.level not in MUST_LEVELS]
            cells = []
            for group in (must, should):
                observable = [one for one in group if not one.unobservable]
                cells += [len(observable), sum(one.id in known for one in observable)]
            hidden = sum(bool(one.unobservable) for one in rows)
            print(f"| {document} | {cells[0]} | {cells[1]} | {cells[2]} | {cells[3]} | {hidden} |")
        for title, group in (("**specification**", [one for one in catalogue if one.level != DEFACTO_LEVEL]),):
            must = [one for one in group if one.level in MUST_LEVELS and not one.unobservable]
            should = [one for one in group if one.level not in MUST_LEVELS and not one.unobservable]
            hidden = sum(bool(one.unobservable) for one in group)
            tested = [sum(one.id in known for one in part) for part in (must, should)]
            print(f"| {title} | {len(must)} | {tested[0]} | {len(should)} | {tested[1]} | {hidden} |")
        defacto = [one for one in catalogue if one.level == DEFACTO_LEVEL]
        print(
            f"\nDe-facto interface: {len(defacto)} requirements, {sum(one.id in known for one in defacto)} with a test."
        )
        print("\nNot observable from outside:\n")
        for one in catalogue:
            if one.unobservable:
                print(f"* `{one.id}` ({one.level}): {one.text} *{one.unobservable}*")
    return out.getvalue()
