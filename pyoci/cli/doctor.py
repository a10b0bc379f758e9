"""The command doctor: what this host can do for containers, and what it lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pyoci.cgroups.host import Host as Cgroups
from pyoci.cli.call import Call
from pyoci.cli.installation import check as missing
from pyoci.cli.installation import start
from pyoci.cli.output import STDOUT, show
from pyoci.doctor import engines, helpers, ids, kernel, limits, mounts
from pyoci.doctor.check import Check
from pyoci.doctor.trial import Trial
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.json.document import dump_pretty

FORMATS = ("human", "json")


def main(call: Call) -> int:
    """Prints what works and what does not; 1 where something that every container needs does not."""
    form = call.text("format") or "human"
    if form not in FORMATS:
        raise Error(f'unknown format "{form}"', hint=f"--format is one of {', '.join(FORMATS)}", kind="refused")
    found = list(_checks(call.criu))
    works = all(check.works for check in found if check.needed)
    if form == "json":
        document = {"user": os.geteuid(), "works": works, "checks": [check.as_json() for check in found]}
        show(dump_pretty(document, "  ") + "\n")
    else:
        show(_human(found, works, os.isatty(STDOUT) and "NO_COLOR" not in os.environ))
    return 0 if works else 1


def _checks(criu: str) -> Iterator[Check]:
    host = Host()
    with Trial() as trial:
        yield from kernel.checks(host, trial)
        yield from limits.checks(Cgroups(), trial)
        yield from ids.checks(host, trial)
        yield from mounts.checks(host, trial)
        yield from helpers.checks(criu, start(), missing(), trial.directory)
    yield from engines.checks(host)


def _human(found: list[Check], works: bool, coloured: bool) -> str:
    lines, group = [], ""
    for check in found:
        if check.group != group:
            group = check.group
            lines.append(_paint(group, "1", coloured))
        word = _paint("yes", "32", coloured) if check.works else _paint("no ", "31" if check.needed else "33", coloured)
        lines.append(f"  {word} {check.name}" + (f": {check.detail}" if check.detail else ""))
        if check.cure:
            lines.append(f"        → {check.cure}")
    user = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    verdict = "containers can be run" if works else "containers cannot be run as engines ask for them"
    return "\n".join([*lines, f"{user}: {verdict}", ""])


def _paint(text: str, colour: str, coloured: bool) -> str:
    return f"\033[{colour}m{text}\033[0m" if coloured else text
