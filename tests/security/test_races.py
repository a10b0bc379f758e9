"""Races against whoever shares a volume, made deterministic: a name is exchanged at every call that takes a path."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from controls import Canary
from support.box import Box
from support.bundle import Bundle
from support.command import run

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
