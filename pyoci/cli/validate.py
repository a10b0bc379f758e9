"""The command validate: reports every problem of bundles and documents, on any host, without root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pyoci import validate
from pyoci.cli.call import Call
from pyoci.cli.output import show
from pyoci.errors import Error
from pyoci.fileio import read_all
from pyoci.hostcheck import refusals
from pyoci.hostcheck.anyhost import everywhere
from pyoci.json.document import MAX_BYTES, dump_pretty, parse
from pyoci.options import CreateOptions
from pyoci.validate import render
from pyoci.validate.analysis import Problem, missing_process
from pyoci.validate.catalog import ERRORS, SHOULD
from pyoci.validate.render import Report

if TYPE_CHECKING:
    from pyoci.plan.model import Plan

KINDS = ("config", "process", "state", "features")
FORMATS = ("human", "json", "sarif")


def main(call: Call) -> int:
    """Prints the report on each BUNDLE, FILE or - and returns 0 when all are valid, 1 when one is not.

    Raises Error for a file that cannot be read or a flag that is not understood.
    """
    form, kind = call.text("format") or "human", call.text("kind")
    if form not in FORMATS:
        raise Error(f'unknown format "{form}"', hint=f"--format is one of {', '.join(FORMATS)}", kind="refused")
    if kind and kind not in KINDS:
        raise Error(f'unknown kind "{kind}"', hint=f"--kind is one of {', '.join(KINDS)}", kind="refused")
    names = call.arguments or [call.text("bundle") or "."]
    reports = [_report(name, kind, call) for name in names]
    show(_rendered(reports, form))
    return 0 if all(report.valid for report in reports) else 1


def _report(name: str, kind: str, call: Call) -> Report:
    path, raw = _read(name)
    kind = kind or _kind(raw)
    problems = validate.report(raw, kind, everywhere)
    if kind == "config" and call.yes("start"):
        problems += missing_process(raw)
    if kind == "config" and call.yes("host") and not any(problem.level in ERRORS for problem in problems):
        problems += _lacks(name, path, raw, call)
    errors = (*ERRORS, SHOULD) if call.yes("strict") else ERRORS
    return Report(path, kind, raw.decode("utf-8", "replace"), problems, errors)


def _lacks(name: str, path: str, raw: bytes, call: Call) -> list[Problem]:
    """What this host and the bundle do not have."""
    from pyoci.container.create import compile_config  # needs the shim, which other systems have not

    if name == "-":
        hint = "--host looks into the bundle"
        raise Error("standard input is not a bundle", hint=hint, kind="refused")
    options = CreateOptions(os.path.dirname(os.path.abspath(path)))

    def compile_plan(config: dict[str, Any], without_cgroups: bool) -> Plan:
        driver = "disabled" if without_cgroups else call.cgroup_manager
        return compile_config(call.runtime().store, "plan", options, driver, config)[1]

    return refusals.report(raw, options.bundle, compile_plan)


def _read(name: str) -> tuple[str, bytes]:
    """The file behind an argument, and its bytes: no more than what is surely too much."""
    try:
        if name == "-":
            return name, read_all(0, MAX_BYTES + 1)
        path = os.path.join(name, "config.json") if os.path.isdir(name) else name
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.path.normpath(path), read_all(fd, MAX_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as problem:
        raise Error("cannot be read", location=name, errno=problem.errno or 0) from None


def _kind(raw: bytes) -> str:
    """What a document is, by the names it has; a config where they do not tell."""
    try:
        document = parse(raw)
    except Error:
        return "config"
    if not isinstance(document, dict):
        return "config"
    if "ociVersionMin" in document or "ociVersionMax" in document:
        return "features"
    if "status" in document and ("id" in document or "bundle" in document):
        return "state"
    if "ociVersion" not in document and "root" not in document and ("args" in document or "cwd" in document):
        return "process"
    return "config"


def _rendered(reports: list[Report], form: str) -> str:
    if form == "human":
        return "".join(render.human(report) for report in reports)
    if form == "sarif":
        return dump_pretty(render.as_sarif(reports), "  ") + "\n"
    values = [render.as_json(report) for report in reports]
    return dump_pretty(values[0] if len(values) == 1 else values, "  ") + "\n"
