"""The cache of compiled filters: what it keeps, and all that it must not trust."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyoci.seccomp
from pyoci.seccomp import cache as module
from pyoci.seccomp import compiler
from pyoci.seccomp.cache import DIRECTORY, Cache

PROFILE: "dict[str, Any]" = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
}


class Counted:
    """compile_profile, counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.real = compiler.compile_profile
        self.times = 0
        monkeypatch.setattr(compiler, "compile_profile", self)

    def __call__(self, profile: "dict[str, Any]") -> compiler.Compiled:
        self.times += 1
        return self.real(profile)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def entry(root: Path) -> Path:
    (found,) = (root / DIRECTORY).iterdir()
    return found


def test_a_profile_is_compiled_once(tmp_path: Path, compiled: Counted) -> None:
    first = pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    assert pyoci.seccomp.program(dict(PROFILE), str(tmp_path), []) == first
    assert compiled.times == 1
    assert entry(tmp_path).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / DIRECTORY).stat().st_mode & 0o777 == 0o700


def test_what_the_filter_does_not_depend_on_is_not_in_the_key(tmp_path: Path) -> None:
    more = {"flags": [], "listenerPath": "/s", "listenerMetadata": "m"}
    assert Cache("").key(PROFILE) == Cache("").key({**PROFILE, **more})


def test_all_else_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {Cache("").key(PROFILE)}
    keys.add(Cache("").key({**PROFILE, "architectures": ["SCMP_ARCH_X86"]}))
    keys.add(Cache("").key({**PROFILE, "defaultAction": "SCMP_ACT_LOG"}))
    monkeypatch.setattr(pyoci, "__version__", "next")
    keys.add(Cache("").key(PROFILE))
    assert len(keys) == 4


def test_no_root_no_cache(tmp_path: Path, compiled: Counted) -> None:
    pyoci.seccomp.program(PROFILE, "", [])
    pyoci.seccomp.program(PROFILE, str(tmp_path / "missing"), [])
    assert compiled.times == 2
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_made_later(tmp_path: Path, compiled: Counted) -> None:
    """The compiler makes no root: what it could not keep is kept by who makes one."""
    root, later = tmp_path / "root", []  # type: ignore[var-annotated]
    pyoci.seccomp.program(PROFILE, str(root), later)
    root.mkdir()
    for keep in later:
        keep()
    pyoci.seccomp.program(PROFILE, str(root), later)
    assert (compiled.times, len(later)) == (1, 1)


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _replace_by_link(path: Path) -> None:
    target = path.parent.parent / "elsewhere"
    path.rename(target)
    path.symlink_to(target)


def _replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _foreign_profile(path: Path) -> None:
    """A whole and valid entry of another profile under this one's name."""
    root = path.parent.parent
    pyoci.seccomp.program({"defaultAction": "SCMP_ACT_ALLOW"}, str(root), [])
    (other,) = [name for name in path.parent.iterdir() if name != path]
    other.replace(path)


TAMPERED: "dict[str, Callable[[Path], Any]]" = {
    "magic": lambda path: _flip(path, 0),
    "digest": lambda path: _flip(path, 8),
    "sizes": lambda path: _flip(path, 16),
    "key": lambda path: _flip(path, 40),
    "library": lambda path: _flip(path, path.read_bytes().index(b"libseccomp")),
    "last instruction": lambda path: _flip(path, -1),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-8]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0" * 8),
    "huge": lambda path: os.truncate(path, 1 << 20),
    "others may write": lambda path: path.chmod(0o606),
    "group may write": lambda path: path.chmod(0o660),
    "others may write the directory": lambda path: path.parent.chmod(0o703),
    "link": _replace_by_link,
    "fifo": _replace_by_fifo,
    "of another profile": _foreign_profile,
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_not_ours_is_not_used(name: str, tmp_path: Path, compiled: Counted) -> None:
    first = pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    TAMPERED[name](entry(tmp_path))
    before = compiled.times
    assert pyoci.seccomp.program(PROFILE, str(tmp_path), []) == first
    assert compiled.times == before + 1


@pytest.mark.parametrize("whose", ["file", "directory"])
def test_somebody_elses_entry(whose: str, tmp_path: Path, compiled: Counted) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    os.chown(entry(tmp_path) if whose == "file" else tmp_path / DIRECTORY, 65534, -1)
    pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    assert compiled.times == 2


def test_a_new_library_makes_new_filters(tmp_path: Path, compiled: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libseccomp.so.2"
    library.write_bytes(b"old")
    monkeypatch.setattr(compiler.Library, "path", lambda self: str(library))
    root = tmp_path / "root"
    root.mkdir()
    pyoci.seccomp.program(PROFILE, str(root), [])
    pyoci.seccomp.program(PROFILE, str(root), [])
    assert compiled.times == 1
    library.write_bytes(b"newer")
    pyoci.seccomp.program(PROFILE, str(root), [])
    assert compiled.times == 2
    library.unlink()
    pyoci.seccomp.program(PROFILE, str(root), [])
    assert compiled.times == 3


def test_a_tampered_entry_is_replaced(tmp_path: Path, compiled: Counted) -> None:
    pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    _flip(entry(tmp_path), -1)
    for _ in range(2):
        pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    assert compiled.times == 2


def test_a_cache_that_is_a_link_is_left_alone(tmp_path: Path, compiled: Counted) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / DIRECTORY).symlink_to(elsewhere)
    pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    assert list(elsewhere.iterdir()) == []


def test_the_cache_does_not_grow_for_ever(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    for number in range(3 * module._ENTRIES):
        cache.write(cache.key({"number": number}), "/", b"\0" * 8)
        assert len(list((tmp_path / DIRECTORY).iterdir())) <= module._ENTRIES


def test_a_found_filter_loads_no_library(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pyoci.seccomp import program; "
        f"program({PROFILE!r}, sys.argv[2], []); "
        "print(sorted(m for m in sys.modules if 'seccomp' in m or m == 'hashlib'))"
    )
    place = str(Path(pyoci.__file__).parents[1])
    for expected in (True, False):
        words = [sys.executable, "-I", "-c", code, place, str(tmp_path)]
        out = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
        assert ("pyoci.seccomp.compiler" in out) is expected
        assert "hashlib" not in out


def test_two_profiles_whose_names_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: Counted) -> None:
    """The name of an entry is a short hash: the whole key decides."""
    monkeypatch.setattr(module, "_sum", lambda data: bytes(8))
    other = {"defaultAction": "SCMP_ACT_ALLOW"}
    first = pyoci.seccomp.program(PROFILE, str(tmp_path), [])
    second = pyoci.seccomp.program(other, str(tmp_path), [])
    assert first != second and compiled.times == 2
    assert pyoci.seccomp.program(other, str(tmp_path), []) == second and compiled.times == 2


def test_a_profile_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    assert Cache(str(tmp_path)).write(b"x" * module._LARGEST, "/library", bytes(8))
    assert not (tmp_path / DIRECTORY).exists()
