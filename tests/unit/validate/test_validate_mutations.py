"""Real configs of engines with one fault each, at random: refused at or above the fault, or warned of; never a crash.

What a fault is, is decided here and by the official schemas, not by the schemas and rules under test.
"""

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Optional

import pytest
from validate_samples import DATA

from pyoci import validate
from pyoci.errors import Error
from pyoci.hostcheck.anyhost import everywhere
from pyoci.validate import analysis
from pyoci.validate.catalog import ERRORS, NOT_REFUSED

Path = tuple
Mutation = "tuple[bytes, Path, str]"  # text, place of the fault, expected: refused, or the name misspelt

CONFIGS = [
    "buildah-run",
    "buildah-run-userns",
    "containerd-opts",
    "containerd-userns",
    "containerd17-cri-start",
    "containerd21-cri-runp",
    "containerd21-opts",
    "docker-device",
    "docker-privileged",
    "docker-ulimit",
    "docker26-run",
    "docker28-limits",
    "docker28-volume",
    "podman-rootless-keep-id",
    "podman5-volumes",
    "podman58-blkio",
    "podman58-cpus",
    "podman58-hooks",
    "podman58-run-systemd",
    "podman58-sysctl-ulimit-hostname",
    "podman58-userns-auto",
]
EACH = 240  # of 21 configs: 5040 in all
FREE = {"annotations", "sysctl", "unified", "rdma", "netDevices"}  # whose members have names of the user's

# The text's REQUIRED properties, by the names above them; * stands for an index.
REQUIRED = {
    (): {"ociVersion", "root"},
    ("root",): {"path"},
    ("mounts", "*"): {"destination"},
    ("process",): {"cwd", "args"},
    ("process", "user"): {"uid", "gid"},
    ("process", "rlimits", "*"): {"type", "soft", "hard"},
    ("hooks", "prestart", "*"): {"path"},
    ("hooks", "createRuntime", "*"): {"path"},
    ("hooks", "poststart", "*"): {"path"},
    ("linux", "namespaces", "*"): {"type"},
    ("linux", "uidMappings", "*"): {"containerID", "hostID", "size"},
    ("linux", "gidMappings", "*"): {"containerID", "hostID", "size"},
    ("linux", "devices", "*"): {"type", "path", "major", "minor"},
    ("linux", "seccomp"): {"defaultAction"},
    ("linux", "seccomp", "syscalls", "*"): {"names", "action"},
    ("linux", "seccomp", "syscalls", "*", "args", "*"): {"index", "value", "op"},
    ("linux", "resources", "devices", "*"): {"allow"},
    ("linux", "resources", "blockIO", "throttleReadBpsDevice", "*"): {"major", "minor", "rate"},
}
# Of these the ones that the commands read as zero where they are absent
ZEROS = {"uid", "gid", "soft", "hard", "major", "minor", "index", "value", "allow", "rate"}
REFUSED = {("linux", "devices", "*"): {"major", "minor"}}  # and not those
# Words of a closed list in the text
WORDS = {
    ("process", "rlimits", "*", "type"),
    ("linux", "namespaces", "*", "type"),
    ("linux", "devices", "*", "type"),
    ("linux", "resources", "devices", "*", "type"),
    ("linux", "seccomp", "defaultAction"),
    ("linux", "seccomp", "architectures", "*"),
    ("linux", "seccomp", "syscalls", "*", "action"),
    ("linux", "seccomp", "syscalls", "*", "args", "*", "op"),
    ("linux", "rootfsPropagation"),
}
SIGNED = {"limit", "swap", "reservation", "quota", "major", "minor", "oomScoreAdj"}


def pattern(path: "Path") -> "Path":
    return tuple("*" if isinstance(step, int) else step for step in path)


def places(value: Any, path: "Path" = ()) -> "list[Path]":
    """Every place of a document but the top."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    result = []
    for key, item in items:
        result += [(*path, key), *places(item, (*path, key))]
    return result


def at(value: Any, path: "Path") -> Any:
    for step in path:
        value = value[step]
    return value


def text(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def wrong_type(document: Any, path: "Path", rng: random.Random) -> "Optional[Mutation]":
    old = at(document, path)
    kinds = {"dict": {}, "list": [], "str": "x", "int": 7, "float": 1.5, "bool": True, "NoneType": None}
    if isinstance(path[-1], str) and not FREE & set(path[-2:-1]):
        del kinds["NoneType"]  # which is no fault: see below
    name = rng.choice(sorted(set(kinds) - {type(old).__name__}))
    at(document, path[:-1])[path[-1]] = kinds[name]
    return text(document), path, "refused"


def zero(path: "Path") -> bool:
    """Whether the absence of a required property counts as zero."""
    return path[-1] in ZEROS - REFUSED.get(pattern(path[:-1]), set())


def deleted(document: Any, path: "Path", _rng: random.Random) -> "Optional[Mutation]":
    if path[-1] not in REQUIRED.get(pattern(path[:-1]), ()):
        return None
    del at(document, path[:-1])[path[-1]]
    return text(document), path, "told" if zero(path) else "refused"


def misspelt(document: Any, path: "Path", rng: random.Random) -> "Optional[Mutation]":
    name, holder = path[-1], at(document, path[:-1])
    if not isinstance(name, str) or FREE & set(path[:-1]) or len(name) < 4:
        return None
    place = rng.randrange(1, len(name) - 1)
    wrong = rng.choice([name[:place] + name[place + 1 :], name[:place] + name[place] + name[place:], name.swapcase()])
    items = [(wrong if key == name else key, item) for key, item in holder.items()]
    holder.clear()
    holder.update(items)
    required = name in REQUIRED.get(pattern(path[:-1]), set()) and not zero(path)
    return text(document), (*path[:-1], wrong), "refused" if required else name


def out_of_range(document: Any, path: "Path", rng: random.Random) -> "Optional[Mutation]":
    old = at(document, path)
    if type(old) is not int:
        return None
    odd = [2**64, -(2**63) - 1, old + 0.5] + ([] if path[-1] in SIGNED else [-1, -(2**40)])
    at(document, path[:-1])[path[-1]] = rng.choice(odd)
    return text(document), path, "refused"


def wrong_word(document: Any, path: "Path", rng: random.Random) -> "Optional[Mutation]":
    if pattern(path) not in WORDS:
        return None
    old = at(document, path)
    at(document, path[:-1])[path[-1]] = rng.choice([old + "X", old.swapcase(), old[:-1] + "_", ""])
    return text(document), path, "refused"


def twice(document: Any, path: "Path", rng: random.Random) -> "Optional[Mutation]":
    """A name given twice in the text, or a namespace or resource limit listed twice."""
    holder, name = at(document, path[:-1]), path[-1]
    if pattern(path) in (("linux", "namespaces", "*"), ("process", "rlimits", "*")):
        holder.append(copy.deepcopy(holder[name]))
        return text(document), (*path[:-1], len(holder) - 1), "refused"
    if not isinstance(name, str):
        return None
    item = holder.pop(name)
    marker = f"@{rng.random()}@"
    holder[name], holder[marker] = item, item
    return text(document).replace(text(marker), text(name)), path, "refused"


WAYS: "list[Callable[..., Optional[Mutation]]]" = [wrong_type, deleted, misspelt, out_of_range, wrong_word, twice]


def load(name: str) -> Any:
    """A recorded config; of its system calls only some, for time."""
    document = json.loads((DATA / "callers" / f"{name}-create.json").read_bytes())
    rules = document["linux"].get("seccomp", {}).get("syscalls", [])
    del rules[8:]
    for rule in rules:
        del rule["names"][4:]
    return document


@pytest.mark.parametrize("name", CONFIGS)
def test_one_fault_is_found_where_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(name)
    original = load(name)
    every = places(original)
    known: "dict[str, Any]" = {}
    violations = analysis._violations

    def once(document: Any, kind: str, reader: Any) -> Any:
        """check_config refuses by the same findings that the report is made of: one search is enough for time."""
        key = repr(document)
        if key not in known:
            known[key] = violations(document, kind, reader)
        return list(known[key])

    monkeypatch.setattr(analysis, "_violations", once)
    done: "dict[str, int]" = {}
    while sum(done.values()) < EACH:
        known.clear()
        way = WAYS[sum(done.values()) % len(WAYS)]
        document = copy.deepcopy(original)
        mutation = way(document, rng.choice(every), rng)
        if mutation is not None:
            done[way.__name__] = done.get(way.__name__, 0) + 1
            judge(*mutation, way.__name__)
    assert set(done) == {way.__name__ for way in WAYS}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_property_that_is_null_is_as_good_as_absent(name: str) -> None:
    """Whatever the property: `create` says the same of both, and goes on with the same."""
    from pyoci.json import document
    from pyoci.validate import zeros

    rng = random.Random(name)
    original = load(name)
    every = [path for path in places(original) if isinstance(path[-1], str) and not FREE & set(path[-2:-1])]
    for path in rng.sample(every, min(60, len(every))):
        absent, null = copy.deepcopy(original), copy.deepcopy(original)
        del at(absent, path[:-1])[path[-1]]
        at(null, path[:-1])[path[-1]] = None
        assert str(refused(text(null))) == str(refused(text(absent))), path
        read = document.parse(text(null))
        for config in (read, absent):
            try:
                assert validate.check_config(config) or config is absent
            except Error:
                pass
            zeros.fill(config, "config")  # which check_config does where it must, and which means the same
        assert read == absent, path
    warned = [
        problem.path for problem in validate.report(text(null), "config", everywhere) if problem.code == "null-property"
    ]
    assert warned == [path]


def judge(raw: bytes, place: "Path", expected: str, way: str) -> None:
    problems = validate.report(raw, "config", everywhere)
    errors = [problem for problem in problems if problem.level in ERRORS and problem.code not in NOT_REFUSED]
    refusal = refused(raw)
    assert bool(errors) == (refusal is not None), raw
    story = f"{way} at {place}: {[(problem.code, problem.path) for problem in problems]}, {refusal}"
    if expected == "refused":
        assert any(problem.path == place[: len(problem.path)] for problem in errors), story
        return
    if expected == "told":
        assert [problem.path for problem in problems if problem.code == "zero-property"] == [place[:-1]], story
        return
    warned = [problem for problem in problems if problem.code == "unknown-property"]
    assert [(problem.path, problem.hint) for problem in warned] == [(place, f'did you mean "{expected}"?')], story


def refused(raw: bytes) -> "Optional[Error]":
    """How `create` refuses a config, if it does."""
    from pyoci.json import document

    try:
        validate.check_config(document.parse(raw), raw=raw)
    except Error as problem:
        return problem
    return None
