"""`python -m tests.mutants`: is every fault noticed by a test of the requirement that it breaks?"""

import argparse
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance import cli
from conformance.requirements import chosen, load, matches
from conformance.results import Run
from conformance.verdict import ERROR, FAIL, PASS
from tests.mutants.faults import FAULTS, Fault

WRAPPER = Path(__file__).with_name("mutant.py")
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
    base = run(runtime, select, options.jobs)
    good = verdicts(base, PASS) - verdicts(base, FAIL)
    print(f"{runtime}: {len(base.tests)} tests, {time.monotonic() - begin:.0f} s; now {len(names)} mutants", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as place, ThreadPoolExecutor(options.jobs) as pool:
        work = [pool.submit(judge, Path(place), name, FAULTS[name], runtime, good) for name in names]
        outcomes: dict[str, list[str]] = {"caught": [], "missed": [], "not applicable": []}
        for name, future in zip(names, work):
            outcome = future.result()
            outcomes[outcome].append(name)
            print(f"{outcome:14} {name}", flush=True)
    caught, missed, without = (outcomes[key] for key in ("caught", "missed", "not applicable"))
    print(
        f"\ncaught {len(caught)}/{len(caught) + len(missed)} mutants of {runtime} in {time.monotonic() - begin:.0f} s"
    )
    if without:
        print(
            f"{len(without)} do not apply (not judged here, or the runtime has not got it): {', '.join(without)}"
        )
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


def run(runtime: str, select: list[str], jobs: int) -> Run:
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


def judge(place: Path, name: str, fault: Fault, runtime: str, good: Broken) -> str:
    """Is there a test that passes with the good runtime and fails, for a requirement named, with the mutant?"""
    judged = {(test, requirement) for test, requirement in good if requirement in fault.breaks}
    if not judged:
        return "not applicable"
    script = place / name
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {WRAPPER} {name} {runtime} "$@"\n')
    script.chmod(0o755)
    result = run(str(script), sorted({requirement for _, requirement in judged}), 1)
    failed = verdicts(result, FAIL)
    broken = verdicts(result, ERROR)
    if broken - judged:
        print(f"{name}: the suite itself went wrong at {sorted(broken)}", file=sys.stderr)
    return "caught" if failed & judged else "missed"


if __name__ == "__main__":
    sys.exit(main())
