"""Damaged state: `delete --force` loses no process, the others' commands go on, versions are refused by name."""

import json
import os
import select
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.command import Result, run

pytestmark = pytest.mark.root


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_digit(path: Path) -> None:
    """A whole state file of another process."""
    record = json.loads(path.read_text())
    pid = record["init_process_pid"]
    path.write_text(path.read_text().replace(f'"init_process_pid":{pid}', f'"init_process_pid":{pid + 1}'))


def without_format(path: Path) -> None:
    record = json.loads(path.read_text())
    del record["format"], record["check"]
    path.write_text(json.dumps({**record, "init_process_pid": record["init_process_pid"] + 1}))


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: "dict[str, Callable[[Path], object]]" = {
    "empty": lambda path: os.truncate(path, 0),
    "cut": halve,
    "gone": os.unlink,
    "not an object": lambda path: path.write_text("[]"),
    "another shape": lambda path: path.write_text('{"id":"c"}'),
    "longer": lambda path: path.write_text(path.read_text() + " "),
    "another process": flip_a_digit,
    "of before": without_format,
    "a directory": make_directory,
    "too large": lambda path: os.truncate(path, 65 << 20),
    "nested": lambda path: path.write_text("[" * 100000),
}


@pytest.fixture
def running(box: Box) -> Box:
    """A box with the container c running, and beside it other."""
    box.started(box.bundle().args("sleep", "1000"))
    box.made_container(box.bundle().args("true"), "other")
    return box


@pytest.mark.parametrize("what", DAMAGE)
def test_the_copy_names_the_process(running: Box, what: str) -> None:
    pid = running.state()["pid"]
    DAMAGE[what](running.root / "c" / "state.json")
    listed = running.ok("list", "--quiet")
    assert listed.out == "other\n"
    assert "load container c: " in listed.err and listed.err.count("\n") == 1, listed
    for words in (["state", "c"], ["kill", "c", "KILL"], ["delete", "c"]):
        result = running.call(*words)
        assert result.status == 1 and "Traceback" not in result.err and "internal error" not in result.err, result
        assert alive(pid)
    result = running.ok("delete", "--force", "c")
    assert "going by its copy" in result.err, result
    assert not alive(pid)
    running.ok("delete", "--force", "other")
    assert running.left() == []


@pytest.mark.parametrize("what", DAMAGE)
def test_without_a_copy_nothing_is_removed(running: Box, what: str) -> None:
    pid, place = running.state()["pid"], running.root / "c"
    saved = (place / "state.json").read_text()
    os.truncate(place / "state.json.copy", 20)
    DAMAGE[what](place / "state.json")
    before = sorted(os.listdir(place))
    result = running.call("delete", "--force", "c")
    assert result.status == 1 and "nothing was removed" in result.err, result
    assert "its copy" in result.err and "config.json names its cgroup" in result.err
    assert alive(pid) and sorted(os.listdir(place)) == before
    if (place / "state.json").is_dir():
        (place / "state.json").rmdir()
    (place / "state.json").write_text(saved)
    running.ok("delete", "--force", "c")
    running.ok("delete", "--force", "other")
    assert running.left() == []


@pytest.mark.parametrize("number", [2, 99])
def test_another_version_is_refused_by_name(running: Box, number: int) -> None:
    file = running.root / "c" / "state.json"
    pid, text = running.state()["pid"], file.read_text()
    file.write_text(text.replace('"format":1', f'"format":{number}'))
    for words in (["state", "c"], ["kill", "c", "KILL"], ["delete", "--force", "c"]):
        result = running.call(*words)
        assert result.status == 1, result
        assert f"is of format {number}; this pyoci reads 1" in result.err
    assert alive(pid)
    file.write_text(text)
    running.ok("delete", "--force", "c")


def test_words_of_a_path_decide_nothing(box: Box) -> None:
    """A damaged state.json has a copy, whatever its directory is called."""
    box.root = box.path / "what is of format 2; this"
    box.started(box.bundle().args("sleep", "1000"))
    file = box.root / "c" / "state.json"
    file.write_text(file.read_text().replace('"bundle":', '"bindle":'))  # its check tells
    done = box.ok("delete", "--force", "c")
    assert "going by its copy" in done.err
    assert box.left() == []


def test_the_version_before_is_understood(running: Box) -> None:
    running.rewrite_state(json.loads((running.root / "c" / "state.json").read_text()))
    assert running.state()["status"] == "running"
    running.ok("kill", "c", "KILL")
    running.ok("delete", "--force", "c")
    running.ok("delete", "--force", "other")
    assert running.left() == []


def test_the_check_of_versions_before_is_a_check(running: Box) -> None:
    """They took another prime."""
    path = running.root / "c" / "state.json"
    text = path.read_bytes().rpartition(b',"check":')[0]
    check = int.from_bytes(text + b"}", "little") % (2**61 - 1)
    path.write_bytes(b'%b,"check":%d}' % (text, check))
    assert "damaged" not in running.ok("state", "c").err
    path.write_bytes(b'%b,"check":%d}' % (text, check + 1))
    assert "its check is wrong" in running.call("state", "c").err


@pytest.mark.parametrize(
    "gone", [["state.json"], ["state.json", "state.json.copy"], ["state.json", "start", "state.json.copy"]]
)
def test_files_that_are_missing(running: Box, gone: "list[str]") -> None:
    pid, place = running.state()["pid"], running.root / "c"
    saved = (place / "state.json").read_text()
    for name in gone:
        (place / name).unlink()
    result = running.call("delete", "--force", "c")
    assert result.ok is (len(gone) == 1), result
    assert alive(pid) is not result.ok
    if not result.ok:
        assert "does not exist" in result.err and "nothing was removed" in result.err
        (place / "state.json").write_text(saved)
        running.ok("delete", "--force", "c")


@pytest.mark.parametrize("made", [[], ["state.json.new"], ["state.json.new", "start.new"]])
def test_what_a_killed_create_left_is_removed(box: Box, made: "list[str]") -> None:
    (box.root / "c").mkdir(parents=True)
    for name in made:
        (box.root / "c" / name).write_text("{")
    box.ok("delete", "--force", "c")
    assert box.names() == []


def test_a_directory_that_is_no_containers(box: Box) -> None:
    """A wrong --root: files of somebody else's."""
    (box.root / "home" / "sub").mkdir(parents=True)
    (box.root / "home" / "file").write_text("mine")
    (box.root / "home" / "sub" / "file").write_text("mine")
    result = box.call("delete", "--force", "home")
    assert result.status == 1 and "is not a container's: file is in it" in result.err, result
    assert (box.root / "home" / "file").read_text() == (box.root / "home" / "sub" / "file").read_text() == "mine"
    shutil.rmtree(box.root / "home")


def test_poststop_hooks_run_though_the_config_is_lost(box: Box) -> None:
    """What takes a container back is all in state.json."""
    bundle = box.bundle().args("true")
    bundle.hook("poststop", "/bin/sh", args=["sh", "-c", f"cat > {box.path}/told"])
    box.started(bundle)
    (box.root / "c" / "config.json").write_text("{")
    box.ok("delete", "--force", "c")
    assert '"status":"stopped"' in (box.path / "told").read_text()
    assert box.left() == []


CALLS = {"openat": "EMFILE", "read": "EIO", "pidfd_open": "EMFILE", "unlinkat,unlink,rmdir": "EIO"}


def ends(pidfd: int) -> bool:
    """Whether a process has been killed; its end may take a moment still."""
    return bool(select.select([pidfd], [], [], 5)[0])


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("cgroups", [True, False], ids=["cgroups", "disabled"])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_is_no_absence(box: Box, call: str, cgroups: bool) -> None:
    """`delete --force` in which such calls fail, from each of them on: it says 0 only if the process has ended."""
    options = [] if cgroups else ["--cgroup-manager", "disabled"]
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    number, more = 1, True
    while more:
        made = box.call(*options, "create", "--bundle", str(bundle.path), "c")
        assert made.ok, made
        pidfd = os.pidfd_open(box.state()["pid"])
        result = delete_failing(box, call, number)
        assert ends(pidfd) if result.ok else box.names() == ["c"] or ends(pidfd), (number, result)
        more = "(INJECTED)" in (box.path / "log").read_text()
        box.ok("delete", "--force", "c")
        assert ends(pidfd), number
        os.close(pidfd)
        number += 1
    assert box.left() == []


def delete_failing(box: Box, call: str, number: int) -> Result:
    log = str(box.path / "log")
    inject = ["-e", f"inject={call}:error={CALLS[call]}:when={number}+", "-e", f"trace={call}"]
    return run(["strace", "-qq", "-o", log, *inject, *box.words("delete", "--force", "c")])


def test_what_is_no_cgroup_is_not_removed(running: Box) -> None:
    """A list of undoing that names a directory of somebody's, by a hand that changed it."""
    place = running.path / "home"
    (place / "empty" / "below").mkdir(parents=True)
    file = running.root / "c" / "state.json"
    text, pid = file.read_text(), running.state()["pid"]
    running.rewrite_state({**json.loads(text), "undo": [["remove_cgroup", "", [str(place), []]]]})
    result = running.call("delete", "--force", "c")
    assert result.status == 1 and "it is no cgroup" in result.err, result
    assert (place / "empty" / "below").is_dir()
    assert not alive(pid)
    file.write_text(text)
    running.ok("delete", "--force", "c")
    running.ok("delete", "--force", "other")
    assert running.left() == []
