"""What a hot command loads: each module costs every create, start, state, kill and delete its share of time.

Counted on real containers, by the interpreter's own account of imports, and held to csrc/start/hot.txt. A further one
is measured into that list, and the commit says why; most belong in the branch that needs them.
"""

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

import pyoci
from csrc.build import hot
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.calls import MKDIR, rule
from tests.support.command import PYOCI, V2_ALONE, Result, run

pytestmark = pytest.mark.root
OUR_INTERPRETER = Path(pyoci.__file__).with_name("programs") / "interpreter"

# Heavy ones, which no hot command may load whatever else it does
FORBIDDEN = """
    argparse asyncio collections contextlib ctypes dataclasses enum functools importlib.metadata inspect json
    jsonschema logging pathlib re shutil site socket subprocess tempfile threading traceback typing urllib weakref
    __future__ os
"""

# What the interpreter itself loads before our first line; its versions differ
INTERPRETER = re.compile(
    r"_frozen_importlib.*|_imp|_thread|_warnings|_weakref|_io|marshal|posix|time|zipimport|_codecs|codecs|encodings.*|"
    r"_signal|_abc|abc|io|sys|builtins|winreg|linecache|_stat|stat|runpy|importlib.*"
)
# Ours alone: extension modules and builtins
OF_PYTHON = {"_json", "errno", "gc", "fcntl", "select", "termios", "_cffi_backend"}

# Which of them depends on the host
CGROUPS = {name for name in hot.modules() if name.startswith("pyoci.cgroups")}


def loaded(words: list[str], *before: str) -> "tuple[Result, set[str]]":
    """Runs a command with the stock interpreter, as the launcher does where it has none of its own, and returns what
    was imported: in our own nothing can tell."""
    places = f"packages={sysconfig.get_path('platlib')}"
    stock = [os.path.realpath(sys.executable), "-X", "importtime", "-I", "-S", "-B", "-X", "utf8", "-X", places]
    result = run([*before, *stock, str(Path(pyoci.__file__).with_name("__main__.py")), *words[1:]])
    names = set()
    rest = []
    for line in result.err.split("\n"):
        found = re.fullmatch(r"import time:\s+\d+ \|\s+\d+ \|\s*(\S+)", line)
        if found:
            names.add(found.group(1))
        elif not line.startswith("import time:"):
            rest.append(line)
    result.err = "\n".join(rest)
    return result, names


def check(command: str, result: Result, names: set[str]) -> None:
    assert result.ok, result
    assert names, "the interpreter gave no account"
    heavy = names & set(FORBIDDEN.split())
    assert not heavy
    foreign = {
        name
        for name in names
        if not name.startswith("pyoci") and not INTERPRETER.fullmatch(name) and name not in OF_PYTHON
    }
    assert foreign == set()
    own = {name for name in names if name.startswith("pyoci")}
    more = own - hot.loaded_by(command) - CGROUPS - {"pyoci._native"}
    assert not more, f"{command} loads more than it may"


@pytest.fixture
def plain(box: Box) -> Bundle:
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    return bundle


def life(bundle: Bundle) -> "list[tuple[str, list[str]]]":
    """The hot commands, in an order in which each has its work to do."""
    place = ["--bundle", str(bundle.path), "c"]
    return [
        ("create", ["create", *place]),
        ("state", ["state", "c"]),
        ("start", ["start", "c"]),
        ("exec", ["exec", "--detach", "c", "sleep", "1000"]),
        ("kill", ["kill", "c", "KILL"]),
        ("delete", ["delete", "--force", "c"]),
        ("run", ["run", "--detach", *place]),
        ("delete", ["delete", "--force", "c"]),
    ]


@pytest.mark.parametrize("before", [[], V2_ALONE], ids=["here", "v2"])
def test_modules_of_each_hot_command(box: Box, plain: Bundle, before: list[str]) -> None:
    seen = set()
    for command, words in life(plain):
        result, names = loaded(box.words(*words), *before)
        check(command, result, names)
        seen |= names
    assert not before or "pyoci.cgroups.plan_v2" in seen


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.skipif(not OUR_INTERPRETER.exists(), reason="Python could not be linked, the stock interpreter is used")
@pytest.mark.parametrize("before", [[], V2_ALONE], ids=["here", "v2"])
def test_hot_commands_end_before_the_rest_of_python_starts(
    box: Box, plain: Bundle, tmp_path: Path, before: list[str]
) -> None:
    """That costs more than a whole `state`. It shows by Python's stream for standard input. With a seccomp profile, as
    engines' containers have one: the first command compiles it, the next one finds what is kept."""
    plain.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule(*MKDIR)]}
    plain.write()
    log = tmp_path / "log"
    traced = ["strace", "-qq", "-e", "trace=lseek", "-o", str(log)]
    for command, words in [*life(plain), ("version", ["--version"]), ("list", ["list"])]:
        result = run([*before, *traced, *box.words(*words)])
        assert result.ok, result
        assert "lseek(0, " not in log.read_text(), command
    plain.config["ociVersion"] = 1
    plain.write()
    run([*traced, *box.words("validate", "--bundle", str(plain.path))])
    assert "lseek(0, " in log.read_text(), "a command that needs the rest shows that it would have been seen"


def test_nothing_is_read_from_the_users_directories(box: Box, tmp_path: Path) -> None:
    """Neither HOME nor the working directory is looked into for code."""
    result = run(
        ["strace", "-qq", "-f", "-e", "trace=open,openat,openat2,stat,newfstatat,access", "-o", str(tmp_path / "log"),
         *box.words("list")],
        cwd=str(tmp_path), env={"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    del result
    log = (tmp_path / "log").read_text(errors="replace")
    assert str(tmp_path / "home") not in log
    assert f'"{tmp_path}' not in log.replace(str(tmp_path / "log"), "")


def test_the_sandbox_command_does_without_most_of_the_library() -> None:
    """It starts for one program. It may have os, and the wishes that it reads as `spec` does are a cold module."""
    result, names = loaded([PYOCI, "sandbox", "true"])
    assert result.ok, result
    assert names & set(FORBIDDEN.split()) - {"os", "__future__"} == set()
