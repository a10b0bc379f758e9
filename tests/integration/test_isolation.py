"""What a container's process can reach of its runtime: nothing, before start and after."""

import fcntl
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.command import PYOCI, Started, run, tampered

pytestmark = pytest.mark.root
ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def check_sealed(pid: int) -> None:
    """The program of a process is a memory file that nobody can change."""
    assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:pyoci-init"), os.readlink(f"/proc/{pid}/exe")
    fd = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
    try:
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & ALL_SEALS == ALL_SEALS
    finally:
        os.close(fd)
    with pytest.raises(OSError):
        os.open(f"/proc/{pid}/exe", os.O_RDWR)


def mapped_files(pid: int) -> set[str]:
    lines = Path(f"/proc/{pid}/maps").read_text().split("\n")
    return {line.split(None, 5)[5] for line in lines if len(line.split(None, 5)) > 5}


def test_created_container_runs_the_sealed_init(box: Box) -> None:
    pid = box.made_container(box.bundle().args("true"), "c")["pid"]
    check_sealed(pid)
    files = {name for name in mapped_files(pid) if name.startswith("/") and not name.startswith("/memfd:")}
    assert files == set(), "a file of the host is mapped"


def test_created_container_holds_no_descriptor_of_the_host(box: Box) -> None:
    pid = box.made_container(box.bundle().args("true"), "c")["pid"]
    held = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    others = {fd: target for fd, target in held.items() if fd > 2}
    # its own root, its socket, its procfs: nothing that leads to a directory of the host or to the state
    for target in others.values():
        assert target == "/" or target.startswith(("socket:", "/proc", "anon_inode:")), others
    roots = [fd for fd, target in others.items() if target == "/"]
    inside = os.stat(f"/proc/{pid}/root")
    for fd in roots:
        found = os.stat(f"/proc/{pid}/fd/{fd}")
        assert (found.st_dev, found.st_ino) == (inside.st_dev, inside.st_ino)


def is_init(pid: int) -> bool:
    return os.readlink(f"/proc/{pid}/exe").startswith("/memfd:pyoci-init")


def test_joining_process_is_sealed_too(box: Box) -> None:
    """Processes of the container can look at one that `exec` starts. A tracer holds it up for them."""
    box.started(box.bundle().args("sleep", "1000"))
    namespace = os.stat(f"/proc/{box.state()['pid']}/ns/pid").st_ino
    running = Started([*tampered("execve:delay_enter=1500000"), *box.words("exec", "c", "true")])
    seen = set()
    while running.process.poll() is None:
        for pid in leftovers.descendants() - box.before:
            try:
                same = os.stat(f"/proc/{pid}/ns/pid").st_ino == namespace
                if same and is_init(pid):
                    check_sealed(pid)
                    assert not {name for name in mapped_files(pid) if name.startswith("/") and "memfd:" not in name}
                    seen.add(pid)
            except OSError:
                continue
            except AssertionError:
                if is_init(pid):  # else it has become the program meanwhile
                    raise
    assert running.finish().status == 0
    assert seen, "it was not seen in the container before it became the program"


def test_container_cannot_open_its_init_for_writing(box: Box) -> None:
    """The way of CVE-2019-5736: a program that is /proc/self/exe, and a loader that opens it."""
    bundle = box.bundle().args("/proc/self/exe")
    result = box.create(bundle, "c")
    if result.ok:
        result = box.call("start", "c")
    # init starts itself again, without its descriptors: it ends at once, and there is nothing to overwrite
    box.ok("delete", "--force", "c")
    assert box.left() == []


def descriptors(text: str) -> list[int]:
    return sorted(int(word) for word in text.split())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_only_the_descriptors_asked_for_are_inherited(box: Box, count: int) -> None:
    """Each leads to its own file, and nothing of the runtime's or of the caller's is beside them."""
    bundle = box.bundle().shell("ls /proc/self/fd; cat /proc/self/fd/[3-9]* 2>/dev/null; true")
    files = []
    for n in range(4):
        path = box.path / f"file{n}"
        path.write_text(f"file {n}\n")
        files.append(os.open(path, os.O_RDONLY))
    base = 3

    def arrange() -> None:
        for n, fd in enumerate(files):
            os.dup2(fd, 200 + n)
        for n in range(4):
            os.dup2(200 + n, base + n)

    result = box.run(bundle, "--preserve-fds", str(count), preexec_fn=arrange, close_fds=False)
    for fd in files:
        os.close(fd)
    assert result.ok, result
    lines = result.out.split("\n")
    # the listing itself has one open, the next free
    assert lines[: 4 + count] == [str(n) for n in range(4 + count)], result
    assert lines[4 + count : -1] == [f"file {n}" for n in range(count)], result


def test_preserved_descriptor_that_is_not_open(box: Box) -> None:
    result = box.run(box.bundle().args("true"), "--preserve-fds", "2")
    assert result.status == 1, result
    assert "unable to stat preserved-fd" in result.err
    assert box.left() == []


def test_listen_fds_are_handed_on(box: Box) -> None:
    """sd_listen_fds(3): the descriptors, and LISTEN_PID as the container's process sees itself."""
    bundle = box.bundle().shell("ls /proc/self/fd; cat <&3; cat <&4; env | grep ^LISTEN | sort")
    for n in (0, 1):
        (box.path / f"file{n}").write_text(f"file {n}\n")
    bundle.write()
    words = " ".join(box.words("run", "--bundle", str(bundle.path), "c"))
    variables = "LISTEN_FDS=2 LISTEN_FDNAMES=a:b LISTEN_PID=$$"
    script = f"exec 3<{box.path}/file0 4<{box.path}/file1; export {variables}; exec {words}"
    result = run(["sh", "-c", script])
    assert result.ok, result
    assert result.out.split("\n")[:6] == ["0", "1", "2", "3", "4", "5"]
    assert result.out.split("\n")[6:8] == ["file 0", "file 1"]
    assert result.out.split()[-3:] == ["LISTEN_FDNAMES=a:b", "LISTEN_FDS=2", "LISTEN_PID=1"]


def test_exec_inherits_only_what_is_asked_for(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    (box.path / "file").write_text("mine\n")
    words = " ".join(box.words("exec", "--preserve-fds", "1", "c", "sh", "-c"))
    result = run(["sh", "-c", f"exec 3<{box.path}/file 4<{box.path}/file; exec {words} 'ls /proc/self/fd; cat <&3'"])
    assert result.out.split() == ["0", "1", "2", "3", "4", "mine"], result


def test_environment_cannot_choose_what_the_runtime_loads(box: Box, tmp_path: Path) -> None:
    for name in ("sitecustomize.py", "usercustomize.py", "posix.py", "struct.py", "pyoci.py", "gc.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'loaded')!r}, 'w').write(__name__)\n")
    hostile = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": str(tmp_path),
        "PYTHONSTARTUP": str(tmp_path / "posix.py"),
        "PYTHONUSERBASE": str(tmp_path),
        "PYTHONINSPECT": "1",
        "LD_PRELOAD": str(tmp_path / "no.so"),
        "PATH": "/bin:/usr/bin",
    }
    bundle = box.bundle().args("echo", "done")
    bundle.write()
    result = box.call("run", "--bundle", str(bundle.path), "c", env=hostile, cwd=str(tmp_path))
    assert (result.status, result.out, result.err) == (0, "done\n", ""), result
    assert not (tmp_path / "loaded").exists()


def test_empty_environment_is_enough(box: Box) -> None:
    bundle = box.bundle().args("echo", "done")
    bundle.write()
    result = box.call("run", "--bundle", str(bundle.path), "c", env={})
    assert (result.status, result.out) == (0, "done\n"), result


def test_process_is_not_dumpable_before_it_runs(box: Box) -> None:
    """Until the program runs, other processes of the same user must not attach to it or read its memory."""
    bundle = box.bundle().args("true")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    pid = box.made_container(bundle, "c")["pid"]
    assert os.stat(f"/proc/{pid}/fd").st_uid == 0
    done = subprocess.run(
        ["setpriv", "--reuid", "1000", "--clear-groups", "cat", f"/proc/{pid}/environ"],
        check=False,
        capture_output=True,
    )
    assert done.returncode != 0


def test_state_directory_is_private(box: Box) -> None:
    box.made_container(box.bundle().args("true"), "c")
    assert os.stat(box.root).st_mode & 0o777 == 0o700
    assert os.stat(box.root / "c").st_mode & 0o777 == 0o700
    for path in (box.root / "c").iterdir():
        assert path.lstat().st_mode & 0o022 == 0 or path.is_socket(), path
    json.loads((box.root / "c" / "state.json").read_text())


def test_session_is_the_containers_own(box: Box) -> None:
    """Whoever signals the caller's process group or session must not hit the container; callers put us in groups."""
    pid = box.made_container(box.bundle().args("true"), "c")["pid"]
    assert os.getsid(pid) == pid
    assert os.getpgid(pid) == pid


def test_program_is_static() -> None:
    """A dynamic loader would read files and variables before our first line."""
    for path in (PYOCI, str(Path(PYOCI).parents[2] / "pyoci" / "programs" / "init")):
        if os.path.exists(path):
            head = subprocess.run(["readelf", "-l", path], check=True, capture_output=True, text=True).stdout
            assert not re.search("INTERP", head), path
