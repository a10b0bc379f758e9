"""The runtime's part of a plan against what strace sees it do, for create, exec and delete; and create killed at each
of those steps: what is left goes by the list in state.json alone."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import run

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")]
CALLS = "mkdir,mkdirat,rmdir,write,openat,rename,renameat,renameat2,prlimit64,unlink,unlinkat"
KINDS = ("prestart", "createRuntime", "poststart", "poststop")


def rich(box: Box) -> Bundle:
    """A bundle with something of all that the runtime does."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.linux["resources"] = {
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 100},
        "cpu": {"cpus": "0"},
        "devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "access": "r", "major": 10}],
    }
    bundle.process["oomScoreAdj"] = 100
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}]
    for kind in KINDS:
        bundle.hook(kind, "/bin/true", args=["true", kind])
    bundle.write()
    return bundle


def plan(box: Box, *words: str) -> "list[dict[str, Any]]":
    """The runtime's steps, and those that both do."""
    document = json.loads(box.ok("plan", "--json", *words).out)
    steps: "list[dict[str, Any]]" = [*document["steps"], *document["delete"]]
    return [step for step in steps if step["actor"] != "init"]


def traced(box: Box, *words: str) -> "list[str]":
    """The calls of a command's main process."""
    log = box.path / "trace"
    result = run(["strace", "-qq", "-s", "300", "-o", str(log), "-e", f"trace={CALLS}", *box.words(*words)])
    assert result.ok, result
    return log.read_text(errors="replace").split("\n")


def signs(step: "dict[str, Any]") -> "list[str]":
    """What strace shows of a step, as regular expressions; [] where it is not to be told from others."""
    fields: "dict[str, Any]" = step["fields"]
    name: str = step["operation"]
    if name == "note":
        return [r'rename.*"state\.json\.new".*"state\.json"']
    if name == "make-cgroup":
        return [rf'mkdir\("{re.escape(fields["path"])}", ']
    if name == "limit":
        return [rf'openat\(.*/{re.escape(fields["choices"][0])}", O_WRONLY', rf'write\(\d+, "{fields["choices"][1]}"']
    if name == "device-rules":
        return [rf'write\(\d+, "{re.escape(value)}"' for value in fields["writes"][1::2]]
    if name == "rlimit":
        return [r"prlimit64\(\d+, "]
    if name == "oom-score-adj":
        return [rf'write\(\d+, "{fields["value"]}"']
    if name == "ready":
        return [r'rename.*"start\.new".*"start"']
    if name == "remove-cgroup":
        return [rf'rmdir\("{re.escape(path)}"' for path in [fields["path"], *reversed(fields["parents"])]]
    if name == "keep-config":
        return [r'openat\(.*"config\.json", O_WRONLY']
    if name == "enter-cgroups":
        return [rf'openat\(.*"{re.escape(path)}' for path in fields["places"][::2] if "/unified/" not in path]
    if name == "born-in":
        return [rf'openat\(.*"{re.escape(fields["place"][0])}']
    if name == "lend-root":
        return [r'mkdirat\(.*"criu-root"']
    if name == "release-root":
        return [r'unlinkat\(.*"criu-root", AT_REMOVEDIR']
    if name == "pid-file":
        return [rf'openat\(.*"{re.escape(fields["path"])}']
    if name == "remove-state":
        return [r'unlink.*"state\.json"']
    return []


def check(steps: "list[dict[str, Any]]", calls: "list[str]") -> int:
    """Every step with a sign is done, in the order of the list; how many there were."""
    at = count = 0
    for step in steps:
        for sign in signs(step):
            found = next((n for n in range(at, len(calls)) if re.search(sign, calls[n])), -1)
            assert found >= 0, f"not done, or not in its order: {step} ({sign})"
            at, count = found + 1, count + 1
    return count


def test_what_is_planned_is_done_in_its_order(box: Box) -> None:
    bundle = rich(box)
    planned = [step for step in plan(box, "--bundle", str(bundle.path)) if step["operation"] != "remove-state"]
    creating = planned[: next(n for n, step in enumerate(planned) if step["operation"] == "end-processes")]
    calls = traced(box, "create", "--bundle", str(bundle.path), "plan")
    assert check(creating, calls) > 20
    box.ok("start", "plan")
    (box.path / "process.json").write_text(json.dumps({**bundle.process, "args": ["true"], "oomScoreAdj": 200}))
    process = str(box.path / "process.json")
    execution = plan(box, "--exec", "plan", "--process", process)
    assert check(execution, traced(box, "exec", "--process", process, "plan")) > 2
    deletion = plan(box, "--delete", "plan")
    assert [step["operation"] for step in deletion[:1]] == ["end-processes"]
    assert deletion[-2]["where"].startswith("hooks.poststop[0]")
    assert check(deletion, traced(box, "delete", "--force", "plan")) > 10
    assert box.left() == []


def test_nothing_is_done_that_is_not_planned(box: Box) -> None:
    """Each cgroup that is made or removed, each limit, each hook has its step."""
    bundle = rich(box)
    planned = plan(box, "--bundle", str(bundle.path))
    calls = traced(box, "create", "--bundle", str(bundle.path), "plan")
    made = re.findall(r'mkdir\("(/sys/fs/cgroup/[^"]+)"', "\n".join(calls))
    known = {path for step in planned for path in [step["fields"].get("path"), *step["fields"].get("parents", ())]}
    assert made and set(made) <= known
    hooks = [step for step in planned if step["operation"] == "runtime-hook"]
    assert [step["fields"]["kind"] for step in hooks] == ["prestart", "createRuntime", "poststart", "poststop"]
    box.ok("delete", "--force", "plan")
    assert box.left() == []


def test_exec_below_and_its_plan(box: Box) -> None:
    bundle = rich(box)
    box.ok("create", "--bundle", str(bundle.path), "plan")
    box.ok("start", "plan")
    own = re.findall(r"^\d+:([^:]*):(.*)$", Path(f"/proc/{box.state('plan')['pid']}/cgroup").read_text(), re.MULTILINE)
    below = [f"/sys/fs/cgroup/{controllers}{path}/in" for controllers, path in own if controllers in ("pids", "memory")]
    assert below
    for path in below:
        os.mkdir(path)
    flags = [word for controller in ("pids", "memory") for word in ("--cgroup", f"{controller}:in")]
    try:
        steps = plan(box, "--exec", "plan", *flags)
        (enter,) = [step for step in steps if step["operation"] == "enter-cgroups"]
        assert enter["where"] == "--cgroup" and enter["fields"]["places"][1::2].count("in") == 2
        assert check(steps, traced(box, "exec", *flags, "plan", "true")) > 2
        moved = plan(box, "--exec", "plan", "--ignore-paused")
        assert [step["fields"]["flags"] for step in moved if step["operation"] == "enter-cgroups"] == [1]
        shown = box.ok("exec", *flags, "plan", "cat", "/proc/self/cgroup").out
        assert shown.count("/in\n") == 2
    finally:
        for path in below:
            os.rmdir(path)
    box.ok("delete", "--force", "plan")
    assert box.left() == []


def limits(box: Box) -> "dict[str, str]":
    """What the container's cgroups say, and what its kept config says."""
    paths = json.loads(Path(box.root, "plan", "state.json").read_text())["cgroup_paths"]
    files = {"memory": "memory.limit_in_bytes", "pids": "pids.max", "cpu": "cpu.cfs_quota_us"}
    found = {file: Path(paths[name], file).read_text() for name, file in files.items()}
    kept = json.loads(Path(box.root, "plan", "config.json").read_text())
    return {**found, "kept": json.dumps(kept["linux"]["resources"], sort_keys=True)}


def wanted(box: Box) -> "list[str]":
    resources = {"memory": {"limit": 32 << 20}, "pids": {"limit": 50}, "cpu": {"quota": 20000}}
    (box.path / "limits.json").write_text(json.dumps(resources))
    return ["--resources", str(box.path / "limits.json")]


def test_what_update_plans_is_done(box: Box) -> None:
    bundle = rich(box)
    box.ok("create", "--bundle", str(bundle.path), "plan")
    before = limits(box)
    document = json.loads(box.ok("plan", "--json", "--update", "plan", *wanted(box)).out)
    assert limits(box) == before
    assert {step["operation"] for step in document["failure"]} >= {"limit", "keep-config"}
    assert check(document["steps"], traced(box, "update", *wanted(box), "plan")) == 7
    assert all(limits(box)[name] != text for name, text in before.items())
    assert "changing" not in json.loads(Path(box.root, "plan", "state.json").read_text())
    box.ok("delete", "--force", "plan")
    assert box.left() == []


def test_update_killed_at_each_step_is_taken_back_by_the_next(box: Box) -> None:
    bundle = rich(box)
    box.ok("create", "--bundle", str(bundle.path), "plan")
    before = limits(box)
    words = ["update", *wanted(box), "plan"]
    (box.path / "former.json").write_text("{}")
    former = ["update", "--resources", str(box.path / "former.json"), "plan"]
    steps = json.loads(box.ok("plan", "--json", "--update", "plan", *wanted(box)).out)["steps"]
    calls = traced(box, *words)
    places = instants(calls, steps)
    assert len(places) == 4
    back = {"memory": {"limit": 64 << 20}, "pids": {"limit": 100}, "cpu": {"quota": -1}}
    (box.path / "first.json").write_text(json.dumps(back))
    box.ok("update", "--resources", str(box.path / "first.json"), "plan")
    before = limits(box)
    killed = 0
    for name, number, what in places:
        inject = f"inject={name}:signal=KILL:when={number}"
        result = run(["strace", "-qq", "-o", os.devnull, "-e", f"trace={name}", "-e", inject, *box.words(*words)])
        killed += not result.ok
        box.ok(*former)
        assert limits(box) == before, what
    assert killed == len(places)
    box.ok("delete", "--force", "plan")
    assert box.left() == []


def test_poststart_hooks_are_those_that_create_compiled(box: Box) -> None:
    """`start` does what the list in the state directory says; the kept config is not asked again."""
    bundle = box.bundle().args("sleep", "1000")
    bundle.hook("poststart", "/bin/sh", args=["sh", "-c", f"echo here > {box.path}/told"])
    bundle.write()
    box.ok("create", "--bundle", str(bundle.path), "plan")
    kept = Path(box.root, "plan", "config.json")
    config = json.loads(kept.read_text())
    config["hooks"]["poststart"] = [{"path": "/bin/false"}]
    kept.write_text(json.dumps(config))
    box.ok("start", "plan")
    assert (box.path / "told").read_text() == "here\n"
    box.ok("delete", "--force", "plan")
    assert box.left() == []


def instants(calls: "list[str]", steps: "list[dict[str, Any]]") -> "list[tuple[str, int, str]]":
    """(call, its number, the step) of the first call of each step."""
    found, at = [], 0
    for step in steps:
        for sign in signs(step)[:1]:
            at = next(n for n in range(at, len(calls)) if re.search(sign, calls[n]))
            name = calls[at].partition("(")[0]
            number = sum(line.startswith(name + "(") for line in calls[: at + 1])
            found.append((name, number, f"{step['operation']} {step['where']}"))
            at += 1
    return found


def test_create_killed_at_each_step_of_the_runtime(box: Box) -> None:
    bundle = rich(box)
    words = ["create", "--bundle", str(bundle.path), "plan"]
    planned = plan(box, "--bundle", str(bundle.path))
    steps = planned[: next(n for n, step in enumerate(planned) if step["operation"] == "end-processes")]
    for _ in range(2):  # the first time --root is made as well
        calls = traced(box, *words)
        box.ok("delete", "--force", "plan")
    spared = []
    places = instants(calls, steps)
    assert len(places) > 15
    for name, number, what in places:
        inject = f"inject={name}:signal=KILL:when={number}"
        result = run(["strace", "-qq", "-o", os.devnull, "-e", f"trace={name}", "-e", inject, *box.words(*words)])
        if result.ok:
            spared.append(what)
        state = Path(box.root, "plan", "state.json")
        if state.exists():  # what takes it back is there before the deed
            assert json.loads(state.read_text())["undo"], what
        box.ok("delete", "--force", "plan")
        assert box.left() == [], what
    assert spared == []
