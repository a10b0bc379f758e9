"""The outcome of runs: test records of one or more runtimes, summed up by requirement."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.requirements import DEFACTO_LEVEL, MUST_LEVELS, Requirement
from conformance.verdict import ERROR, FAIL, PASS, SKIP

UNTESTED, UNOBSERVABLE = "untested", "unobservable"
WEIGHT = (FAIL, ERROR, PASS, SKIP)  # of several verdicts on one requirement the first of these counts


@dataclass
class Finding:
    """What became of one requirement in one run: its result, and the verdicts behind it."""

    requirement: Requirement
    result: str
    verdicts: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Run:
    """All that is known of one runtime's run.

    runtime:  its path
    version:  what it says of itself
    seconds:  how long the run took
    tests:    records as the plugin wrote them
    findings: by requirement id, in the catalogue's order
    left:     what the run found left behind on the host after all tests
    """

    runtime: str
    version: str
    seconds: float
    tests: list[dict[str, Any]]
    findings: dict[str, Finding]
    left: list[str]
    cgroup_manager: str = "cgroupfs"

    @property
    def name(self) -> str:
        return Path(self.runtime).name

    def of_level(self, *levels: str) -> list[Finding]:
        return [one for one in self.findings.values() if one.requirement.level in levels]

    def count(self, result: str, *levels: str) -> int:
        return sum(one.result == result for one in self.of_level(*levels))

    def failures(self) -> list[Finding]:
        return [one for one in self.findings.values() if one.result in (FAIL, ERROR)]

    def passed(self, level: str) -> bool:
        """Does the run count as good: no failure at a judged level (SHOULD counts when asked for), nothing left?

        The de-facto interface counts only when it alone was chosen, or everything was.
        """
        judged = self.findings.values()
        if level == "must":
            judged = [one for one in judged if one.requirement.level in MUST_LEVELS]  # type: ignore[assignment]
        return not self.left and not any(one.result in (FAIL, ERROR) for one in judged)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The plugin's JSON lines."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def summed_up(records: list[dict[str, Any]], chosen: dict[str, Requirement]) -> dict[str, Finding]:
    """One finding for every chosen requirement."""
    verdicts: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    for record in records:
        for verdict in record["verdicts"]:
            if verdict["requirement"] in verdicts:
                verdicts[verdict["requirement"]].append({**verdict, "test": record["test"]})
    findings = {}
    for name, requirement in chosen.items():
        results = {verdict["result"] for verdict in verdicts[name]}
        result = next((one for one in WEIGHT if one in results), UNTESTED)
        if result == UNTESTED and requirement.unobservable:
            result = UNOBSERVABLE
        findings[name] = Finding(requirement, result, verdicts[name])
    return findings


def level_groups() -> list["tuple[str, tuple[str, ...]]"]:
    """The groups that summaries count by, with their levels."""
    return [
        ("MUST", MUST_LEVELS),
        ("SHOULD", ("SHOULD", "SHOULD NOT")),
        ("stated", ("STATED",)),
        ("de facto", (DEFACTO_LEVEL,)),
    ]


def summary(run: Run) -> list[dict[str, Any]]:
    """Counts by group, for groups that have requirements in this run."""
    rows = []
    for name, levels in level_groups():
        findings = run.of_level(*levels)
        if findings:
            counts = {result: run.count(result, *levels) for result in (*WEIGHT, UNTESTED, UNOBSERVABLE)}
            rows.append({"group": name, "requirements": len(findings), **counts})
    return rows
