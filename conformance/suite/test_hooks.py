"""The six kinds of hooks: when, where, with what; and what happens when one fails."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from conformance.bundle import Bundle, json_lines
from conformance.case import Case

KINDS = {
    "prestart": "prestart",
    "create-runtime": "createRuntime",
    "create-container": "createContainer",
    "start-container": "startContainer",
    "poststart": "poststart",
    "poststop": "poststop",
}
AT_CREATE = ("prestart", "createRuntime", "createContainer")
IN_CONTAINER = ("createContainer", "startContainer")


def hook(case: Case, bundle: Bundle, kind: str, label: str = "", ending: str = "0") -> dict[str, Any]:
    """A hook that appends a line labelled KIND or `label` to the bundle's log, and then exits or hangs."""
    if kind == "startContainer":
        path, log = "/probe", "/log/hooks"
    else:
        path, log = str(case.probe), str(bundle.rootfs / "log" / "hooks")
    return {"path": path, "args": ["the-hook", "hook", log, label or kind, ending]}


def bundle_with(case: Case, *kinds: str, failing: str = "", ending: str = "7") -> Bundle:
    """A bundle with one hook of each kind; the program logs as well. `failing` names the kind whose hook fails."""
    bundle = case.bundle(case.config(process={"args": ["/probe", "hook", "/log/hooks", "program"]}))
    hooks = {kind: [hook(case, bundle, kind, ending=ending if kind == failing else "0")] for kind in kinds}
    bundle.config["hooks"] = hooks
    bundle.write()
    case.last_config = bundle.config
    return bundle


def labels(bundle: Bundle) -> list[str]:
    return [line["label"] for line in bundle.lines("hooks")]


def line_of(bundle: Bundle, label: str) -> dict[str, Any]:
    """The log line of a hook; empty when it did not run."""
    return next((line for line in bundle.lines("hooks") if line["label"] == label), {})


def state_of(line: dict[str, Any]) -> dict[str, Any]:
    """The state that a hook found on its standard input; empty when it was none."""
    try:
        state = json.loads(line.get("stdin", ""))
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def through_life(case: Case, bundle: Bundle) -> dict[str, list[str]]:
    """Creates, starts, waits, deletes; the labels logged after each operation."""
    container = case.container(bundle.config, bundle)
    after: dict[str, list[str]] = {}
    for name, operation in (("create", container.create), ("start", container.start)):
        operation()
        after[name] = labels(bundle)
    container.wait()
    after["end"] = labels(bundle)
    container.delete()
    after["delete"] = labels(bundle)
    return after


@pytest.mark.judges(
    *(f"runtime.lifecycle.{kind}-invoked" for kind in KINDS),
    *(f"config.hooks.{kind}.when" for kind in KINDS),
    "config.hooks.prestart.before-create-runtime",
    "config.hooks.create-container.after-create-runtime",
)
def test_when_hooks_run(case: Case) -> None:
    case.needs_root()
    bundle = bundle_with(case, *KINDS.values())
    after = through_life(case, bundle)
    everything = after["delete"]
    for kind, name in KINDS.items():
        case.judge(f"runtime.lifecycle.{kind}-invoked", name in everything, f"{name} hook invoked", everything)
    new = {
        "create": after["create"],
        "start": after["start"][len(after["create"]) :],
        "delete": after["delete"][len(after["end"]) :],
    }
    for kind in ("prestart", "create-runtime", "create-container"):
        ran = KINDS[kind] in new["create"]
        case.judge(f"config.hooks.{kind}.when", ran, f"{KINDS[kind]} during create", after)
    # start may return before the hook has run (it has to run before the program only)
    since_start = [label for label in after["end"][len(after["create"]) :] if label in ("startContainer", "program")]
    right = since_start == ["startContainer", "program"]
    case.judge("config.hooks.start-container.when", right, "startContainer after create, before the program", after)
    in_start = "poststart" in new["start"]
    case.judge(
        "config.hooks.poststart.when", in_start, "poststart logged after create and before start returned", after
    )
    case.judge("config.hooks.poststop.when", "poststop" in new["delete"], "poststop during delete", after)
    order = [label for label in everything if label in AT_CREATE]
    first = order[:2] == ["prestart", "createRuntime"]
    case.judge("config.hooks.prestart.before-create-runtime", first, "prestart, then createRuntime", order)
    last = order[1:] == ["createRuntime", "createContainer"]
    case.judge("config.hooks.create-container.after-create-runtime", last, "createRuntime, then createContainer", order)


@pytest.mark.judges("config.hooks.poststart.when")
def test_poststart_finds_the_program_executed(case: Case) -> None:
    case.needs_root()
    bundle = case.bundle(case.config(process={"args": ["/probe", "pause"]}))
    log = str(bundle.rootfs / "log" / "hooks")
    bundle.config["hooks"] = {"poststart": [{"path": str(case.probe), "args": ["h", "hook", log, "poststart"]}]}
    bundle.write()
    container = case.container(bundle.config, bundle)
    container.create()
    case.equal("config.hooks.poststart.when", "poststart before start was called", [], labels(bundle))
    container.start()
    container.line()
    state = state_of(line_of(bundle, "poststart"))
    case.equal("config.hooks.poststart.when", "status that the hook is told", "running", state.get("status"))


@pytest.mark.judges("config.hooks.poststop.when")
def test_poststop_finds_the_container_deleted(case: Case) -> None:
    case.needs_root()
    bundle = case.bundle(case.config(process={"args": ["/probe", "exit:0"]}))
    log = bundle.rootfs / "log" / "state"
    query = ["state-operation", "--root", str(case.runtime.root), "state"]
    container = case.container(bundle.config, bundle)
    script = bundle.path / "query"
    quoted = " ".join(f"'{word}'" for word in (case.runtime.path, *query[1:], container.id))
    script.write_text(f"#!/bin/sh\n{quoted} > '{log}' 2>&1\necho status $? >> '{log}'\nexit 0\n")
    script.chmod(0o755)
    case.needs(os.access("/bin/sh", os.X_OK), "needs a shell on the host for the hook")
    bundle.config["hooks"] = {"poststop": [{"path": str(script), "env": [f"PATH={os.environ['PATH']}"]}]}
    bundle.write()
    container.create()
    container.start()
    container.wait()
    container.delete()
    told = log.read_text() if log.exists() else "the hook did not run"
    gone = told.splitlines()[-1].startswith("status ") and "status 0" not in told
    stopped = '"stopped"' in told  # a runtime may remove its record last: then the container is known as stopped
    case.judge(
        "config.hooks.poststop.when", gone or stopped, "state, asked by the hook: absent or stopped", told[-300:]
    )


@pytest.mark.judges(
    *(f"config.hooks.{kind}.namespace" for kind in KINDS), *(f"config.hooks.{kind}.path-namespace" for kind in KINDS)
)
def test_where_hooks_run(case: Case) -> None:
    case.needs_root()
    bundle = bundle_with(case, *KINDS.values())
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "ipc", "uts", "mnt")}
    through_life(case, bundle)
    program = line_of(bundle, "program").get("namespaces", {})
    for kind, name in KINDS.items():
        line = line_of(bundle, name)
        # that it ran at all shows where its path was looked up: the probe's host path is not in the container
        found = "ran" if line else "did not run"
        place = "the container" if name == "startContainer" else "the host"
        case.judge(f"config.hooks.{kind}.path-namespace", line, f"{name} hook whose path is in {place}", found)
        expected = program if name in IN_CONTAINER else own
        theirs = line.get("namespaces", {})
        wrong = {key: theirs.get(key) for key in own if theirs.get(key) != expected.get(key) or not theirs}
        where = "container" if name in IN_CONTAINER else "runtime"
        case.equal(f"config.hooks.{kind}.namespace", f"{name}: namespaces that are not the {where}'s", {}, wrong)


@pytest.mark.judges("config.hooks.create-container.path-namespace", "config.hooks.create-container.when")
def test_create_container_runs_before_the_pivot(case: Case) -> None:
    case.needs_root()
    bundle = bundle_with(case, "createContainer")
    mount = {"destination": "/data", "type": "tmpfs", "source": "a-mark"}
    bundle.config["mounts"].append(mount)
    bundle.write()
    through_life(case, bundle)
    text = line_of(bundle, "createContainer").get("mountinfo") or ""
    host_view = f" {bundle.rootfs}/data " in text
    asked = "the hook sees the container's mount at its host path: the root is not pivoted yet"
    case.judge(
        "config.hooks.create-container.when", host_view, asked, [row for row in text.splitlines() if "a-mark" in row]
    )
    ran = bool(text)
    case.judge(
        "config.hooks.create-container.path-namespace", ran, "a hook by its host path", "ran" if ran else "did not"
    )


@pytest.mark.judges(
    "config.hooks.state", "runtime.state.pid-runtime-hooks", "runtime.state.pid-container-hooks", "runtime.state.bundle"
)
def test_the_state_that_hooks_are_told(case: Case) -> None:
    case.needs_root()
    bundle = bundle_with(case, *KINDS.values())
    bundle.config["annotations"] = {"com.example.told": "to hooks"}
    bundle.write()
    container = case.container(bundle.config, bundle)
    container.create()
    pid = container.pid
    container.start()
    container.wait()
    container.delete()
    for name in KINDS.values():
        state = state_of(line_of(bundle, name))
        told = {key: state.get(key) for key in ("id", "bundle", "annotations")}
        expected = {"id": container.id, "bundle": str(bundle.path), "annotations": bundle.config["annotations"]}
        case.equal("config.hooks.state", f"{name}: id, bundle and annotations on standard input", expected, told)
        case.judge("config.hooks.state", "status" in state, f"{name}: a status", state)
        case.equal("runtime.state.bundle", f"{name}: bundle", str(bundle.path), state.get("bundle"))
        if name in ("prestart", "createRuntime", "poststart"):
            case.equal("runtime.state.pid-runtime-hooks", f"{name}: pid of the host", pid, state.get("pid"))
        elif name in IN_CONTAINER:
            case.equal("runtime.state.pid-container-hooks", f"{name}: pid in the container", 1, state.get("pid"))


@pytest.mark.judges("config.hooks.order")
@pytest.mark.parametrize("name", list(KINDS.values()))
def test_the_order_within_a_kind(case: Case, name: str) -> None:
    case.needs_root()
    bundle = bundle_with(case)
    bundle.config["hooks"] = {name: [hook(case, bundle, name, label) for label in ("first", "second", "third")]}
    bundle.write()
    through_life(case, bundle)
    order = [label for label in labels(bundle) if label != "program"]
    case.equal("config.hooks.order", f"{name} hooks", ["first", "second", "third"], order)


@pytest.mark.judges("config.hooks.args", "config.hooks.env")
def test_arguments_and_environment(case: Case) -> None:
    case.needs_root()
    bundle = bundle_with(case, *KINDS.values())
    for entry in bundle.config["hooks"].values():
        entry[0]["args"].append("an argument with spaces")
        entry[0]["args"][4] = "0"
        entry[0]["env"] = ["ONE=1", "TWO=two words", "EMPTY="]
    bundle.write()
    through_life(case, bundle)
    for name in KINDS.values():
        line = line_of(bundle, name)
        case.equal("config.hooks.args", f"{name}: arguments", bundle.config["hooks"][name][0]["args"], line.get("args"))
        # HOME or the like may not be added: env is the whole environment
        env = sorted(line.get("env", []))
        case.equal("config.hooks.env", f"{name}: environment", ["EMPTY=", "ONE=1", "TWO=two words"], env)


@pytest.mark.judges(
    *(
        f"runtime.lifecycle.{kind}-fails-{what}"
        for kind in ("prestart", "create-runtime", "create-container")
        for what in ("error", "destroyed", "poststop")
    )
)
@pytest.mark.parametrize("kind", ["prestart", "create-runtime", "create-container"])
def test_a_hook_of_create_fails(case: Case, kind: str) -> None:
    case.needs_root()
    only_these = f"runtime.lifecycle.{kind}-"
    case.requirements = [name for name in case.requirements if name.startswith(only_these)]
    bundle = bundle_with(case, KINDS[kind], "poststop", failing=KINDS[kind])
    container = case.container(bundle.config, bundle)
    created = container.create()
    case.failed(f"{only_these}fails-error", f"create with a failing {KINDS[kind]} hook", created)
    status = container.status()
    processes = [pid for pid in Path("/proc").iterdir() if pid.name.isdecimal() and rooted(pid, bundle.rootfs)]
    gone: tuple[str, list[Path]] = ("absent", [])
    case.equal(f"{only_these}fails-destroyed", "status and processes after that", gone, (status, processes))
    case.judge(
        f"{only_these}fails-poststop", "poststop" in labels(bundle), "the poststop hook is invoked", labels(bundle)
    )


def rooted(process: Path, directory: Path) -> bool:
    try:
        return os.path.samefile(process / "root", directory)
    except OSError:
        return False


@pytest.mark.judges(
    *(
        f"runtime.lifecycle.{kind}-fails-{what}"
        for kind in ("start-container", "poststart")
        for what in ("error", "stopped", "poststop")
    )
)
@pytest.mark.parametrize("kind", ["start-container", "poststart"])
def test_a_hook_of_start_fails(case: Case, kind: str) -> None:
    case.needs_root()
    only_these = f"runtime.lifecycle.{kind}-"
    case.requirements = [name for name in case.requirements if name.startswith(only_these)]
    bundle = bundle_with(case, KINDS[kind], "poststop", failing=KINDS[kind])
    bundle.config["process"]["args"] = ["/probe", "write:/log/ran", "pause"]
    bundle.write()
    container = case.container(bundle.config, bundle)
    created = container.create()
    case.judge(f"{only_these}fails-error", created.ok, "create succeeds: the hook belongs to start", created)
    started = container.start()
    ran = (bundle.rootfs / "log" / "ran").exists()
    right = not started.ok and (not ran or kind == "poststart")
    case.judge(f"{only_these}fails-error", right, "an error of start", f"{started}; the program ran: {ran}")
    container.ends_within(2)  # start may return before the end has come
    status = container.status()
    case.judge(f"{only_these}fails-stopped", status in ("stopped", "absent"), "status stopped, or gone", status)
    invoked = labels(bundle).count("poststop")
    asked = "the container destroyed, the poststop hook invoked"
    case.judge(f"{only_these}fails-poststop", invoked == 1 and status == "absent", asked, f"{status}, {labels(bundle)}")


@pytest.mark.judges("runtime.lifecycle.poststop-fails-continues")
def test_a_poststop_hook_fails(case: Case) -> None:
    case.needs_root()
    bundle = bundle_with(case)
    bundle.config["hooks"] = {
        "poststop": [
            hook(case, bundle, "poststop", "first", "7"),
            hook(case, bundle, "poststop", "second", "0"),
        ]
    }
    bundle.write()
    container = case.container(bundle.config, bundle)
    container.create()
    container.start()
    container.wait()
    deleted = container.delete()
    ran = [label for label in labels(bundle) if label != "program"]
    case.equal("runtime.lifecycle.poststop-fails-continues", "hooks run", ["first", "second"], ran)
    status = container.status()
    case.judge("runtime.lifecycle.poststop-fails-continues", deleted.ok, "delete succeeds", deleted)
    case.equal("runtime.lifecycle.poststop-fails-continues", "status after delete", "absent", status)


@pytest.mark.judges("config.hooks.timeout")
def test_timeout(case: Case) -> None:
    case.needs_root()
    bundle = bundle_with(case, "createRuntime", failing="createRuntime", ending="hang")
    bundle.config["hooks"]["createRuntime"][0]["timeout"] = 1
    bundle.write()
    container = case.container(bundle.config, bundle)
    result = container.create()
    case.failed("config.hooks.timeout", "create with a hook that hangs, timeout 1", result)
    line = line_of(bundle, "createRuntime")
    alive = Path(f"/proc/{line.get('pid', 0)}/exe")
    still = alive.exists() and os.path.samefile(alive, case.probe)
    case.equal("config.hooks.timeout", "the hook still runs", False, still)


@pytest.mark.judges("config.hooks.timeout-positive")
@pytest.mark.parametrize("timeout", [0, -1])
def test_timeout_must_be_positive(case: Case, timeout: int) -> None:
    bundle = bundle_with(case, "createRuntime")
    bundle.config["hooks"]["createRuntime"][0]["timeout"] = timeout
    case.refused("config.hooks.timeout-positive", f"a hook timeout of {timeout}", bundle.config)


@pytest.mark.judges("config.hooks.path-required", "config.hooks.path-absolute")
def test_path(case: Case) -> None:
    case.needs_root()
    none = case.config(hooks={"createRuntime": [{"args": ["x"]}]}, process={"args": ["/probe", "exit:0"]})
    case.refused("config.hooks.path-required", "a hook without path", none)
    bundle = bundle_with(case)
    relative = os.path.relpath(case.probe, bundle.path)
    entry = {**hook(case, bundle, "createRuntime"), "path": relative}
    container = case.container(case.config(hooks={"createRuntime": [entry]}))
    # run from the bundle, where the relative path does lead to a program
    result = container.create(cwd=str(bundle.path))
    ran = bool(json_lines(bundle.rootfs / "log" / "hooks"))
    case.judge("config.hooks.path-absolute", not result.ok, f"an error, for {relative}", f"{result}, hook ran: {ran}")
