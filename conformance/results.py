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
class Unsteady:
    """A verdict that was not the same in every round of a run; results has one entry a round."""

    requirement: str
    test: str
    results: list[str]

    def __str__(self) -> str:
        return f"{self.requirement} in {self.test}: {', '.join(self.results)}"


@dataclass
class Run:
    """All that is known of one runtime's run.

    runtime:  its path
    version:  what it says of itself
    seconds:  how long the run took
    tests:    records as the plugin wrote them
    findings: by requirement id, in the catalogue's order
    left:     what the run found left behind on the host after all tests
    rounds:   how many times all tests were run
    unsteady: verdicts that differ among the rounds
    begun:    when it was, for people
    host:     what it was on
    interrupted: it was ended before all tests had run
    """

    runtime: str
    version: str
    seconds: float
    tests: list[dict[str, Any]]
    findings: dict[str, Finding]
    left: list[str]
    cgroup_manager: str = "cgroupfs"
    rounds: int = 1
    unsteady: list[Unsteady] = field(default_factory=list)
    begun: str = ""
    host: str = ""
    interrupted: bool = False

    @property
    def circumstances(self) -> str:
        """When and on what it was, and whether to its end."""
        end = f"interrupted after {len(self.tests)} tests" if self.interrupted else ""
        return "; ".join(filter(None, (self.begun, self.host, end)))

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
        """Does the run count as good: no failure at a judged level (SHOULD counts when asked for), nothing left, and
        no verdict that came out differently in another round?

        The de-facto interface counts only when it alone was chosen, or everything was.
        """
        judged = self.findings.values()
        if level == "must":
            judged = [one for one in judged if one.requirement.level in MUST_LEVELS]  # type: ignore[assignment]
        whole = not self.left and not self.unsteady and not self.interrupted
        return whole and not any(one.result in (FAIL, ERROR) for one in judged)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The plugin's JSON lines; one that a kill has cut short is none."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


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


def verdict_results(run: Run) -> dict[tuple[str, str], str]:
    """The result of every test for every requirement that it judges in this run."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, finding in run.findings.items():
        for verdict in finding.verdicts:
            found.setdefault((name, verdict["test"]), []).append(verdict["result"])
    return {key: min(results, key=WEIGHT.index) for key, results in found.items()}


def merged_rounds(rounds: list[Run]) -> Run:
    """Several rounds of one runtime as one run: of every requirement the worst finding, and what was not steady.

    seconds is what a round took in the mean.
    """
    first = rounds[0]
    order = (*WEIGHT, UNTESTED, UNOBSERVABLE)
    findings: dict[str, Finding] = {}
    for name in dict.fromkeys(name for one in rounds for name in one.findings):
        of_rounds = [one.findings[name] for one in rounds if name in one.findings]
        findings[name] = min(of_rounds, key=lambda one: order.index(one.result))
    by_round = [verdict_results(one) for one in rounds]
    keys = dict.fromkeys(key for results in by_round for key in results)
    rows = [Unsteady(*key, [results.get(key, UNTESTED) for results in by_round]) for key in keys]
    records = {str(record["test"]): record for one in rounds for record in one.tests}
    failed = {str(record["test"]): record for one in rounds for record in one.tests if record["outcome"] == "failed"}
    return Run(
        runtime=first.runtime,
        version=first.version,
        seconds=sum(one.seconds for one in rounds) / len(rounds),
        tests=list({**records, **failed}.values()),
        findings=findings,
        left=[thing for one in rounds for thing in one.left],
        cgroup_manager=first.cgroup_manager,
        rounds=len(rounds),
        begun=first.begun,
        host=first.host,
        interrupted=rounds[-1].interrupted,
        unsteady=[row for row in rows if len(set(row.results)) > 1],
    )


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
