"""Every property of config.json alone, with new, joined and absent namespaces: what it asks for is done, or refused
before anything is made. The properties come from schemas/: a new one fails here until it has a sample."""

import copy
import fnmatch
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyoci import cgroups
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.plan.compile import compile_create
from pyoci.plan.request import Request
from tests.support.box import Box
from tests.support.bundle import Bundle

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import spec_table

pytestmark = pytest.mark.root

# Each kind is a linear function of three digits to the base of three, no two multiples of each other: so the 27 ways
# hold each combination of any two namespaces, and each of user, pid and mount
KINDS = {
    "user": (1, 0, 0), "pid": (0, 1, 0), "mount": (0, 0, 1), "time": (1, 1, 1),
    "network": (1, 2, 1), "uts": (1, 1, 2), "ipc": (1, 2, 2), "cgroup": (0, 1, 1),
}  # fmt: skip
FILES = {"network": "net", "mount": "mnt"}
ABSENT, NEW, JOINED = range(3)
MAP = [{"containerID": 0, "hostID": 0, "size": 65536}]

Way = dict[str, int]
WAYS: list[Way] = [
    {kind: sum(map(int.__mul__, digits, row)) % 3 for kind, digits in KINDS.items()}
    for row in itertools.product(range(3), repeat=3)
]


class Sample:
    """A part of config.json to be tried alone.

    part:   what is added to the bare config
    script: for the container's shell, to see that it was done
    """

    def __init__(self, part: "dict[str, Any]", script: str = "") -> None:
        self.part, self.script = part, script


def linux(**parts: Any) -> "dict[str, Any]":
    return {"linux": parts}


def process(**parts: Any) -> "dict[str, Any]":
    return {"process": parts}


def resources(**parts: Any) -> Sample:
    return Sample(linux(resources=parts))


NULL = {"major": 1, "minor": 3}
RATE = [{**NULL, "rate": 1000000}]
CAPS = ["CAP_KILL", "CAP_CHOWN"]
HOOK = [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 10}]
SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
    "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "syscalls": [
        {
            "names": ["swapon"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 38,
            "args": [{"index": 1, "value": 7, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"}],
        }
    ],
}
SAMPLES: "dict[str, Sample]" = {
    "nothing": Sample({}),
    "annotations": Sample({"annotations": {"a": "b"}}),
    "hostname": Sample({"hostname": "name"}, '[ "$(hostname)" = name ]'),
    "domainname": Sample({"domainname": "name"}),
    "readonly": Sample({"root": {"readonly": True}}, "! touch /file 2>/dev/null"),
    "masks": Sample(linux(maskedPaths=["/etc", "/root/file"]), "! touch /etc/file 2>/dev/null"),
    "readonly paths": Sample(linux(readonlyPaths=["/tmp"]), "! touch /tmp/file 2>/dev/null"),
}


def mounted(destination: str, type: str, *options: str, **more: Any) -> "dict[str, Any]":
    return {"destination": destination, "type": type, "source": type, "options": list(options), **more}


MOUNTS = {
    "proc": mounted("/proc", "proc"),
    "sysfs": mounted("/sys", "sysfs", "ro"),
    "tmpfs": mounted("/dev", "tmpfs", "ro"),
    "devpts": mounted("/dev/pts", "devpts", "newinstance", "ptmxmode=0666", "gid=5"),
    "mqueue": mounted("/dev/mqueue", "mqueue"),
    "cgroup": mounted("/sys/fs/cgroup", "cgroup", "ro"),
    "bind": mounted("/tmp", "none", "rbind", "ro", source="/etc"),
    "bind /proc": mounted("/proc", "none", "rbind", source="/proc"),
    "bind, idmap": mounted("/tmp", "none", "rbind", source="/etc", uidMappings=MAP, gidMappings=MAP),
}
SAMPLES.update({f"mount {name}": Sample({"mounts": [entry]}) for name, entry in MOUNTS.items()})
SAMPLES.update(
    {
        "all mounts": Sample({"mounts": [entry for name, entry in MOUNTS.items() if not name.startswith("bind")]}),
        "masked proc": Sample(
            {
                "mounts": [MOUNTS["proc"]],
                **linux(maskedPaths=["/proc/kcore", "/proc/acpi"], readonlyPaths=["/proc/sys"]),
            },
            "[ ! -s /proc/kcore ]",
        ),
        "terminal": Sample(
            {
                "mounts": [MOUNTS["devpts"]],
                **process(terminal=True, consoleSize={"height": 30, "width": 90}),
            },
            '[ "$(stty size)" = "30 90" ]',
        ),
        "cwd": Sample(process(cwd="/tmp/new"), '[ "$PWD" = /tmp/new ]'),
        "env": Sample(process(env=["PATH=/bin", "A=b"]), '[ "$A" = b ]'),
        "args": Sample(process(args=["true"])),
        "rlimits": Sample(
            process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]), '[ "$(ulimit -n)" = 77 ]'
        ),
        "AppArmor": Sample(process(apparmorProfile="unconfined")),
        "SELinux": Sample(process(selinuxLabel="system_u:system_r:container_t:s0")),
        "mount label": Sample(
            {"mounts": [MOUNTS["tmpfs"]], **linux(mountLabel="system_u:object_r:container_file_t:s0")}
        ),
        "capabilities": Sample(
            process(
                capabilities=dict.fromkeys(("bounding", "effective", "permitted", "inheritable", "ambient"), CAPS)
            )
        ),
        "no new privileges": Sample(process(noNewPrivileges=True)),
        "oomScoreAdj": Sample(process(oomScoreAdj=77)),
        "scheduler": Sample(process(scheduler={"policy": "SCHED_BATCH", "nice": 5})),
        "ioPriority": Sample(process(ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 3})),
        "exec affinity": Sample(process(execCPUAffinity={"initial": "0", "final": "0"})),
        "user": Sample(
            process(user={"uid": 7, "gid": 8, "umask": 0o27, "additionalGids": [9], "username": "somebody"}),
            '[ "$(id -u) $(id -g) $(id -G) $(umask)" = "7 8 8 9 0027" ]',
        ),
        "sysctl": Sample(linux(sysctl={"kernel.shm_rmid_forced": "1"})),
        "network sysctl": Sample(linux(sysctl={"net.ipv4.ip_forward": "1"})),
        "devices": Sample(
            linux(devices=[{"type": "c", "path": "/dev/null", **NULL, "fileMode": 0o622, "uid": 3, "gid": 4}]),
            "[ -c /dev/null ]",
        ),
        "time offsets": Sample(
            linux(timeOffsets={clock: {"secs": 1000000000, "nanosecs": 5} for clock in ("monotonic", "boottime")}),
        ),
        "propagation": Sample(linux(rootfsPropagation="rshared")),
        "personality": Sample(linux(personality={"domain": "LINUX", "flags": []})),
        "memory policy": Sample(linux(memoryPolicy={"mode": "MPOL_BIND", "nodes": "0", "flags": []})),
        "seccomp": Sample(linux(seccomp=SECCOMP)),
        "resource devices": resources(devices=[{"allow": True, "type": "c", **NULL, "access": "rwm"}]),
        "memory": resources(
            memory={
                "limit": 1 << 28, "reservation": 1 << 27, "swap": 1 << 29, "kernel": -1, "kernelTCP": -1,
                "swappiness": 50, "disableOOMKiller": False, "useHierarchy": True, "checkBeforeUpdate": True,
            }
        ),
        "cpu": resources(cpu={"shares": 512, "quota": 50000, "burst": 0, "period": 100000, "cpus": "0", "mems": "0"}),
        "pids": resources(pids={"limit": 50}),
        "unified": resources(unified={}),
        "cgroupsPath": Sample({}),
    }
)  # fmt: skip
SAMPLES.update(
    {
        f"hook {kind}": Sample({"hooks": {kind: HOOK}})
        for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    }
)


# What has to do with a namespace that belongs to another user namespace is the kernel's to refuse
OWNED = {
    "hostname": ["uts"], "domainname": ["uts"], "network sysctl": ["network"], "mount proc": ["pid"],
    "masked proc": ["pid"], "mount mqueue": ["ipc"], "all mounts": ["pid", "ipc"],
}  # fmt: skip

NEEDS_LSM = {"AppArmor", "SELinux", "mount label"}

# Properties that need more than a namespace and a machine like any other; each has tests of its own
ELSEWHERE = [
    "linux.intelRdt*", "linux.netDevices*", "linux.seccomp.listener*", "linux.seccomp.defaultErrnoRet",
    "linux.resources.blockIO*", "linux.resources.hugepageLimits*", "linux.resources.network*", "linux.resources.rdma*",
    "linux.resources.cpu.realtime*", "linux.resources.cpu.idle", "process.scheduler.*",
]  # fmt: skip
NOT_LINUX = ["windows*", "solaris*", "vm*", "zos*", "freebsd*", "process.commandLine"]
BARE = {"ociVersion", "root", "root.path", "process", "linux", "linux.cgroupsPath"}


def paths(value: Any, here: str = "") -> "Iterator[str]":
    """The properties of a document as spec_table names them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{here}{key}"
            yield from paths(inner, f"{here}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{here[:-1]}[].")


def test_every_property_has_a_sample() -> None:
    wanted = {name for name, _ in spec_table.properties(spec_table.schemas(), "config.json")}
    tried = BARE | {"linux.namespaces", "linux.namespaces[].type", "linux.namespaces[].path"}
    tried |= {f"linux.{key}Mappings{part}" for key in ("uid", "gid") for part in ("", *(f"[].{k}" for k in MAP[0]))}
    for sample in SAMPLES.values():
        tried.update(paths(sample.part))
    missing = [n for n in wanted - tried if not any(fnmatch.fnmatchcase(n, p) for p in (*ELSEWHERE, *NOT_LINUX))]
    assert sorted(missing) == []


def test_each_two_namespaces_meet_in_every_way() -> None:
    for two in itertools.combinations(KINDS, 2):
        assert len({tuple(way[kind] for kind in two) for way in WAYS}) == 9, two
    assert len({(way["user"], way["pid"], way["mount"]) for way in WAYS}) == 27


def merge(into: "dict[str, Any]", part: "dict[str, Any]") -> None:
    for key, value in part.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


class Donor:
    """A process with all namespaces, to be joined. No mount namespace is used twice: its root is the container's then.

    owned: they belong to a user namespace of their own
    """

    def __init__(self, owned: bool) -> None:
        kinds = ["--pid", "--net", "--ipc", "--uts", "--cgroup", "--time", "--fork"]
        self.process = self._start(["unshare", *(["--user"] if owned else []), *kinds])
        if owned:
            for map in ("uid_map", "gid_map"):
                Path(f"/proc/{self.process.pid}/{map}").write_text("0 0 65536\n")
        self.child = int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])
        self.enter = ["nsenter", f"--user=/proc/{self.child}/ns/user"] if owned else []
        self.mounts: "list[subprocess.Popen[str]]" = []

    def path(self, kind: str) -> str:
        if kind != "mount":
            return f"/proc/{self.child}/ns/{FILES.get(kind, kind)}"
        self.mounts.append(self._start([*self.enter, "unshare", "--mount"]))
        return f"/proc/{self.mounts[-1].pid}/ns/mnt"

    def _start(self, words: "list[str]") -> "subprocess.Popen[str]":
        words = [*words, "sh", "-c", "echo ready; exec sleep 1000"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        return process

    def close(self) -> None:
        os.kill(self.child, 9)
        for process in self.mounts:
            process.kill()
        for process in (self.process, *self.mounts):
            process.communicate()


@pytest.fixture
def donors() -> "Iterator[dict[bool, Donor]]":
    made = {owned: Donor(owned) for owned in (False, True)}
    yield made
    for donor in made.values():
        donor.close()


def configure(bundle: Bundle, sample: Sample, way: Way) -> None:
    """The bare config with the sample's part; namespaces to be joined have yet no right path."""
    bundle.config = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["true"], "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]},
        "linux": {"cgroupsPath": bundle.linux["cgroupsPath"], "namespaces": []},
    }
    for kind in KINDS:
        if way[kind] != ABSENT:
            bundle.namespace(kind, "/proc/self/fd/no" if way[kind] == JOINED else "")
    if way["user"] == NEW:
        bundle.linux.update(uidMappings=MAP, gidMappings=MAP)
    if sample.script:
        bundle.shell(sample.script)
    merge(bundle.config, sample.part)


def is_refused(bundle: Bundle) -> bool:
    """Whether the compiler, which changes nothing, does not take the config; it must say where."""
    request = Request(bundle.config, Host(), str(bundle.path), "c")
    request.cgroup_mounts = cgroups.compile_cgroups(bundle.config, "c", driver="cgroupfs").mounts
    try:
        compile_create(request, [])
    except Error as problem:
        assert problem.location, problem
        return True
    return False


def is_foreign(way: Way, kind: str) -> bool:
    """Whether a namespace belongs to another user namespace than the container's."""
    if kind == "mount" and way[kind] == ABSENT:
        return False
    return way[kind] != NEW if way["user"] == NEW else way["user"] == JOINED and way[kind] == ABSENT


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SAMPLES))
def test_alone_in_all_namespaces(box: Box, donors: "dict[bool, Donor]", name: str) -> None:
    bundle, sample, wrong, done = box.bundle(), SAMPLES[name], [], 0
    for way in WAYS:
        configure(bundle, sample, way)
        if is_refused(bundle):
            continue
        for space in bundle.linux["namespaces"]:
            if "path" in space:
                space["path"] = donors[way["user"] == JOINED].path(space["type"])
        result = box.run(bundle)
        expected = not any(is_foreign(way, kind) for kind in (*OWNED.get(name, ()), "mount"))
        if result.ok != expected or not (expected or "(EPERM)" in result.err):
            wrong.append((way, result))
        done += expected
    assert wrong == []
    assert done or name in NEEDS_LSM
