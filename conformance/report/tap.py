"""TAP version 13: a line for every requirement of every runtime."""

from conformance.results import UNOBSERVABLE, UNTESTED, Run
from conformance.verdict import FAIL, PASS, SKIP


def render(runs: list[Run]) -> str:
    findings = [(run, finding) for run in runs for finding in run.findings.values()]
    lines = ["TAP version 13", f"1..{len(findings)}"]
    for number, (run, finding) in enumerate(findings, 1):
        ok = "ok" if finding.result in (PASS, SKIP, UNTESTED, UNOBSERVABLE) else "not ok"
        requirement = finding.requirement
        line = f"{ok} {number} - {run.name}: {requirement.id} ({requirement.level}) {requirement.text}"
        line = line.replace("#", "\\#")
        if finding.result == SKIP:
            line += f" # SKIP {one_line(finding.verdicts[0]['seen'])}"
        elif finding.result in (UNTESTED, UNOBSERVABLE):
            line += f" # SKIP {requirement.unobservable or 'no test was run'}"
        lines.append(line)
        for verdict in finding.verdicts:
            if verdict["result"] == FAIL:
                lines += ["  ---", f"  asked: {quoted(verdict['asked'])}", f"  seen: {quoted(verdict['seen'])}"]
                lines += [f"  test: {quoted(verdict['test'])}", "  ..."]
                break
    for run in runs:
        lines.append(f"# {run.name}: {one_line(run.circumstances)}")
        told = f"# not the same in all {run.rounds} rounds: {run.name}"
        lines += [f"{told}: {one_line(str(row))}" for row in run.unsteady]
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    return " ".join(text.split()).replace("#", "\\#")


def quoted(text: str) -> str:
    """A YAML string of one line."""
    return "'" + " ".join(str(text).split()).replace("'", "''") + "'"
