"""Streams, ends and terminals for a program that has the runtime in it: `subprocess` is the model."""

import asyncio
import gc
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import pyoci
from tests.support.box import Box

TREE = Path(__file__).parents[2]
pytestmark = pytest.mark.root
PROCESS = {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}


def options(box: Box, *words: str, terminal: bool = False) -> pyoci.CreateOptions:
    bundle = box.bundle().args(*words)
    bundle.process["terminal"] = terminal
    bundle.write()
    return pyoci.CreateOptions(str(bundle.path))


def other_program(text: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    return subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False)


def sh(script: str, **more: object) -> "dict[str, object]":
    return {**PROCESS, "args": ["sh", "-c", script], **more}


@pytest.fixture
def runtime(box: Box) -> pyoci.Runtime:
    return pyoci.Runtime(str(box.root))


@pytest.fixture
def sleeper(box: Box, runtime: pyoci.Runtime) -> "pyoci.Process":
    process = runtime.create("c", options(box, "sleep", "1000"))
    runtime.start("c")
    return process


def test_pipes(box: Box, runtime: pyoci.Runtime) -> None:
    wanted = options(box, "sh", "-c", "cat; echo no >&2; exit 3")
    with runtime.create("c", wanted, stdin=pyoci.PIPE, stdout=pyoci.PIPE, stderr=pyoci.PIPE) as process:
        assert process.poll() is None
        runtime.start("c")
        assert process.communicate(b"yes\n") == (b"yes\n", b"no\n")
        assert (process.returncode, process.wait(), process.is_status_known) == (3, 3, True)
    runtime.delete("c")
    assert box.left() == []


def test_text_and_one_pipe_for_both(sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    with runtime.popen(
        "c", sh("read x; echo $x; echo ärger >&2"), stdin=pyoci.PIPE, stdout=pyoci.PIPE, stderr=pyoci.STDOUT,
        text=True, encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.communicate("häuser\n") == ("häuser\närger\n", None)
    assert process.returncode == 0


def test_stderr_follows_an_inherited_stdout(sleeper: pyoci.Process, runtime: pyoci.Runtime, tmp_path: Path) -> None:
    program = f"""
import pyoci
runtime = pyoci.Runtime({runtime.store.path!r})
process = {sh("echo to stderr >&2")!r}
runtime.popen("c", process, stderr=pyoci.STDOUT).wait()
"""
    done = other_program(program)
    assert (done.stdout, done.stderr) == ("to stderr\n", "")


def test_files_descriptors_and_nothing(sleeper: pyoci.Process, runtime: pyoci.Runtime, tmp_path: Path) -> None:
    """Given crosswise, so that each lies where another belongs."""
    (tmp_path / "in").write_text("from a file\n")
    with open(tmp_path / "in") as source, open(tmp_path / "out", "w") as target:
        process = runtime.popen(
            "c", sh("cat; readlink /proc/self/fd/2 >&1"), stdin=source, stdout=target, stderr=pyoci.DEVNULL
        )
        assert process.wait() == 0
        assert process.stdin is process.stdout is process.stderr is None
    assert (tmp_path / "out").read_text() == "from a file\n/dev/null\n"
    reader, writer = os.pipe()
    process = runtime.popen("c", sh("echo out; echo err >&2; echo three >&3; echo four >&4"), pass_fds=[writer, writer],
                            stdin=pyoci.DEVNULL, stdout=writer, stderr=writer)  # fmt: skip
    os.close(writer)
    assert process.wait() == 0
    with open(reader) as file:
        assert file.read() == "out\nerr\nthree\nfour\n"


def test_no_descriptor_stays(box: Box, sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    """Neither in us, nor one of ours in the container; not after an error either."""
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    listing = runtime.popen("c", sh("ls /proc/self/fd"), stdin=pyoci.PIPE, stdout=pyoci.PIPE, stderr=pyoci.PIPE)
    with listing:
        assert listing.communicate()[0].split() == [b"0", b"1", b"2", b"3"]  # 3 is the directory that ls reads
    with pytest.raises(pyoci.Error) as refused:
        runtime.popen("c", {**PROCESS, "args": ["nothing"]}, stdin=pyoci.PIPE, stdout=pyoci.PIPE)
    assert refused.value.kind == "program"
    for wrong in (-7, pyoci.STDOUT):
        with pytest.raises(ValueError, match=f"stdin={wrong}"):
            runtime.popen("c", PROCESS, stdin=wrong, stdout=pyoci.PIPE)
    runtime.popen("c", sh("sleep 1000"), stdin=pyoci.PIPE)  # nobody holds it
    del refused
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("first", [True, False])
def test_a_terminal_without_a_socket(box: Box, runtime: pyoci.Runtime, first: bool) -> None:
    script = "stty size; read x; echo got $x; stty size"
    if first:
        process = runtime.create("c", options(box, "sh", "-c", script, terminal=True))
        process.resize(100, 30)
        runtime.start("c")
    else:
        runtime.create("c", options(box, "sleep", "1000")).close()
        runtime.start("c")
        process = runtime.popen("c", sh(f"read y; {script}", terminal=True))
        process.resize(100, 30)
        os.write(process.terminal, b"go\n")
    said = b""
    while b"30 100" not in said:
        said += os.read(process.terminal, 100)
    process.resize(80, 25)
    os.write(process.terminal, b"word\n")
    while b"25 80" not in said:
        said += os.read(process.terminal, 100)
    assert b"got word\r\n" in said  # a terminal as it comes: nobody has taken its carriage returns away
    assert process.wait() == 0
    process.close()
    assert process.terminal == process.pidfd == -1


@pytest.mark.parametrize("terminal", [True, False])
def test_what_does_not_go_together(box: Box, runtime: pyoci.Runtime, terminal: bool) -> None:
    wanted = options(box, "true", terminal=terminal)
    if not terminal:
        wanted.console_socket = "/nowhere"
    with pytest.raises(pyoci.Error) as refused:
        runtime.create("c", wanted, **({"stdout": pyoci.PIPE} if terminal else {}))
    assert (refused.value.location, refused.value.kind) == ("process.terminal", "refused")
    with pytest.raises(FileNotFoundError):
        runtime.list()


def test_signals_and_the_end(sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        sleeper.wait(timeout=0)
    sleeper.kill()
    assert select.select([sleeper], [], [], 60)[0] == [sleeper]
    assert sleeper.wait(timeout=1) == -signal.SIGKILL
    sleeper.kill()  # there is nobody any more, which is no error
    assert "ended with -9" in repr(sleeper)


def test_delete_leaves_the_status_to_whom_it_belongs(sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    runtime.delete("c", force=True)
    assert sleeper.poll() == -signal.SIGKILL


def test_a_lost_status_is_no_zero(sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    sleeper.kill()
    os.waitpid(sleeper.pid, 0)
    assert (sleeper.wait(), sleeper.is_status_known) == (255, False)


def test_attach(sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    assert runtime.attach("c") is sleeper
    pid = sleeper.pid
    sleeper.close()
    with runtime.attach("c") as again:
        assert again.pid == pid and again is not sleeper
        again.kill()
        assert again.wait() == -signal.SIGKILL
    with pytest.raises(pyoci.Error) as gone:
        runtime.attach("c")
    assert gone.value.kind == "not_running"


def test_attach_to_what_another_program_has_made(box: Box, runtime: pyoci.Runtime) -> None:
    """Its status is not ours to know."""
    bundle = box.bundle().args("sleep", "1000")
    box.started(bundle)
    process = runtime.attach("c")
    box.ok("kill", "c", "KILL")
    assert process.wait() in (255, -9)


def test_callbacks_of_many(sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    """One thread for all; what a callback raises does not end it."""
    ended: "list[int]" = []
    done = threading.Semaphore(0)
    said: "list[str]" = []
    threading.excepthook, before = (lambda what: said.append(str(what.exc_value))), threading.excepthook
    threads = threading.active_count()

    def note(process: pyoci.Process) -> None:
        ended.append(process.returncode or 0)
        done.release()
        raise ValueError("of a callback")

    try:
        running = [runtime.popen("c", sh(f"read x; exit {n}"), stdin=pyoci.PIPE) for n in range(1, 9)]
        for process in running:
            process.on_end(note)
        assert threading.active_count() <= threads + 1
        for process in running:
            process.stdin.close()  # type: ignore[union-attr]
            assert done.acquire(timeout=60)
    finally:
        threading.excepthook = before
    assert ended == list(range(1, 9))
    assert said[:7] == ["of a callback"] * 7
    called: "list[pyoci.Process]" = []
    running[0].on_end(called.append)
    assert called == [running[0]]


def test_asyncio(sleeper: pyoci.Process, runtime: pyoci.Runtime) -> None:
    """Many ends awaited at once, one of them twice, without a thread."""

    async def main() -> "list[int]":
        running = [runtime.popen("c", sh(f"read x; exit {n}"), stdin=pyoci.PIPE) for n in range(8)]
        waits = [asyncio.ensure_future(process.wait_async()) for process in [*running, running[0]]]
        await asyncio.sleep(0)
        assert not any(wait.done() for wait in waits)
        for process in running:
            process.stdin.close()  # type: ignore[union-attr]
        return await asyncio.gather(*waits)

    threads = threading.active_count()
    assert asyncio.run(main()) == [*range(8), 0]
    assert threading.active_count() == threads


def at_once(count: int, work: "Callable[[int], None]") -> None:
    """Does work in so many threads, and raises what one of them raised."""
    problems: "list[BaseException]" = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def test_lives_in_many_threads(box: Box, runtime: pyoci.Runtime) -> None:
    """Each with pipes of its own, and other children of the program in between; none gets what is another's."""
    wanted = [options(box, "sh", "-c", f"cat; exit {n}") for n in range(8)]

    def life(number: int) -> None:
        name = f"c{number}"
        for turn in range(3):
            other = subprocess.Popen(["sh", "-c", "exit 5"])
            with runtime.create(name, wanted[number], stdin=pyoci.PIPE, stdout=pyoci.PIPE) as process:
                runtime.start(name)
                said = runtime.popen(name, sh(f"echo {number}"), stdout=pyoci.PIPE)
                with said:
                    assert said.communicate() == (b"%d\n" % number, None)
                assert process.communicate(b"%d.%d" % (number, turn)) == (b"%d.%d" % (number, turn), None)
                assert process.returncode == number
            runtime.delete(name)
            assert other.wait() == 5

    before = (os.getcwd(), os.umask(0o22), signal.pthread_sigmask(signal.SIG_BLOCK, []))
    at_once(8, life)
    assert (os.getcwd(), os.umask(before[1]), signal.pthread_sigmask(signal.SIG_BLOCK, [])) == (
        before[0],
        0o22,
        before[2],
    )
    assert box.left() == []


def test_run_leaves_other_children_alone(box: Box, runtime: pyoci.Runtime) -> None:
    """`run` in the foreground took the status of every child, and made the whole program a reaper of orphans."""
    wanted = options(box, "true")
    wanted.detach = False
    program = f"""
import ctypes, os, pyoci
child = os.posix_spawn("/bin/true", ["true"], {{}})
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print(pyoci.Runtime({str(box.root)!r}).run("c", pyoci.CreateOptions({wanted.bundle!r})))
print(os.waitpid(child, 0)[1])
reaper = ctypes.c_int(7)
ctypes.CDLL(None).prctl(37, ctypes.byref(reaper), 0, 0, 0)
print(reaper.value)
"""
    done = other_program(program)
    assert (done.stdout, done.stderr) == ("0\n0\n0\n", "")
