"""What errors say: the cause and the likely cure, and nothing that is wrong."""

import errno
from types import SimpleNamespace

import pytest

from pyoci.cli.call import Call
from pyoci.cli.log import describe
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.hostcheck import lacks
from pyoci.init import failures, launch
from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.model import Plan
from pyoci.spelling import closest, distance


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("RLIMIT_FOO", ["RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_NOFILE"], ""),
        ("RLIMIT_NOFILES", ["RLIMIT_CORE", "RLIMIT_NOFILE"], "RLIMIT_NOFILE"),
        ("SCMP_ACT_DENY", ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_ALLOW"], ""),
        ("SCMP_ACT_ALOW", ["SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW"], "SCMP_ACT_ALLOW"),
        ("netwrok", ["pid", "network", "mount"], "network"),
        ("cgroupPath", ["cgroupsPath", "rootfsPropagation"], "cgroupsPath"),
        ("hostName", ["hostname", "domainname"], "hostname"),
        ("CAP_FOO", ["CAP_BPF", "CAP_FOWNER"], ""),
        ("rum", ["run", "resume"], "run"),
        ("x", ["ps"], ""),
        ("y" * 100000, ["run"], ""),
    ],
)
def test_suggestion_is_a_slip_away_or_none(word: str, known: "list[str]", meant: str) -> None:
    assert closest(word, known) == meant


def test_distance() -> None:
    assert [distance(*pair.split("/")) for pair in ("a/a", "ab/ba", "run/rum", "/abc", "cd/xcdy")] == [0, 1, 1, 3, 2]


def _failed(operation: int, number: int, text: str, call: int = ops.CALL_OTHER, filtered: bool = False) -> str:
    detail = text.partition(": ")[2]
    where = "hooks.createContainer[0] (/x)" if operation == ops.HOOK else ""
    message = SimpleNamespace(
        operation=operation, number=number, text=text, detail=detail, where=where, call=call, filtered=filtered
    )
    return str(failures.error(message))  # type: ignore[arg-type]


FILTERED = (ops.CALL_OTHER, True)


@pytest.mark.parametrize(
    ("operation", "number", "text", "more", "said"),
    [
        (ops.IDENTITY, errno.EINVAL, "setuid", (), "the user namespace has no such id"),
        (ops.MOUNT_BIND, errno.EPERM, "mount_setattr", (ops.CALL_MOUNT_FLAGS,), "nosuid, nodev"),
        (ops.IDENTITY, errno.EPERM, "setgid", FILTERED, "linux.seccomp has to allow"),
        (ops.CAPABILITIES, errno.ENOSYS, "capset", FILTERED, "linux.seccomp has to allow"),
        (ops.EXECUTE, errno.EPERM, "execve: /bin/x", FILTERED, 'exec: "/bin/x": operation not permitted'),
        (ops.EXECUTE, errno.EPERM, "execve: /bin/x", FILTERED, "linux.seccomp forbids execve"),
        (ops.EXECUTE, errno.ENOENT, "execve: /bin/x", FILTERED, 'exec: "/bin/x": no such file'),
        (ops.EXECUTE, errno.ENOENT, "execve: /bin/x", (), "CR LF"),
        (ops.FIND_EXECUTABLE, errno.EACCES, ": /bin/x", (), "chmod +x"),
    ],
)
def test_failed_step_says_its_likely_cure(
    operation: int, number: int, text: str, more: "tuple[int, ...]", said: str
) -> None:
    assert said in _failed(operation, number, text, *more)


def test_words_alone_decide_nothing() -> None:
    """Images and hooks choose parts of them."""
    assert "nosuid" not in _failed(ops.MOUNT_BIND, errno.EPERM, "mount_setattr")
    assert "seccomp" not in _failed(ops.CAPABILITIES, errno.EPERM, "capset, under the filter")
    assert "EPERM" not in _failed(ops.HOOK, errno.EPERM, "start it: exit status 1")
    assert "EPERM" in _failed(ops.HOOK, errno.EPERM, "start it", ops.CALL_HOOK_START)
    assert "ordinary directory" in _failed(ops.MOUNT_NEW, errno.ENOTDIR, "destination: proc", ops.CALL_DESTINATION)
    assert "ordinary directory" not in _failed(ops.MOUNT_NEW, errno.ENOTDIR, "destination: proc")


def test_what_a_filter_cannot_have_done_is_not_laid_to_it() -> None:
    assert "filter" not in _failed(ops.ENTER_CWD, errno.EACCES, 'chdir: "/x"', *FILTERED)
    assert "filter" not in _failed(ops.HOOK, errno.ECHILD, "exit status 1", *FILTERED)


def _mount_failed(*sources: str) -> str:
    plan = Plan()
    for source in sources:
        plan.add(
            ops.mount_new(
                "mounts[3] (/a)", destination="/a", type="x", source=source, options=(), set=0, propagation=0, flags=0
            )
        )
    message = SimpleNamespace(
        operation=ops.MOUNT_NEW, number=errno.EPERM, text="mount", detail="", where="mounts[3] (/a)",
        call=ops.CALL_OTHER, filtered=False,
    )  # fmt: skip
    return str(failures.error(message, plan))  # type: ignore[arg-type]


def test_the_parts_of_a_mount_are_not_called_by_the_first_ones_name() -> None:
    """Those of v1's cgroups are a tmpfs and a hierarchy each, all at one place."""
    assert 'error mounting "tmpfs" to rootfs at "/a"' in _mount_failed("tmpfs")
    assert "tmpfs" not in _mount_failed("tmpfs", "cgroup")


class _Files(Host):
    """A host with another fs.nr_open."""

    def __init__(self, text: "str | None") -> None:
        super().__init__()
        self.text = text

    def read(self, path: str) -> "str | None":
        return self.text if path == "/proc/sys/fs/nr_open" else super().read(path)


@pytest.mark.parametrize("most", ["1048576", "x", None])
@pytest.mark.parametrize("hard", [3, 2**20, 2**20 + 1, 2**64 - 1])
@pytest.mark.parametrize("name", ["RLIMIT_NOFILE", "RLIMIT_CORE"])
def test_create_and_validate_say_the_same_of_a_limit(
    monkeypatch: pytest.MonkeyPatch, most: "str | None", hard: int, name: str
) -> None:
    monkeypatch.setattr(lacks, "Host", lambda: _Files(most))
    monkeypatch.setattr("pyoci.host.Host", lambda: _Files(most))
    monkeypatch.setattr("resource.getrlimit", lambda number: (0, 0))
    monkeypatch.setattr(_Files, "permitted", lambda host: 0)
    config = {"root": {"path": "/"}, "process": {"rlimits": [{"type": name, "soft": 0, "hard": hard}]}}
    look = lacks._Look(config, "/")
    lacks._limits(look)
    ((_, _, text, _),) = look.found
    hint = failures.limit("", getattr(kernel, name), hard, errno.EPERM).hint
    assert text == f"{name} of {hard} cannot be set: {hint}"
    assert ("nr_open" in hint) == (name == "RLIMIT_NOFILE" and most == "1048576" and hard > 2**20)


def test_memory_file_that_is_denied_names_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(name: str, flags: int) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(launch.posix, "memfd_create", denied, raising=False)
    with pytest.raises(Error, match=r"memory file.*EPERM.*memfd_create"):
        launch._memory_file(b"x")


def _described(problem: BaseException) -> str:
    try:
        raise problem
    except BaseException as raised:
        return describe(Call(), raised)[0]


def test_errno_that_nobody_named_has_its_place() -> None:
    assert _described(PermissionError(errno.EPERM, "x")).startswith("operation not permitted (EPERM) (at ")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("_cffi_backend", "python3-cffi-backend"),
        ("google.protobuf", "pip install protobuf"),
        ("json", "lacks modules"),
        ("pyoci.nosuch", "install pyoci again"),
    ],
)
def test_installation_that_cannot_work_is_no_error_of_ours(module: str, said: str) -> None:
    text = _described(ModuleNotFoundError(f"No module named '{module}'", name=module))
    assert "internal error" not in text and said in text, text


def test_place_that_cannot_be_read_is_named(tmp_path: "object") -> None:
    from pyoci.start.installation import unreadable

    assert unreadable(f"{tmp_path}") is None
    assert unreadable(f"{tmp_path}/no/lib/python3") == (f"{tmp_path}/no", False)
