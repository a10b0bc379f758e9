"""What holds for every plan, whatever config it is made from: order, places, and the bytes that init reads."""

import json
import re
from struct import unpack_from
from typing import Any

import pytest
from plan_samples import CALLERS, DATA, FakeHost, compiled, small

from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.model import Plan
from pyoci.plan.namespaces import FLAGS
from pyoci.plan.words import OPERATIONS

# No place in config.json: what the spec or the command line asks for
ELSEWHERE = {"", "default devices", "--no-pivot", "NOTIFY_SOCKET", "hooks"}

# Of these pairs the first comes before the second, wherever both are: what the kernel, or the reach of a path, demands
ORDER = [
    (ops.OPEN_PROC, ops.OPEN_NAMESPACE),
    (ops.OPEN_PROC, ops.JOIN_NAMESPACE),
    (ops.OPEN_PROC, ops.UNSHARE),
    (ops.OPEN_PROC, ops.TIME_OFFSETS),
    (ops.TIME_OFFSETS, ops.OPEN_ROOT),
    (ops.OPEN_NAMESPACE, ops.JOIN_NAMESPACE),
    (ops.JOIN_NAMESPACE, ops.OWN_MOUNTS),
    (ops.OWN_MOUNTS, ops.OPEN_ROOT),
    (ops.OPEN_ROOT, ops.MOUNT_NEW),
    (ops.OPEN_ROOT, ops.MOUNT_BIND),
    (ops.OPEN_ROOT, ops.MASK_PATH),
    (ops.MOUNT_NEW, ops.PIVOT_ROOT),
    (ops.MOUNT_BIND, ops.PIVOT_ROOT),
    (ops.MAKE_NODE, ops.PIVOT_ROOT),
    (ops.MASK_PATH, ops.PIVOT_ROOT),
    (ops.READONLY_PATH, ops.PIVOT_ROOT),
    (ops.READONLY_PATH, ops.MASK_PATH),
    (ops.CONSOLE, ops.PIVOT_ROOT),
    (ops.SYSCTL, ops.PIVOT_ROOT),
    (ops.SYSCTL, ops.READONLY_PATH),
    (ops.PIVOT_ROOT, ops.ROOT_PROPAGATION),
    (ops.PIVOT_ROOT, ops.FIND_EXECUTABLE),
    (ops.PIVOT_ROOT, ops.FIND_HOME),
    (ops.UNMOUNT, ops.MOVE_ROOT),
    (ops.FIND_EXECUTABLE, ops.AWAIT_START),
    (ops.AWAIT_START, ops.BOUNDING),
    (ops.BOUNDING, ops.IDENTITY),
    (ops.IDENTITY, ops.CAPABILITIES),
    (ops.AWAIT_START, ops.CLOSE_FILES),
    (ops.CLOSE_FILES, ops.EXECUTE),
    (ops.CAPABILITIES, ops.EXECUTE),
    (ops.SESSION, ops.CONSOLE),
    (ops.UNSHARE, ops.OWN_MOUNTS),
]


def config_of(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((DATA / "callers" / f"{name}.json").read_text())
    config.get("linux", {}).pop("seccomp", None)
    return config


def plan_of(name: str, **settings: Any) -> "tuple[dict[str, Any], Plan]":
    config = config_of(name)
    if settings.get("no_pivot"):
        host = FakeHost()
        host.files["/proc/self/mountinfo"] = "22 27 0:21 / /proc rw - proc proc rw"
        return config, compiled(config, host, **settings)
    return config, compiled(config, FakeHost(), **settings)


def everything() -> dict[str, Any]:
    """A config with all that engines rarely write."""
    return small(
        hostname="h",
        domainname="d",
        mounts=[
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["remount", "nosuid"]},
            {"destination": "/data", "type": "bind", "source": "data", "options": ["rbind", "rro", "rslave"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
        ],
        hooks={
            kind: [{"path": f"/{kind}"}]
            for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
        },
        process={
            "terminal": True,
            "noNewPrivileges": True,
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
            "oomScoreAdj": 5,
            "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3},
            "user": {"uid": 1, "gid": 2, "umask": 7, "additionalGids": [3]},
        },
        linux={
            "namespaces": [
                {"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "network", "path": "/run/netns/x"},
                {"type": "cgroup"}, {"type": "ipc"}, {"type": "time"},
            ],
            "timeOffsets": {"boottime": {"secs": 5}},
            "sysctl": {"kernel.msgmax": "1"},
            "devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3}],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "rootfsPropagation": "rslave",
            "personality": {"domain": "LINUX32"},
        },
    )  # fmt: skip


PLANS = [*CALLERS, "everything", "everything without pivot"]


def with_users(*joined: str) -> dict[str, Any]:
    """All namespaces new but those, a user namespace among them."""
    spaces = [{"type": kind, "path": f"/ns/{kind}"} if kind in joined else {"type": kind} for kind in FLAGS
              if kind != "time"]  # fmt: skip
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    return small(linux={"namespaces": spaces, "uidMappings": ids, "gidMappings": ids})


def made(name: str) -> "tuple[dict[str, Any], Plan]":
    if name.startswith("with users"):
        config = with_users("network") if "stages" in name else with_users()
        return config, compiled(config, FakeHost())
    if not name.startswith("everything"):
        return plan_of(name)
    host = FakeHost()
    host.files["/proc/self/mountinfo"] = "22 27 0:21 / /proc rw - proc proc rw"
    config = everything()
    return config, compiled(config, host, no_pivot="without" in name)


@pytest.mark.parametrize("name", PLANS)
def test_order(name: str) -> None:
    _, plan = made(name)
    numbers = [step.operation for step in plan.steps]
    for before, after in ORDER:
        if before in numbers and after in numbers:
            last = len(numbers) - 1 - numbers[::-1].index(before)
            words = f"{OPERATIONS[before][0]} must come before {OPERATIONS[after][0]}"
            assert last < numbers.index(after), words


@pytest.mark.parametrize("name", PLANS)
def test_ends_with_the_program(name: str) -> None:
    _, plan = made(name)
    numbers = [step.operation for step in plan.steps]
    assert numbers[-1] == ops.EXECUTE and numbers.count(ops.EXECUTE) == 1
    assert numbers.count(ops.AWAIT_START) == 1


# What init may do before it is in its cgroups
UNCHARGED = {ops.OPEN_PROC, ops.SESSION, ops.UNSHARE, ops.LOOPBACK_UP, ops.JOIN_CGROUPS}


@pytest.mark.parametrize("name", [*PLANS, "with users"])
def test_joins_its_cgroups_once_and_before_it_works(name: str) -> None:
    _, plan = made(name)
    numbers = [step.operation for step in plan.steps]
    assert numbers.count(ops.JOIN_CGROUPS) == 1
    joins = numbers.index(ops.JOIN_CGROUPS)
    assert set(numbers[:joins]) <= UNCHARGED
    for n, types in unshared(plan):  # a cgroup namespace has the cgroup as its root that its maker is in
        assert n > joins or not types & kernel.CLONE_NEWCGROUP


@pytest.mark.parametrize("name", [*PLANS, "with users", "with users by stages"])
def test_waits_for_the_maps_of_new_users_alone(name: str) -> None:
    """What is made in a user namespace before it has its maps belongs to nobody."""
    config, plan = made(name)
    spaces = [space["type"] for space in config["linux"]["namespaces"] if not space.get("path")]
    numbers = [step.operation for step in plan.steps]
    waits = [n for n, step in enumerate(plan.steps) if step.fields[:1] == (ops.SYNC_NAMESPACES,) and
             step.operation == ops.SYNC]  # fmt: skip
    assert len(waits) == ("user" in spaces) == plan.mapped
    for at in waits:
        assert at > numbers.index(ops.JOIN_CGROUPS)
        assert not plan.flags & ~(kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID)
        assert all(n > at for n, types in unshared(plan) if types != kernel.CLONE_NEWUSER)
        assert numbers.index(ops.BECOME_ROOT) == at + 1
        assert {number for number, _, _ in plan.parent} & {ops.UID_MAP, ops.NEWUIDMAP}


@pytest.mark.parametrize("name", [*PLANS, "with users", "with users by stages"])
def test_makes_every_new_namespace_once(name: str) -> None:
    config, plan = made(name)
    spaces = [space["type"] for space in config["linux"]["namespaces"] if not space.get("path")]
    made_later = [types for _, types in unshared(plan)]
    assert plan.flags + sum(made_later) == sum(FLAGS[kind] for kind in spaces)


def unshared(plan: Plan) -> "list[tuple[int, int]]":
    """Where the plan makes namespaces, and which."""
    return [(n, int(str(step.fields[0]))) for n, step in enumerate(plan.steps) if step.operation == ops.UNSHARE]


@pytest.mark.parametrize("name", PLANS)
def test_hooks_are_where_the_spec_puts_them(name: str) -> None:
    _, plan = made(name)
    places = {kind: [n for n, step in enumerate(plan.steps) if step.where.startswith(f"hooks.{kind}[")] for kind in
              ("createContainer", "startContainer")}  # fmt: skip
    numbers = [step.operation for step in plan.steps]
    switch = next(n for n, number in enumerate(numbers) if number in (ops.PIVOT_ROOT, ops.MOVE_ROOT, ops.CHANGE_ROOT))
    last_mount = max(
        (
            n
            for n, step in enumerate(plan.steps)
            if step.where.startswith("mounts[") and step.operation != ops.MOUNT_CHANGE
        ),
        default=0,
    )
    for n in places["createContainer"]:
        assert last_mount < n < switch
    for n in places["startContainer"]:
        assert numbers.index(ops.AWAIT_START) < n < numbers.index(ops.EXECUTE)
        confines = {ops.CLOSE_FILES, ops.SECCOMP, ops.LABEL, ops.BOUNDING, ops.IDENTITY, ops.CAPABILITIES}
        assert max(at for at, number in enumerate(numbers) if number in confines) < n


def resolve(config: Any, place: str) -> None:
    """Walks a place such as mounts[3].options; the last name may be a default that the config leaves out."""
    words = re.findall(r"[^.\[\]]+|\[[^\]]*\]", place)
    at = config
    for number, word in enumerate(words):
        if word.startswith("["):
            inner = word[1:-1]
            at = at[int(inner)] if isinstance(at, list) else at[inner]
        elif number == len(words) - 1:
            at.get(word)
        else:
            at = at.get(word) or {}


@pytest.mark.parametrize("name", PLANS)
def test_every_step_names_a_place_in_the_config(name: str) -> None:
    config, plan = made(name)
    for _, where, _ in [*plan.made, *plan.parent, *plan.network, *plan.last]:
        if where in ELSEWHERE:
            continue
        place = re.sub(r" \([^)]*\)", "", where)
        if place.startswith("linux.sysctl["):
            assert place[len("linux.sysctl[") : -1] in config["linux"]["sysctl"]
            continue
        resolve(config, place)


def decode(data: bytes) -> "list[tuple[int, str, list[Any]]]":
    """A reader of plans, from csrc/shared/plan.h."""
    magic, version, count, size = unpack_from("<4I", data)
    assert (magic, version, len(data)) == (ops.MAGIC, ops.VERSION, 16 + 8 * count + size)
    words = unpack_from(f"<{count}q", data, 16)
    pool = data[16 + 8 * count :]
    steps, at = [], 0

    def text(offset: int) -> str:
        return pool[offset : pool.index(b"\0", offset)].decode("utf-8", "surrogateescape")

    while at < count:
        operation, fields, where = words[at] & 0xFFFF, words[at] >> 16 & 0xFFFF, words[at] >> 32
        values: list[Any] = []
        kinds = [kind for kind, _ in OPERATIONS[operation][2]]
        assert fields == len(kinds)
        for kind, word in zip(kinds, words[at + 1 : at + 1 + fields]):
            offset, length = word & 0xFFFFFFFF, word >> 32
            piece = pool[offset : offset + length]
            if kind == "i":
                values.append(word)
            elif kind == "s":
                values.append(piece.decode("utf-8", "surrogateescape"))
                assert pool[offset + length] == 0, "a string without its end"
            elif kind == "l":
                values.append([part.decode("utf-8", "surrogateescape") for part in piece.split(b"\0")[:-1]])
            else:
                values.append(piece)
        steps.append((operation, text(where), values))
        at += 1 + fields
    return steps


@pytest.mark.parametrize("name", PLANS)
def test_bytes_hold_the_steps(name: str) -> None:
    _, plan = made(name)
    assert decode(plan.encode()) == [(step.operation, step.where, list(step.fields)) for step in plan.steps]


@pytest.mark.parametrize("name", PLANS)
def test_compiling_changes_neither_config_nor_result(name: str) -> None:
    config, plan = made(name)
    again = json.dumps(config, sort_keys=True)
    other_config, other = made(name)
    assert json.dumps(other_config, sort_keys=True) == again
    assert other.encode() == plan.encode()
