#!/usr/bin/env python3
"""Writes docs/cgroups-table.md from what test_the_kernel_holds_each_property found on several machines.

cgroup_table.py JUNIT.XML...     each from: pytest -o junit_family=xunit1 --junitxml JUNIT.XML tests/integration
"""

import sys
import xml.etree.ElementTree as Tree
from pathlib import Path

import vm_table

TARGET = Path(__file__).parents[2] / "docs" / "cgroups-table.md"
HEAD = """# Each property, read back from the kernel

Written by `tests/tools/cgroup_table.py` from the results of `test_the_kernel_holds_each_property`. A cell shows the
files of a new container's cgroup as the kernel shows them afterwards. *refused* means an error that names the property,
before anything runs: the kernel has no file for it. *not here* means that this machine could not show it, and why.

"""


def cell(case):
    """What one test found."""
    values = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
    skipped = case.find("skipped")
    if skipped is not None:
        found = f"not here: {skipped.get('message')}"
    elif case.find("failure") is not None or case.find("error") is not None:
        found = "FAILED"
    else:
        found = "*refused*" if values["found"].startswith("refused") else code(values["found"])
    return values["property"], (values["machine"], values["driver"]), found


def code(found):
    return "<br>".join(f"`{part}`" for part in found.split("; "))


def main(paths):
    """The rows are in the order of the tests, the columns in that of the files."""
    rows, columns = {}, {}
    for path in paths:
        for case in Tree.parse(path).iter("testcase"):
            if case.get("name").startswith("test_the_kernel_holds_each_property["):
                name, column, found = cell(case)
                columns[column] = None
                rows.setdefault(name, {})[column] = found
    heads = [f"{machine}, {driver}" for machine, driver in columns]
    lines = [f"| property | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, found in rows.items():
        lines.append(f"| `{name}` | {' | '.join(found.get(column, '') for column in columns)} |")
    rest = TARGET.read_text().partition(vm_table.BEGIN) if TARGET.exists() else ("", "", "")
    TARGET.write_text(HEAD + "\n".join(lines) + "\n" + rest[1] + rest[2])


if __name__ == "__main__":
    main(sys.argv[1:])
