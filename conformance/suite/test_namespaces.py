"""config-linux.md: namespaces, id mappings, clocks, kernel parameters, personality."""

import os
import platform
import time
from pathlib import Path
from typing import Any

import pytest

from conformance.case import Case

FILES = {
    "pid": "pid",
    "network": "net",
    "mount": "mnt",
    "ipc": "ipc",
    "uts": "uts",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time",
}
MAPPING = [{"containerID": 0, "hostID": 100000, "size": 1000}, {"containerID": 5000, "hostID": 200000, "size": 7}]
OPTIONAL = "config.md#valid-values lets a runtime choose what it supports"


def own(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{FILES[kind]}")


def with_namespaces(case: Case, *kinds: str, **changes: Any) -> dict[str, Any]:
    """The base configuration with exactly these namespaces."""
    config = case.config({"linux": {"namespaces": [{"type": kind} for kind in kinds]}})
    if "user" in kinds:
        config = case.config(config, linux={"uidMappings": MAPPING, "gidMappings": MAPPING})
    return case.config(config, **changes)


BASE = ("pid", "network", "ipc", "uts", "mount")


@pytest.mark.judges("linux.namespaces.new")
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.judges(f"linux.namespaces.type.{kind}")) for kind in FILES]
)
def test_new_namespace(case: Case, kind: str) -> None:
    case.needs_root()
    case.needs(Path(f"/proc/self/ns/{FILES[kind]}").exists(), f"the kernel has no {kind} namespaces")
    seen = case.observe(with_namespaces(case, *dict.fromkeys((*BASE, kind))))
    theirs = seen["namespaces"].get(FILES[kind])
    asked = f"a new {kind} namespace, other than {own(kind)}"
    for name in ("linux.namespaces.new", f"linux.namespaces.type.{kind}"):
        case.judge(name, theirs not in (None, own(kind)), asked, theirs)


@pytest.mark.judges("linux.namespaces.inherited")
@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "mount"])
def test_inherited_namespace(case: Case, kind: str) -> None:
    """Not the mount namespace: a container without its own would leave its mounts on the host."""
    case.needs_root()
    case.needs(Path(f"/proc/self/ns/{FILES[kind]}").exists(), f"the kernel has no {kind} namespaces")
    seen = case.observe(with_namespaces(case, *(other for other in BASE if other != kind)))
    case.equal(
        "linux.namespaces.inherited", f"{kind} namespace, the caller's", own(kind), seen["namespaces"][FILES[kind]]
    )


@pytest.mark.judges("linux.namespaces.path-joined")
@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "pid", "cgroup", "time"])
def test_joined_namespace(case: Case, kind: str) -> None:
    case.needs_root()
    case.needs(Path(f"/proc/self/ns/{FILES[kind]}").exists(), f"the kernel has no {kind} namespaces")
    holder = case.running(with_namespaces(case, *dict.fromkeys((*BASE, kind))))
    path = f"/proc/{holder.pid}/ns/{FILES[kind]}"
    theirs = os.readlink(path)
    case.needs(theirs != own(kind), f"the runtime does not make {kind} namespaces: there is none to join")
    entries = [{"type": other} for other in BASE if other != kind] + [{"type": kind, "path": path}]
    seen = case.observe(case.config(linux={"namespaces": entries}), anew=True)
    case.equal("linux.namespaces.path-joined", f"{kind} namespace", theirs, seen["namespaces"][FILES[kind]])
    case.equal("linux.namespaces.path-joined", "status of the container joined", "running", holder.status())


def network_at(case: Case, path: str) -> dict[str, Any]:
    entries = [{"type": kind} for kind in BASE if kind != "network"] + [{"type": "network", "path": path}]
    return case.config(linux={"namespaces": entries}, process={"args": ["/probe", "exit:0"]})


@pytest.mark.judges(
    "linux.namespaces.path-absolute",
    "linux.namespaces.path-wrong-type-error",
    "linux.namespaces.path-no-namespace-error",
)
def test_bad_paths(case: Case) -> None:
    case.needs_root()
    holder = case.running(case.config())
    wrong = network_at(case, f"/proc/{holder.pid}/ns/ipc")
    case.refused("linux.namespaces.path-wrong-type-error", "the path of an ipc namespace for network", wrong)
    for path in ("/dev/null", "/no/such/namespace"):
        case.refused("linux.namespaces.path-no-namespace-error", f"the path {path}", network_at(case, path))
    container = case.container(network_at(case, f"proc/{holder.pid}/ns/net"))
    result = container.create(cwd="/")  # from where the relative path would lead to a namespace
    case.failed("linux.namespaces.path-absolute", "a path relative to the runtime's directory", result)


@pytest.mark.judges("linux.namespaces.duplicate-error", "linux.namespaces.unknown-type-error")
def test_bad_types(case: Case) -> None:
    case.refused("linux.namespaces.duplicate-error", "uts twice", with_namespaces(case, *BASE, "uts"))
    case.refused("linux.namespaces.unknown-type-error", "the type nonsense", with_namespaces(case, *BASE, "nonsense"))


@pytest.mark.judges("linux.mappings.uid", "linux.mappings.gid", "linux.mappings.no-chown")
def test_mappings(case: Case) -> None:
    case.needs_root()
    config = with_namespaces(case, *BASE, "user")
    groups = [{"containerID": 0, "hostID": 300000, "size": 50}]
    bundle = case.bundle(case.config(config, linux={"gidMappings": groups}))
    os.chown(bundle.rootfs / "data" / "file", 100005, 300006)
    owner_before = [os.stat(path)[4:6] for path in (bundle.rootfs, bundle.rootfs / "probe", bundle.rootfs / "data")]
    container = case.container(bundle.config, bundle)
    bundle.config["process"]["args"] = ["/probe", "report", "stat:/data/file"]
    bundle.write()
    created = container.create()
    started = container.start()
    case.judge("linux.mappings.uid", created.ok and started.ok, "a container in a user namespace", (created, started))
    if not started.ok:
        case.judge("linux.mappings.gid", False, "a container in a user namespace", started)
        case.judge("linux.mappings.no-chown", False, "a container in a user namespace", started)
        return
    seen = case.report_of(container)
    for name, text, wanted in (
        ("uid", seen["uid_map"], [["0", "100000", "1000"], ["5000", "200000", "7"]]),
        ("gid", seen["gid_map"], [["0", "300000", "50"]]),
    ):
        found = [line.split() for line in (text or "").splitlines()]
        case.equal(f"linux.mappings.{name}", f"{name}_map", wanted, found)
    stat = seen.did("stat")
    case.equal("linux.mappings.uid", "owner of a file of 100005", 5, stat.get("uid"))
    case.equal("linux.mappings.gid", "group of a file of 300006", 6, stat.get("gid"))
    owner_after = [os.stat(path)[4:6] for path in (bundle.rootfs, bundle.rootfs / "probe", bundle.rootfs / "data")]
    case.equal("linux.mappings.no-chown", "owners of the root, of files in it", owner_before, owner_after)


@pytest.mark.judges("linux.time-offsets.monotonic", "linux.time-offsets.boottime")
def test_time_offsets(case: Case) -> None:
    case.needs_root()
    case.needs(Path("/proc/self/ns/time").exists(), "the kernel has no time namespaces")
    offsets = {
        "monotonic": {"secs": 172800, "nanosecs": 500_000_000},
        "boottime": {"secs": -7, "nanosecs": 250_000_000},
    }
    config = case.config(linux={"timeOffsets": offsets, "namespaces": [{"type": kind} for kind in (*BASE, "time")]})
    seen = case.observe(config, anew=True, may_refuse=OPTIONAL)["clocks"]
    # the realtime clock has no offset: against it the others can be compared however long the container took
    for name, clock in {"monotonic": time.CLOCK_MONOTONIC, "boottime": time.CLOCK_BOOTTIME}.items():
        ours = time.clock_gettime_ns(clock) - time.clock_gettime_ns(time.CLOCK_REALTIME)
        found = (seen[name] - seen["realtime"] - ours) / 1e9
        wanted = offsets[name]["secs"] + offsets[name]["nanosecs"] / 1e9
        asked = f"{name} clock ahead of the host's by {wanted} s"
        case.judge(f"linux.time-offsets.{name}", abs(found - wanted) < 0.1, asked, f"{found:.3f} s")


SYSCTLS = {
    "net.core.somaxconn": "321",
    "net.ipv4.ip_forward": "1",
    "kernel.shm_rmid_forced": "1",
    "fs.mqueue.msg_max": "13",
}


@pytest.mark.judges("linux.sysctl", "linux.sysctl-inapplicable-error")
def test_sysctl(case: Case) -> None:
    case.needs_root()
    known = {name: value for name, value in SYSCTLS.items() if proc_file(name).exists()}
    verbs: list[str] = [f"read:{proc_file(name)}" for name in known]
    seen = case.observe(case.config(linux={"sysctl": known}), *verbs)
    found = {name: seen.did("read", str(proc_file(name))).get("text", "").strip() for name in known}
    case.equal("linux.sysctl", "values in the container", known, found)
    unknown = case.config(linux={"sysctl": {"net.core.no_such": "1"}})
    case.refused("linux.sysctl-inapplicable-error", "net.core.no_such", unknown)


def proc_file(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


@pytest.mark.judges("linux.personality.linux32", "linux.personality.linux", "linux.personality.error")
def test_personality(case: Case) -> None:
    case.needs(platform.machine() in ("x86_64", "aarch64"), "needs a 64-bit machine with a 32-bit personality")
    seen = case.observe(case.config(linux={"personality": {"domain": "LINUX32"}}), may_refuse=OPTIONAL)
    case.equal("linux.personality.linux32", "personality LINUX32", 8, seen["personality"] & 0xFF)
    case.judge("linux.personality.linux32", seen["machine"] != platform.machine(), "a 32-bit machine", seen["machine"])
    seen = case.observe(case.config(linux={"personality": {"domain": "LINUX"}}), may_refuse=OPTIONAL)
    case.equal("linux.personality.linux", "personality LINUX", 0, seen["personality"] & 0xFF)
    case.equal("linux.personality.linux", "machine", platform.machine(), seen["machine"])
    nonsense = case.config(linux={"personality": {"domain": "NONSENSE"}})
    case.refused("linux.personality.error", "the personality NONSENSE", nonsense)
