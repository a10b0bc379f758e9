"""A sandbox for one program: pyoci.run in a Python program, the command, bubblewrap with the same isolation, docker."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.clock import Failed, turns
from bench.compiler import HERE
from bench.report import TIMED, Chart, Result, Table, milliseconds, ratio, spread
from bench.world import World

ABOUT = """`true` in a sandbox made for it and removed: `pyoci.run` in a Python program that has started already,
`pyoci sandbox` as a command, and bubblewrap as a whole process with the same view: the host's /usr and of /etc the same
files, fresh home, /tmp and /dev/shm, its own pid, network, ipc, uts and mount namespaces, no capabilities, a clean
environment. pyoci has in addition its seccomp filter, masked paths in /proc and a state on disk. "As nsjail"
is bubblewrap with what nsjail does by default besides: user and cgroup namespaces, resource limits (prlimit), a limit
of time (timeout). `docker run` has an image of busybox, no network, its profile, and runc; its daemon runs already."""

OWN, COMMAND = "pyoci.run", "pyoci sandbox"
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


def as_nsjail(words: "list[str]") -> "list[str]":
    """The same with nsjail's further defaults."""
    limits = ["--as=4294967296", "--core=0", "--cpu=600", "--fsize=1048576", "--nofile=32", "--nproc=1024"]
    spaces = ["--unshare-user", "--unshare-cgroup", "--uid", "65534", "--gid", "65534"]
    timeout, prlimit = (shutil.which(name) or name for name in ("timeout", "prlimit"))
    return [timeout, "600", prlimit, *limits, "--", words[0], *spaces, *words[1:]]


class Docker:
    """A private daemon, that of the engines' tests, with runc; a context manager that gives the command."""

    def __init__(self) -> None:
        sys.path.insert(0, str(HERE.parent / "tests" / "callers"))
        from engines.docker import UNPACKED, Docker  # type: ignore[import-not-found]

        self.place = Path(tempfile.mkdtemp(prefix="b-", dir="/tmp"))  # short: paths of sockets are
        self.program = UNPACKED / "usr" / "bin" / "docker"
        there = self.program.exists() and shutil.which("runc")
        self.engine = Docker(self.place, "runc", shutil.which("runc")) if there else None

    def __enter__(self) -> "list[str]":
        """Starts it; no words where it is not unpacked (tests/callers/install.sh)."""
        if self.engine is None:
            return []
        self.engine.start()
        run = ["run", "--rm", "--network", "none", "bb:latest", "true"]
        return [str(self.program), "-H", f"unix://{self.place}/d.sock", *run]

    def __exit__(self, *problem: object) -> None:
        if self.engine is not None:
            self.engine.stop()
        shutil.rmtree(self.place, ignore_errors=True)


def measure(world: World, rounds: int) -> Result:
    """Rounds in which each has its turn."""
    with Docker() as docker:
        return _measure(world, rounds, docker)


def _measure(world: World, rounds: int, docker: "list[str]") -> Result:
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

    actions = {OWN: in_service, COMMAND: lambda: world.clock.run(world.program, "sandbox", "true").seconds}
    program = shutil.which("bwrap")
    if program:
        beside = bubblewrap(program)
        actions["bubblewrap"] = lambda: world.clock.run(*beside).seconds
        actions["bubblewrap as nsjail"] = lambda: world.clock.run(*as_nsjail(beside)).seconds
    if docker:
        actions["docker run"] = lambda: world.clock.run(*docker).seconds
    try:
        samples = turns(rounds, actions)
    finally:
        requests.close()
        service.wait()
    result = Result("sandbox", "A program in a sandbox", ABOUT)
    own, command = samples[OWN], samples[COMMAND]
    rows = [
        [
            name,
            milliseconds(sample.median),
            spread(sample),
            "" if name == OWN else ratio(own.over(sample)),
            "" if name == COMMAND else ratio(command.over(sample)),
        ]
        for name, sample in samples.items()
    ]
    columns = [*TIMED[:3], "pyoci.run takes of it, pair by pair", "the command takes of it"]
    result.tables.append(Table("`true` in a sandbox", columns, rows))
    medians = {name: [sample.median * 1000] for name, sample in samples.items()}
    result.charts.append(Chart("sandbox", "true in a sandbox", "ms", "bars", [""], medians))
    for name, sample in samples.items():
        result.figures[f"{name} ms"] = sample.median * 1000
        if name != OWN:
            result.figures[f"of {name}"] = own.over(sample).median
        if name != COMMAND:
            result.figures[f"the command of {name}"] = command.over(sample).median
    return result
