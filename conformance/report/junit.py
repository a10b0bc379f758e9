"""JUnit XML: a suite a runtime, a case a requirement, for continuous integration."""

from xml.etree import ElementTree as tree

from conformance.results import UNOBSERVABLE, UNTESTED, Finding, Run
from conformance.verdict import ERROR, FAIL, SKIP


def render(runs: list[Run]) -> str:
    root = tree.Element("testsuites")
    for run in runs:
        results = [finding.result for finding in run.findings.values()]
        suite = tree.SubElement(
            root,
            "testsuite",
            name=run.name,
            tests=str(len(results)),
            failures=str(results.count(FAIL)),
            errors=str(results.count(ERROR)),
            skipped=str(sum(result in (SKIP, UNTESTED, UNOBSERVABLE) for result in results)),
            time=f"{run.seconds:.3f}",
        )
        properties = tree.SubElement(suite, "properties")
        for name, value in (("begun", run.begun), ("host", run.host), ("interrupted", run.interrupted)):
            tree.SubElement(properties, "property", name=name, value=clean(str(value)))
        for finding in run.findings.values():
            add_case(suite, finding)
        if run.unsteady:
            told = "\n".join(f"not the same in all {run.rounds} rounds: {row}" for row in run.unsteady)
            tree.SubElement(suite, "system-out").text = clean(told)
    tree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tree.tostring(root, encoding="unicode") + "\n"


def add_case(suite: tree.Element, finding: Finding) -> None:
    requirement = finding.requirement
    document, _, name = requirement.id.partition(".")
    case = tree.SubElement(suite, "testcase", classname=document, name=f"{name} ({requirement.level})")
    if finding.result in (SKIP, UNTESTED, UNOBSERVABLE):
        seen = finding.verdicts[0]["seen"] if finding.verdicts else requirement.unobservable or "no test was run"
        tree.SubElement(case, "skipped", message=clean(seen))
    elif finding.result in (FAIL, ERROR):
        verdicts = [verdict for verdict in finding.verdicts if verdict["result"] == finding.result]
        element = tree.SubElement(case, "failure" if finding.result == FAIL else "error", message=requirement.text)
        told = [f"asked: {one['asked']}\nseen: {one['seen']}\ntest: {one['test']}" for one in verdicts]
        element.text = clean("\n\n".join(told))


def clean(text: str) -> str:
    """XML cannot hold control characters."""
    return "".join(character for character in text if character in "\n\t" or ord(character) >= 32)
