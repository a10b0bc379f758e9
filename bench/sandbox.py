"""A sandbox for one program: pyoci.run in a Python program, the command, and bubblewrap with the same isolation."""

import os
import shutil
import subprocess

from bench.clock import Failed, turns
from bench.compiler import HERE
from bench.report import TIMED, Chart, Result, Table, milliseconds, ratio, spread
from bench.world import World

ABOUT = """`true` in a sandbox made for it and removed: `pyoci.run` in a Python program that has started already,
`pyoci sandbox` as a command, and bubblewrap as a whole process with the same view: the host's /usr and of /etc the same
files, fresh home, /tmp and /dev/shm, its own pid, network, ipc, uts and mount namespaces, no capabilities, a clean
environment. pyoci has in addition its seccomp filter, masked paths in /proc and a state on disk."""

OWN = "pyoci.run"
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = ("alternatives", "ca-certificates", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "ssl")
_TMPFS = ("/dev/shm", "/tmp", "/home/sandbox")


def bubblewrap(program: str) -> "list[str]":
    """Its command line."""
    words = [program, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--new-session"]
    words += ["--die-with-parent", "--cap-drop", "ALL", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"]
    words += ["--ro-bind", "/usr", "/usr"]
    for name in _LINKS:
        if os.path.islink(f"/{name}"):
            words += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
    for name in _ETC:
        if os.path.exists(f"/etc/{name}"):
            words += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for place in _TMPFS:
        words += ["--size", str(64 << 20), "--tmpfs", place]
    return [*words, "--chdir", "/home/sandbox", "true"]


def measure(world: World, rounds: int) -> Result:
    """Pairs of the three, in turn."""
    words = [world.python, "-I", str(HERE / "sandbox_service.py")]
    service = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert service.stdin is not None and service.stdout is not None
    requests, answers = service.stdin, service.stdout

    def in_service() -> float:
        print(file=requests, flush=True)
        answer = answers.readline()
        if not answer:
            raise Failed("the service ended")
        return float(answer)

    actions = {OWN: in_service, "pyoci sandbox": lambda: world.clock.run(world.program, "sandbox", "true").seconds}
    program = shutil.which("bwrap")
    if program:
        beside = bubblewrap(program)
        actions["bubblewrap"] = lambda: world.clock.run(*beside).seconds
    try:
        samples = turns(rounds, actions)
    finally:
        requests.close()
        service.wait()
    result = Result("sandbox", "A program in a sandbox", ABOUT)
    own = samples[OWN]
    rows = [
        [name, milliseconds(sample.median), spread(sample), "" if name == OWN else ratio(own.over(sample))]
        for name, sample in samples.items()
    ]
    result.tables.append(Table("`true` in a sandbox", [*TIMED[:3], "pyoci.run takes of it, pair by pair"], rows))
    medians = {name: [sample.median * 1000] for name, sample in samples.items()}
    result.charts.append(Chart("sandbox", "true in a sandbox", "ms", "bars", [""], medians))
    for name, sample in samples.items():
        result.figures[f"{name} ms"] = sample.median * 1000
        if name != OWN:
            result.figures[f"of {name}"] = own.over(sample).median
    return result
