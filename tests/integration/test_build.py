"""What a build makes of its surroundings: compilers and their words, how Python may be linked, and faults, which it
must not hide behind a success."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.command import run
from tests.support.sources import copy

pytestmark = [pytest.mark.root, pytest.mark.slow]


def build(place: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """Builds all of pyoci in a copy of the sources."""
    copy(place)
    words = [sys.executable, "setup.py", "-q", "build_native", "--in-tree"]
    return subprocess.run(words, cwd=place, env={**os.environ, **env}, check=False, capture_output=True, text=True)


def test_a_static_c_library_is_asked_for(tmp_path: Path) -> None:
    done = build(tmp_path, STATIC_CC="no-such-compiler")
    assert done.returncode == 1
    for word in ("no-such-compiler", "no static C library", "musl-tools or libc6-dev", "glibc-static", "musl-dev"):
        assert word in done.stderr, done.stderr


def test_where_there_is_no_musl(box: Box, tmp_path: Path) -> None:
    """init and the launcher work with glibc as well."""
    done = build(tmp_path, STATIC_CC="cc")
    assert done.returncode == 0, done.stderr[-3000:]
    for program in ("pyoci/programs/init", "build/bin/pyoci"):
        assert b"GLIBC_TUNABLES" in (tmp_path / program).read_bytes(), program
    bundle = box.bundle().shell("echo pid $$; hostname")
    bundle.write()
    words = ["--root", str(box.root), "run", "--bundle", str(bundle.path), "c"]
    ran = run([str(tmp_path / "build/bin/pyoci"), *words])
    assert (ran.status, ran.out, ran.err) == (0, "pid 1\nbox\n", ""), ran
    assert box.left() == []


@pytest.mark.parametrize("start", ["frozen", "linked", "stock"])
def test_the_start_can_be_chosen(box: Box, tmp_path: Path, start: str) -> None:
    """For packagers, and to find out which of them a fault is of."""
    done = build(tmp_path, PYOCI_START=start)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"pyoci: the build's start is {start}" in done.stderr
    program = str(tmp_path / "build/bin/pyoci")
    assert f"start: {start}\n" in run([program, "--version"]).out
    bundle = box.bundle().shell("echo pid $$")
    bundle.write()
    ran = run([program, "--root", str(box.root), "run", "--bundle", str(bundle.path), "c"])
    assert (ran.status, ran.out, ran.err) == (0, "pid 1\n", ""), ran


def test_an_unknown_start(tmp_path: Path) -> None:
    done = build(tmp_path, PYOCI_START="quick")
    assert done.returncode == 1
    assert "PYOCI_START=quick: it is one of frozen, linked, stock" in done.stderr


def test_the_words_of_the_environment_reach_every_compiler(tmp_path: Path) -> None:
    """CFLAGS and CPPFLAGS in each compilation, LDFLAGS in each link, after our own words."""
    log, compiler = tmp_path / "log", tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {log}\necho >> {log}\nexec cc "$@"\n')
    compiler.chmod(0o755)
    words = {"CFLAGS": "-O1 -DFROM_CFLAGS", "CPPFLAGS": "-DFROM_CPPFLAGS", "LDFLAGS": "-Wl,--build-id=none"}
    done = build(tmp_path / "sources", CC=str(compiler), **words)
    assert done.returncode == 0, done.stderr[-3000:]
    calls = [call for line in log.read_text().splitlines() if not {"-M", "-E", "--version"} & set(call := line.split())]
    assert len(calls) > 10
    for call in calls:
        compiles = any(word.endswith((".c", ".S")) for word in call)
        if compiles:
            assert "-DFROM_CFLAGS" in call and "-DFROM_CPPFLAGS" in call, shlex.join(call)
            assert [word for word in call if word.startswith("-O") and word != "-Os"][-1] == "-O1", shlex.join(call)
        if "-c" not in call:
            assert "-Wl,--build-id=none" in call, shlex.join(call)


HARDENED = "-g -fstack-clash-protection -D_FORTIFY_SOURCE=2"


@pytest.mark.parametrize("words", ["-O0", "-O3 -flto", HARDENED])
def test_compilers_words(box: Box, tmp_path: Path, words: str) -> None:
    """Those that distributions and developers use: the build tries a container itself."""
    compilers = [name for name in ("gcc", "clang") if shutil.which(name)]
    for compiler in compilers:
        if compiler == "clang" and "-flto" in words:
            continue  # its objects want a linker of its own, which Debian's clang does not bring
        place = tmp_path / compiler
        done = build(place, CC=compiler, STATIC_CC=compiler, CFLAGS=words)
        assert done.returncode == 0, (compiler, done.stderr[-3000:])
        assert "start is frozen (tried with a container)" in done.stderr, done.stderr
        shutil.rmtree(place)


def test_static_programs_without_a_fixed_address(tmp_path: Path) -> None:
    done = build(tmp_path, STATIC_CC="cc -static-pie", PYOCI_START="stock")
    if done.returncode and "static-pie" in done.stderr:
        pytest.skip(f"this C library has no start file for it: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr[-3000:]
    for program in ("pyoci/programs/init", "build/bin/pyoci"):
        head = (tmp_path / program).read_bytes()[:18]
        assert head[16] == 3, f"{program} is no ET_DYN"  # elf(5)


def files_of(wheel: Path) -> "dict[str, str]":
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def test_two_builds_in_two_places_are_the_same(tmp_path: Path) -> None:
    """To the byte: no path, time or order of this machine is in them."""
    wheels = []
    for name in ("one", "another/place"):
        place = tmp_path / name
        copy(place)
        words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
        words += ["-w", str(place / "out")]
        environment = {**os.environ, "CFLAGS": "-g", "SOURCE_DATE_EPOCH": "1700000000"}
        done = subprocess.run([*words, str(place)], env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        wheels += (place / "out").glob("*.whl")
    one, other = map(files_of, wheels)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert wheels[0].read_bytes() == wheels[1].read_bytes()


def spoil(place: Path, name: str, old: str, new: str) -> None:
    copy(place)
    path = place / name
    text = path.read_text()
    assert text.count(old) >= 1, f"{name} has changed: this test breaks {old!r}"
    path.write_text(text.replace(old, new))


# What is broken, and what the build must say of it
SABOTAGE = {
    "JSON": ("pyoci/json/document.py", "object_pairs_hook=_object,", "object_pairs_hook=len,", "JSON"),
    "assembly": ("csrc/shared/clone.h", "mov %%r8, %%rdi", "mov %%rbp, %%rdi", "container init ended"),
    "assembly of arm": ("csrc/shared/clone.h", "mov x0, x10", "mov x0, x29", "container init ended"),
    "init": ("csrc/build/commands.py", "        build_init(package)\n", "", "programs/init is missing"),
    "a module": (
        "pyoci/cgroups/bpf.py",
        "from pyoci.cgroups.devices",
        "from pyoci.cgroups.nowhere",
        "pyoci.cgroups.bpf cannot be imported",
    ),
}


@pytest.mark.parametrize("fault", SABOTAGE)
def test_a_build_that_does_not_work_fails(tmp_path: Path, fault: str) -> None:
    name, old, new, said = SABOTAGE[fault]
    ours = {"assembly": "x86_64", "assembly of arm": "aarch64"}
    if ours.get(fault, os.uname().machine) != os.uname().machine:
        pytest.skip(f"not this processor's: {ours[fault]}")
    spoil(tmp_path, name, old, new)
    words = [sys.executable, "setup.py", "-q", "build_native", "--in-tree"]
    done = subprocess.run(words, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "this build does not work, not even with the stock interpreter" in done.stderr, done.stderr[-3000:]
    assert said in done.stderr.splitlines()[-1], done.stderr[-3000:]
    assert "pyoci: tried frozen" in done.stderr, "what was tried in vain is said, too"


def test_where_python_does_not_look_into_the_working_directory(tmp_path: Path) -> None:
    """As pipx has it."""
    done = build(tmp_path, PYTHONSAFEPATH="1")
    assert done.returncode == 0, done.stderr[-3000:]
