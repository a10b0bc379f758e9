"""Errors of real containers that used to be silent, or to say what is not so."""

import json
import os
import select
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from pyoci.cgroups.host import Host
from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.calls import MKDIR, rule
from tests.support.command import PYOCI

pytestmark = pytest.mark.root
IDS = [{"containerID": 0, "hostID": 100000, "size": 10}]


def refused(box: Box, bundle: Bundle, *words: str) -> str:
    result = box.run(bundle)
    assert result.status == 1 and result.err.count("\n") == 1, result
    for word in words:
        assert word in result.err, result
    assert box.left() == []
    return result.err


@pytest.mark.parametrize("files", [0, 3])
def test_too_few_files_for_the_start(box: Box, files: int) -> None:
    bundle = box.bundle().args("true")
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": files, "hard": 10}]
    refused(box, bundle, "process.rlimits[0] (RLIMIT_NOFILE)", "it takes 4")
    bundle.process["rlimits"][0]["soft"] = 4
    assert box.run(bundle).ok


def test_user_without_a_mapping(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.namespace("user")
    bundle.linux.update(uidMappings=IDS, gidMappings=IDS)
    bundle.process["user"] = {"uid": 1000, "gid": 0}
    refused(box, bundle, "process.user", "no such id", "linux.uidMappings")


def filter_of(bundle: Bundle, **profile: Any) -> None:
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **profile}


@pytest.mark.parametrize("call", ["setresgid", "capset", "prctl"])
def test_filter_that_forbids_the_setup(box: Box, call: str) -> None:
    pytest.importorskip("cffi", reason="needs the Python library cffi")
    bundle = box.bundle().args("true")
    bundle.process["noNewPrivileges"] = False
    filter_of(bundle, syscalls=[{"names": [call], "action": "SCMP_ACT_ERRNO"}])
    refused(box, bundle, "under the seccomp filter", "linux.seccomp has to allow")


def test_filter_that_forbids_all_ends_the_process(box: Box) -> None:
    """It could neither execute, nor tell, nor end."""
    pytest.importorskip("cffi", reason="needs the Python library cffi")
    bundle = box.bundle().args("true")
    filter_of(bundle, defaultAction="SCMP_ACT_ERRNO")
    assert box.run(bundle).status == 128 + 4
    assert box.left() == []


def test_kernels_words_are_told_without_its_marks(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["sise=1m"])
    said = refused(box, bundle, "Unknown parameter 'sise'")
    assert "; e " not in said and ": e " not in said, said


def test_what_is_missing_does_not_exist(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.config["root"]["path"] = "nowhere"
    refused(box, bundle, "root.path", "nowhere does not exist")
    bundle.config["root"]["path"] = "config.json"
    refused(box, bundle, "root.path", "is not a directory")
    result = box.call("run", "--bundle", str(box.path / "none"), "c")
    assert "none does not exist" in result.err, result


def test_script_of_another_systems_line_ends_and_no_exec_bit(box: Box) -> None:
    bundle = box.bundle().args("/script")
    script = bundle.rootfs / "script"
    script.write_bytes(b"#!/bin/sh\r\necho\r\n")
    script.chmod(0o755)
    refused(box, bundle, '/script\\": no such file or directory', "CR LF")
    script.chmod(0o644)
    refused(box, bundle, '/script\\": permission denied', "chmod +x")


def test_command_and_flag_that_were_meant(box: Box) -> None:
    result = box.call("rum", "c")
    assert result.status == 3 and "No help topic for 'rum' (did you mean" in result.err, result
    result = box.call("run", "--bundel", "b", "c")
    assert "flag provided but not defined: -bundel (did you mean" in result.err, result


LIBRARY = sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix})
HIDE = 'mount -t tmpfs -o mode="$1" t "$2" && shift 2 && exec "$@"'


def without_library(mode: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command while Python's library is an empty directory of this mode, in a mount namespace of its own."""
    command = ["unshare", "-m", "sh", "-c", HIDE, "sh", mode, LIBRARY, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_python_that_has_gone_is_told(box: Box) -> None:
    result = without_library("755", PYOCI, "--root", str(box.root), "validate", str(box.path))
    assert result.returncode == 2 and "this installation cannot work" in result.stderr, result
    assert "lacks modules (install Python again" in result.stderr, result
    assert "internal error" not in result.stderr and "configuration" not in result.stderr, result


def without_packages(*words: str) -> "subprocess.CompletedProcess[str]":
    """A command while every place of Python's packages is empty."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [sysconfig.get_path("platlib"), f"{sys.base_prefix}/lib/{version}/site-packages"]
    places += [f"/usr/local/lib/{version}/dist-packages", "/usr/lib/python3/dist-packages"]
    hidden = "; ".join(f"mount -t tmpfs t {place}" for place in places if os.path.isdir(place))
    command = ["unshare", "-m", "sh", "-ec", f'{hidden}; exec "$@"', "sh", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("start", ["our own", "stock"])
def test_cffi_that_is_missing_is_told(box: Box, start: str) -> None:
    """By which the shim is called: no command that looks at containers does without."""
    stock = [os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable), "-I", "-S", "-B"]
    words = [PYOCI] if start == "our own" else [*stock, str(Path(PYOCI).parents[2] / "pyoci" / "__main__.py")]
    for command in (["list"], ["create", "c"], ["version", "--check"]):
        result = without_packages(*words, "--root", str(box.root), *command)
        assert result.returncode == 1 and result.stdout == "", result
        cure = (
            "the Python library cffi is not installed (install it: python3-cffi-backend (Debian), or pip install cffi)"
        )
        assert cure in result.stderr and "Traceback" not in result.stderr, result
    assert without_packages(*words, "--version").returncode == 0


def test_python_that_the_user_may_not_read_is_told(box: Box) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.call([*nobody, "test", "-x", PYOCI], cwd="/") != 0:
        pytest.skip("the program itself is out of reach of other users")
    result = without_library("700", *nobody, PYOCI, "--root", "/tmp/none", "validate", "/")
    assert "user 65534 may not read /" in result.stderr and "move Python to where" in result.stderr, result
    assert "internal error" not in result.stderr and "configuration" not in result.stderr, result


OOM = "container init was OOM-killed (memory limit too low?)"
HOG = ["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"]
KILLED = "for lack of memory the kernel has killed "


def limited(box: Box, *args: str, memory: int = 8 << 20) -> Bundle:
    bundle = box.bundle().args(*args)
    bundle.linux["resources"] = {"memory": {"limit": memory, "swap": memory}}
    bundle.write()
    return bundle


def take_memory(box: Box, bundle: Bundle) -> None:
    """Leaves the container what it uses, and not a page more."""
    layout, name = Host().layout(), bundle.linux["cgroupsPath"]
    above = [hierarchy.mount for hierarchy in layout.hierarchies if "memory" in hierarchy.controllers]
    place = Path(f"{above[0] if above else layout.unified}{name}")
    used, limits = "memory.usage_in_bytes", ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    if not above:
        used, limits = "memory.current", ["memory.max"]
    for limit in limits:
        (place / limit).write_text((place / used).read_text())


def test_memory_too_low_for_init_is_told_by_create(box: Box) -> None:
    bundle = limited(box, "true", memory=4096)
    result = box.call("--log", str(box.path / "log"), "create", "--bundle", str(bundle.path), "c")
    words = "unable to start container process: error during container init: linux.resources.memory.limit: "
    assert result.status == 1 and (f"{words}{OOM}" in result.err or "memory limit" in result.err), result


def test_memory_too_low_for_the_program_is_told_by_start(box: Box) -> None:
    """Mostly it ends while init becomes the program: start, which reported nothing and 0, is the last who can tell.
    What the kernel has charged beforehand may last longer, not for ever."""
    bundle = limited(box, *HOG)
    first = os.pidfd_open(box.made_container(bundle, "c")["pid"])
    take_memory(box, bundle)
    log = box.path / "log"
    result = box.call("--log", str(log), "start", "c")
    assert select.select([first], [], [], 30)[0]
    os.close(first)
    leftovers.reap()
    if result.ok:  # killed a moment after init's last word: then whoever asks next is told
        result = box.call("start", "c")
        assert result.status == 1 and f"that has stopped ({KILLED}" in result.err, result
    else:
        assert result.err == f"linux.resources.memory.limit: {OOM}\n", result
    result = box.call("exec", "c", "true")
    assert result.status == 255 and f"cannot exec in a stopped container ({KILLED}" in result.err, result


def test_memory_too_low_for_the_program_is_told_by_exec(box: Box) -> None:
    box.started(limited(box, "sleep", "1000"))
    result = box.call("exec", "c", *HOG)
    assert result.status == 137 and f"killed by SIGKILL; {KILLED}1 of the container's processes" in result.err, result
    assert box.call("exec", "c", "sh", "-c", "exit 3").err == "", "only what has been killed is"


def test_a_kill_that_memory_has_no_part_in_is_told_of_nothing(box: Box) -> None:
    box.started(limited(box, "sleep", "1000"))
    result = box.call("exec", "c", "sh", "-c", "kill -9 $$")
    assert result.status == 137 and result.err == "", result


def test_run_and_exec_say_the_same_of_what_a_filter_kills(box: Box) -> None:
    pytest.importorskip("cffi", reason="needs the Python library cffi")
    bundle = box.bundle().args("mkdir", "/tmp/x")
    filter_of(bundle, syscalls=[rule(*MKDIR, action="SCMP_ACT_KILL_PROCESS")])
    bundle.write()
    first = box.call("run", "--bundle", str(bundle.path), "c")
    bundle.args("sleep", "1000")
    box.started(bundle, "d")
    second = box.call("exec", "d", "mkdir", "/tmp/x")
    said = [result.err.partition("level=")[2] for result in (first, second)]
    assert first.status == second.status == 128 + 31 and said[0] == said[1], said
    assert "ended by SIGSYS: a seccomp filter" in said[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_delete_could_not_take_back_is_in_the_log(box: Box, form: str) -> None:
    """And of run's clean-up; without a log, on standard error."""
    bundle = box.bundle().args("true")
    bundle.hook("poststop", "/bin/false")
    bundle.write()
    log, words = box.path / "log", "hooks.poststop[0] (/bin/false): error running poststop hook #0: exit status 1"
    for calls in (
        [["create", "--bundle", str(bundle.path), "c"], ["delete", "--force", "c"]],
        [["run", "--bundle", str(bundle.path), "c"]],
    ):
        log.unlink(missing_ok=True)
        results = [box.ok("--log", str(log), "--log-format", form, *call) for call in calls]
        (line,) = log.read_text().splitlines()
        assert words in line and "warning" in line and (form == "text" or json.loads(line)["msg"] == words)
        assert results[-1].err == ""
        results = [box.ok(*call) for call in calls]
        assert f'level=warning msg="{words}"' in results[-1].err


def test_memory_too_low_for_the_program_is_told(box: Box) -> None:
    bundle = box.bundle().args("sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done")
    bundle.linux["resources"] = {"memory": {"limit": 8 << 20, "swap": 8 << 20}}
    bundle.write()
    log = box.path / "log"
    result = box.call("--debug", "--log", str(log), "run", "--bundle", str(bundle.path), "c")
    assert result.status == 137, result
    assert f"killed by SIGKILL; {KILLED}1 of the container's processes" in log.read_text()


def test_an_older_kill_for_memory_is_not_the_next_programs(box: Box) -> None:
    """The count is the container's, of its whole life; engines start each exec detached."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.linux["resources"] = {"memory": {"limit": 16 << 20}}
    box.started(bundle)
    assert box.call("exec", "c", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1").status == 137
    for _ in range(20):
        box.ok("exec", "--detach", "c", "true")
