"""systemd's awkward moments: the bus is gone, a unit is in the way, somebody else stops ours. docs/cgroups.md has the
table of what runc does there. For the machine of tests/vm; one after the other, as they stop what others use."""

import json
import os
import select
import shutil
import statistics
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from cgroup_tools import ROOT, SYSTEMD, V2

import pyoci
from pyoci.options import CreateOptions
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import PATIENCE, Result, run

pytestmark = [
    pytest.mark.root,
    pytest.mark.systemd,
    pytest.mark.cgroup_v2,
    pytest.mark.skipif(not (V2 and SYSTEMD), reason="needs cgroup v2 and systemd as PID 1"),
]
MEGA = 1 << 20
DRIVERS: "dict[str, list[str]]" = {"cgroupfs": [], "systemd": ["--systemd-cgroup"]}
BUS, PRIVATE = "/run/dbus/system_bus_socket", "/run/systemd/private"


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def settled() -> None:
    """systemd has done all that was due by now: before it takes up something like this."""
    systemctl("daemon-reload")


class Scoped:
    """A box whose containers are scopes."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.name = uuid.uuid4().hex[:10]
        self.unit = f"pyoci-{self.name}.scope"
        self.slice = "system.slice"

    def bundle(self, *words: str, **resources: object) -> Bundle:
        bundle = self.box.bundle().args(*(words or ("sleep", "1000")))
        bundle.linux["cgroupsPath"] = f"{self.slice}:pyoci:{self.name}"
        bundle.linux["resources"] = resources
        return bundle

    def call(self, *words: str, hidden: "tuple[str, ...]" = ()) -> Result:
        """A command that finds nobody behind some sockets; nobody else is disturbed."""
        script = "".join(f"mount --bind /dev/null {path} && " for path in hidden) + 'exec "$@"'
        return run(["unshare", "-m", "sh", "-c", script, "sh", *self.box.words(*words)])

    def run(self, bundle: Bundle, **options: "tuple[str, ...]") -> Result:
        bundle.write()
        return self.call("--systemd-cgroup", "run", "-d", "--bundle", str(bundle.path), "c", **options)

    def started(self, *words: str, **resources: object) -> Path:
        done = self.run(self.bundle(*words, **resources))
        assert done.ok, done
        return self.place()

    def place(self) -> Path:
        record = json.loads((self.box.root / "c" / "state.json").read_text())
        return Path(record["cgroup_paths"][""])

    def units(self) -> str:
        return systemctl("list-units", "--all", "--plain", "--no-legend", self.unit)


@pytest.fixture
def scoped(box: Box) -> Scoped:
    return Scoped(box)


@pytest.fixture
def no_bus():
    """A machine whose D-Bus was stopped, as an upgrade does it."""
    subprocess.run(["systemctl", "stop", "dbus.socket", "dbus.service"], check=True)
    yield
    subprocess.run(["systemctl", "start", "dbus.socket", "dbus.service"], check=True)
    # whom the bus has lost does not always come back by itself
    subprocess.run(["systemctl", "try-restart", "systemd-logind.service", "user@*.service"], check=True)


@pytest.mark.usefixtures("no_bus")
def test_the_bus_is_stopped(scoped: Scoped) -> None:
    """root reaches systemd by its private socket."""
    place = scoped.started(pids={"limit": 20})
    assert (place / "pids.max").read_text() == "20\n"
    scoped.box.ok("update", "--pids-limit", "30", "c")
    assert (place / "pids.max").read_text() == "30\n"
    assert systemctl("show", "-P", "TasksMax", scoped.unit) == "30"
    scoped.box.ok("kill", "c", "KILL")
    scoped.box.ok("delete", "--force", "c")
    assert (scoped.units(), place.exists()) == ("", False)


def test_the_bus_is_stopped_while_a_container_runs(scoped: Scoped) -> None:
    scoped.started()
    assert scoped.call("delete", "--force", "c", hidden=(BUS,)).ok
    assert scoped.units() == ""


def test_systemd_cannot_be_reached(scoped: Scoped) -> None:
    """Nothing is made, and what is there can be removed: the unit is named."""
    done = scoped.run(scoped.bundle(), hidden=(BUS, PRIVATE))
    assert done.status == 1
    assert f"connect to systemd at {BUS}: connection refused (ECONNREFUSED)" in done.err
    assert scoped.box.names() == []
    place = scoped.started(pids={"limit": 20})
    done = scoped.call("update", "--pids-limit", "30", "c", hidden=(BUS, PRIVATE))
    assert (done.status, (place / "pids.max").read_text()) == (1, "20\n"), done
    done = scoped.call("delete", "--force", "c", hidden=(BUS, PRIVATE))
    assert done.ok, done
    assert (scoped.box.names(), place.exists()) == ([], False)
    settled()
    assert scoped.units() == ""


def test_the_name_of_the_scope_is_taken(scoped: Scoped) -> None:
    words = ["systemd-run", "--scope", "--quiet", f"--unit={scoped.unit}", "sh", "-c", "sleep 1000 > /dev/null 2>&1 &"]
    subprocess.run(words, check=True)
    try:
        done = scoped.run(scoped.bundle())
        assert (done.status, "another program uses" in done.err) == (1, True), done
        assert scoped.box.names() == []
        assert "running" in scoped.units()
    finally:
        systemctl("stop", scoped.unit)


def test_a_unit_that_failed_is_left_of_a_killed_command(scoped: Scoped) -> None:
    """A scope whose process was killed for memory is remembered as failed."""
    words = [
        "systemd-run",
        "--scope",
        "--quiet",
        f"--unit={scoped.unit}",
        "-p",
        "MemoryMax=8M",
        "-p",
        "MemorySwapMax=0",
    ]
    subprocess.run([*words, "sort", "/dev/zero"], check=False)
    assert "failed" in scoped.units()
    scoped.started()
    assert "running" in scoped.units()
    scoped.box.ok("delete", "--force", "c")
    assert scoped.units() == ""


def test_a_create_that_was_killed_when_its_scope_was_there(scoped: Scoped) -> None:
    """Its process ends, the scope with it; `delete --force` takes the rest, and the name is free."""
    bundle = scoped.bundle(pids={"limit": 20})
    killer = scoped.box.path / "killer"
    killer.write_text("#!/bin/sh\nkill -KILL $PPID\n")
    killer.chmod(0o755)
    bundle.config["hooks"] = {"createRuntime": [{"path": str(killer)}]}
    bundle.write()
    done = scoped.call("--systemd-cgroup", "create", "--bundle", str(bundle.path), "c")
    assert not done.ok
    assert scoped.box.names() == ["c"]
    scoped.box.ok("delete", "--force", "c")
    settled()
    assert (scoped.box.names(), scoped.units()) == ([], "")
    del bundle.config["hooks"]
    assert scoped.run(bundle).ok
    assert "running" in scoped.units()


def test_the_scope_is_stopped_from_outside(scoped: Scoped) -> None:
    place = scoped.started("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done")
    ended = os.pidfd_open(scoped.box.state()["pid"])
    systemctl("stop", scoped.unit)
    assert select.select([ended], [], [], PATIENCE)[0]
    os.close(ended)
    assert (scoped.box.state()["status"], place.exists()) == ("stopped", False)
    scoped.box.ok("delete", "c")
    assert scoped.units() == ""


def test_nobody_is_asked_for_a_scope_that_ended_by_itself(scoped: Scoped) -> None:
    place = scoped.started()
    ended = os.pidfd_open(scoped.box.state()["pid"])
    scoped.box.ok("kill", "c", "KILL")
    select.select([ended], [], [], PATIENCE)
    os.close(ended)
    settled()
    assert not place.exists()
    done = scoped.call("delete", "c", hidden=(BUS, PRIVATE))
    assert (done.ok, done.err) == (True, ""), done


@pytest.mark.parametrize("again", ["daemon-reload", "daemon-reexec"])
def test_device_rules_and_limits_outlive_a_new_start_of_systemd(scoped: Scoped, again: str) -> None:
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}]
    bundle = scoped.bundle(devices=rules, pids={"limit": 25}, unified={"memory.high": "50331648"})
    bundle.linux["devices"] = [
        {"path": "/dev/allowed", "type": "c", "major": 10, "minor": 229},
        {"path": "/dev/denied", "type": "b", "major": 7, "minor": 0},
    ]
    assert scoped.run(bundle).ok

    def access() -> "list[bool]":
        tries = (scoped.box.call("exec", "c", "sh", "-c", f": < /dev/{name}") for name in ("allowed", "denied", "null"))
        return [done.ok for done in tries]

    assert access() == [True, False, True]
    systemctl(again)
    assert access() == [True, False, True]
    assert [(scoped.place() / name).read_text() for name in ("pids.max", "memory.high")] == ["25\n", "50331648\n"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_limit_of_memory_below_what_is_used(scoped: Scoped, driver: str) -> None:
    """The kernel kills, as it must; that is told, and not what followed from it."""
    program = 'x=$(head -c 33554432 /dev/zero | tr "\\0" x); echo up > /fifo; read y < /fifo'
    bundle = scoped.bundle("sh", "-c", program, memory={"limit": 256 * MEGA, "swap": 256 * MEGA})
    os.mkfifo(bundle.rootfs / "fifo")
    if driver == "cgroupfs":
        bundle.linux["cgroupsPath"] = f"/{scoped.box.tag}-memory"
    bundle.write()
    done = scoped.box.call(*DRIVERS[driver], "run", "-d", "--bundle", str(bundle.path), "c")
    assert done.ok, done
    with open(bundle.rootfs / "fifo") as fifo:
        assert fifo.read() == "up\n"
    done = scoped.box.call("update", "--memory", "4194304", "--memory-swap", "4194304", "c")
    assert done.status == 1
    assert "memory.limit: the container was killed for lack of memory: it uses more than the new limit" in done.err
    scoped.box.ok("delete", "c")


def options_of_the_tree() -> str:
    (line,) = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " /sys/fs/cgroup " in line]
    return line.rpartition(" ")[2]


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_hosts_cgroup_namespace_shows_the_hosts_tree(scoped: Scoped, driver: str) -> None:
    """Agents that watch a machine need it; and the host's own mount keeps its options."""
    before = options_of_the_tree()
    script = "cat /sys/fs/cgroup$(cut -c4- /proc/self/cgroup)/pids.max; ls -d /sys/fs/cgroup/init.scope; "
    bundle = scoped.bundle("sh", "-c", script + "mkdir /sys/fs/cgroup/x", pids={"limit": 23})
    bundle.without("cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid", "noexec", "nodev"])
    if driver == "cgroupfs":
        bundle.linux["cgroupsPath"] = f"/{scoped.box.tag}-tree"
    bundle.write()
    done = scoped.box.call(*DRIVERS[driver], "run", "--bundle", str(bundle.path), "c")
    assert done.out == "23\n/sys/fs/cgroup/init.scope\n", done
    assert "Read-only" in done.err
    assert options_of_the_tree() == before


def test_a_slice_that_was_not_there_goes_with_its_container(scoped: Scoped) -> None:
    scoped.slice = f"pyociq{scoped.name}-inner.slice"
    place = scoped.started()
    assert place.parent.name == scoped.slice
    above = place.parent.parent
    scoped.box.ok("delete", "--force", "c")
    settled()
    assert not above.exists()
    assert systemctl("list-units", "--all", "--plain", "--no-legend", f"pyociq{scoped.name}*") == ""


def test_several_containers_begin_a_slice(scoped: Scoped, box: Box) -> None:
    """At once: only one of them makes it, and the last one takes it away."""
    all_of_them = [Scoped(box) for _ in range(4)]
    begun = []
    for number, each in enumerate(all_of_them):
        each.slice = f"pyociq{scoped.name}.slice"
        bundle = each.bundle()
        bundle.write()
        begun.append(box.begin("--systemd-cgroup", "run", "-d", "--bundle", str(bundle.path), f"c{number}"))
    for done in [each.finish() for each in begun]:
        assert done.ok, done
    for number in range(4):
        assert (ROOT / all_of_them[0].slice).exists()
        box.ok("delete", "--force", f"c{number}")
    settled()
    assert not (ROOT / all_of_them[0].slice).exists()


def test_a_slice_that_was_there_stays(scoped: Scoped) -> None:
    scoped.slice = f"pyociq{scoped.name}.slice"
    systemctl("start", scoped.slice)
    try:
        place = scoped.started()
        scoped.box.ok("delete", "--force", "c")
        assert place.parent.exists()
    finally:
        systemctl("stop", scoped.slice)


def count() -> "dict[str, int]":
    """What a container could leave with systemd and the bus."""
    dbus = systemctl("show", "-P", "MainPID", "dbus.service")
    stats = ["busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Debug.Stats"]
    text = subprocess.run([*stats, "GetStats"], capture_output=True, text=True, check=True).stdout.split()
    matches = int(text[text.index('"MatchRules"') + 2])
    return {
        "units": len(systemctl("list-units", "--all", "--plain", "--no-legend").splitlines()),
        "cgroups": sum(1 for _ in os.walk(ROOT)),
        "descriptors of systemd": len(os.listdir("/proc/1/fd")),
        "descriptors of the bus": len(os.listdir(f"/proc/{dbus}/fd")),
        "matches": matches,
    }


@pytest.mark.slow
def test_many_containers_leave_nothing(scoped: Scoped) -> None:
    """PYOCI_CYCLES of them, one after the other."""
    bundle = scoped.bundle("true")
    scoped.slice = "pyocicycles.slice"
    bundle.write()
    words = ("--systemd-cgroup", "run", "--bundle", str(bundle.path), "c")
    scoped.box.ok(*words)
    before = count()
    for _ in range(int(os.environ.get("PYOCI_CYCLES", "20"))):
        scoped.box.ok(*words)
    after = count()
    print(f"{before}\n{after}")
    name = "descriptors of systemd"  # which may have to notice yet that the last ones, or systemctl, have hung up
    assert abs(after.pop(name) - before.pop(name)) <= 2
    assert after == before


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("runc"), reason="runc is not installed")
def test_run_takes_no_longer_than_runcs(scoped: Scoped) -> None:
    """Pair by pair, as machines are busy with other things: PYOCI_PAIRS of them."""
    bundle = scoped.bundle("true")
    bundle.write()
    place = ["--systemd-cgroup", "run", "--bundle", str(bundle.path)]
    commands = [scoped.box.words(*place, "c"), ["runc", "--root", str(scoped.box.path / "runc"), *place, "r"]]
    ratios = []
    for pair in range(int(os.environ.get("PYOCI_PAIRS", "5")) + 1):
        took = [0.0, 0.0]
        for which in ((0, 1), (1, 0))[pair % 2]:
            began = time.monotonic()
            assert run(commands[which]).ok
            took[which] = time.monotonic() - began
        print(f"pyoci {took[0] * 1000:.0f} ms, runc {took[1] * 1000:.0f} ms")
        ratios.append(took[0] / took[1])
    ratio = statistics.median(ratios[1:])  # the first pair read the programs from the disk
    print(f"of runc's time: {ratio:.2f}")
    assert ratio < 1


@pytest.mark.slow
def test_many_lives_in_one_program_leave_nothing(scoped: Scoped) -> None:
    """PYOCI_CYCLES times create and delete, in this process."""
    bundle = scoped.bundle()
    scoped.slice = "pyocicycles.slice"
    bundle.write()
    runtime = pyoci.Runtime(str(scoped.box.root), cgroup_manager="systemd")

    def live() -> None:
        with runtime.create("c", CreateOptions(str(bundle.path)), stdout=pyoci.DEVNULL, stderr=pyoci.DEVNULL):
            runtime.delete("c", force=True)

    live()
    before = {**count(), "descriptors here": len(os.listdir("/proc/self/fd"))}
    for _ in range(int(os.environ.get("PYOCI_CYCLES", "20"))):
        live()
    after = {**count(), "descriptors here": len(os.listdir("/proc/self/fd"))}
    print(f"{before}\n{after}")
    name = "descriptors of systemd"  # which may have to notice yet that the last ones, or systemctl, have hung up
    assert abs(after.pop(name) - before.pop(name)) <= 2
    assert after == before
