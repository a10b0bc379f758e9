"""pyoci.run and pyoci.Sandbox: what they give, refuse and leave. Hostile programs: test_sandbox_hostile.py."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyoci
from pyoci.sandbox.place import place
from tests.support import leftovers

pytestmark = pytest.mark.root
TREE = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_is_left() -> "Iterator[None]":
    before, files = leftovers.descendants(), set(os.listdir("/proc/self/fd"))
    yield
    leftovers.settle()
    assert leftovers.descendants() - before == set()
    assert leftovers.cgroups_named(f"pyoci-sandbox-{os.getpid()}-") == []
    assert [name for name in os.listdir("/run/pyoci-sandbox/state") if name.startswith(f"{os.getpid()}-")] == []
    assert set(os.listdir("/proc/self/fd")) == files


def program(text: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    return subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False)


def test_as_subprocess_has_it() -> None:
    done = pyoci.run(["sh", "-c", "cat; echo err >&2; exit 3"], input="in\n", capture_output=True, text=True)
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, done.stderr) == (3, "in\n", "err\n")
    assert not (done.timed_out or done.oom or done.cut)
    assert done.usage.cpu_time > 0 and done.usage.oom_kills == 0
    both = pyoci.run(["sh", "-c", "echo a; echo b >&2"], stdout=pyoci.PIPE, stderr=pyoci.STDOUT)
    assert (both.stdout, both.stderr) == (b"a\nb\n", None)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        pyoci.run(["sh", "-c", "echo said; exit 9"], stdout=pyoci.PIPE, check=True)
    assert (failed.value.returncode, failed.value.stdout) == (9, b"said\n")
    with pytest.raises(ValueError, match="capture_output"):
        pyoci.run(["true"], stdout=pyoci.PIPE, capture_output=True)
    with pytest.raises(ValueError, match="input"):
        pyoci.run(["true"], stdin=pyoci.PIPE, input=b"")


def test_standard_input_is_empty_unless_given() -> None:
    assert pyoci.run(["cat"], stdout=pyoci.PIPE, timeout=30).stdout == b""


def test_what_it_sees() -> None:
    script = "id -un; echo $HOME $PWD $SECRET; hostname; ls /home; cat /etc/hostname; echo $X; test -w . && echo mine"
    done = pyoci.run(["sh", "-c", script], env={"X": "of mine"}, hostname="cell", capture_output=True, text=True)
    assert done.stdout == "sandbox\n/home/sandbox /home/sandbox\ncell\nsandbox\ncell\nof mine\nmine\n"


def test_the_user() -> None:
    assert pyoci.run(["id"], user="1234:5678", stdout=pyoci.PIPE).stdout.startswith(
        b"uid=1234(sandbox) gid=5678(sandbox)"
    )
    done = pyoci.run(["sh", "-c", "id -u; grep CapEff /proc/self/status"], user=0, capture_output=True)
    assert done.stdout == b"0\nCapEff:\t0000000000000000\n"


def test_binds_and_fresh_places(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("read me")
    (tmp_path / "out").mkdir(mode=0o777)
    (tmp_path / "out").chmod(0o777)
    (tmp_path / "one").write_text("a file")
    tmp_path.chmod(0o755)
    script = "cat /in/file /srv/one > /out/copy; df -k /scratch | tail -1 | awk '{print $2}'; touch /srv/one || echo no"
    done = pyoci.run(
        ["sh", "-c", script],
        binds={
            str(tmp_path / "in"): ("/in", "ro"),
            str(tmp_path / "out"): ("/out", "rw"),
            str(tmp_path / "one"): ("/srv/one", "ro"),
        },
        tmpfs={"/scratch": "2M"},
        capture_output=True,
    )
    assert done.stdout == b"2048\nno\n", done
    assert (tmp_path / "out" / "copy").read_text() == "read mea file"


def test_words_that_are_no_text() -> None:
    with pytest.raises(pyoci.Error) as refused:
        pyoci.run(["echo", "\udcff"])
    assert refused.value.location == "args"
    with pyoci.Sandbox() as box:
        assert box.run(["echo", "\udcff"], capture_output=True).stdout == b"\xff\n"


def test_a_root_that_cannot_be_made_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(pyoci.Error, match="make /etc in the sandbox's root"):
        pyoci.run(["true"], binds={str(tmp_path / "file"): ("/etc", "ro")})
    done = pyoci.run(["cat", "/x1"], binds={str(tmp_path / "file"): ("/x1", "ro")}, capture_output=True)
    assert done.returncode == 0, done
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    done = pyoci.run(["ls", "/x1"], binds={str(tmp_path / "file"): ("/x1", "ro")}, capture_output=True)
    assert done.returncode == 0, done


def test_links_of_the_hosts_root_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyoci.sandbox import place as module
    from pyoci.sandbox.wishes import Wishes

    (tmp_path / "host").mkdir()
    (tmp_path / "root").mkdir()
    real = os.readlink
    monkeypatch.setattr(module.os, "readlink", lambda path: str(tmp_path / "host") if path == "/bin" else real(path))
    is_link = os.path.islink
    monkeypatch.setattr(module.os.path, "islink", lambda path: path == "/bin" or is_link(path))
    module.fill(str(tmp_path / "root"), Wishes(binds={"/etc": ("/bin/x", "ro")}))
    assert os.listdir(tmp_path / "host") == []


def test_a_root_filesystem_of_ones_own(tmp_path: Path) -> None:
    for name in ("bin", "proc", "dev", "tmp"):
        (tmp_path / name).mkdir()
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    (tmp_path / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "bin" / "busybox").chmod(0o755)
    (tmp_path / "bin" / "sh").symlink_to("busybox")
    done = pyoci.run(["sh", "-c", "echo /*; pwd; echo > /x"], rootfs=tmp_path, capture_output=True)
    assert done.stdout == b"/bin /dev /proc /tmp\n/\n" and b"Read-only" in done.stderr


def test_the_hosts_network() -> None:
    own = os.stat("/proc/self/ns/net").st_ino
    for network in (True, False):
        done = pyoci.run(["readlink", "/proc/self/ns/net"], network=network, stdout=pyoci.PIPE)
        assert (f"[{own}]".encode() in done.stdout) is network


@pytest.mark.parametrize(
    ("wishes", "place_"),
    [
        ({"memory": "lots"}, "memory"),
        ({"memory": 0}, "memory"),
        ({"memory": True}, "memory"),
        ({"cpus": 0}, "cpus"),
        ({"pids": -1}, "pids"),
        ({"pids": "3"}, "pids"),
        ({"rootfs": "/no/such"}, "rootfs"),
        ({"binds": {"/etc": "write"}}, "binds['/etc']"),
        ({"binds": {"/no/such": "ro"}}, "binds['/no/such']"),
        ({"binds": {"/etc": ("relative", "ro")}}, "binds['/etc']"),
        ({"binds": {"/etc": ("/a/../../b", "ro")}}, "binds['/etc']"),
        ({"binds": {"/etc": ("/proc/x", "ro")}}, "/proc/x"),
        ({"binds": {"/etc": ("/", "ro")}}, "/"),
        ({"binds": {"/etc": ("/x", "ro"), "/usr": ("/x", "ro")}}, "/x"),
        ({"tmpfs": {"/x": "none"}}, "tmpfs['/x']"),
        ({"tmpfs": ["/dev"]}, "/dev"),
        ({"user": "somebody"}, "user"),
        ({"user": -1}, "user"),
        ({"user": (1, 2, 3)}, "user"),
        ({"cwd": "here"}, "cwd"),
        ({"hostname": "\udcff"}, "hostname"),
        ({"cwd": "/\udcff"}, "cwd"),
        ({"env": {"A": "\udcff"}}, "env"),
        ({"binds": {"/etc": ("/\udcff", "ro")}}, "binds"),
    ],
)
def test_what_is_refused(wishes: "dict[str, object]", place_: str) -> None:
    with pytest.raises(pyoci.Error) as refused:
        pyoci.run(["true"], **wishes)
    assert (refused.value.location, refused.value.kind) == (place_, "refused")


def test_programs_that_cannot_be_run() -> None:
    for words, kind in (
        (["no-such-program"], "program"),
        (["/etc/passwd"], "program"),
        ("true", "refused"),
        ([], "refused"),
    ):
        with pytest.raises(pyoci.Error) as refused:
            pyoci.run(words)
        assert refused.value.kind == kind


def test_limits_that_the_host_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no cgroup may be made. Refused, or by best_effort left out, which is said."""
    from pyoci.cgroups import tree

    def no(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tree, "make", no)
    for wishes in ({"memory": "64M"}, {"cpus": 1}, {"pids": 9}):
        with pytest.raises(pyoci.Error) as refused:
            pyoci.run(["true"], **wishes)
        assert refused.value.kind == "missing" and "best_effort" in refused.value.hint
    done = pyoci.run(["sh", "-c", "ulimit -d"], memory="64M", cpus=1, best_effort=True, stdout=pyoci.PIPE)
    assert done.stdout == b"65536\n"
    assert [text.partition(":")[0] for text in done.warnings] == [
        "memory is not limited", "cpus are not limited", "memory is limited for each process, not for all together",
    ]  # fmt: skip


def test_limits_are_the_kernels() -> None:
    burn = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"
    done = pyoci.run(["python3", "-c", burn], cpus=0.2, memory="32M")
    assert done.returncode == 0 and 0 < done.usage.cpu_time < 0.6
    assert done.usage.peak_memory is not None and 1 << 20 < done.usage.peak_memory <= 32 << 20


def test_one_that_lives() -> None:
    with pyoci.Sandbox(memory="64M", pids=20) as box:
        assert box.run(["sh", "-c", "echo kept > /tmp/a; sleep 1000 &"]).returncode == 0
        assert box.run(["cat", "/tmp/a"], stdout=pyoci.PIPE, text=True).stdout == "kept\n"
        with box.popen(["sh", "-c", "read x; echo got $x; exit 4"], stdin=pyoci.PIPE, stdout=pyoci.PIPE) as running:
            assert running.poll() is None
            assert running.communicate(b"it\n") == (b"got it\n", None)
        assert running.returncode == 4
        slow = box.run(["sh", "-c", "echo begun; sleep 1000"], timeout=0.3, capture_output=True)
        assert (slow.timed_out, slow.returncode, slow.stdout) == (True, -9, b"begun\n")
        hog = box.run(["python3", "-c", "x = bytearray(200 << 20)"])
        assert (hog.oom, hog.returncode) == (True, -9)
        assert not box.run(["true"]).oom
        assert box.usage().oom_kills == 1
        pid = box.pid
    assert box.pid == 0 and not os.path.exists(f"/proc/{pid}")


def test_programs_beside_each_other() -> None:
    with pyoci.Sandbox() as box:
        said: "list[bytes]" = []
        threads = [
            threading.Thread(target=lambda n=n: said.append(box.run(["echo", str(n)], stdout=pyoci.PIPE).stdout))
            for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(int, said)) == list(range(12))


def test_a_terminal() -> None:
    with pyoci.Sandbox(terminal=True) as box, box.popen(["sh", "-c", "tty; stty size; read x; echo got $x"]) as running:
        running.resize(90, 40)
        os.write(running.terminal, b"word\n")
        said = b""
        while b"got word" not in said:
            said += os.read(running.terminal, 1000)
        assert b"/dev/pts/" in said
        assert running.wait() == 0


def test_files() -> None:
    with pyoci.Sandbox() as box:
        box.put("/tmp/program", "#!/bin/sh\necho ran\n", mode=0o755)
        assert box.run(["/tmp/program"], stdout=pyoci.PIPE).stdout == b"ran\n"
        box.put("/home/sandbox/data", bytes(1 << 20))
        box.put("/home/sandbox/data", b"shorter")
        assert box.get("/home/sandbox/data") == b"shorter"
        assert box.run(["sh", "-c", "stat -c %u data && rm data && pwd > answer"]).returncode == 0
        assert box.get("/home/sandbox/answer") == b"/home/sandbox\n"
        # what a program may have put there for whoever looks
        trap = "ln -s /etc/shadow l; ln -s / up; mkfifo f; mkdir d; head -c 3M /dev/zero > big; ln -s /usr/bin sub"
        box.run(["sh", "-c", trap])
        for path in (
            "l",
            "up/etc/passwd",
            "f",
            "d",
            "/proc/self/root/etc/passwd",
            "/dev/null",
            "none",
            "sub/sh",
        ):
            with pytest.raises(pyoci.Error):
                box.get(path if path[0] == "/" else f"/home/sandbox/{path}")
        for path in ("l", "up/x", "f", "d", "/etc/passwd", "/usr/x", "relative"):
            with pytest.raises(pyoci.Error):
                box.put(path if path[0] == "/" or path == "relative" else f"/home/sandbox/{path}", b"x")
        with pytest.raises(pyoci.Error, match="more than 1048576 bytes"):
            box.get("/home/sandbox/big", limit="1M")
        with pytest.raises(pyoci.Error, match="ENOSPC"):
            box.put("/tmp/full", bytes(80 << 20))


def test_a_closed_one_begins_anew() -> None:
    box = pyoci.Sandbox()
    assert box.run(["touch", "/tmp/a"]).returncode == 0
    box.close()
    box.close()
    assert box.run(["test", "-e", "/tmp/a"]).returncode == 1
    box.close()


def test_streams_of_the_caller_stay_his(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w") as file:
        pyoci.run(["echo", "x"], stdout=file)
        with pyoci.Sandbox() as box:
            box.run(["echo", "y"], stdout=file)
    assert (tmp_path / "out").read_text() == "x\ny\n" and (tmp_path / "out").stat().st_uid == 0


def test_two_hundred_by_twenties() -> None:
    """From asyncio; each has its own files, limits and end."""

    async def main() -> "list[pyoci.CompletedProcess]":
        gate = asyncio.Semaphore(20)

        async def one(number: int) -> "pyoci.CompletedProcess":
            async with gate:
                script = f"echo {number} > /tmp/mine; ls /tmp; cat /tmp/mine; exit {number % 7}"
                return await pyoci.run_async(["sh", "-c", script], capture_output=True, pids=8, timeout=120)

        return await asyncio.gather(*map(one, range(200)))

    for number, done in enumerate(asyncio.run(main())):
        assert (done.returncode, done.stdout, done.stderr) == (number % 7, f"mine\n{number}\n".encode(), b"")


def test_asyncio() -> None:
    async def main() -> None:
        async with pyoci.Sandbox(pids=20) as box:
            slow = asyncio.ensure_future(box.run_async(["sleep", "1000"]))
            quick = await asyncio.gather(
                *[box.run_async(["cat"], input=str(n), capture_output=True, text=True) for n in range(5)]
            )
            assert [done.stdout for done in quick] == list("01234") and not slow.done()
            late = await box.run_async(["sh", "-c", "echo x; sleep 1000"], timeout=0.3, stdout=pyoci.PIPE)
            assert (late.timed_out, late.returncode, late.stdout) == (True, -9, b"x\n")
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            assert (await box.run_async(["true"])).returncode == 0
        alone = asyncio.ensure_future(pyoci.run_async(["sleep", "1000"]))
        await asyncio.sleep(0.1)
        alone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await alone
        early = asyncio.ensure_future(pyoci.run_async(["sleep", "1000"]))
        await asyncio.sleep(0)
        early.cancel()
        with pytest.raises(asyncio.CancelledError):
            await early
        assert (await pyoci.run_async(["sleep", "1000"], timeout=0.2)).timed_out

    asyncio.run(main())


KILLED = """
import os, signal, sys, pyoci
box = pyoci.Sandbox(pids=20, memory="64M").open()
running = box.popen(["sleep", "1000"])
print(box.pid, running.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_program_takes_its_sandboxes_along() -> None:
    """At once: the processes. By the next program that makes a sandbox: cgroups and files."""
    done = program(KILLED)
    assert done.returncode == -signal.SIGKILL, done
    pids = list(map(int, done.stdout.split()))
    deadline = time.monotonic() + 30
    while (
        any(os.path.exists(f"/proc/{pid}/exe") and leftovers.describe(pid) for pid in pids)
        and time.monotonic() < deadline
    ):
        leftovers.settle()
    assert program("import pyoci; print(pyoci.run(['true']).returncode)").stdout == "0\n"
    mine = {name.partition("-")[0] for name in os.listdir("/run/pyoci-sandbox/state") if name[0] != "@"}
    roots = {name.partition("-")[0] for name in os.listdir("/run/pyoci-sandbox/roots")}
    lives = {pid for pid in mine | roots if not os.path.exists(f"/proc/{pid}")}
    assert lives == set()


def test_forked_children_have_places_of_their_own() -> None:
    done = program("""
import os, pyoci
print(pyoci.run(["echo", "first"], stdout=pyoci.PIPE).stdout)
if os.fork() == 0:
    print(pyoci.run(["echo", "child"], stdout=pyoci.PIPE).stdout, flush=True)
    os._exit(0)
os.wait()
print(pyoci.run(["echo", "last"], stdout=pyoci.PIPE).stdout)
""")
    assert (done.returncode, done.stderr) == (0, "")
    assert "child" in done.stdout and "last" in done.stdout


def test_places_are_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyoci.sandbox import place as module

    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for name in ("link", "open"):
        with pytest.raises(pyoci.Error, match="ours alone"):
            module._ours(str(tmp_path / name))
    assert place() is place()


def test_the_programs_of_the_page() -> None:
    import re

    page = (TREE / "docs" / "sandbox.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = program(first)
    assert done.stderr == "" and done.stdout.startswith("0 45\n False False Usage(cpu_time="), done
    done = program(second)
    assert done.stderr == "" and done.stdout.startswith("WORDS\n\n(b'bytes', None)\nb'words' 0."), done
