"""Programs that cannot be started: `create` or `start` fails with the step named, and `delete` leaves nothing."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.box import Box

pytestmark = pytest.mark.root


def _foreign(path: Path) -> None:
    """An ELF header of a machine that this is not."""
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    path.write_bytes(ident + struct.pack("<HHIQQQIHHHHHH", 2, 0xF00D, 1, 0x400000, 64, 0, 0, 64, 56, 0, 0, 0, 0))
    path.chmod(0o755)


def _script(text: str, mode: int = 0o755) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)
        path.chmod(mode)

    return write


# what is at /program: how it is made, the command that fails, words of the error
CASES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "missing": (lambda path: None, "create", "no such file or directory (ENOENT)"),
    "directory": (Path.mkdir, "create", "is a directory (EISDIR)"),
    "no-permission": (_script("#!/bin/sh\n", 0o644), "create", "permission denied (EACCES)"),
    "dangling": (lambda path: path.symlink_to("/nowhere"), "create", "no such file or directory (ENOENT)"),
    "loop": (lambda path: path.symlink_to("/program"), "create", "too many levels of symbolic links (ELOOP)"),
    "fifo": (lambda path: os.mkfifo(path, 0o777), "create", "permission denied (EACCES)"),
    "other-architecture": (_foreign, "start", "exec format error (ENOEXEC)"),
    "no-interpreter": (_script("#!/no/interpreter\n"), "start", "no such file or directory (ENOENT)"),
    "no-format": (_script("echo no first line\n"), "start", "exec format error (ENOEXEC)"),
    "empty": (_script(""), "start", "exec format error (ENOEXEC)"),
}


@pytest.mark.parametrize("kind", sorted(CASES))
def test_program_that_cannot_be_started(box: Box, kind: str) -> None:
    make, command, words = CASES[kind]
    bundle = box.bundle().args("/program")
    make(bundle.rootfs / "program")
    failed = box.create(bundle, "c")
    if command == "start":
        assert failed.ok, failed
        failed = box.call("start", "c")
    assert failed.status == 1, failed
    assert 'exec: \\"/program\\"' in failed.err, failed
    assert words in failed.err, failed
    assert "process.args" in failed.err, failed
    assert failed.err.count("\n") == 1, failed
    if command == "start":
        assert box.state()["status"] == "stopped"
        box.ok("delete", "c")
    assert box.left() == []


@pytest.mark.parametrize("kind", sorted(CASES))
def test_run_of_it_leaves_nothing(box: Box, kind: str) -> None:
    bundle = box.bundle().args("/program")
    CASES[kind][0](bundle.rootfs / "program")
    result = box.run(bundle)
    assert result.status == 1, result
    assert CASES[kind][2] in result.err, result
    assert box.left() == []


def test_name_that_is_nowhere_on_the_path(box: Box) -> None:
    result = box.create(box.bundle().args("nosuch"), "c")
    assert result.status == 1
    assert "executable file not found in $PATH" in result.err
    assert box.left() == []


def test_the_path_is_the_containers(box: Box) -> None:
    bundle = box.bundle().args("tool")
    bundle.process["env"] = ["PATH=/none:/own"]
    (bundle.rootfs / "own").mkdir()
    _script("#!/bin/sh\necho own\n")(bundle.rootfs / "own" / "tool")
    assert box.output(bundle) == "own\n"


def test_without_a_path_the_usual_directories_are_searched(box: Box) -> None:
    bundle = box.bundle().args("echo", "found")
    bundle.process["env"] = []
    assert box.output(bundle) == "found\n"


def test_directory_and_unreadable_entries_of_the_path_are_passed_over(box: Box) -> None:
    bundle = box.bundle().args("tool")
    bundle.process["env"] = ["PATH=/a:/b:/c"]
    for name in "abc":
        (bundle.rootfs / name).mkdir()
    (bundle.rootfs / "a" / "tool").mkdir()
    _script("#!/bin/sh\necho b\n", 0o644)(bundle.rootfs / "b" / "tool")
    _script("#!/bin/sh\necho c\n")(bundle.rootfs / "c" / "tool")
    assert box.output(bundle) == "c\n"


def test_relative_name_starts_at_cwd(box: Box) -> None:
    bundle = box.bundle().args("./tool")
    bundle.process["cwd"] = "/own"
    (bundle.rootfs / "own").mkdir()
    _script("#!/bin/sh\npwd\n")(bundle.rootfs / "own" / "tool")
    assert box.output(bundle) == "/own\n"


def test_permission_is_judged_as_the_user(box: Box) -> None:
    """root could start it, the container's user cannot: `create` must say so."""
    bundle = box.bundle().args("/program")
    _script("#!/bin/sh\n", 0o700)(bundle.rootfs / "program")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    result = box.create(bundle, "c")
    assert result.status == 1, result
    assert "permission denied (EACCES)" in result.err
    assert box.left() == []


SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
OVERRIDE, SEARCH = "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"


@pytest.mark.parametrize(
    ("mode", "way", "user", "capability", "starts"),
    [
        (0o744, 0o755, 1000, OVERRIDE, True),
        (0o644, 0o755, 1000, OVERRIDE, False),
        (0o744, 0o700, 1000, OVERRIDE, True),
        (0o755, 0o700, 1000, SEARCH, True),
        (0o744, 0o755, 1000, SEARCH, False),
        (0o755, 0o700, 1000, "CAP_KILL", False),
        (0o744, 0o755, 0, OVERRIDE, True),
        (0o744, 0o755, 0, "CAP_KILL", False),
        (0o755, 0o700, 0, "CAP_KILL", False),
        (0o744, 0o755, 0, "", False),
        (0o744, 0o755, 1000, "", False),
    ],
)
@pytest.mark.parametrize("command", ["create", "exec"])
def test_permission_is_judged_with_the_programs_capabilities(
    box: Box, mode: int, way: int, user: int, capability: str, starts: bool, command: str
) -> None:
    """The file and the directory on the way to it are another user's."""
    bundle = box.bundle().args("/way/program")
    (bundle.rootfs / "way").mkdir()
    _script("#!/bin/sh\necho started\n", mode)(bundle.rootfs / "way" / "program")
    os.chown(bundle.rootfs / "way" / "program", 5, 5)
    os.chown(bundle.rootfs / "way", 5, 5)
    (bundle.rootfs / "way").chmod(way)
    process = bundle.process
    process["user"] = {"uid": user, "gid": user}
    process.pop("capabilities")
    if capability:
        process["capabilities"] = {name: [capability] for name in SETS}
    if command == "exec":
        asked = json.dumps(process)
        (box.path / "process.json").write_text(asked)
        box.started(bundle.args("/bin/sleep", "1000"))
        result = box.call("exec", "--process", str(box.path / "process.json"), "c")
        assert box.call("delete", "--force", "c").ok
    else:
        result = box.run(bundle) if starts else box.create(bundle, "c")
    # a script is read by its interpreter, with what the program has after it was executed
    assert ("permission denied (EACCES)" not in result.err) == starts, result
    assert starts or not result.ok, result


def test_passwd_that_is_a_link(box: Box) -> None:
    bundle = box.bundle().shell("echo $HOME")
    (bundle.rootfs / "etc" / "users").write_text("root:x:0:0::/own:/bin/sh\n")
    (bundle.rootfs / "etc" / "passwd").symlink_to("/etc/users")
    assert box.output(bundle) == "/own\n"


def test_permission_by_an_additional_group(box: Box) -> None:
    bundle = box.bundle().args("/program")
    program = bundle.rootfs / "program"
    _script("#!/bin/sh\nid -G\n", 0o750)(program)
    os.chown(program, 0, 77)
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [77]}
    assert box.output(bundle) == "1000 77\n"


def test_file_that_vanishes_before_start(box: Box) -> None:
    bundle = box.bundle().args("/program")
    program = bundle.rootfs / "program"
    _script("#!/bin/sh\n")(program)
    box.made_container(bundle, "c")
    program.unlink()
    result = box.call("start", "c")
    assert result.status == 1, result
    assert 'exec: \\"/program\\"' in result.err
    box.ok("delete", "c")
    assert box.left() == []


@pytest.mark.parametrize("kind", sorted(CASES))
def test_exec_of_it(box: Box, kind: str) -> None:
    bundle = box.bundle().args("sleep", "1000")
    CASES[kind][0](bundle.rootfs / "program")
    box.started(bundle)
    result = box.call("exec", "c", "/program")
    assert result.status == 255, result
    assert CASES[kind][2] in result.err, result
    assert 'exec: \\"/program\\"' in result.err, result
    assert box.state()["status"] == "running"


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\033[31m", "x" * 5000])
def test_hostile_name_keeps_the_error_one_line(box: Box, name: str) -> None:
    result = box.create(box.bundle().args(name), "c")
    assert result.status == 1, result
    assert result.err.count("\n") == 1 and "\033" not in result.err, result
    assert box.left() == []
