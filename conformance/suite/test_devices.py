"""config-linux.md: device nodes, /dev's links, and the list of allowed devices."""

import stat
from typing import Any

import pytest

from conformance.case import Case

EPERM = 1
DEFAULTS = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
KINDS = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "u": stat.S_IFCHR, "p": stat.S_IFIFO}


@pytest.mark.judges(*(f"linux.devices.default.{name}" for name in DEFAULTS), "linux.devices.default.ptmx")
def test_default_devices(case: Case) -> None:
    paths = [f"/dev/{name}" for name in DEFAULTS]
    seen = case.observe(case.config(), *(f"stat:{path}" for path in paths), "stat:/dev/ptmx", "stat:/dev/pts/ptmx")
    for name, numbers in DEFAULTS.items():
        node = seen.did("stat", f"/dev/{name}")
        found = (stat.S_ISCHR(node.get("mode", 0)), node.get("major"), node.get("minor"))
        case.equal(f"linux.devices.default.{name}", f"/dev/{name}: character device", (True, *numbers), found)
    link, target = seen.did("stat", "/dev/ptmx"), seen.did("stat", "/dev/pts/ptmx")
    same = [link.get(f"target_{key}") for key in ("dev", "ino")] == [target.get(key) for key in ("dev", "ino")]
    found_link = link.get("link") or f"dev {link.get('dev')}, inode {link.get('ino')}"
    case.judge("linux.devices.default.ptmx", same and target.get("result") == 0, "the file /dev/pts/ptmx", found_link)


@pytest.mark.judges(*(f"runtime-linux.dev.{name}" for name in ("fd", "stdin", "stdout", "stderr")))
def test_links(case: Case) -> None:
    links = {
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
    }
    seen = case.observe(case.config(), *(f"stat:/dev/{name}" for name in links))
    for name, target in links.items():
        found = seen.did("stat", f"/dev/{name}").get("link")
        case.equal(f"runtime-linux.dev.{name}", f"target of the link /dev/{name}", target, found)


def device(**changes: Any) -> dict[str, Any]:
    entry = {
        "path": "/dev/of-the-test",
        "type": "c",
        "major": 10,
        "minor": 229,
        "fileMode": 0o640,
        "uid": 12,
        "gid": 34,
    }
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


def node_of(case: Case, entry: dict[str, Any]) -> dict[str, Any]:
    seen = case.observe(case.config(linux={"devices": [entry]}), f"stat:{entry['path']}")
    return seen.did("stat")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.judges(f"linux.devices.{name}"))
        for kind, name in (("c", "char"), ("b", "block"), ("u", "unbuffered"), ("p", "fifo"))
    ],
)
def test_device(case: Case, kind: str, request: pytest.FixtureRequest) -> None:
    case.needs_root()
    (name,) = case.requirements
    numbers = (None, None) if kind == "p" else (10, 229)
    node = node_of(case, device(type=kind, major=numbers[0], minor=numbers[1]))
    case.equal(name, f"kind of a node of type {kind}", KINDS[kind], stat.S_IFMT(node.get("mode", 0)))
    if kind != "p":
        case.equal(name, "numbers", numbers, (node.get("major"), node.get("minor")))


@pytest.mark.judges("linux.devices.file-mode", "linux.devices.uid", "linux.devices.gid", "linux.devices.outside-dev")
@pytest.mark.parametrize("mode", [0o640, 0o666])
def test_owner_mode_and_place(case: Case, mode: int) -> None:
    case.needs_root()
    node = node_of(case, device(path="/tmp/below/of-the-test", fileMode=mode))
    case.equal("linux.devices.outside-dev", "kind of a node below /tmp", stat.S_IFCHR, stat.S_IFMT(node.get("mode", 0)))
    case.equal("linux.devices.file-mode", "mode", oct(mode), oct(node.get("mode", 0) & 0o7777))
    case.equal("linux.devices.uid", "uid", 12, node.get("uid"))
    case.equal("linux.devices.gid", "gid", 34, node.get("gid"))


@pytest.mark.judges(
    "linux.devices.type-error", "linux.devices.numbers-required", "linux.devices.existing-mismatch-error"
)
def test_bad_devices(case: Case) -> None:
    case.needs_root()
    for requirement, asked, entry in (
        ("type-error", "the type z", device(type="z")),
        ("numbers-required", "a character device without numbers", device(major=None, minor=None)),
        ("existing-mismatch-error", "a device where a file is", device(path="/data/file")),
        ("existing-mismatch-error", "a device where a directory is", device(path="/data")),
    ):
        case.refused(f"linux.devices.{requirement}", asked, case.config(linux={"devices": [entry]}))


# major 60 to 63 are for local and experimental use: no driver has them, so what may be opened answers ENXIO
def rule(allow: bool, access: str, major: int = 0, minor: int = -1) -> dict[str, Any]:
    entry: dict[str, Any] = {"allow": allow, "access": access}
    if major:
        entry.update({"type": "c", "major": major})
    if minor >= 0:
        entry["minor"] = minor
    return entry


DENY_ALL = rule(False, "rwm")


def opened(case: Case, rules: list[dict[str, Any]], *wanted: str) -> dict[str, bool]:
    """Which of ACCESS:MAJOR:MINOR may be opened under the rules."""
    case.needs_cgroups()
    numbers = list(dict.fromkeys(tuple(int(word) for word in want.split(":")[1:]) for want in wanted))
    nodes = [
        {"path": f"/dev/t{major}-{minor}", "type": "c", "major": major, "minor": minor, "fileMode": 0o666}
        for major, minor in numbers
    ]
    config = case.config(linux={"devices": nodes, "resources": {"devices": rules}})
    verbs = ["open:{}:/dev/t{}-{}".format(*want.split(":")) for want in wanted]
    seen = case.observe(config, *verbs)
    return {want: attempt["errno"] != EPERM for want, attempt in zip(wanted, seen["did"])}


@pytest.mark.judges("linux.resources.devices.deny", "linux.resources.devices.allow")
def test_deny_and_allow(case: Case) -> None:
    found = opened(case, [DENY_ALL, rule(True, "r", 60, 1)], "r:60:1", "w:60:1", "r:60:2", "w:61:1")
    denied = {want: may for want, may in found.items() if want not in ("r:60:1", "w:60:1")}
    case.equal("linux.resources.devices.deny", "opened (access:numbers)", {"r:60:2": False, "w:61:1": False}, denied)
    allowed = {want: found[want] for want in ("r:60:1", "w:60:1")}
    case.equal("linux.resources.devices.allow", "read allowed alone", {"r:60:1": True, "w:60:1": False}, allowed)
    found = opened(case, [DENY_ALL, rule(True, "rw", 60, 1)], "rw:60:1")
    case.equal("linux.resources.devices.allow", "read and write allowed", {"rw:60:1": True}, found)


@pytest.mark.judges("linux.resources.devices.order")
def test_order_of_rules(case: Case) -> None:
    allow, deny = rule(True, "rw", 60, 1), rule(False, "w", 60, 1)
    found = opened(case, [DENY_ALL, allow, deny], "r:60:1", "w:60:1")
    asked = "allow rw, then deny w"
    case.equal("linux.resources.devices.order", asked, {"r:60:1": True, "w:60:1": False}, found)
    found = opened(case, [DENY_ALL, deny, allow], "r:60:1", "w:60:1")
    asked = "deny w, then allow rw"
    case.equal("linux.resources.devices.order", asked, {"r:60:1": True, "w:60:1": True}, found)
    found = opened(case, [allow, DENY_ALL], "r:60:1")
    case.equal("linux.resources.devices.order", "allow, then deny all", {"r:60:1": False}, found)


@pytest.mark.judges("linux.resources.devices.wildcard")
def test_wildcard(case: Case) -> None:
    found = opened(case, [DENY_ALL, rule(True, "rw", 62)], "rw:62:1", "rw:62:77", "r:63:1")
    wanted = {"rw:62:1": True, "rw:62:77": True, "r:63:1": False}
    case.equal("linux.resources.devices.wildcard", "c 62 without minor", wanted, found)
