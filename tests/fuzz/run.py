"""Fuzzes: `run.py [--corpus DIRECTORY] [--seed N] [TARGET...] SECONDS`, each target for that long, two at a time.

Targets written in C are built with libFuzzer, address and undefined-behaviour sanitizers; those in Python run under
atheris, which is libFuzzer over the interpreter's own branches. A run without --corpus starts from the seeds alone and
draws the same numbers. What fails is made smaller, kept in build/fuzz/crashes, and shown with a command to repeat it.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
sys.path[:0] = [str(ROOT), str(HERE)]

import cage  # noqa: E402

# Of a target in C: the files of csrc/ that it is about
IN_C = {
    "plan_decoder": ["init/decode.c"],
    "rootfs_walk": ["init/walk.c"],
    "hook": ["shared/hook.c"],
    "init_peer": ["init/report.c"],
}
IN_PYTHON = ["config", "state", "state_directory", "seccomp", "cgroups", "argv", "peers", "strings", "shim"]
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-I", str(ROOT / "csrc"), "-fno-sanitize-recover=undefined"]
LENGTHS = {"argv": 400, "strings": 200, "rootfs_walk": 256, "hook": 64, "seccomp": 512, "cgroups": 2048}
SMALLER = 60  # seconds to make a failing input smaller


def build(target: str, scratch: Path, *more: str) -> "list[str]":
    """The words that start a target."""
    if target in IN_PYTHON:
        return [sys.executable, str(HERE / "drive.py"), target]
    sources = [str(HERE / f"{target}.c"), *[str(ROOT / "csrc" / name) for name in IN_C[target]]]
    program = scratch / target
    sanitizers = f"-fsanitize=fuzzer{'' if more else ',address,undefined'}"
    subprocess.run(["clang", *FLAGS, sanitizers, *more, "-o", str(program), *sources, "-lpthread"], check=True)
    actor = HERE / f"{target}_actor.c"
    if actor.exists():
        subprocess.run(["cc", "-O1", "-static", "-o", f"{program}_actor", str(actor)], check=True)
    return [str(program)]


def seeds(target: str, words: "list[str]", directory: Path) -> None:
    """What a target starts from, with what earlier runs have found to be worth keeping."""
    directory.mkdir(parents=True, exist_ok=True)
    if target in IN_PYTHON:
        subprocess.run([*words, "--seeds", str(directory)], check=True)
    elif target == "plan_decoder":
        import plans

        plans.seeds(directory)
    for path in (HERE / "corpus" / target).glob("*"):
        shutil.copy(path, directory)


def fails(words: "list[str]", scratch: Path, data: bytes) -> bool:
    """Whether a target fails on an input."""
    path = scratch / "candidate"
    path.write_bytes(data)
    one = cage.words(str(scratch), [*words, str(path)])
    return subprocess.run(one, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0


def smaller(words: "list[str]", scratch: Path, data: bytes) -> bytes:
    """Takes pieces out of a failing input for as long as it fails."""
    from time import monotonic

    end, size = monotonic() + SMALLER, len(data) // 2
    while size:
        at = 0
        while at < len(data) and monotonic() < end:
            shorter = data[:at] + data[at + size :]
            if fails(words, scratch, shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def report(target: str, words: "list[str]", scratch: Path, said: str) -> str:
    """What is told of a target that failed."""
    found = sorted(scratch.glob("artifact-*"))
    said = "\n".join(line for line in said.splitlines() if not re.match(r"#\d+\t|INFO:|    #\d+ .*fuzzer::", line))
    if not found:
        return f"{target}: FAILED without an input\n{said[-6000:]}"
    data = smaller(words, scratch, found[0].read_bytes())
    kept = ROOT / "build" / "fuzz" / "crashes"
    kept.mkdir(parents=True, exist_ok=True)
    path = kept / f"{target}-{found[0].name.rpartition('-')[2][:12]}"
    path.write_bytes(data)
    again = f"{sys.executable} tests/fuzz/run.py {target} --input {path}"
    return f"{target}: FAILED\n{said[-6000:]}\ninput: {data[:500]!r}\nrepeat with: {again}"


def lines_of(target: str, scratch: Path, corpus: Path) -> str:
    """Which part of the lines and branches of the C code the corpus reaches."""
    if target not in IN_C or not shutil.which("llvm-cov"):
        return ""
    (scratch / "coverage").mkdir()
    words = build(target, scratch / "coverage", "-fprofile-instr-generate", "-fcoverage-mapping")
    raw, data = scratch / "coverage" / "raw", scratch / "coverage" / "data"
    once = ["env", f"LLVM_PROFILE_FILE={raw}", *words, "-runs=0", str(corpus)]
    subprocess.run(cage.words(str(scratch), once), check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["llvm-profdata", "merge", "-o", str(data), str(raw)], check=True)
    sources = [str(ROOT / "csrc" / name) for name in IN_C[target]]
    ask = ["llvm-cov", "report", words[0], f"-instr-profile={data}", *sources]
    table = subprocess.run(ask, check=True, stdout=subprocess.PIPE, text=True)
    total = next(line.split() for line in table.stdout.splitlines() if line.startswith("TOTAL"))
    return f", {total[9]} of the lines and {total[12]} of the branches of {' '.join(IN_C[target])}"


def fuzz(target: str, seconds: int, seed: int, kept: "Path | None") -> "tuple[bool, str]":
    """One target; whether it held, and what to tell."""
    with tempfile.TemporaryDirectory(prefix="pyoci-fuzz-") as name:
        scratch = Path(name)
        words = build(target, scratch)
        corpus = scratch / "corpus"
        seeds(target, words, corpus)
        if kept is not None and (kept / target).is_dir():
            shutil.copytree(kept / target, corpus, dirs_exist_ok=True)
        options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={LENGTHS.get(target, 65536)}"]
        options += ["-timeout=20", "-rss_limit_mb=1500", "-print_final_stats=1"]
        options += [f"-artifact_prefix={scratch}/artifact-", str(corpus)]
        with (scratch / "said").open("w+b") as said_file:
            caged = cage.words(name, [*words, *options])
            done = subprocess.run(caged, stdout=said_file, stderr=subprocess.STDOUT, check=False)
        said = (scratch / "said").read_text(errors="replace")
        if done.returncode:
            return False, report(target, words, scratch, said)
        if kept is not None:
            shutil.copytree(corpus, kept / target, dirs_exist_ok=True)
        runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", said)
        covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", said)
        edges, features, size = covered[-1] if covered else ("?", "?", "?")
        text = f"{target}: {runs[-1] if runs else '?'} executions, {edges} edges, {features} features, {size} inputs"
        return True, text + lines_of(target, scratch, corpus)


def main() -> int:
    """Status 1 when a target failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="go on from the inputs there, and add to them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, help="run the target once, on this file, and show what it says")
    parser.add_argument("words", nargs="*", help="targets, all without any; then seconds for each")
    given = parser.parse_args()
    seconds = int(given.words.pop()) if given.words and given.words[-1].isdigit() else 10
    targets = given.words or [*IN_C, *IN_PYTHON]
    if not find_spec("atheris") and set(targets) & set(IN_PYTHON):
        print("left out, for there is no atheris for this Python:", *[name for name in targets if name in IN_PYTHON])
        targets = [name for name in targets if name in IN_C]
    if given.input:
        with tempfile.TemporaryDirectory(prefix="pyoci-fuzz-") as name:
            copy = shutil.copy(given.input, name)
            words = build(targets[0], Path(name))
            return subprocess.run(cage.words(name, [*words, str(copy)]), check=False).returncode
    with ThreadPoolExecutor(2) as pool:
        good = True
        for held, text in pool.map(lambda target: fuzz(target, seconds, given.seed, given.corpus), targets):
            print(text, flush=True)
            good &= held
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
