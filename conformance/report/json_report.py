"""Everything as JSON: for programs."""

import json
from dataclasses import asdict

from conformance import SPEC_VERSION
from conformance.results import Run, summary


def render(runs: list[Run]) -> str:
    """One object: the specification's version, and each runtime with its summary and findings."""
    content = {
        "specification": SPEC_VERSION,
        "runtimes": [
            {
                "runtime": run.runtime,
                "version": run.version,
                "begun": run.begun,
                "host": run.host,
                "seconds": run.seconds,
                "interrupted": run.interrupted,
                "left": run.left,
                "rounds": run.rounds,
                "unsteady": [asdict(row) for row in run.unsteady],
                "summary": summary(run),
                "requirements": [
                    {
                        "id": finding.requirement.id,
                        "level": finding.requirement.level,
                        "since": finding.requirement.since,
                        "text": finding.requirement.text,
                        "link": finding.requirement.link,
                        "result": finding.result,
                        "unobservable": finding.requirement.unobservable,
                        "verdicts": finding.verdicts,
                    }
                    for finding in run.findings.values()
                ],
            }
            for run in runs
        ],
    }
    return json.dumps(content, indent=1)
