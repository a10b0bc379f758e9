#!/usr/bin/env python3
"""Writes the second half of docs/cgroups-table.md from what tests/vm/all has left.

vm_table.py DIRECTORY...     one for each machine: SUITE.xml from pytest, conformance.json, and `machine`, its versions
"""

import collections
import json
import re
import sys
import xml.etree.ElementTree as Tree
from datetime import UTC, datetime
from pathlib import Path

TARGET = Path(__file__).parents[2] / "docs" / "cgroups-table.md"
BEGIN = "\n# Whole suites in the machines\n"
HEAD = """
Written by `tests/tools/vm_table.py` from the last runs of `tests/vm/all` (`make test-vm-all`). The machines are
emulated: a minute here is some seconds elsewhere.

"""


def duration(seconds):
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def date(path):
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d")


def of_pytest(path):
    """A row, the tests that failed, and how many were skipped for each reason."""
    failed, reasons, passed = [], collections.Counter(), 0
    (suite,) = Tree.parse(path).iter("testsuite")
    for case in suite.iter("testcase"):
        if (skipped := case.find("skipped")) is not None:
            reasons[re.sub(r"^Skipped: ", "", skipped.get("message", ""))] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname').rpartition('.')[2]}::{case.get('name')}")
        else:
            passed += 1
    row = [path.stem, date(path), passed, len(failed), sum(reasons.values()), duration(float(suite.get("time")))]
    return row, failed, reasons


def of_conformance(path):
    """A row for each runtime, of what MUST and MUST NOT ask of cgroups, too."""
    for run in json.loads(path.read_text())["runtimes"]:
        counts = collections.Counter()
        failed = []
        for finding in run["requirements"]:
            if finding["level"].startswith("MUST"):
                counts[finding["result"]] += 1
                if finding["result"] == "fail":
                    failed.append(finding["id"])
        name = f"conformance (MUST): {Path(run['runtime']).name} {run['version']}"
        skipped = sum(counts.values()) - counts["pass"] - counts["fail"]
        yield [name, date(path), counts["pass"], counts["fail"], skipped, duration(run["seconds"])], failed


def of_machine(directory):
    """The lines of one machine."""
    lines = ["\n## " + ", ".join((directory / "machine").read_text().split("\n")).rstrip(", "), ""]
    lines += ["| suite | date | passed | failed | skipped | time |", "|---|---|---|---|---|---|"]
    notes = []
    for path in sorted(directory.glob("*.xml")):
        row, failed, reasons = of_pytest(path)
        lines.append("| " + " | ".join(map(str, row)) + " |")
        notes += [f"* failed: `{name}`" for name in failed]
        notes += [f"* {path.stem}, {count} skipped: {reason}" for reason, count in reasons.most_common()]
    for path in sorted(directory.glob("conformance*.json")):
        for row, failed in of_conformance(path):
            lines.append("| " + " | ".join(map(str, row)) + " |")
            notes += [f"* {row[0]} fails: `{'`, `'.join(failed)}`"] if failed else []
    return [*lines, "", *notes]


def main(paths):
    lines = [line for path in map(Path, paths) if (path / "machine").exists() for line in of_machine(path)]
    first = TARGET.read_text().partition(BEGIN)[0].rstrip("\n")
    TARGET.write_text(first + "\n" + BEGIN + HEAD.rstrip("\n") + "\n" + "\n".join(lines).rstrip("\n") + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
