"""Fuzzes init's plan decoder under sanitizers: `run.py RUNS` with a fixed seed, or `run.py SECONDSs` for a long run."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pyoci.plan import ops  # noqa: E402
from pyoci.plan.model import Plan  # noqa: E402

SAMPLES = {"i": 7, "s": "a string", "l": ["one", "", "three"], "b": b"\0\1\2\3"}


def seeds(directory: Path) -> None:
    """Plans that are right: one of each operation, and one of all."""
    whole = Plan()
    for number, (_, _, fields) in enumerate(ops.OPERATIONS):
        plan = Plan()
        for target in (plan, whole):
            target.add(number, f"place[{number}]", *[SAMPLES[kind] for kind, _ in fields])
        (directory / str(number)).write_bytes(plan.encode())
    (directory / "whole").write_bytes(whole.encode())


def main(limit: str) -> int:
    """Builds the fuzzer and runs it; its status is ours."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        seeds(corpus)
        program = f"{scratch}/plan_decoder"
        flags = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-I", "csrc"]
        files = ["tests/fuzz/plan_decoder.c", "csrc/decode.c"]
        subprocess.run(["clang", *flags, "-o", program, *files], cwd=ROOT, check=True)
        bound = f"-max_total_time={limit[:-1]}" if limit.endswith("s") else f"-runs={limit}"
        command = [program, bound, "-seed=1", "-max_len=4096", "-verbosity=0", "-print_final_stats=1", str(corpus)]
        pipe = subprocess.PIPE
        done = subprocess.run(command, cwd=scratch, stdout=pipe, stderr=subprocess.STDOUT, text=True, check=False)
        wanted = ("stat::number_of_executed_units", "SUMMARY", "ERROR")
        lines = [line for line in done.stdout.splitlines() if done.returncode or line.startswith(wanted)]
        print("plan decoder under address and undefined-behaviour sanitizers:", *lines, sep="\n  ")
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "100000"))
