"""The launcher's rules: nothing of the caller's surroundings becomes code of the runtime, or part of a container."""

import os
import re
import shutil
import subprocess
import sysconfig
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from controls import Control

from tests.support.box import Box
from tests.support.command import PYOCI, run
from tests.support.stranger import Stranger, open_box

covers = pytest.mark.covers
SLEEP = "while :; do sleep 0.1; done"
LOOK = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; env | sort; ls /proc/self/fd"


def poison(directory: Path, canary: Path) -> None:
    """Python files that tell when they are imported, under every name that one might look for."""
    directory.mkdir(parents=True, exist_ok=True)
    code = f"import posix; posix.close(posix.open({str(canary)!r}, posix.O_CREAT | posix.O_WRONLY, 0o600))\n"
    names = ["json", "os", "re", "posix", "struct", "sitecustomize", "usercustomize", "pyoci", "_cffi_backend", "errno"]
    for name in [*names, "encodings", "codecs", "site", "evil", "typing", "enum", "select", "zipimport"]:
        (directory / f"{name}.py").write_text(code)
        (directory / name).mkdir(exist_ok=True)
        (directory / name / "__init__.py").write_text(code)
    (directory / "evil.pth").write_text("import evil\n")
    (directory / "pyvenv.cfg").write_text(f"home = {directory}\ninclude-system-site-packages = true\n")


def library(directory: Path, canary: Path) -> Path:
    """A shared library that tells when it is loaded."""
    source = directory / "evil.c"
    source.write_text(
        "#include <fcntl.h>\n#include <unistd.h>\n__attribute__((constructor)) static void load(void)"
        f' {{ int fd = open("{canary}", O_WRONLY | O_CREAT, 0600); if (write(fd, "loaded", 6) < 0) return; }}\n'
    )
    target = directory / "evil.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return target


def variants(place: Path, evil: Path) -> "dict[str, dict[str, str]]":
    poisoned = str(place / "poison")
    return {
        "PYTHONPATH": {"PYTHONPATH": poisoned},
        "PYTHONHOME": {"PYTHONHOME": poisoned},
        "PYTHONSTARTUP": {"PYTHONSTARTUP": f"{poisoned}/evil.py", "PYTHONINSPECT": "1"},
        "PYTHONWARNINGS": {"PYTHONPATH": poisoned, "PYTHONWARNINGS": "error::evil.Warning"},
        "PYTHONUSERBASE": {"PYTHONUSERBASE": poisoned, "HOME": poisoned},
        "PYTHONPLATLIBDIR": {"PYTHONPLATLIBDIR": poisoned, "PYTHONCASEOK": "1", "PYTHONDEBUG": "3"},
        "PYTHONBREAKPOINT": {"PYTHONPATH": poisoned, "PYTHONBREAKPOINT": "evil.x", "PYTHONDEVMODE": "1"},
        "PYTHONPYCACHEPREFIX": {"PYTHONPYCACHEPREFIX": poisoned, "PYTHONTRACEMALLOC": "5"},
        "LD_PRELOAD": {"LD_PRELOAD": str(evil)},
        "LD_AUDIT": {"LD_AUDIT": str(evil), "LD_LIBRARY_PATH": str(evil.parent)},
        "GCONV_PATH": {"GCONV_PATH": poisoned, "LOCPATH": poisoned, "LC_ALL": "evil.EVIL", "LANGUAGE": "evil"},
        "MALLOC": {"MALLOC_CHECK_": "3", "GLIBC_TUNABLES": "glibc.malloc.check=3", "MALLOC_TRACE": f"{poisoned}/trace"},
        "CFFI": {"CFFI_TMPDIR": poisoned, "TMPDIR": poisoned, "__PYVENV_LAUNCHER__": f"{poisoned}/python"},
    }


@covers("P1", "P4")
@pytest.mark.parametrize("name", sorted(variants(Path("/"), Path("/x/y"))))
def test_a_hostile_environment(box: Box, name: str) -> None:
    """It neither runs anything nor is to be seen in the container."""
    canary = box.path / "canary"
    poison(box.path / "poison", canary)
    more = variants(box.path, library(box.path, canary))[name]
    bundle = box.bundle().shell("env")
    plain = box.output(bundle)
    canary.unlink(missing_ok=True)
    dressed = box.run(bundle, env={**os.environ, **more})
    assert dressed.ok, dressed
    assert dressed.out == plain
    assert not canary.exists(), canary.read_text()


@covers("P1", "P4")
def test_the_canaries_of_a_hostile_environment_sing(box: Box) -> None:
    """A runtime started as pip starts programs would have run them."""
    import sys

    canary = box.path / "canary"
    poison(box.path / "poison", canary)
    evil = library(box.path, canary)
    for more in ({"PYTHONPATH": str(box.path / "poison")}, {"LD_PRELOAD": str(evil)}):
        canary.unlink(missing_ok=True)
        words = [sys.executable, "-c", "import json"]
        subprocess.run(words, check=False, env={**os.environ, **more}, stderr=subprocess.DEVNULL)
        assert canary.exists(), more


@covers("P1", "P4")
def test_no_file_is_read_for_the_time_zone(box: Box) -> None:
    """The C library opens whatever TZ names: here a pipe, at which it would wait for ever."""
    pipe = box.path / "pipe"
    os.mkfifo(pipe)
    for value in (f":{pipe}", str(pipe), f"../../../../../../../../..{pipe}"):
        result = box.call("state", "nobody", env={**os.environ, "TZ": value})
        assert "does not exist" in result.err, value


@covers("P20", "CVE-2026-41163")
def test_the_runtime_cannot_be_looked_into_by_its_own_user(box: Box) -> None:
    """What it knows is in no core file, and no other process of the user's can attach to it."""
    with open_box(box) as opened:
        user = Stranger(opened, 52764)
        near, far = os.pipe()
        started = user.begin("update", "--resources", "-", "nobody", stdin=near)
        os.close(near)
        try:
            os.write(far, b" " * (1 << 18))  # more than a pipe holds: it is being read
            owner = os.stat(f"/proc/{started.process.pid}/environ").st_uid
        finally:
            os.close(far)
            started.finish()
        assert owner == 0, "of a process that can be attached to, these are the user's"


@covers("P2", "CVE-2026-40226")
@pytest.mark.parametrize("command", ["run", "state", "spec", "features", "list", "--version"])
def test_a_bundle_full_of_python(box: Box, command: str) -> None:
    canary = box.path / "canary"
    bundle = box.bundle().args("true")
    poison(bundle.path, canary)
    for name in ("pyoci.conf", "box.nspawn", "sitecustomize.py"):
        (bundle.path / name).touch()
        (bundle.rootfs / name).touch()
    bundle.write()
    options = {"run": ["c"], "state": ["c"], "spec": ["--bundle", str(box.path)]}.get(command, [])
    box.call(command, *options, cwd=str(bundle.path))
    assert not canary.exists(), canary.read_text()


@covers("P3")
def test_another_interpreter_first_in_path(box: Box) -> None:
    canary = box.path / "canary"
    place = box.path / "bin"
    place.mkdir()
    for name in ("python3", "python", "env", "sh", "newuidmap"):
        (place / name).write_text(f"#!/bin/busybox sh\necho {name} >> {canary}\n")
        (place / name).chmod(0o755)
    result = box.run(box.bundle().args("true"), env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}"})
    assert result.ok, result
    assert not canary.exists()


@covers("P5")
def test_a_request_that_just_fits(tmp_path: Path) -> None:
    """The words of a start are copied for the template (launcher.c), however long they are."""
    tree, program = tmp_path / "tree", tmp_path / "launcher"
    (tree / "pyoci/programs").mkdir(parents=True)
    (tree / "pyoci/programs/interpreter").write_text("")
    places = {"PYTHON": "/no", "PACKAGES": "/no", "IN_TREE": tree}
    macros = [f'-DPYOCI_{name}="{value}"' for name, value in places.items()]
    source = Path(__file__).parents[2] / "csrc/start/launcher.c"
    built = ["cc", "-D_GNU_SOURCE", "-fsanitize=address", "-o", str(program), *macros, str(source)]
    if subprocess.run(built, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no compiler with its sanitizer of addresses")
    for size in range(65536 - 24, 65536 - 4):
        words = ["containerd-shim-pyoci-v1", "-id", "x" * size, "start"]
        done = subprocess.run(words, executable=program, env={}, capture_output=True, check=False)
        assert b"AddressSanitizer" not in done.stderr, done.stderr.decode()
        assert b"cannot start the interpreter /no" in done.stderr


@covers("P5", "D11")
def test_what_the_launcher_starts(box: Box) -> None:
    """Our own program by its whole path, in a clean environment; it finds no library but where the system has its own,
    or the interpreter that it was built with."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    out = box.path / "trace"
    words = ["strace", "-f", "-e", "trace=execve", "-v", "-s", "400", "-o", str(out), PYOCI, "--version"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "/x", "LD_X": "y"})
    started = re.findall(r'execve\("([^"]+)", (.*)', out.read_text())
    assert [Path(program).name for program, _ in started] == ["pyoci", "interpreter"]
    program, rest = started[-1]
    assert program.startswith("/")
    assert "PYTHONPATH" not in rest
    assert "LD_X" not in rest
    dynamic = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    for place in re.findall(r"(?:RPATH|RUNPATH).*\[(.*)\]", dynamic):
        assert place == sysconfig.get_config_var("LIBDIR")


@covers("P5")
def test_compiled_files_beside_the_modules_are_not_read(box: Box) -> None:
    """Whoever can plant one there has gained nothing."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    out = box.path / "trace"
    for command in ("list", "--help"):
        run(["strace", "-f", "-e", "trace=file", "-o", str(out), *box.words(command)])
        assert re.findall(r'"([^"]+/pyoci/[^"]*\.pyc)"', out.read_text()) == []


# What the caller's process hands down


@covers("P8")
@pytest.mark.parametrize("command", ["run", "exec"])
@pytest.mark.parametrize("closed", list(product((False, True), repeat=3)), ids=str)
def test_closed_streams(box: Box, closed: "tuple[bool, ...]", command: str) -> None:
    """No file of the runtime's own takes the place of a stream that the caller closed."""
    bundle = box.bundle().shell("ls -l /proc/self/fd > /tmp/seen")
    if command == "exec":
        box.started(bundle.shell(SLEEP))
        words = box.words("exec", "c", "sh", "-c", "ls -l /proc/self/fd > /tmp/seen")
    else:
        bundle.write()
        words = box.words("run", "--bundle", str(bundle.path), "c")
    close = "".join(f" {n}{'<' if n == 0 else '>'}&-" for n in range(3) if closed[n])
    assert run(["sh", "-c", f'exec "$@"{close}', "sh", *words]).ok
    lines = (bundle.rootfs / "tmp" / "seen").read_text().splitlines()
    shown = {line.split()[8]: line.split("-> ")[-1] for line in lines if "->" in line}
    for number in (0, 2):
        if closed[number]:
            assert shown[str(number)] == "/dev/null"
    assert all(name == "/tmp/seen" or "/state/" not in name for name in shown.values()), shown
    assert set(shown) <= {"0", "1", "2", "3"}, "3 is the directory that ls has open"


@covers("P9", "P10", "P11")
@pytest.mark.parametrize("command", ["run", "exec"])
def test_nothing_else_is_handed_down(box: Box, command: str) -> None:
    """Signals that are ignored or blocked, descriptors 3 to 50, variables."""
    bundle = box.bundle()
    bundle.process["env"] = ["PATH=/bin", "A=b", "HOME=/h"]
    opened = "; ".join(f"exec {n}</" for n in range(3, 51))  # bash, since dash takes a number of one digit only
    shell = f'trap "" PIPE XFSZ USR1 HUP; {opened}; exec "$@"'
    if command == "exec":
        box.started(bundle.shell(SLEEP))
        words = box.words("exec", "c", "sh", "-c", LOOK)
    else:
        bundle.shell(LOOK).write()
        words = box.words("run", "--bundle", str(bundle.path), "c")
    result = run(["bash", "-c", shell, "bash", *words], env={**os.environ, "LC_CTYPE": "C.UTF-8", "SECRET": "x"})
    assert result.ok, result
    lines = result.out.splitlines()
    signals = dict(line.split(":\t") for line in lines[:3])
    assert {int(value, 16) for value in signals.values()} == {0}
    shells = ("PWD=", "SHLVL=", "OLDPWD=", "_=")
    variables = [line for line in lines[3:] if "=" in line and not line.startswith(shells)]
    assert variables == ["A=b", "HOME=/h", "PATH=/bin"]
    assert [line for line in lines[3:] if line.isdigit()] == ["0", "1", "2", "3"]


KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


@covers("CVE-2025-23266", "P10", "P11")
def test_hooks_get_nothing_of_the_containers(box: Box) -> None:
    out = box.path / "hooks"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    bundle = box.bundle().args("true")
    bundle.process["env"] += ["LD_PRELOAD=./x.so", "PYTHONPATH=.", "CONTAINERS=own"]
    bundle.bind(out, "/out", "bind")
    for kind in KINDS:
        place = "/out" if kind == "startContainer" else str(out)
        script = f"env > {place}/{kind}; ls -l /proc/self/fd | grep -c -- '->' >> {place}/{kind}"
        bundle.hook(kind, "/bin/sh", args=["sh", "-c", script])
    assert run(["sh", "-c", 'exec 7</ 8</; exec "$@"', "sh", *_run_words(box, bundle)]).ok
    for kind in KINDS:
        text = (out / kind).read_text()
        for name in ("LD_PRELOAD", "PYTHONPATH", "CONTAINERS", "LC_CTYPE"):
            assert name not in text, (kind, text)
        assert int(text.splitlines()[-1]) <= 4, f"{kind}: streams, and what ls has open"


def _run_words(box: Box, bundle: Any) -> "list[str]":
    bundle.write()
    return box.words("run", "--bundle", str(bundle.path), "c")


@covers("CVE-2025-23266")
def test_a_runtime_that_gives_hooks_the_containers_environment_is_caught(box: Box, runc: Control) -> None:
    bundle = box.bundle().args("true")
    bundle.process["env"].append("CONTAINERS=own")
    seen = box.path / "seen"
    bundle.hook("createContainer", "/bin/sh", args=["sh", "-c", f"env > {seen}"])
    runc.run(bundle)
    runc.failed("CONTAINERS=own" in seen.read_text())


@covers("P20")
def test_errors_tell_no_secrets(box: Box) -> None:
    """What fails inside is told on the caller's stream, in one line, without the environment."""
    for change in (
        {"args": ["/no/such"]},
        {"cwd": "/bin/busybox/x"},
        {"user": {"uid": 2**32 - 1, "gid": 0}},
        {"env": ["SECRET=hidden", "broken"]},
    ):
        bundle = box.bundle().args("true")
        bundle.process["env"].append("SECRET=hidden")
        bundle.process.update(change)
        result = box.run(bundle)
        assert result.status != 0
        assert "hidden" not in result.err
        assert "Traceback" not in result.err
        assert result.err.count("\n") == 1
        assert result.out == ""


# Before the first line of a command


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_an_interrupt_at_any_system_call_shows_no_traceback(tmp_path: Path) -> None:
    """A key pressed in the first milliseconds: a signal at each call in turn."""
    words, log = [PYOCI, "--root", str(tmp_path), "state", "nobody"], tmp_path / "log"
    assert run(["strace", "-qq", "-o", str(log), *words]).status == 1
    names = [line.partition("(")[0] for line in log.read_text(errors="replace").split("\n")]
    calls = Counter(name for name in names if name.isidentifier())
    assert sum(calls.values()) > 60
    for name, count in calls.items():
        for when in range(1, count + 1):  # strace counts those of one name
            inject = ["-e", f"trace={name}", "-e", f"inject={name}:signal=SIGINT:when={when}", "-o", "/dev/null"]
            done = run(["strace", "-qq", *inject, *words])
            assert "Traceback" not in done.err and "Error:" not in done.err, (name, when, done)
            assert done.status in (1, 130, -2), (name, when, done)


@pytest.mark.parametrize("room", [16, 64, 127])  # 8 may be less than the words and variables alone take
@pytest.mark.parametrize("words", [["--version"], ["list"], ["features"]], ids=" ".join)
def test_a_small_stack_is_refused_and_no_crash(tmp_path: Path, room: int, words: "list[str]") -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (room << 10, resource.RLIM_INFINITY))

    done = run([PYOCI, "--root", str(tmp_path), *words], preexec_fn=limit)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("pyoci: a limit of the stack below 128 KiB is too low")


def test_the_least_stack_is_enough(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (128 << 10, resource.RLIM_INFINITY))

    (tmp_path / "config.json").write_text("[" * 100 + "]" * 100)
    for words in (["list"], ["features"], ["validate", str(tmp_path)], ["create", "--bundle", str(tmp_path), "c"]):
        done = run([PYOCI, "--root", str(tmp_path / "root"), *words], preexec_fn=limit)
        assert done.status in (0, 1), done
