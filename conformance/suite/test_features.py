"""features.md and features-linux.md: what the runtime says of itself, held against what it does."""

import json
import os
import re
import sys
from typing import Any

import pytest

from conformance.case import Case
from conformance.requirements import version_key
from conformance.schema import undefined_features

SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
# options of particular filesystems, which have no place among the mount options
FILESYSTEM_OPTIONS = {"size", "mode", "nr_inodes", "gid", "uid", "newinstance", "ptmxmode", "lowerdir"}


def structure(case: Case) -> dict[str, Any]:
    found = case.features()
    case.needs(found, "the runtime has no features command, which the specification permits")
    return found or {}


def linux(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = structure(case).get("linux") or {}
    return found


@pytest.mark.judges(
    "features.version-min",
    "features.version-max",
    "features.version-order",
    "features.no-undefined-properties",
    "features.annotations-map",
    "features.mount-options-no-data",
)
def test_the_structure(case: Case) -> None:
    found = structure(case)
    low, high = (str(found.get(name, "")) for name in ("ociVersionMin", "ociVersionMax"))
    case.judge("features.version-min", SEMVER.fullmatch(low), "a version in ociVersionMin", low)
    case.judge("features.version-max", SEMVER.fullmatch(high), "a version in ociVersionMax", high)
    case.judge(
        "features.version-order", version_key(low) <= version_key(high), "ociVersionMin <= ociVersionMax", (low, high)
    )
    undefined = undefined_features(found, high)
    case.equal("features.no-undefined-properties", f"properties that {high} does not define", [], undefined)
    annotations = found.get("annotations") or {}
    wrong = {key: value for key, value in annotations.items() if not key or not isinstance(value, str)}
    case.equal("features.annotations-map", "annotations that are no strings", {}, wrong)
    data = sorted({option.split("=")[0] for option in found.get("mountOptions") or []} & FILESYSTEM_OPTIONS)
    case.equal("features.mount-options-no-data", "options of a filesystem's own", [], data)


@pytest.mark.judges("features.version-min-accepted", "features.version-max-accepted")
@pytest.mark.parametrize("which", ["min", "max"])
def test_versions_are_accepted(case: Case, which: str) -> None:
    case.requirements = [name for name in case.requirements if which in name]
    version = structure(case).get(f"ociVersion{which.capitalize()}")
    refused, seen = case.attempt(case.config(ociVersion=version, process={"args": ["/probe", "exit:0"]}))
    case.judge(f"features.version-{which}-accepted", not refused, f"a container of version {version}", seen)


@pytest.mark.judges("features.static")
def test_the_structure_is_static(case: Case) -> None:
    case.needs_root()
    found = structure(case)
    # another user, another directory, no environment, nothing of /proc and /sys to look at
    script = 'mount -t tmpfs none /sys && exec "$0" features'
    command = ["unshare", "-mn", "--propagation", "private", "sh", "-c", script, case.runtime.path]
    result = case.runtime.run(command, cwd="/", env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")})
    case.needs(result.ok or "unshare" not in result.err, f"unshare(1) does not work here: {result}")
    try:
        again = json.loads(result.out)
    except ValueError:
        again = str(result)
    case.judge(
        "features.static", again == found, "the same structure without /sys and in another network", str(again)[:200]
    )


@pytest.mark.judges("features.hooks-supported")
def test_listed_hooks(case: Case) -> None:
    case.needs_root()
    kinds = structure(case).get("hooks") or []
    bundle = case.bundle(case.config(process={"args": ["/probe", "exit:0"]}))
    log = str(bundle.rootfs / "log" / "hooks")
    hooks = {}
    for kind in kinds:
        inside = kind == "startContainer"
        path, target = ("/probe", "/log/hooks") if inside else (str(case.probe), log)
        hooks[kind] = [{"path": path, "args": ["hook", "hook", target, kind]}]
    bundle.config["hooks"] = hooks
    bundle.write()
    case.last_config = bundle.config
    container = case.container(bundle.config, bundle)
    container.create()
    container.start()
    container.wait()
    container.delete()
    ran = {line["label"] for line in bundle.lines("hooks")}
    case.equal("features.hooks-supported", "listed hooks that did not run", [], sorted(set(kinds) - ran))


@pytest.mark.judges("features.mount-options-recognized")
def test_listed_mount_options(case: Case) -> None:
    """ramfs takes every word; tmpfs takes only its own: an option that is not recognised would reach it, and fail."""
    case.needs_root()
    unknown: list[str] = []
    options = [name for name in structure(case).get("mountOptions") or [] if "idmap" not in name]
    on_tmpfs = [name for name in options if name not in ("bind", "rbind", "remount") and not is_recursive(name)]
    if not accepted(case, {"type": "tmpfs", "source": "tmpfs"}, on_tmpfs):
        unknown += [name for name in on_tmpfs if not accepted(case, {"type": "tmpfs", "source": "tmpfs"}, [name])]
    source = str(case.session.place)
    for name in options:
        if is_recursive(name) and not accepted(case, {"type": "none", "source": source}, ["rbind", name]):
            unknown.append(name)
    case.equal("features.mount-options-recognized", "listed options that are refused", [], unknown)


def is_recursive(option: str) -> bool:
    return option[0] == "r" and option not in ("relatime", "remount", "ro", "rw", "rbind")


def accepted(case: Case, mount: dict[str, Any], options: list[str]) -> bool:
    entry = {**mount, "destination": "/data", "options": options}
    config = case.config(mounts=[*case.config()["mounts"], entry], process={"args": ["/probe", "exit:0"]})
    return not case.attempt(config)[0]


@pytest.mark.judges("features-linux.namespaces")
def test_listed_namespaces(case: Case) -> None:
    case.needs_root()
    refused = {}
    for kind in linux(case).get("namespaces") or []:
        kinds = dict.fromkeys(["pid", "network", "ipc", "uts", "mount", kind])
        mapping = [{"containerID": 0, "hostID": 100000, "size": 100}]
        changes: dict[str, Any] = {"namespaces": [{"type": name} for name in kinds]}
        if kind == "user":
            changes.update({"uidMappings": mapping, "gidMappings": mapping})
        was_refused, seen = case.attempt(case.config(linux=changes, process={"args": ["/probe", "exit:0"]}))
        if was_refused:
            refused[kind] = seen
    case.equal("features-linux.namespaces", "listed namespaces that are refused", {}, refused)


@pytest.mark.judges("features-linux.capabilities")
def test_listed_capabilities(case: Case) -> None:
    case.needs_root()
    names = linux(case).get("capabilities")
    case.needs(names, "no capabilities are listed")
    possible = bounding_set()
    wanted = (
        [name for name in names or [] if CAPABILITIES.index(name) in possible]
        if set(names or []) <= set(CAPABILITIES)
        else []
    )
    case.equal(
        "features-linux.capabilities",
        "listed names that no kernel has",
        [],
        sorted(set(names or []) - set(CAPABILITIES)),
    )
    sets = dict.fromkeys(("bounding", "permitted", "effective"), wanted)
    seen = case.observe(case.config(process={"capabilities": sets}))["capabilities"]["effective"]
    numbers = sorted(CAPABILITIES.index(name) for name in wanted)
    case.equal("features-linux.capabilities", "listed capabilities, granted", numbers, seen)


def bounding_set() -> list[int]:
    with open("/proc/self/status") as status:
        bits = next(int(line.split()[1], 16) for line in status if line.startswith("CapBnd"))
    return [number for number in range(64) if bits >> number & 1]


CAPABILITIES = [
    "CAP_" + name
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ]
]


BIG_ENDIAN = [
    f"SCMP_ARCH_{name}"
    for name in ["MIPS", "MIPS64", "MIPS64N32", "PPC", "PPC64", "S390", "S390X", "PARISC", "PARISC64", "M68K", "SHEB"]
]


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(which, marks=pytest.mark.judges(f"features-linux.seccomp-{name}"))
        for which, name in (
            ("actions", "actions"),
            ("operators", "operators"),
            ("archs", "archs"),
            ("knownFlags", "known-flags"),
            ("supportedFlags", "supported-flags"),
        )
    ],
)
def test_listed_for_seccomp(case: Case, which: str) -> None:
    (requirement,) = case.requirements
    seccomp = linux(case).get("seccomp") or {}
    listed = seccomp.get(which)
    case.needs(listed, f"no {which} are listed")
    refused = {}
    for value in listed or []:
        rule: dict[str, Any] = {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}
        content: dict[str, Any] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
        if which == "actions":
            rule["action"] = value
            if value == "SCMP_ACT_NOTIFY":
                continue  # judged with an agent, as linux.seccomp.action.notify
        elif which == "operators":
            rule["args"] = [{"index": 0, "value": 1, "valueTwo": 1, "op": value}]
        elif which == "archs":
            content["architectures"] = [value]
            if value in BIG_ENDIAN and sys.byteorder == "little":
                continue  # libseccomp cannot have both byte orders in one filter
        else:
            content["flags"] = [value]
            if value == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":
                continue  # the kernel wants a listener with it
        config = case.config(linux={"seccomp": content}, process={"args": ["/probe", "exit:0"]})
        was_refused, seen = case.attempt(config)
        if was_refused and (which != "knownFlags" or alike(seen, value) == stranger(case)):
            refused[value] = seen
    case.equal(requirement, f"listed {which} that are refused", {}, refused)


def alike(said: str, flag: str) -> str:
    """A refusal without the flag's name and without numbers: to be compared with another one's."""
    return re.sub(r"\d+", "#", said.replace(flag, "FLAG"))


def stranger(case: Case) -> str:
    """How the runtime refuses a flag that it cannot know."""
    flag = "SECCOMP_FILTER_FLAG_OF_NO_KERNEL"
    rule = {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}
    content = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule], "flags": [flag]}
    config = case.config(linux={"seccomp": content}, process={"args": ["/probe", "exit:0"]})
    return alike(case.attempt(config)[1], flag)


@pytest.mark.judges("features-linux.memory-policy-modes", "features-linux.memory-policy-flags")
def test_listed_memory_policies(case: Case) -> None:
    policy = linux(case).get("memoryPolicy")
    case.needs(policy, "no memory policies are listed")
    case.needs(os.path.isdir("/sys/devices/system/node/node0"), "the kernel has no NUMA nodes")
    for which, requirement in (("modes", "memory-policy-modes"), ("flags", "memory-policy-flags")):
        refused = {}
        for value in (policy or {}).get(which) or []:
            content: dict[str, Any] = {"mode": value if which == "modes" else "MPOL_BIND"}
            if content["mode"] not in ("MPOL_DEFAULT", "MPOL_LOCAL"):
                content["nodes"] = "0"
            if which == "flags":
                content["flags"] = [value]
            config = case.config(linux={"memoryPolicy": content}, process={"args": ["/probe", "exit:0"]})
            was_refused, seen = case.attempt(config)
            if was_refused:
                refused[value] = seen
        case.equal(f"features-linux.{requirement}", f"listed {which} that are refused", {}, refused)


@pytest.mark.judges("features-linux.idmap-enabled")
def test_idmap_is_told(case: Case) -> None:
    case.needs_root()
    told = ((linux(case).get("mountExtensions") or {}).get("idmap") or {}).get("enabled")
    mapping = [{"containerID": 0, "hostID": 70000, "size": 10}]
    mount = {"destination": "/data", "type": "none", "source": str(case.session.place), "options": ["bind", "idmap"]}
    mounts = [*case.config()["mounts"], {**mount, "uidMappings": mapping, "gidMappings": mapping}]
    seen = case.observe(case.config(mounts=mounts), "stat:/data", may_refuse="a runtime need not map mounts")
    acts = seen.did("stat").get("uid") == 70000
    case.judge("features-linux.idmap-enabled", told or not acts, f"enabled, since it maps: {acts}", told)
