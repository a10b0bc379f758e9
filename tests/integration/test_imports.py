"""What a hot command loads: each module costs every create, start, state, kill and delete its share of time.

Counted on real containers, by the interpreter's own account of imports. Whoever needs a further one adds it here and
says why in the commit; most belong in the branch that needs them.
"""

import os
import re
from pathlib import Path

import pytest
from support.box import Box
from support.bundle import Bundle
from support.command import PYOCI, Result, run

pytestmark = pytest.mark.root

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
OF_PYTHON = {"_cffi_backend", "_json", "_struct", "struct", "errno", "gc", "fcntl", "select", "termios"}

COMMON = """
    pyoci pyoci._shim pyoci.boot pyoci.cli pyoci.cli.call pyoci.cli.parse pyoci.cli.table pyoci.container
    pyoci.container.state pyoci.errors pyoci.jsondoc pyoci.kernel pyoci.options pyoci.runtime
"""
LAUNCH = """
    pyoci.container.bundle pyoci.container.create pyoci.container.files pyoci.hooks pyoci.host pyoci.launch pyoci.plan
    pyoci.plan.capabilities pyoci.plan.compile pyoci.plan.devices pyoci.plan.hooks pyoci.plan.id_maps
    pyoci.plan.identity pyoci.plan.labels
    pyoci.plan.model pyoci.plan.mounts pyoci.plan.namespaces pyoci.plan.ops pyoci.plan.options pyoci.plan.process
    pyoci.plan.request pyoci.plan.rootfs pyoci.plan.sources pyoci.talk pyoci.validate pyoci.validate._accept
    pyoci.validate.musts pyoci.validate.musts_linux
"""
RUN = "pyoci.container.delete pyoci.container.exec pyoci.container.run pyoci.container.start"

# Of pyoci's own modules, what each may load; of pyoci.cgroups all but systemd's and statistics
ALLOWED = {
    "create": f"{COMMON} {LAUNCH} pyoci.cli.lifecycle",
    "start": f"{COMMON} pyoci.cli.lifecycle pyoci.container.start pyoci.plan pyoci.plan.ops pyoci.talk",
    "state": f"{COMMON} pyoci.cli.lifecycle pyoci.cli.output",
    "kill": f"{COMMON} pyoci.cli.kill pyoci.container.kill",
    "delete": f"{COMMON} pyoci.cli.lifecycle pyoci.container.delete",
    "exec": f"{COMMON} {LAUNCH} {RUN} pyoci.cli.exec pyoci.cli.exec_process",
    "run": f"{COMMON} {LAUNCH} {RUN} pyoci.cli.lifecycle",
}
CGROUPS = re.compile(r"pyoci\.cgroups(\.(?!stats|systemd|gvariant).*)?")


def loaded(words: list[str]) -> "tuple[Result, set[str]]":
    """Runs a command with the interpreter that the launcher would start, in its way, and returns what was imported."""
    text = run(["strace", "-qq", "-s", "300", "-e", "trace=execve", "-o", "/dev/stderr", PYOCI, "--version"]).err
    started = re.findall(r'execve\("([^"]+)", \[(.*?)\], ', text)
    arguments = re.findall(r'"((?:[^"\\]|\\.)*)"', started[-1][1])
    at = arguments.index("-I")
    interpreter = [started[-1][0], "-X", "importtime", *arguments[at:-1]]
    result = run([*interpreter, *words[1:]])
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
    own = {name for name in names if name.startswith("pyoci") and not CGROUPS.fullmatch(name)}
    assert own <= set(ALLOWED[command].split()), f"{command} loads more than it may"


@pytest.fixture
def plain(box: Box) -> Bundle:
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    return bundle


@pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="strace is not installed")
def test_modules_of_each_hot_command(box: Box, plain: Bundle) -> None:
    for command, words in (
        ("create", ["create", "--bundle", str(plain.path), "c"]),
        ("state", ["state", "c"]),
        ("start", ["start", "c"]),
        ("exec", ["exec", "--detach", "c", "sleep", "1000"]),
        ("kill", ["kill", "c", "KILL"]),
        ("delete", ["delete", "--force", "c"]),
        ("run", ["run", "--detach", "--bundle", str(plain.path), "c"]),
    ):
        result, names = loaded(box.words(*words))
        check(command, result, names)


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
