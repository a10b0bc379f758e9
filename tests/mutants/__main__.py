"""`python -m tests.mutants`: is every fault noticed by a test of the requirement that it breaks?"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from conformance import cli
from conformance.builder import build_probe
from conformance.place import Place
from conformance.requirements import chosen, load, matches
from conformance.results import Run, read_records, summed_up
from conformance.verdict import ERROR, FAIL, PASS
from tests.mutants.faults import FAULTS

WRAPPER = Path(__file__).with_name("mutant.py")
CAUGHT, MISSED, NOT_APPLICABLE = "caught", "missed", "not applicable"
Broken = set[tuple[str, str]]  # (test, requirement)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "--runtime", default=default_runtime(), help="the good runtime (default: pyoci's build, or runc)"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="these mutants alone")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at the same time")
    options = parser.parse_args()
    unknown = check_table()
    if unknown:
        print(f"faults that name unknown requirements: {unknown}", file=sys.stderr)
        return 2
    runtime = str(Path(shutil.which(options.runtime) or options.runtime).resolve())
    names = options.only or list(FAULTS)
    begin = time.monotonic()
    select = sorted({one for name in names for one in FAULTS[name].breaks}) if options.only else []
    base = baseline(runtime, select, options.jobs)
    good = verdicts(base, PASS) - verdicts(base, FAIL) - verdicts(base, ERROR)
    print(f"{runtime}: {len(base.tests)} tests, {time.monotonic() - begin:.0f} s; now {len(names)} mutants", flush=True)
    outcomes = judge_all(names, runtime, good, options.jobs)
    caught, missed, without = (
        [name for name in names if outcomes[name] == outcome] for outcome in (CAUGHT, MISSED, NOT_APPLICABLE)
    )
    seconds = time.monotonic() - begin
    print(f"\ncaught {len(caught)}/{len(caught) + len(missed)} mutants of {runtime} in {seconds:.0f} s")
    if without:
        print(f"{len(without)} do not apply (not judged here, or the runtime has not got it): {', '.join(without)}")
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


def default_runtime() -> str:
    built = Path(__file__).resolve().parents[2] / "build" / "bin" / "pyoci"
    return str(built) if built.exists() else "runc"


def check_table() -> list[str]:
    """Requirements that faults name and the catalogue has not got."""
    catalogue = load()
    named = {one for fault in FAULTS.values() for one in fault.breaks}
    return sorted(one for one in named if not any(matches(requirement, [one]) for requirement in catalogue.values()))


def baseline(runtime: str, select: list[str], jobs: int) -> Run:
    """The good runtime through all the tests."""
    words = ["--runtime", runtime, "--jobs", str(jobs)]
    for name in select:
        words += ["--select", name]
    options = cli.parser().parse_args(words)
    result = cli.run_suite(options, runtime, chosen(options.select, options.level, options.spec))
    if result is None:
        raise SystemExit(3)
    return result


def verdicts(result: Run, wanted: str) -> Broken:
    return {
        (verdict["test"], name)
        for name, finding in result.findings.items()
        for verdict in finding.verdicts
        if verdict["result"] == wanted
    }


def judge_all(names: list[str], runtime: str, good: Broken, jobs: int) -> dict[str, str]:
    """Every mutant's outcome. Each is judged in a fork of this process, which has loaded pytest already."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    outcomes: dict[str, str] = {}
    working: dict[int, tuple[str, Place]] = {}
    waiting = list(names)
    probe_place = Place()
    build_probe(probe_place.path / "probe")
    while waiting or working:
        while waiting and len(working) < jobs:
            name = waiting.pop(0)
            tests = sorted({test for test, requirement in good if requirement in FAULTS[name].breaks})
            if not tests:
                outcomes[name] = NOT_APPLICABLE
                continue
            place = Place()
            os.link(probe_place.path / "probe", place.path / "probe")
            arguments = arguments_for(name, runtime, place.path, tests)
            pid = os.fork()
            if pid == 0:
                os._exit(int(pytest.main(arguments)))
            working[pid] = (name, place)
        if working:
            pid, status = os.wait()
            if pid in working:
                name, place = working.pop(pid)
                outcomes[name] = outcome_of(name, place.path, good, os.waitstatus_to_exitcode(status))
                print(f"{outcomes[name]:14} {name}", flush=True)
                place.remove()
    probe_place.remove()
    return outcomes


def arguments_for(name: str, runtime: str, place: Path, tests: list[str]) -> list[str]:
    """pytest's arguments for the tests that pass with the good runtime, up to the first failure."""
    script = place / name
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {WRAPPER} {name} {runtime} "$@"\n')
    script.chmod(0o755)
    words = ["--runtime", str(script), "--jobs", "1"]
    for requirement in FAULTS[name].breaks:
        words += ["--select", requirement]
    for test in tests:
        words += ["--test", test]
    return ["-x", *cli.pytest_arguments(cli.parser().parse_args(words), str(script), place)]


def outcome_of(name: str, place: Path, good: Broken, status: int) -> str:
    """Did a test that passes with the good runtime fail for a requirement that the fault breaks?"""
    records = read_records(place / "results")
    wanted = {one: requirement for one, requirement in load().items() if one in FAULTS[name].breaks}
    result = Run(name, "", 0, records, summed_up(records, wanted), [])
    if verdicts(result, ERROR) or status not in (0, 1):
        print(f"{name}: the suite itself went wrong, pytest's status {status}", file=sys.stderr, flush=True)
    return CAUGHT if verdicts(result, FAIL) & good else MISSED


if __name__ == "__main__":
    sys.exit(main())
