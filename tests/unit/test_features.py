"""The features document: true, complete, and compared with runc's on this host, each difference explained."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pyoci
from pyoci.documents import features

HOME = Path(pyoci.__file__).parent.parent

# Where pyoci's document differs from runc's, and why. A list: what only runc has, what only pyoci has.
WHY: "dict[str, str]" = {
    "ociVersionMax": "each says up to which version of the spec it was made",
    "annotations.org.opencontainers.runc.version": "runc's own version",
    "annotations.org.opencontainers.runc.commit": "runc's own commit",
    "annotations.org.pyoci.version": "pyoci's own version",
    "annotations.io.github.seccomp.libseccomp.version": "runc may be linked with another libseccomp than is installed",
    "annotations.com.cyphar.pathrs.libpathrs.version": "a library of runc 1.4 and later",
    "linux.cgroup.rdma": "rdma in features came with runtime-spec 1.1; runc 1.1 is older",
    "linux.namespaces": "time namespaces came with runc 1.2",
    "linux.intelRdt.enabled": "came with runtime-spec 1.1",
    "linux.intelRdt.schemata": "came with runtime-spec 1.3",
    "linux.intelRdt.monitoring": "came with runtime-spec 1.3",
    "linux.memoryPolicy.modes": "came with runtime-spec 1.3",
    "linux.memoryPolicy.flags": "came with runtime-spec 1.3",
    "linux.netDevices.enabled": "came with runtime-spec 1.3",
    "linux.mountExtensions.idmap.enabled": "came with runc 1.2",
    "linux.seccomp.knownFlags": "came with runtime-spec 1.1",
    "linux.seccomp.supportedFlags": "came with runtime-spec 1.1",
    "potentiallyUnsafeConfigAnnotations": "came with runtime-spec 1.1",
}
LISTS: "dict[str, tuple[set[str], set[str], str]]" = {
    "linux.namespaces": (set(), {"time"}, "time namespaces came with runc 1.2"),
    "mountOptions": (
        {"acl", "noacl"},
        {"idmap", "ridmap"},
        "acl is an option of filesystems, handed to them as it is; runc takes idmap and ridmap without naming them",
    ),
    "linux.seccomp.archs": (
        set(),
        {"SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K",
         "SCMP_ARCH_SH", "SCMP_ARCH_SHEB"},
        "pyoci knows all names of the spec that the libseccomp installed knows",
    ),
    "potentiallyUnsafeConfigAnnotations": (
        {"bundle"},
        {"org.pyoci.netDevices.return"},
        "runc reads an annotation `bundle`, pyoci does not; that devices come back is pyoci's own",
    ),
}  # fmt: skip


def flat(value: "dict[str, Any]", path: str = "") -> "dict[str, Any]":
    found: "dict[str, Any]" = {}
    for key, inner in value.items():
        if isinstance(inner, dict) and path != "annotations.":
            found.update(flat(inner, f"{path}{key}."))
        else:
            found[path + key] = inner
    return found


def test_compared_with_runc() -> None:
    if not shutil.which("runc"):
        pytest.skip("needs runc")
    done = subprocess.run(["runc", "features"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this runc has no features")
    theirs, ours = flat(json.loads(done.stdout)), flat(features.document())
    unexplained = []
    for key in sorted(set(theirs) | set(ours)):
        a, b = theirs.get(key), ours.get(key)
        if isinstance(a, list) and isinstance(b, list) and key in LISTS:
            only_theirs, only_ours, _ = LISTS[key]
            if not (set(a) - set(b) <= only_theirs and set(b) - set(a) <= only_ours):
                unexplained.append((key, sorted(set(a) ^ set(b))))
        elif (sorted(a) != sorted(b) if isinstance(a, list) and isinstance(b, list) else a != b) and key not in WHY:
            unexplained.append((key, a, b))
    assert unexplained == []


def enum(name: str) -> "set[str]":
    """Words that the schema of config.json knows."""
    schema = json.loads((HOME / "schemas" / "config-linux.json").read_text())["definitions"][name]
    return set(schema["enum"])


def test_every_word_of_the_spec_is_there() -> None:
    """Each of these is taken in config.json, so engines may ask for it."""
    linux = features.document()["linux"]
    assert set(linux["memoryPolicy"]["modes"]) == enum("memoryPolicyMode")
    assert set(linux["memoryPolicy"]["flags"]) == enum("memoryPolicyFlag")
    assert set(linux["namespaces"]) == enum("namespaceType")
    assert set(linux["seccomp"]["actions"]) == enum("seccompAction")
    assert set(linux["seccomp"]["operators"]) == enum("seccompOperator")
    assert set(linux["seccomp"]["knownFlags"]) == enum("seccompFlag")
    assert set(linux["seccomp"]["archs"]) <= enum("seccompArchitecture")


def properties(schema: "dict[str, Any]", documents: "dict[str, Any]", path: str = "") -> "list[str]":
    """Every property that features can have, by the schema."""
    found = []
    for key, part in (schema.get("properties") or {}).items():
        if "$ref" in part:
            file, _, name = part["$ref"].partition("#/definitions/")
            part = documents[file or "features.json"]["definitions"][name]
        inner = properties(part, documents, f"{path}{key}.")
        found += inner or [path + key]
    return found


def test_nothing_of_the_schema_is_left_out() -> None:
    documents = {path.name: json.loads(path.read_text()) for path in (HOME / "schemas").glob("*.json")}
    ours = flat(features.document())
    names = properties(documents["features.json"], documents)
    assert len(names) > 20
    missing = [name for name in names if not name.startswith("annotations") and name not in ours]
    assert missing == []


def test_supported_flags_are_known_ones() -> None:
    seccomp = features.document()["linux"]["seccomp"]
    assert set(seccomp["supportedFlags"]) <= set(seccomp["knownFlags"])


def test_checkpoint_is_said_only_when_it_is_there() -> None:
    from pyoci.cli import table

    there = table.COMMANDS["checkpoint"][0] != "unfinished"
    said = features.document()["annotations"]["org.opencontainers.runc.checkpoint.enabled"]
    assert said == ("true" if there else "false")
