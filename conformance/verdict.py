"""What a test found about a requirement, and how that is said."""

import json
import shlex
from dataclasses import asdict, dataclass, field
from typing import Any

PASS, FAIL, SKIP, ERROR = "pass", "fail", "skip", "error"


@dataclass
class Verdict:
    """One finding about one requirement.

    result:   pass, fail, skip (seen says why) or error (the suite itself went wrong)
    asked:    what the runtime was asked for
    seen:     what it did
    config:   the configuration that shows it
    commands: the commands that were run, in order
    """

    requirement: str
    result: str
    asked: str = ""
    seen: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Refused(Exception):
    """The runtime ended an operation with an error where the test needed a container."""

    def __init__(self, operation: str, said: str) -> None:
        super().__init__(f"{operation} failed: {said}")


def repeat_command(runtime: str, test: str, cgroup_manager: str) -> str:
    """The command that runs one test alone and keeps its bundles."""
    manager = "" if cgroup_manager == "cgroupfs" else f" --cgroup-manager {cgroup_manager}"
    return f"pyoci-conformance --runtime {shlex.quote(runtime)}{manager} --test {shlex.quote(test)} --keep /tmp/kept"


def explain(verdict: Verdict, level: str, place: str, since: str, text: str, repeat: str) -> str:
    """The verdict in lines for a terminal. The configuration comes last: it is long."""
    lines = [
        f"requirement  {verdict.requirement} ({level}, {place}" + (f", since {since})" if since else ")"),
        f"             {text}",
        f"asked        {verdict.asked}",
        f"seen         {verdict.seen}",
        f"repeat       {repeat}",
    ]
    lines += [f"command      {command}" for command in verdict.commands]
    lines.append(f"config       {json.dumps(verdict.config, separators=(',', ':'))}")
    return "\n".join(lines)
