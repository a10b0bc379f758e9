"""config.md as a whole: versions, annotations, unknown properties, invalid values."""

import copy
from typing import Any

import pytest

from conformance.case import Case


def harmless(case: Case, **changes: Any) -> dict[str, Any]:
    """A configuration whose program ends at once."""
    return case.config({"process": {"args": ["/probe", "exit:0"]}}, **changes)


@pytest.mark.judges("config.oci-version.required", "config.oci-version.semver")
def test_oci_version(case: Case) -> None:
    case.refused("config.oci-version.required", "no ociVersion", harmless(case, ociVersion=None))
    for version in ("1.0", "one", "1.0.0.0", "01.0.0", ""):
        config = harmless(case, ociVersion=version)
        case.refused("config.oci-version.semver", f"the ociVersion {version!r}", config)


@pytest.mark.judges("config.oci-version.compatible")
@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.0.2-dev"])
def test_older_versions(case: Case, version: str) -> None:
    refused, seen = case.attempt(harmless(case, ociVersion=version))
    case.judge("config.oci-version.compatible", not refused, f"a container of version {version}", seen)


@pytest.mark.judges("config.annotations.map", "config.annotations.keys-not-empty", "config.annotations.values-strings")
def test_bad_annotations(case: Case) -> None:
    case.refused("config.annotations.map", "annotations that are a list", harmless(case, annotations=["a", "b"]))
    case.refused("config.annotations.keys-not-empty", "an empty key", harmless(case, annotations={"": "value"}))
    number = harmless(case, annotations={"com.example.number": 7})
    case.refused("config.annotations.values-strings", "a value that is a number", number)


@pytest.mark.judges("config.annotations.unknown")
def test_unknown_annotations(case: Case) -> None:
    annotations = {"com.example.nobody-knows": "", "org.opencontainers.no-such-key": "x", "plain": "y"}
    refused, seen = case.attempt(harmless(case, annotations=annotations))
    case.judge("config.annotations.unknown", not refused, f"a container with {annotations}", seen)


@pytest.mark.judges("config.extensibility.unknown-ignored")
@pytest.mark.parametrize(
    "place", ["", "process", "process.user", "root", "mounts.0", "linux", "linux.resources", "hooks"]
)
def test_unknown_properties(case: Case, place: str) -> None:
    config = harmless(case, hooks={"poststop": []})
    inner: Any = config
    config["linux"].setdefault("resources", {})
    for word in place.split(".") if place else []:
        inner = inner[int(word)] if word.isdecimal() else inner[word]
    inner["nobodyKnowsThis"] = {"at": ["all"]} if place != "hooks" else []
    refused, seen = case.attempt(config)
    case.judge(
        "config.extensibility.unknown-ignored", not refused, f"an unknown property in {place or 'the whole'}", seen
    )


INVALID: list[tuple[str, Any]] = [
    ("process.terminal", "true"),
    ("process.user.uid", -1),
    ("process.user.uid", "0"),
    ("process.user.gid", 1 << 33),
    ("process.cwd", 7),
    ("process.args", "/probe"),
    ("process.env", {"A": "B"}),
    ("process.noNewPrivileges", 1),
    ("process.oomScoreAdj", 2000),
    ("process.capabilities", ["CAP_KILL"]),
    ("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": -5, "hard": 10}]),
    ("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 20, "hard": 10}]),
    ("root.readonly", "yes"),
    ("hostname", 7),
    ("mounts", {"destination": "/data"}),
    ("linux.namespaces", {"type": "pid"}),
    ("linux.maskedPaths", "/proc/kcore"),
    ("linux.cgroupsPath", ["a"]),
    ("linux.sysctl", {"net.core.somaxconn": 100}),
    ("linux.resources.pids", {"limit": "many"}),
    ("hooks", []),
]


@pytest.mark.judges("config.valid-values.error")
@pytest.mark.parametrize(("place", "value"), INVALID, ids=[f"{place}={value}" for place, value in INVALID])
def test_invalid_values(case: Case, place: str, value: Any) -> None:
    config = copy.deepcopy(harmless(case))
    *outer, last = place.split(".")
    inner = config
    for word in outer:
        inner = inner.setdefault(word, {})
    inner[last] = value
    case.refused("config.valid-values.error", f"{place} of {value!r}", config)


@pytest.mark.judges("config.valid-values.error")
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"ociVersion": "1.0.2"} trailing'])
def test_not_a_configuration(case: Case, text: str) -> None:
    bundle = case.bundle(harmless(case))
    (bundle.path / "config.json").write_text(text)
    container = case.container(bundle.config, bundle)
    case.last_config = {"the file": text}
    case.failed("config.valid-values.error", f"a config.json of {text!r}", container.create())
