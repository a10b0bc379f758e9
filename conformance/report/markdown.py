"""Markdown: the counts, and what failed, to paste into an issue."""

from conformance import SPEC_VERSION
from conformance.results import UNOBSERVABLE, UNTESTED, WEIGHT, Run, summary
from conformance.verdict import FAIL


def render(runs: list[Run]) -> str:
    lines = [f"# OCI runtime conformance, specification {SPEC_VERSION}", ""]
    columns = (*WEIGHT, UNTESTED, UNOBSERVABLE)
    lines.append("| runtime | level | requirements | " + " | ".join(columns) + " |")
    lines.append("|---|---|" + "---:|" * (len(columns) + 1))
    for run in runs:
        for row in summary(run):
            counts = " | ".join(str(row[column]) for column in columns)
            lines.append(f"| {run.name} | {row['group']} | {row['requirements']} | {counts} |")
    for run in runs:
        lines += ["", f"## {run.name}", "", f"`{run.runtime}`, {first_line(run.version)}; {run.seconds:.0f} s."]
        lines += ["", f"{run.circumstances}."] if run.circumstances else []
        if run.left or run.unsteady:
            lines.append("")
        lines += [f"* **left behind**: {escape(thing)}" for thing in run.left]
        lines += [f"* **not the same in all {run.rounds} rounds**: {escape(str(row))}" for row in run.unsteady]
        lines.append("")
        for finding in run.failures():
            requirement = finding.requirement
            verdict = next((one for one in finding.verdicts if one["result"] == finding.result), {})
            link = f"[{requirement.place}]({requirement.link})" if requirement.link else requirement.place
            lines.append(f"* **{requirement.id}** ({requirement.level}, {link}): {requirement.text}")
            kind = "asked" if finding.result == FAIL else "the suite itself went wrong"
            lines.append(f"  {kind}: {escape(verdict.get('asked', ''))}; seen: {escape(verdict.get('seen', ''))}")
    return "\n".join(lines) + "\n"


def first_line(text: str) -> str:
    return text.splitlines()[0] if text else "no version"


def escape(text: str) -> str:
    """One line of it, with what Markdown would take for its own marked as text."""
    line = " ".join(str(text).split())[:300]
    return line.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")
