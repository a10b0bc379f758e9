"""Tries what was built as its users will: every module is imported, JSON read and written, a container made and run. A
build that does not work must not look like one that does."""

import json
import os
import re
import subprocess
import tempfile
from typing import Any

import _cffi_backend

from .compiler import compile_static, write

PROBE = b'#include <unistd.h>\nint main(void) { return write(1, "works\\n", 6) != 6; }\n'
# What the kernel says where a build may not make containers: in a sandbox, for a user without namespaces, in a chroot
# whose root is no mount, as those that build packages are
REFUSED = re.compile(r"\((EPERM|EACCES|ENOSYS|ENOSPC|EUSERS)\)|set propagation of /.*\(EINVAL\)")
NAMESPACES = ("pid", "mount", "ipc", "uts")


refusals: list[str] = []  # what the kernel said where this build may not make containers


def foreign() -> bool:
    """Whether what is built is for another machine, and cannot be tried here."""
    return "_PYTHON_HOST_PLATFORM" in os.environ


def problem(words: list[str], package: str) -> str:
    """What does not work, or "".

    words: what stands before a command's own words; package: the directory with programs/init in it
    """
    if not os.path.exists(os.path.join(package, "programs", "init")):
        return f"{package}/programs/init is missing"
    with tempfile.TemporaryDirectory() as scratch:
        words = beside_cffi(words, package, scratch)
        return _call(words, scratch, "version", "--check")[1] or _container(words, scratch)


def beside_cffi(words: list[str], package: str, scratch: str) -> list[str]:
    """The words for the package as it will be installed: with cffi's library beside it, which for the time of a build
    may be in a place of its own."""
    place = os.path.join(scratch, "installed")
    os.mkdir(place)
    for path in (os.path.abspath(package), _cffi_backend.__file__):
        os.symlink(path, os.path.join(place, os.path.basename(path)))
    return [word.replace(os.path.abspath(package), os.path.join(place, os.path.basename(package))) for word in words]


def _call(words: list[str], scratch: str, *command: str) -> tuple[str, str]:
    """(what a command printed, what is wrong)."""
    whole = [*words, "--root", os.path.join(scratch, "state"), *command]
    try:
        done = subprocess.run(
            whole,
            cwd=scratch,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return "", f"{whole[0]}: {error.strerror}"
    if done.returncode == 0:
        return done.stdout, ""
    return done.stdout, f"{' '.join(whole)}: status {done.returncode}: {(done.stderr or done.stdout).strip()}"


def _container(words: list[str], scratch: str) -> str:
    """A container in namespaces; where this build may not make one, the same way without them."""
    rootfs = os.path.join(scratch, "rootfs")
    write(os.path.join(scratch, "probe.c"), PROBE)
    os.makedirs(os.path.join(rootfs, "proc"))
    compile_static(os.path.join(rootfs, "probe"), [os.path.join(scratch, "probe.c")])
    wrong = ""
    for namespaces in (NAMESPACES, ()):
        _write_config(scratch, namespaces)
        said, wrong = _call(words, scratch, "--cgroup-manager", "disabled", "run", "--no-new-keyring", "pyoci-trial")
        if not wrong and said == "works\n":
            return ""
        wrong = wrong or f"the container's program did not run, it printed {said!r}"
        if not REFUSED.search(wrong):
            return wrong
    refusals.append(wrong)
    return ""  # everything up to the kernel's refusal works


def _write_config(scratch: str, namespaces: tuple[str, ...]) -> None:
    linux: dict[str, list[Any]] = {"namespaces": [{"type": name} for name in namespaces]}
    if namespaces and os.geteuid():
        linux["namespaces"].append({"type": "user"})
        for name, number in (("uidMappings", os.geteuid()), ("gidMappings", os.getegid())):
            linux[name] = [{"containerID": 0, "hostID": number, "size": 1}]
    config = {
        "ociVersion": "1.2.0",
        "process": {"cwd": "/", "args": ["/probe"], "env": ["PATH=/"], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "linux": linux,
    }
    write(os.path.join(scratch, "config.json"), json.dumps(config).encode())
