"""pyoci-conformance: runs the suite against runtimes and reports."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Optional

from conformance import SPEC_VERSION, host
from conformance.builder import NoProbe, build_probe
from conformance.place import Place, leftovers, sweep
from conformance.report import FORMATS
from conformance.requirements import Requirement, chosen
from conformance.results import UNOBSERVABLE, UNTESTED, Run, merged_rounds, read_records, summary, summed_up
from conformance.runtime import PATIENCE, PATIENCE_VARIABLE
from conformance.verdict import ERROR, FAIL, PASS, SKIP

PACKAGE = Path(__file__).parent
NO_TEST, PYTEST_INTERRUPTED = 5, 2
INTERRUPTED = 130

EPILOG = """\
Exit status: 0 when nothing that was judged failed, nothing was left behind on the host, and all rounds came to
the same verdicts; 1 otherwise; 2 for wrong usage; 3 when the suite could not be run;
130 when it was interrupted: what had been judged until then is reported. With --level must only MUST and
MUST NOT count.

examples:
  pyoci-conformance --runtime /usr/bin/runc
  pyoci-conformance --runtime runc --runtime crun --report html --output matrix.html --jobs 2
  pyoci-conformance --runtime runc --select linux.seccomp --level must
  pyoci-conformance --runtime runc --repeat 5
  pyoci-conformance --coverage
"""


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="pyoci-conformance",
        description=f"Judge OCI runtimes by the runtime specification {SPEC_VERSION} for Linux.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("--runtime", action="append", default=[], metavar="PATH", help="runtime to judge; may be given more than once")
    add("--select", action="append", default=[], metavar="ID", help="a requirement, or all that begin so; repeatable")
    add(
        "--test",
        action="append",
        default=[],
        metavar="NODE",
        help="run this test alone, as failures name it; repeatable",
    )
    add("--level", choices=["must", "should", "all"], default="all", help="what to judge (default: all, with de facto)")
    add("--spec", default="99", metavar="VERSION", help="judge only what this version of the specification has")
    add("--report", choices=sorted(FORMATS), help="write a report")
    add("--output", metavar="FILE", help="where the report goes (default: standard output)")
    add("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N", help="tests at the same time")
    add(
        "--repeat",
        type=int,
        default=1,
        metavar="N",
        help="judge each runtime N times, and name the verdicts that were not the same every time",
    )
    add("--rootless", action="store_true", help="run as an ordinary user: tests that need root are left out")
    add(
        "--cgroup-manager",
        choices=["cgroupfs", "systemd", "disabled"],
        default="cgroupfs",
        help="what to tell runtimes",
    )
    add(
        "--patience",
        type=float,
        default=PATIENCE,
        metavar="SECONDS",
        help="after so long a command counts as hanging (default: 30; more for a machine that is emulated)",
    )
    add("--keep", metavar="DIR", help="keep the bundles of all tests in this directory")
    add("--list", action="store_true", help="list the requirements, and end")
    add("--coverage", action="store_true", help="print which requirements have a test, as Markdown, and end")
    add("--verbose", action="store_true", help="print every failure in full, with its configuration")
    return result


def main(arguments: Sequence[str]) -> int:
    """Runs the command; the exit status."""
    options = parser().parse_args(arguments)
    wanted = chosen(options.select, options.level, options.spec)
    if options.list:
        return list_requirements(wanted)
    if options.coverage:
        from conformance.coverage import table

        print(table(), end="")
        return 0
    problem = wrong_usage(options, wanted)
    if problem:
        print(f"pyoci-conformance: {problem}", file=sys.stderr)
        return 2
    runs: list[Run] = []
    signal.signal(signal.SIGTERM, interrupt)
    sweep()
    for runtime in options.runtime:
        try:
            run = run_rounds(options, shutil.which(runtime) or runtime, wanted)
        except NoProbe as missing:
            print(f"pyoci-conformance: {missing}", file=sys.stderr)
            return 3
        if run is None:
            return 3
        runs.append(run)
        tell(run, options.verbose)
        if run.interrupted:
            break
    if options.report:
        write_report(FORMATS[options.report](runs), options.output)
    if runs[-1].interrupted:
        return INTERRUPTED
    return 0 if all(run.passed(options.level) for run in runs) else 1


def interrupt(number: int, frame: object) -> None:
    """SIGTERM is an interrupt key."""
    raise KeyboardInterrupt


def wrong_usage(options: argparse.Namespace, wanted: dict[str, Requirement]) -> str:
    """What is wrong with the options, or nothing."""
    if not options.runtime:
        return "no runtime to judge: give --runtime PATH"
    for runtime in options.runtime:
        if not shutil.which(runtime):
            return f"{runtime}: no such program"
    if options.repeat < 1 or options.jobs < 1:
        return "--repeat and --jobs want a number from 1"
    if not wanted:
        return "no requirement is chosen: see --list"
    if os.geteuid() != 0 and not options.rootless:
        return "this needs root; as an ordinary user, give --rootless"
    return ""


def list_requirements(wanted: dict[str, Requirement]) -> int:
    for requirement in wanted.values():
        mark = "  (not observable)" if requirement.unobservable else ""
        print(f"{requirement.level:10} {requirement.id:50} {requirement.text}{mark}")
    return 0


def run_rounds(options: argparse.Namespace, runtime: str, wanted: dict[str, Requirement]) -> Optional[Run]:
    """One runtime through all chosen tests, as often as asked."""
    rounds: list[Run] = []
    for number in range(1, options.repeat + 1):
        run = run_suite(options, runtime, wanted)
        if run is None:
            return None
        rounds.append(run)
        if run.interrupted:
            break
        if options.repeat > 1:
            failed = len(run.failures())
            print(f"round {number} of {options.repeat}: {failed} failed, {run.seconds:.0f} s", file=sys.stderr)
    return merged_rounds(rounds)


def run_suite(options: argparse.Namespace, runtime: str, wanted: dict[str, Requirement]) -> Optional[Run]:
    """One runtime through all chosen tests, in a directory that is gone afterwards."""
    place = Place()
    try:
        build_probe(place.path / "probe")
        begun, begin = datetime.now(UTC), time.monotonic()
        status = call_pytest(options, runtime, place.path)
        seconds = time.monotonic() - begin
        records = read_records(place.path / "results")
        interrupted = status == PYTEST_INTERRUPTED
        if status not in (0, 1, NO_TEST, PYTEST_INTERRUPTED) or (not records and status in (0, 1)):
            print(f"pyoci-conformance: the tests could not be run (pytest's status {status})", file=sys.stderr)
            return None
        if options.test:
            seen = {verdict["requirement"] for record in records for verdict in record["verdicts"]}
            wanted = {name: one for name, one in wanted.items() if name in seen}
        return Run(
            runtime,
            version_of(runtime),
            seconds,
            records,
            summed_up(records, wanted),
            [] if interrupted else leftovers(place.path),
            options.cgroup_manager,
            begun=begun.strftime("%Y-%m-%d %H:%M UTC"),
            host=host.description(),
            interrupted=interrupted,
        )
    finally:
        place.remove()


def pytest_arguments(options: argparse.Namespace, runtime: str, place: Path) -> list[str]:
    """What pytest is told: our plugin and no other but xdist, the runtime, the choice of tests."""
    words = ["-p", "conformance.plugin", "-p", "no:terminal", "-p", "no:cacheprovider"]
    words += ["-c", str(PACKAGE / "pytest.ini"), "--rootdir", str(PACKAGE)]
    words += ["--oci-runtime", os.path.abspath(runtime), "--oci-place", str(place)]
    words += ["--oci-results", str(place / "results"), "--oci-level", options.level, "--oci-spec", options.spec]
    words += ["--oci-cgroup-manager", options.cgroup_manager]
    for name in options.select:
        words += ["--oci-select", name]
    if options.rootless:
        words.append("--oci-rootless")
    if options.keep:
        words += ["--oci-keep", os.path.abspath(options.keep)]
    if options.jobs > 1 and not options.test:
        words += ["-p", "xdist", "-n", str(options.jobs), "--dist", "load"]
    return words + ([str(PACKAGE / test) for test in options.test] or [str(PACKAGE / "suite")])


def call_pytest(options: argparse.Namespace, runtime: str, place: Path) -> int:
    """Runs pytest to its end; its exit status."""
    if options.keep:
        Path(options.keep).mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "pytest", *pytest_arguments(options, runtime, place)]
    words += ["--oci-progress", "terminal" if sys.stderr.isatty() else "lines"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": python_path()}
    environment[PATIENCE_VARIABLE] = str(options.patience)
    # A session of its own: the interrupt key reaches us alone, and pytest is told once, by us
    process = subprocess.Popen(
        words,
        env=environment,
        stdout=sys.stderr,
        start_new_session=True,
        preexec_fn=host.die_with_parent,  # noqa: PLW1509 - there are no threads
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        print("\npyoci-conformance: interrupted; once more for an end without waiting", file=sys.stderr)
        process.send_signal(signal.SIGINT)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()
    return PYTEST_INTERRUPTED


def python_path() -> str:
    """Workers have to find this package wherever the command was called from."""
    known = os.environ.get("PYTHONPATH", "")
    return str(PACKAGE.parent) + (os.pathsep + known if known else "")


def version_of(runtime: str) -> str:
    result = subprocess.run([runtime, "--version"], capture_output=True, text=True, check=False)
    return result.stdout.strip() or result.stderr.strip()


def tell(run: Run, verbose: bool) -> None:
    """The run on standard error: failures first, the counts last, where the eye is."""
    out = sys.stderr
    for finding in run.failures():
        requirement = finding.requirement
        verdict = next(one for one in finding.verdicts if one["result"] == finding.result)
        print(f"{finding.result.upper():5} {requirement.id} ({requirement.level}) {requirement.text}", file=out)
        print(f"      asked  {verdict['asked']}\n      seen   {verdict['seen'][:500]}", file=out)
        if verbose:
            record = next((one for one in run.tests if one["test"] == verdict["test"]), {})
            print(str(record.get("text", "")), file=out)
    for thing in run.left:
        print(f"LEFT  {thing}", file=out)
    for unsteady in run.unsteady:
        print(f"UNSTEADY {unsteady}", file=out)
    version = (run.version or "no version").splitlines()[0]
    ended = "interrupted after " if run.interrupted else ""
    print(f"{run.runtime}: {version}, {ended}{len(run.tests)} tests, {run.seconds:.0f} s", file=out)
    if run.rounds > 1:
        print(f"  {run.rounds} rounds, {len(run.unsteady)} verdicts that were not the same in all of them", file=out)
    for row in summary(run):
        told = [
            f"{row[result]} {result}" for result in (PASS, FAIL, ERROR, SKIP, UNTESTED, UNOBSERVABLE) if row[result]
        ]
        print(f"  {row['group']:9} {row['requirements']:4} requirements: {', '.join(told)}", file=out)


def write_report(text: str, output: Optional[str]) -> None:
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def command() -> None:
    """The entry point of the installed script."""
    sys.exit(main(sys.argv[1:]))
