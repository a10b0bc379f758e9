"""Every operation of a plan is made to fail once: the error names the place in config.json, the step, the errno.

Plans of a few steps are given to init directly, so that each failure is that of its own step. Where no argument
makes a call fail, a seccomp filter, loaded by the plan itself, has it refused.
"""

import os
import select
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyoci.errors import Error
from pyoci.init.launch import Launch, Process
from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.model import Plan
from pyoci.plan.words import OPERATIONS
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.calls import numbers
from tests.support.command import run

pytestmark = pytest.mark.root
WHERE = "place.of[7] (the step)"
EIO = 5


def refusing(*names: str) -> tuple[Any, ...]:
    """A step after which system calls fail with EIO (seccomp(2): load the number, compare, return)."""
    found = numbers(*names)
    lines = [(0x20, 0, 0, 0)]
    lines += [(0x15, len(found) - n, 0, number) for n, number in enumerate(found)]
    lines += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | EIO)]
    return (ops.SECCOMP, b"".join(struct.pack("<HBBI", *line) for line in lines), 0)


MOUNTS = kernel.CLONE_NEWNS
NEW_ROOT = [(ops.OWN_MOUNTS, kernel.MS_PRIVATE), (ops.OPEN_ROOT, "{root}")]

# operation: namespaces, steps before it, its fields, words of the error
CASES: dict[int, tuple[int, list[tuple[Any, ...]], tuple[Any, ...], str]] = {
    ops.OPEN_PROC: (0, [refusing("open", "openat")], (), "EIO"),
    ops.OPEN_NAMESPACE: (0, [], (0, kernel.CLONE_NEWNET, "/no/such"), "ENOENT"),
    ops.JOIN_NAMESPACE: (0, [], (0, kernel.CLONE_NEWNET), "EBADF"),
    ops.JOIN_PROCESS: (0, [], (kernel.CLONE_NEWNET,), "EBADF"),
    ops.USE_ROOT: (0, [], ("/no/such",), "ENOENT"),
    ops.UNSHARE: (0, [], (1,), "EINVAL"),
    ops.TIME_OFFSETS: (0, [], ("nonsense\n",), "EINVAL"),
    ops.FORK: (0, [refusing("clone")], (), "EIO"),
    ops.SESSION: (0, [(ops.SESSION,)], (), "EPERM"),
    ops.SUPERVISE: (0, [], (2, 0), "EBADF"),
    ops.JOIN_CGROUPS: (0, [refusing("recvfrom", "recvmsg")], (), "ECANCELED"),
    ops.SYNC: (0, [refusing("recvfrom", "recvmsg")], (ops.SYNC_HOOKS,), "ECANCELED"),
    ops.DUMPABLE: (0, [refusing("prctl")], (), "EIO"),
    ops.BECOME_ROOT: (kernel.CLONE_NEWUSER, [], (0, 0), "EINVAL"),
    ops.KEYRING: (0, [refusing("keyctl")], ("name",), "EIO"),
    ops.LOOPBACK_UP: (kernel.CLONE_NEWNET, [refusing("socket")], (), "EIO"),
    ops.HOSTNAME: (kernel.CLONE_NEWUTS, [], ("x" * 65,), "EINVAL"),
    ops.DOMAINNAME: (kernel.CLONE_NEWUTS, [], ("x" * 65,), "EINVAL"),
    ops.OWN_MOUNTS: (MOUNTS, [], (3,), "EINVAL"),
    ops.TAKE_MOUNTS: (0, [refusing("recvmsg", "recvfrom")], (1,), "E"),
    ops.OPEN_ROOT: (MOUNTS, NEW_ROOT[:1], ("/no/such",), "ENOENT"),
    ops.MOUNT_NEW: (MOUNTS, NEW_ROOT, ("/x", "nosuchfs", "s", (), 0, 0, 0), "ENODEV"),
    ops.MOUNT_BIND: (MOUNTS, NEW_ROOT, ("/x", "/no/such", 0, 0, 0, 0, 0, 0), "ENOENT"),
    ops.MOUNT_CHANGE: (MOUNTS, NEW_ROOT, ("/no/such", 0, 0, 0, 0), "ENOENT"),
    ops.MAKE_DIRECTORY: (MOUNTS, NEW_ROOT, ("/bin/busybox/x", 0o755), "ENOTDIR"),
    ops.MAKE_NODE: (MOUNTS, NEW_ROOT, ("/bin", kernel.S_IFCHR, 1, 3, 0, 0, 0), "EEXIST"),
    ops.MAKE_LINK: (MOUNTS, NEW_ROOT, ("/bin/busybox/x", "target", 0), "ENOTDIR"),
    ops.CONSOLE: (MOUNTS, NEW_ROOT, (0, 0, 0, 0), "ENOENT"),
    ops.PIVOT_ROOT: (MOUNTS, [NEW_ROOT[0], (ops.USE_ROOT, "{root}")], (), "pivot_root: "),
    ops.UNMOUNT: (MOUNTS, NEW_ROOT, ("/no/such",), "ENOENT"),
    ops.MOVE_ROOT: (MOUNTS, [NEW_ROOT[0], (ops.USE_ROOT, "{root}")], (), "EINVAL"),
    ops.CHANGE_ROOT: (MOUNTS, [], (), "EBADF"),
    ops.ROOT_PROPAGATION: (MOUNTS, NEW_ROOT, (3, 0), "EINVAL"),
    ops.SYSCTL: (0, [], ("no/such", "1"), "ENOENT"),
    ops.READONLY_PATH: (MOUNTS, NEW_ROOT, ("/loop",), "ELOOP"),
    ops.MASK_PATH: (MOUNTS, NEW_ROOT, ("/loop",), "ELOOP"),
    ops.STDIO: (0, [refusing("newfstatat", "fstat")], (0,), "EIO"),
    ops.NO_NEW_PRIVILEGES: (0, [refusing("prctl")], (), "EIO"),
    ops.SCHEDULER: (0, [], (99, 0, 0, 0, 0, 0, 0), "EINVAL"),
    ops.AFFINITY: (0, [], (b"\0" * 128,), "EINVAL"),
    ops.IO_PRIORITY: (0, [], (7 << 13,), "EINVAL"),
    ops.PERSONALITY: (0, [refusing("personality")], (8,), "EIO"),
    ops.MEMORY_POLICY: (0, [], (99, b""), "EINVAL"),
    ops.ENTER_CWD: (0, [], ("/no/such", 0), "ENOENT"),
    ops.FIND_EXECUTABLE: (0, [], ("/no/such", (), 0, 0, b"", -1), "ENOENT"),
    ops.AWAIT_START: (0, [refusing("prctl")], (), "EIO"),
    ops.HOOK: (0, [], ("/no/such", ("x",), (), "/", 0, "{", "}"), "ENOENT"),
    ops.LABEL: (0, [], ("attr/no/such", "x"), "ENOENT"),
    ops.SECCOMP: (0, [], (b"", 0), "EINVAL"),
    ops.BOUNDING: (0, [(ops.CAPABILITIES, 0, 0, 0, 0)], (0,), "EPERM"),
    ops.IDENTITY: (0, [], (2**32 - 1, 0, b"", 0), "EINVAL"),
    ops.CAPABILITIES: (0, [(ops.CAPABILITIES, 0, 0, 0, 0)], (1, 1, 0, 0), "EPERM"),
    ops.CLOSE_FILES: (0, [refusing("close_range")], (0, 0), "EIO"),
    ops.EXECUTE: (0, [], (("x",), ()), "ENOENT"),
}
# umask(2) always succeeds; a home that cannot be found is /; a mark of the time is for those who look
CANNOT_FAIL = {ops.FIND_HOME, ops.UMASK, ops.TIMED}


def name_of(operation: int) -> str:
    return str(OPERATIONS[operation][0])


# What scripts know from runc stands in the place of the operation's own words
KNOWN = {
    ops.OPEN_NAMESPACE: "namespace path: lstat",
    ops.SYSCTL: "open /proc/sys/",
    ops.ENTER_CWD: "chdir to cwd (",
    ops.HOOK: "error running",
    ops.FIND_EXECUTABLE: 'exec: "',
    ops.EXECUTE: 'exec: "',
}


def test_every_operation_has_a_case() -> None:
    assert set(CASES) | CANNOT_FAIL == set(range(len(OPERATIONS)))


EMPTY: dict[str, Any] = {"i": 0, "s": "", "l": (), "b": b""}


def fields_of(operation: int, given: tuple[Any, ...], root: Path) -> tuple[Any, ...]:
    """All fields of an operation; those that a case does not care for are empty."""
    rest = OPERATIONS[operation][2][len(given) :]
    return (*(fill(v, root) for v in given), *(-1 if name == "taken" else EMPTY[kind] for kind, name in rest))


def fill(value: Any, root: Path) -> Any:
    return value.replace("{root}", str(root)) if isinstance(value, str) else value


def failure_of(plan: Plan) -> Error:
    with pytest.raises(Error) as caught:
        Launch(plan).run()
    return caught.value


@pytest.mark.parametrize("operation", sorted(CASES), ids=name_of)
def test_failure_names_place_step_and_errno(box: Box, operation: int) -> None:
    flags, before, fields, words = CASES[operation]
    root = box.bundle().rootfs
    os.symlink("loop", root / "loop")
    plan = Plan()
    plan.flags = flags
    for number, *values in before:
        plan.add((number, "before", fields_of(number, tuple(values), root)))
    plan.add((operation, WHERE, fields_of(operation, fields, root)))
    if operation != ops.EXECUTE:
        plan.add(ops.execute("after", args=("x",), env=()))
    problem = failure_of(plan)
    assert problem.location == WHERE, problem
    line = str(problem)
    assert words in line, line
    assert KNOWN.get(operation, OPERATIONS[operation][1]) in line, line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("operation", "call"), [(ops.UMASK, "umask"), (ops.FIND_HOME, "openat2"), (ops.FIND_HOME, "fstat")]
)
def test_what_cannot_fail_goes_on(box: Box, operation: int, call: str) -> None:
    """Even where the kernel refuses the one call that the step makes: the plan then fails at its next step."""
    plan = Plan()
    plan.flags = MOUNTS
    root = box.bundle().rootfs
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    for number, *values in [*NEW_ROOT, refusing(call)]:
        plan.add((number, "before", fields_of(number, tuple(values), root)))
    plan.add((operation, WHERE, fields_of(operation, (), root)))
    plan.add(ops.enter_cwd("next", path="/no/such", flags=0))
    plan.add(ops.execute("after", args=("x",), env=()))
    assert failure_of(plan).location == "next"


def tasks_file(directory: Path, flags: int) -> int:
    """Looks to init like what lets it join a cgroup of v1."""
    directory.mkdir()
    (directory / "tasks").touch()
    return os.open(directory / "tasks", flags)


def test_a_cgroup_that_cannot_be_joined_is_named(box: Box) -> None:
    plan = Plan()
    plan.add(ops.join_cgroups(WHERE))
    plan.add(ops.execute("after", args=("x",), env=()))
    launch = Launch(plan)
    launch.tasks = [tasks_file(box.path / name, flags) for name, flags in (("a", os.O_WRONLY), ("b", os.O_RDONLY))]
    with pytest.raises(Error) as caught:
        launch.run()
    line = str(caught.value)
    assert line.startswith(f"{WHERE}: join cgroups: {box.path}/b: ") and "EBADF" in line, line
    assert (box.path / "a" / "tasks").read_text() == "0"
    links = Path("/proc/self/fd")
    assert not [fd for fd in links.iterdir() if fd.is_symlink() and os.readlink(fd).endswith("/tasks")]


@pytest.mark.parametrize("count", [0, 1, 64])
def test_every_cgroup_is_joined_once_and_nothing_of_it_stays_open(box: Box, count: int) -> None:
    plan = Plan()
    plan.add(ops.join_cgroups("before"))
    plan.add((ops.FIND_EXECUTABLE, "before", fields_of(ops.FIND_EXECUTABLE, ("/bin/ls", ("/bin",)), box.path)))
    plan.add(ops.execute("program", args=("ls", "-l", "/proc/self/fd"), env=()))
    launch = Launch(plan)
    out = os.open(box.path / "out", os.O_RDWR | os.O_CREAT)
    launch.tasks = [tasks_file(box.path / f"g{n}", os.O_WRONLY) for n in range(count)]
    launch.on_birth = lambda process: seen.append(process.pid)
    seen: list[int] = []
    stdout = os.dup(1)
    os.dup2(out, 1)
    try:
        process = launch.run()
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    assert process.wait() == 0 and seen == [process.pid]
    process.close()
    listed = (box.path / "out").read_text()
    assert "/out" in listed and "/tasks" not in listed
    os.close(out)
    assert [(box.path / f"g{n}" / "tasks").read_text() for n in range(count)] == ["0"] * count


def test_more_cgroups_than_a_packet_takes(box: Box) -> None:
    """There are some 15 hierarchies of v1."""
    plan = Plan()
    plan.add(ops.join_cgroups(WHERE))
    plan.add(ops.execute("after", args=("x",), env=()))
    launch = Launch(plan)
    launch.tasks = [tasks_file(box.path / f"g{n}", os.O_WRONLY) for n in range(65)]
    with pytest.raises(Error, match="E2BIG"):
        launch.run()
    launch.close_files()


@pytest.mark.parametrize(
    ("types", "told"), [(1, f"{WHERE}: make namespaces: unshare: invalid argument"), (0, "cannot move it")]
)
def test_what_init_died_of_is_told_before_what_that_hindered(box: Box, types: int, told: str) -> None:
    plan = Plan()
    plan.add(ops.unshare(WHERE, types))
    plan.add(ops.join_cgroups("after"))
    plan.add(ops.execute("after", args=("x",), env=()))

    def move(process: Process) -> None:
        if types:
            assert select.select([process.pidfd], [], [], 60)[0]
        raise Error("cannot move it")

    launch = Launch(plan)
    launch.on_birth = move
    with pytest.raises(Error) as caught:
        launch.run()
    assert str(caught.value).startswith(told)


def test_last_words_are_heard_though_ours_were_not_read(box: Box) -> None:
    """Init fails without reading the answer: the socket then tells of a reset before it gives the words."""
    for _ in range(20):
        plan = Plan()
        filter_, flags = refusing("recvfrom", "recvmsg")[1:]
        plan.add(ops.seccomp("before", program=filter_, flags=flags))
        plan.add(ops.sync(WHERE, ops.SYNC_HOOKS))
        plan.add(ops.execute("after", args=("x",), env=()))
        assert failure_of(plan).location == WHERE


def test_a_plan_that_is_no_plan_changes_nothing(box: Box) -> None:
    """Init checks all of it before the first step."""
    root = box.bundle().rootfs
    good = Plan()
    good.add(ops.make_directory("a", path="/made", mode=0o755))
    data = good.encode()
    damages: list[Callable[[bytes], bytes]] = [
        lambda plan: b"",
        lambda plan: plan[:10],
        lambda plan: b"\0" * len(plan),
        lambda plan: plan[:-3],
        lambda plan: plan + b"x",
        lambda plan: plan[:4] + b"\xff" + plan[5:],
        lambda plan: plan[:16] + b"\xff\xff" + plan[18:],
        lambda plan: plan[:18] + b"\x0c" + plan[19:],
        lambda plan: plan[:24] + b"\xff\xff\xff\x7f" + plan[28:],
    ]
    for number, damage in enumerate(damages):
        plan = Plan()
        plan.add(ops.use_root("root", str(root)))
        plan.add(ops.make_directory("a", path=f"/made{number}", mode=0o755))
        whole = plan.encode()
        if damage(whole) == whole:
            continue

        class Damaged(Plan):
            def encode(self) -> bytes:
                return damage(whole)  # noqa: B023

        with pytest.raises(Error):
            Launch(Damaged()).run()
        assert not (root / f"made{number}").exists(), number
    assert data


NULL, ZERO = (kernel.S_IFCHR | 0o666, 1, 3), (kernel.S_IFCHR | 0o666, 1, 5)


def test_a_mount_comes_between_two_devices(box: Box) -> None:
    """The directory of the first is kept open for the second, unless it may no longer be what its path leads to."""
    root = box.bundle().rootfs
    steps: list[tuple[Any, ...]] = [
        *NEW_ROOT,
        (ops.MAKE_NODE, "/dir/a", *NULL, 0, 0, 0),
        (ops.MAKE_NODE, "/dir/a", *NULL, 0, 0, ops.NODE_KEEP),
        (ops.MOUNT_NEW, "/dir", "tmpfs", "s", (), 0, 0, 0),
        (ops.MAKE_NODE, "/dir/a", *ZERO, 0, 0, 0),
        (ops.MAKE_LINK, "/dir/../dir/b", "a", 0),
    ]
    plan = Plan()
    plan.flags = MOUNTS
    for number, *values in steps:
        plan.add((number, "before", fields_of(number, tuple(values), root)))
    plan.add(ops.make_directory(WHERE, path="/dir/b/x", mode=0o755))
    plan.add(ops.execute("after", args=("x",), env=()))
    problem = failure_of(plan)
    assert (problem.location, problem.errno) == (WHERE, 20), problem  # the link leads to a device
    assert [(path.name, path.stat().st_rdev) for path in (root / "dir").iterdir()] == [("a", os.makedev(1, 3))]


def test_a_capability_that_is_not_there_takes_no_right_to_drop_it(box: Box) -> None:
    plan = Plan()
    plan.add(ops.bounding("before", 1 << 5))
    plan.add(ops.capabilities("before", effective=0, permitted=0, inheritable=0, ambient=0))
    plan.add(ops.bounding("again", 1 << 5))
    plan.add(ops.bounding(WHERE, 0))
    plan.add(ops.execute("after", args=("x",), env=()))
    problem = failure_of(plan)
    assert (problem.location, problem.errno) == (WHERE, 1), problem
    assert "capability 5" in str(problem)


def lookups(box: Box, bundle: Bundle) -> int:
    """How often init looks up a path in the rootfs."""
    bundle.write()
    log = box.path / "log"
    words = ["strace", "-f", "-qq", "-e", "trace=openat2", "-o", str(log)]
    assert run([*words, *box.words("run", "--bundle", str(bundle.path), "c")]).ok
    return log.read_text().count(" openat2(")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_what_is_missing_is_made_without_walking_there(box: Box) -> None:
    bundle = box.bundle().args("true")
    (bundle.rootfs / "a" / "b" / "c").mkdir(parents=True)
    before = lookups(box, bundle)
    bundle.bind(bundle.rootfs / "a", "/a/b/c/new")
    once = lookups(box, bundle)
    assert once - before == 3, "the place, its directory, what was made there"
    assert lookups(box, bundle) - before == 1, "now it is there"
    bundle.linux["devices"] = [{"path": f"/dev/{n}", "type": "c", "major": 1, "minor": 3} for n in range(5)]
    assert lookups(box, bundle) - before == 1, "all devices are made in one directory"
