"""The trace lint: what system calls the runtime makes, whatever they answer. It ends whole classes of flaws at once."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from controls import Control

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import run

covers = pytest.mark.covers
CALLS = "%file,mount,umount2,move_mount,open_tree,openat2,fsopen,pivot_root,chroot,execve,execveat"


def trace(words: "list[str]", out: Path) -> "list[str]":
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    run(["strace", "-f", "-s", "300", "-e", f"trace={CALLS}", "-o", str(out), *words])
    return out.read_text().splitlines()


def inits(lines: "list[str]") -> "list[str]":
    """The lines of processes that have become init, up to where they become the user's program."""
    found, mine = [], set()
    for line in lines:
        pid = line.split()[0]
        if "execveat(" in line and "AT_EMPTY_PATH" in line:
            mine.add(pid)
        elif pid in mine:
            found.append(line)
            if "execve(" in line:
                mine.discard(pid)
    return found


def faults(lines: "list[str]", rootfs: str) -> "list[str]":
    """Calls that may not be: mounts by path, and a path below the rootfs from anywhere but its descriptor."""
    found = [line for line in lines if re.search(r"\bmount\(|\bchroot\(\"/", line)]
    below = re.compile(rf'"{re.escape(rootfs)}/[^"]')
    return found + [line for line in lines if below.search(line)]


def engine_like(bundle: Bundle) -> Bundle:
    bundle.linux.update(maskedPaths=["/proc/kcore", "/proc/keys"], readonlyPaths=["/proc/sys", "/proc/bus"])
    bundle.mount("/dev/shm", type="tmpfs", source="shm", options=["nosuid", "nodev"])
    bundle.mount("/dev/mqueue", type="mqueue", source="mqueue")
    bundle.bind("/etc/hostname", "/etc/hostname", "rbind", "ro")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    return bundle


@covers("CVE-2021-30465", "CVE-2024-45310", "GHSA-3q8j-pf29-vwv8", "P12", "P21")
@pytest.mark.parametrize("user", [False, True])
def test_nothing_is_done_by_path(box: Box, user: bool) -> None:
    bundle = engine_like(box.bundle()).shell("sleep 100")
    if user:
        bundle.namespace("user")
        for key in ("uidMappings", "gidMappings"):
            bundle.linux[key] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        subprocess.run(["chown", "-R", "200000:200000", str(bundle.rootfs)], check=True)
    bundle.write()
    create = ["create", "--bundle", str(bundle.path), "c"]
    commands = (create, ["start", "c"], ["exec", "c", "true"], ["delete", "-f", "c"])
    for number, words in enumerate(commands):
        lines = trace(box.words(*words), box.path / f"trace{number}")
        assert lines
        assert faults(lines, str(bundle.rootfs)) == []


AFTER = (
    ["update", "--memory", "64m", "c"],
    ["pause", "c"],
    ["resume", "c"],
    ["ps", "c"],
    ["events", "--stats", "c"],
    ["list"],
    ["state", "c"],
    ["kill", "c", "TERM"],
)


@covers("CVE-2026-41568", "CVE-2026-42306", "CVE-2018-15664", "CVE-2022-1227", "CVE-2015-1334")
def test_nothing_else_goes_near_a_containers_files(box: Box) -> None:
    """No other command opens, names or enters anything of the container's: there is nothing to race with."""
    bundle = box.bundle().shell("while :; do sleep 0.1; done")
    box.started(bundle)
    pid = box.state()["pid"]
    for number, words in enumerate(AFTER):
        out = box.path / f"after{number}"
        run(["strace", "-f", "-s", "300", "-e", "trace=%file,setns,chroot,fchdir,pivot_root", "-o", str(out),
             *box.words(*words)])  # fmt: skip
        lines = out.read_text().splitlines()
        assert lines
        # /proc/<pid>/root and cwd lead into the container as its rootfs does; ps, the host's, asks for neither
        inside = re.compile(rf'"{re.escape(str(bundle.rootfs))}|"/proc/({pid}|self/fd/\d+)/(root|cwd)|setns\(|chroot\(')
        assert [line for line in lines if inside.search(line)] == [], words


@covers("CVE-2019-14271", "P6")
def test_init_loads_nothing(box: Box) -> None:
    """No library, no user database but the one file, no locale: neither of the host's nor of the image's."""
    bundle = engine_like(box.bundle()).args("true")
    for name in ("nsswitch.conf", "ld.so.preload", "passwd"):
        (bundle.rootfs / "etc" / name).write_text("passwd: evil\n")
    bundle.write()
    lines = inits(trace(box.words("run", "--bundle", str(bundle.path), "c"), box.path / "trace"))
    assert lines, "init was not seen"
    opened = [line for line in lines if re.search(r"\bopen(at2?)?\(", line)]
    bad = [line for line in opened if re.search(r"\.so|nsswitch|ld\.so|locale|gconv|/usr/lib", line)]
    assert bad == []
    assert [line for line in lines if "/etc/passwd" in line and "openat2" not in line] == []


@covers("CVE-2021-30465", "P12")
def test_the_lint_has_teeth(box: Box, runc: Control) -> None:
    bundle = engine_like(box.bundle()).args("true")
    bundle.write()
    lines = trace(runc.words("run", "--bundle", str(bundle.path), "control"), box.path / "trace")
    runc.failed(len(faults(lines, str(bundle.rootfs))) > 0)
