"""Races against whoever shares a volume, made deterministic: a name is exchanged at every call that takes a path."""

import ctypes
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from controls import Canary

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import run

covers = pytest.mark.covers
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def stepper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("stepper") / "stepper"
    words = [os.environ.get("CC", "cc"), "-O1", "-o", str(program), str(HERE / "stepper.c")]
    done = subprocess.run(words, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        pytest.skip(f"the stepper cannot be built here: {done.stderr[:200]}")
    return program


class Race:
    """A bundle whose volume holds a directory and, beside it, a link that leads out, to take its place."""

    def __init__(self, box: Box, stepper: Path, target: str) -> None:
        self.box = box
        self.stepper = stepper
        self.canary = Canary(box.path / "outside")
        self.volume = box.path / "volume"
        (self.volume / "way" / "in").mkdir(parents=True)
        (self.volume / "other").symlink_to(target.format(self.canary.path))
        self.bundle: Bundle = box.bundle().args("true")
        self.bundle.bind(self.volume, "/vol", "bind")
        self.bundle.mount("/vol/way/new", type="tmpfs", source="tmpfs")
        self.bundle.bind(self.volume, "/vol/way/in/deeper", "bind")
        self.bundle.linux["devices"] = [{"path": "/vol/way/device", "type": "c", "major": 1, "minor": 3}]
        self.bundle.linux["maskedPaths"] = ["/vol/way/in"]
        self.bundle.linux["readonlyPaths"] = ["/vol/way"]
        self.bundle.write()

    def step(self, number: int, words: "list[str]") -> int:
        """Runs with an exchange at the N-th call; how many there were."""
        count = self.box.path / "count"
        names = [str(self.volume / "way"), str(self.volume / "other")]
        run([str(self.stepper), str(number), *names, str(count), *words])
        if (self.volume / "way").is_symlink():  # back again
            os.rename(self.volume / "way", self.volume / "third")
            os.rename(self.volume / "other", self.volume / "way")
            os.rename(self.volume / "third", self.volume / "other")
        return int(count.read_text().split()[0])

    def words(self, number: int) -> "list[str]":
        return self.box.words("run", "--bundle", str(self.bundle.path), f"c{number}")


def mounts_below(path: Path) -> "list[str]":
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(path) in line]


@covers("CVE-2021-30465", "CVE-2024-45310", "CVE-2023-27561", "CVE-2025-31133", "GHSA-3q8j-pf29-vwv8", "P21")
@pytest.mark.parametrize("target", ["{}", "../../../../../../../../../..{}"], ids=["absolute", "relative"])
def test_a_directory_becomes_a_link_at_every_instant(box: Box, stepper: Path, target: str) -> None:
    race = Race(box, stepper, target)
    total = race.step(0, race.words(0))
    assert total > 20
    for number in range(1, total + 1):
        race.step(number, race.words(number))
        assert not race.canary.touched(), f"exchanged at call {number} of {total}"
        assert mounts_below(race.canary.path) == []
    assert box.names() == []


# Who may rename in the rootfs itself, since it is a volume of his: what is mounted there must not lose its protection

OF_PROC = ["/kcore", "/keys", "/timer_list"]
MASKED = {"proc": [name for name in OF_PROC if Path(f"/proc{name}").exists()], "sysfs": ["/firmware"]}
READONLY = {"proc": ["/bus", "/sys"], "sysfs": ["/kernel"]}
PLACES = {"proc": "/proc", "sysfs": "/sys"}


class Swap:
    """A bundle in whose rootfs a directory that is mounted on can be exchanged for another, or for a link."""

    def __init__(self, box: Box, name: str, link: bool = False) -> None:
        self.bundle = box.bundle()
        for key, kinds in (("maskedPaths", MASKED), ("readonlyPaths", READONLY)):
            self.bundle.linux[key] = [PLACES[kind] + path for kind in kinds for path in kinds[kind]]
        self.bundle.mount("/data", type="tmpfs", source="data", options=["ro"])
        self.bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid", "noexec", "nodev"])
        self.one, self.other = self.bundle.rootfs / name, self.bundle.rootfs / "elsewhere"
        self.seen = self.bundle.rootfs / "seen"
        self.one.mkdir(exist_ok=True)
        if link:
            self.other.symlink_to("/tmp")
        else:
            self.other.mkdir()
        self.usual = self.one.lstat().st_ino
        self.bundle.shell("cat /proc/self/mountinfo > /seen || cat /elsewhere/self/mountinfo > /seen").write()

    def exchange(self) -> None:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        if renameat2(-100, bytes(self.one), -100, bytes(self.other), 2) != 0:  # AT_FDCWD, RENAME_EXCHANGE
            raise OSError(ctypes.get_errno(), "renameat2")

    def restore(self) -> None:
        if self.one.lstat().st_ino != self.usual:
            self.exchange()

    def problems(self, ran: bool) -> "list[str]":
        """What a container that ran could reach or write, and what is left in the rootfs for others of the host."""
        files = [os.path.join(place, name) for place, _, names in os.walk(self.bundle.rootfs) for name in names]
        nodes = [file for file in files if stat.S_ISCHR(os.lstat(file).st_mode)]
        return [f"a device: {file}" for file in nodes] + (unprotected(self.seen.read_text()) if ran else [])


def unprotected(mountinfo: str) -> "list[str]":
    """What is not masked and not read-only that shall be, wherever it is mounted.

    By the mounts' numbers and the ends of their names: the names may change between one line and the next.
    """
    problems = []
    lines = [line.split(" ") for line in mountinfo.splitlines()]
    for words in lines:
        at = words.index("-")
        kind, source, place, options = words[at + 1], words[at + 2], words[4], words[5].split(",")
        if (kind == "cgroup" or source == "data") and "ro" not in options:
            problems.append(f"{kind} at {place} is writable")
        if words[3] != "/":
            continue  # a part of one, bound on itself
        inside = [(other[4], other[5].split(",")) for other in lines if other[1] == words[0]]
        for path in MASKED.get(kind, ()):
            if not any(name.endswith(path) for name, _ in inside):
                problems.append(f"{place}{path} can be read")
        for path in READONLY.get(kind, ()):
            if not any(name.endswith(path) and "ro" in options for name, options in inside):
                problems.append(f"{place}{path} can be written")
    return problems


class Steps:
    """Runs with an exchange at each call in turn; gives what was wrong each time."""

    def __init__(self, swap: Swap, stepper: Path, words: "list[str]") -> None:
        self.swap = swap
        self.words = [str(stepper), "{}", str(swap.one), str(swap.other), str(swap.bundle.path / "count"), *words]
        self.total = self.ran = 0

    def step(self, number: int) -> "list[str]":
        done = run([word.format(number) if word == "{}" else word for word in self.words])
        found = self.swap.problems(done.ok)
        self.ran += done.ok
        self.swap.restore()
        if number == 0:
            assert done.ok, done
            self.total = int((self.swap.bundle.path / "count").read_text().split()[0])
        return [f"exchanged at call {number} of {self.total}: {text}" for text in found]

    def __iter__(self) -> "Iterator[list[str]]":
        yield self.step(0)
        for number in range(1, self.total + 1):
            yield self.step(number)


@covers("mask-by-name")
@pytest.mark.parametrize("link", [False, True], ids=["directory", "link"])
@pytest.mark.parametrize("name", ["proc", "sys", "dev", "data"])
def test_a_mount_is_known_by_its_descriptor(box: Box, stepper: Path, name: str, link: bool) -> None:
    """Masks, read-only paths and remounts, nodes, nested mounts: below the mounts that were made, wherever they are."""
    swap = Swap(box, name, link)
    steps = Steps(swap, stepper, box.words("run", "--bundle", str(swap.bundle.path), "c"))
    assert [text for found in steps for text in found] == []
    assert steps.total > (5 if name == "data" else 15)
    assert steps.ran > steps.total // 2
    assert box.names() == []


@covers("mask-by-name")
@pytest.mark.parametrize(("name", "flaw"), [("proc", "elsewhere/keys"), ("dev", "a device")])
def test_a_runtime_that_looks_for_its_mounts_by_name_is_caught(
    box: Box, stepper: Path, mutant: Any, name: str, flaw: str
) -> None:
    broken = mutant("walk.c", "    if (held && *rest) {", "    held = NULL;\n    if (held && *rest) {")
    swap = Swap(box, name)
    words = [*broken.program, "--root", str(broken.root), "run", "--bundle", str(swap.bundle.path), "c"]
    lost = any(flaw in text for found in Steps(swap, stepper, words) for text in found)
    broken.failed(lost)


@covers("mask-by-name")
@pytest.mark.parametrize("kind", ["proc", "sysfs"])
def test_what_a_hook_mounts_over_a_mount_is_protected_too(box: Box, kind: str) -> None:
    swap = Swap(box, "proc")
    place = swap.bundle.rootfs / PLACES[kind].strip("/")
    words = "-t proc second" if kind == "proc" else "--bind /sys"
    swap.bundle.hook("createContainer", "/bin/sh", args=["sh", "-c", f"mount {words} '{place}'"])
    box.output(swap.bundle)
    mountinfo = swap.seen.read_text()
    assert sum(f" - {kind} " in line and line.split(" ")[3] == "/" for line in mountinfo.splitlines()) == 2
    assert unprotected(mountinfo) == []
    names = [line.split(" ")[4] for line in mountinfo.splitlines()]
    assert names.count("/proc/keys") == (2 if kind == "proc" else 1), "no mask on a mask"


RACES = int(os.environ.get("PYOCI_RACES", "40"))


@covers("mask-by-name")
@pytest.mark.parametrize("name", ["proc", "sys"])
def test_a_race_for_the_masks(box: Box, name: str) -> None:
    """The same without a stepper: somebody exchanges the two all the time."""
    swap = Swap(box, name)
    racer = os.fork()
    if racer == 0:
        try:
            while True:
                swap.exchange()
        finally:
            os._exit(1)
    ran, problems = 0, []
    try:
        for number in range(RACES):
            done = box.call("run", "--bundle", str(swap.bundle.path), f"c{number}")
            problems += swap.problems(done.ok)
            ran += done.ok
    finally:
        os.kill(racer, signal.SIGKILL)
        os.waitpid(racer, 0)
    print(f"{ran} of {RACES} containers ran")
    assert problems == []
    assert ran > 0


# After the start: what joins a container that is at work, while that container exchanges names

OUTSIDE = ["{}", "../../../../../../../../../..{}", "/proc/self/fd/3", "/proc/1/root/../..{}"]


@covers("CVE-2026-41568", "CVE-2026-42306", "CVE-2018-15664", "CVE-2024-21626", "P21")
@pytest.mark.parametrize("target", OUTSIDE, ids=range(len(OUTSIDE)))
def test_a_working_directory_of_exec_becomes_a_link_at_every_instant(box: Box, stepper: Path, target: str) -> None:
    race = Race(box, stepper, target)
    race.bundle.linux["maskedPaths"] = []
    box.started(race.bundle.shell("while :; do sleep 0.1; done"))
    secret = f"..{race.canary.path}/file"
    script = f"cat file {secret} ../{secret} ../../../../{secret} > /tmp/seen 2>/dev/null; pwd"
    words = box.words("exec", "--cwd", "/vol/way/in", "c", "sh", "-c", script)
    total = race.step(0, words)
    assert total > 1
    for number in range(1, total + 1):
        race.step(number, words)
        assert "canary" not in (race.bundle.rootfs / "tmp" / "seen").read_text(), f"call {number} of {total}"
        assert not race.canary.touched()


@covers("CVE-2019-5736", "CVE-2020-14298", "P6", "P7")
@pytest.mark.parametrize("command", ["run", "exec"])
def test_no_file_of_the_host_is_mapped_at_any_instant(box: Box, stepper: Path, command: str) -> None:
    """At every system call of init, from its first to the one that makes it the program."""
    bundle = box.bundle()
    if command == "exec":
        box.started(bundle.shell("while :; do sleep 0.1; done"))
        words = box.words("exec", "c", "true")
    else:
        bundle.args("true").write()
        words = box.words("run", "--bundle", str(bundle.path), "c")
    seen = box.path / "seen"
    assert run([str(stepper), "-1", "/none", "/none", str(seen), *words]).ok
    count, *mapped = seen.read_text().splitlines()
    assert int(count) > 60
    assert mapped == []


@covers("CVE-2019-5736")
def test_a_runtime_that_maps_a_file_of_the_host_is_caught(box: Box, stepper: Path, mutant: Any) -> None:
    begin = "    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);"
    mapped = 'mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open("/etc/hostname", O_RDONLY), 0);'
    broken = mutant("init.c", begin, f"{begin} {mapped}")
    bundle = box.bundle().args("true")
    bundle.write()
    words = [*broken.program, "--root", str(broken.root), "run", "--bundle", str(bundle.path), "c"]
    seen = box.path / "seen"
    run([str(stepper), "-1", "/none", "/none", str(seen), *words])
    broken.failed("/etc/hostname" in seen.read_text().splitlines(), seen.read_text())


@covers("CVE-2021-30465")
def test_a_runtime_that_walks_by_path_loses_the_race(box: Box, stepper: Path, mutant: Any) -> None:
    broken = mutant(
        "walk.c",
        "    return sys_openat2(c->root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve);",
        "    (void)resolve; path += *path == '/'; return openat(c->root, *path ? path : \".\", flags);",
    )
    race = Race(box, stepper, "{}")
    words = [*broken.program, "--root", str(broken.root), "run", "--bundle", str(race.bundle.path), "c"]
    total = race.step(0, words)
    lost = 0
    for number in range(1, total + 1):
        race.step(number, words)
        if race.canary.touched():
            lost += 1
            break
    broken.failed(lost > 0, total)
