"""runtime.md: the operations, the states between them, and what may be left behind."""

import json
import os
from pathlib import Path

import pytest

from conformance import host
from conformance.case import Case
from conformance.schema import state_complaints


@pytest.mark.judges(
    "runtime.scope.same-entity",
    "runtime.operations.supported",
    "runtime.state.status-created",
    "runtime.state.status-running",
    "runtime.state.status-stopped",
    "runtime.state.status-additional",
    "runtime.create.new-container",
    "runtime.query.returns-state",
    "runtime.lifecycle.destroyed",
)
def test_the_states_in_order(case: Case) -> None:
    container = case.container(case.config(process={"args": ["/probe", "pause"]}))
    created = container.create()
    case.judge("runtime.create.new-container", created.ok and container.state(), "a new container", created)
    seen = [container.status()]
    case.equal("runtime.state.status-created", "status after create", "created", seen[0])
    started = container.start()
    if started.ok:
        container.line()
    seen.append(container.status())
    case.equal("runtime.state.status-running", "status after start", "running", seen[1])
    killed = container.kill("KILL")
    container.wait()
    seen.append(container.status())
    case.equal("runtime.state.status-stopped", "status after the process ended", "stopped", seen[2])
    case.equal("runtime.state.status-additional", "statuses", ["created", "running", "stopped"], seen)
    case.judge("runtime.query.returns-state", "absent" not in seen, "a state at every moment", seen)
    deleted = container.delete()
    results = [created, started, killed, deleted]
    statuses = [result.status for result in results]
    for name in ("runtime.scope.same-entity", "runtime.operations.supported"):
        case.equal(name, "exit statuses of create, start, kill, delete", [0, 0, 0, 0], statuses)
    case.equal("runtime.lifecycle.destroyed", "status after delete", "absent", container.status())


@pytest.mark.judges(
    "runtime.state.oci-version",
    "runtime.state.id",
    "runtime.state.pid",
    "runtime.state.bundle",
    "runtime.state.annotations",
    "runtime.state.json-schema",
)
def test_the_properties_of_the_state(case: Case) -> None:
    annotations = {"com.example.key": "a value", "com.example.empty": ""}
    container = case.running(case.config(annotations=annotations))
    state = container.state() or {}
    version = str(state.get("ociVersion", ""))
    case.judge("runtime.state.oci-version", version.count(".") >= 2, "a version in ociVersion", version)
    case.equal("runtime.state.id", "id", container.id, state.get("id"))
    case.equal("runtime.state.bundle", "bundle", str(container.bundle.path), state.get("bundle"))
    given = {key: (state.get("annotations") or {}).get(key) for key in annotations}
    case.equal("runtime.state.annotations", "annotations", annotations, given)
    executable = Path(f"/proc/{state.get('pid')}/exe")
    same = executable.exists() and os.path.samefile(executable, container.bundle.rootfs / "probe")
    case.judge("runtime.state.pid", same, "the host's number of the process that runs /probe", state.get("pid"))
    complaints = state_complaints(state)
    container.kill("KILL")
    container.wait()
    complaints += state_complaints(container.state() or {})
    case.equal("runtime.state.json-schema", "complaints of the schema, while running and stopped", [], complaints)


@pytest.mark.judges(
    "runtime.lifecycle.program-not-run",
    "runtime.create.args-not-applied",
    "runtime.lifecycle.program-run",
    "runtime.start.runs-program",
)
def test_the_program_runs_at_start_and_not_before(case: Case) -> None:
    container = case.created(case.config(process={"args": ["/probe", "write:/log/ran=yes", "exit:0"]}))
    ran = container.bundle.rootfs / "log" / "ran"
    # whatever create did is done: its process has returned
    for name in ("runtime.lifecycle.program-not-run", "runtime.create.args-not-applied"):
        case.equal(name, "the program's mark exists after create", False, ran.exists())
    container.start()
    container.wait()
    for name in ("runtime.lifecycle.program-run", "runtime.start.runs-program"):
        case.equal(name, "the program's mark exists after start", True, ran.exists())


@pytest.mark.judges("runtime.lifecycle.environment", "runtime.create.properties-applied")
def test_create_builds_the_environment(case: Case) -> None:
    case.needs_root()
    data = {"destination": "/data", "type": "tmpfs", "source": "tmpfs"}
    config = case.config(hostname="built-at-create", mounts=[*case.config()["mounts"], data])
    container = case.created(config)
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "net", "ipc", "uts", "mnt")}
    theirs = {kind: os.readlink(f"/proc/{container.pid}/ns/{kind}") for kind in own}
    shared = sorted(kind for kind in own if own[kind] == theirs[kind])
    case.equal("runtime.lifecycle.environment", "namespaces still shared with the caller after create", [], shared)
    points = [line.split()[4] for line in Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()]
    missing = [point for point in ("/proc", "/dev", "/data") if point not in points]
    case.equal("runtime.create.properties-applied", "mounts missing after create", [], missing)


@pytest.mark.judges("runtime.lifecycle.config-frozen")
def test_config_changes_after_create_have_no_effect(case: Case) -> None:
    container = case.created(case.config(process={"args": ["/probe", "report"], "env": ["PATH=/", "WHICH=first"]}))
    container.bundle.config["process"]["env"] = ["PATH=/", "WHICH=second"]
    container.bundle.config["process"]["args"] = ["/probe", "exit:9"]
    container.bundle.write()
    container.start()
    seen = case.report_of(container)
    case.equal("runtime.lifecycle.config-frozen", "environment of create's time", "first", seen.environment()["WHICH"])


@pytest.mark.judges("runtime.query.unknown-error", "runtime.query.no-id-error")
def test_state_errors(case: Case) -> None:
    case.failed("runtime.query.unknown-error", "state of an unknown id", case.runtime.call("state", "cf-no-such"))
    case.failed("runtime.query.no-id-error", "state without an id", case.runtime.call("state"))


@pytest.mark.judges("runtime.create.no-id-error", "runtime.create.no-bundle-error")
def test_create_without_id_or_bundle(case: Case) -> None:
    bundle = case.bundle(case.config())
    result = case.runtime.call("create", "--bundle", str(bundle.path))
    case.failed("runtime.create.no-id-error", "create without an id", result)
    empty = case.session.place / f"empty-{case.session.next_name()}"
    empty.mkdir()
    case.after(empty.rmdir)
    result = case.runtime.call("create", "cf-no-bundle", cwd=str(empty))
    case.failed("runtime.create.no-bundle-error", "create without a bundle, outside of any", result)


@pytest.mark.judges(
    "runtime.create.duplicate-id-error", "runtime.create.duplicate-id-not-created", "runtime.state.id-unique"
)
def test_duplicate_id(case: Case) -> None:
    first = case.running(case.config())
    before = first.state()
    second = case.container(case.config())
    second.id = first.id
    result = second.create()
    case.failed("runtime.create.duplicate-id-error", "create with an id in use", result)
    after = first.state()
    for name in ("runtime.create.duplicate-id-not-created", "runtime.state.id-unique"):
        case.judge(name, before == after and first.alive(), f"the first container as it was: {before}", after)
    second.created = False


@pytest.mark.judges("runtime.create.invalid-id-error")
@pytest.mark.parametrize("name", ["../outside", "a/b", ".."])
def test_invalid_id(case: Case, name: str) -> None:
    container = case.container(case.config())
    container.id = name
    case.failed("runtime.create.invalid-id-error", f"create with the id {name}", container.create())


@pytest.mark.judges(
    "runtime.start.no-id-error", "runtime.start.not-created-error", "runtime.start.not-created-no-effect"
)
def test_start_errors(case: Case) -> None:
    case.failed("runtime.start.no-id-error", "start without an id", case.runtime.call("start"))
    unknown = case.runtime.call("start", "cf-no-such")
    case.failed("runtime.start.not-created-error", "start of an unknown container", unknown)
    container = case.running(case.config())
    before = container.state()
    case.failed("runtime.start.not-created-error", "start of a running container", container.start())
    after = container.state()
    unchanged = before == after and container.alive()
    case.judge("runtime.start.not-created-no-effect", unchanged, f"the state as before: {before}", after)
    container.kill("KILL")
    container.wait()
    case.failed("runtime.start.not-created-error", "start of a stopped container", container.start())
    case.equal("runtime.start.not-created-no-effect", "status after that", "stopped", container.status())


@pytest.mark.judges("runtime.start.process-unset-error", "config.process.required")
def test_start_without_process(case: Case) -> None:
    for name in ("runtime.start.process-unset-error", "config.process.required"):
        case.refused(name, "start of a configuration without process", case.config(process=None))


@pytest.mark.judges("runtime.kill.no-id-error", "runtime.kill.not-running-error", "runtime.kill.not-running-no-effect")
def test_kill_errors(case: Case) -> None:
    case.failed("runtime.kill.no-id-error", "kill without an id", case.runtime.call("kill"))
    unknown = case.runtime.call("kill", "cf-no-such", "TERM")
    case.failed("runtime.kill.not-running-error", "kill of an unknown container", unknown)
    container = case.stopped(case.config())
    case.failed("runtime.kill.not-running-error", "kill of a stopped container", container.kill("TERM"))
    case.equal("runtime.kill.not-running-no-effect", "status after that", "stopped", container.status())


@pytest.mark.judges("runtime.kill.sends-signal")
def test_kill_sends_the_signal(case: Case) -> None:
    container = case.started(case.config(process={"args": ["/probe", "wait-signals:3", "exit:0"]}))
    container.line()
    for signal in ("USR1", "15", "SIGWINCH"):
        container.kill(signal)
    container.wait()
    signals = container.lines()[-1]["did"][0]["signals"]
    # signals that wait together are taken by number, not by time
    case.equal("runtime.kill.sends-signal", "signals that arrive (USR1, TERM, WINCH)", [10, 15, 28], sorted(signals))


@pytest.mark.judges("runtime.kill.created")
def test_kill_of_a_created_container(case: Case) -> None:
    container = case.created(case.config())
    result = container.kill("KILL")
    if result.ok:
        container.wait()
    case.judge("runtime.kill.created", result.ok, "kill succeeds in state created", result)
    case.equal("runtime.kill.created", "status after that", "stopped", container.status())


@pytest.mark.judges(
    "runtime.delete.no-id-error",
    "runtime.delete.unknown-error",
    "runtime.delete.running-error",
    "runtime.delete.running-no-effect",
)
def test_delete_errors(case: Case) -> None:
    case.failed("runtime.delete.no-id-error", "delete without an id", case.runtime.call("delete"))
    case.failed("runtime.delete.unknown-error", "delete of an unknown id", case.runtime.call("delete", "cf-no-such"))
    container = case.running(case.config())
    before = container.state()
    case.failed("runtime.delete.running-error", "delete of a running container", container.delete())
    after = container.state()
    unchanged = before == after and container.alive()
    case.judge("runtime.delete.running-no-effect", unchanged, f"the state as before: {before}", after)
    container.created = True


@pytest.mark.judges("runtime.delete.created-error")
def test_delete_of_a_created_container(case: Case) -> None:
    container = case.created(case.config())
    result = container.delete()
    case.failed("runtime.delete.created-error", "delete of a container in state created", result)
    case.equal("runtime.delete.created-error", "status after that", "created", container.status())
    container.created = True


def cgroup_directories(case: Case, name: str) -> list[str]:
    """Directories of that name in any hierarchy, in the suite's own part of it or (systemd) in a scope."""
    found = []
    for point in host.cgroup_mounts().values():
        found += [
            point / case.session.cgroup_parent / name,
            point / f"system.slice/{case.session.cgroup_parent}-{name}.scope",
        ]
    return sorted(str(path) for path in found if path.exists())


@pytest.mark.judges("runtime.delete.resources-deleted")
def test_delete_removes_what_create_made(case: Case) -> None:
    host_mounts = host.mounts_below(str(case.session.place))
    container = case.stopped(case.config())
    container.delete()
    left = cgroup_directories(case, container.bundle.path.name)
    mounts = [point for point in host.mounts_below(str(case.session.place)) if point not in host_mounts]
    records = sorted(str(path) for path in case.runtime.root.glob(f"{container.id}*"))
    case.equal(
        "runtime.delete.resources-deleted", "cgroups, mounts, records left", ([], [], []), (left, mounts, records)
    )
    again = case.container(container.bundle.config, container.bundle)
    again.id = container.id
    result = again.create()
    case.judge("runtime.delete.resources-deleted", result.ok, "the id can be used again", result)


@pytest.mark.judges("runtime.delete.foreign-kept")
def test_delete_keeps_what_create_did_not_make(case: Case) -> None:
    config = case.config()
    bundle = case.bundle(config)
    (bundle.path / "source").mkdir()
    (bundle.path / "source" / "kept").write_text("kept")
    bind = {"destination": "/data", "type": "none", "source": str(bundle.path / "source"), "options": ["rbind", "rw"]}
    bundle.config["mounts"].append(bind)
    bundle.config["process"]["args"] = ["/probe", "exit:0"]
    bundle.write()
    before = sorted(str(path) for path in bundle.path.rglob("*") if path.name not in ("pid", "stderr"))
    container = case.container(config, bundle)
    created = container.create()
    container.start()
    container.wait()
    deleted = container.delete()
    after = [str(path) for path in bundle.path.rglob("*")]
    missing = [path for path in before if path not in after]
    case.equal("runtime.delete.foreign-kept", "files of the bundle and of a bind source missing", [], missing)
    results = (created.ok, deleted.ok)
    case.equal("runtime.delete.foreign-kept", "create and delete succeed", (True, True), results)


@pytest.mark.judges(
    "runtime.lifecycle.unable-error",
    "runtime.create.inapplicable-error",
    "runtime.create.inapplicable-not-created",
    "runtime.errors.nothing-left",
)
@pytest.mark.parametrize("fault", ["mount-source", "mount-type", "namespace-path", "sysctl"])
def test_a_failing_create_leaves_nothing(case: Case, fault: str) -> None:
    config = case.config()
    if fault == "mount-source":
        mount = {"destination": "/data", "type": "none", "source": "/no/such/source", "options": ["bind"]}
        config["mounts"].append(mount)
    elif fault == "mount-type":
        config["mounts"].append({"destination": "/data", "type": "nosuchfs", "source": "none"})
    elif fault == "namespace-path":
        config["linux"]["namespaces"][1] = {"type": "network", "path": "/no/such/namespace"}
    else:
        config["linux"]["sysctl"] = {"net.ipv4.no_such_parameter": "1"}
    container = case.container(config)
    result = container.create()
    for name in ("runtime.lifecycle.unable-error", "runtime.create.inapplicable-error"):
        case.failed(name, f"create of a configuration with a fault ({fault})", result)
    case.equal("runtime.create.inapplicable-not-created", "status after that", "absent", container.status())
    left = {
        "cgroups": cgroup_directories(case, container.bundle.path.name),
        "mounts": mounts_of(container.bundle.path.name),
        "records": sorted(str(path) for path in case.runtime.root.glob(f"{container.id}*")),
        "processes": processes_rooted_in(container.bundle.rootfs),
        "pid file": container.pid_file.exists(),
    }
    nothing = {"cgroups": [], "mounts": [], "records": [], "processes": [], "pid file": False}
    case.equal("runtime.errors.nothing-left", "left behind", nothing, left)


def mounts_of(name: str) -> list[str]:
    """Lines of the host's mount table that have to do with a bundle: its directory and its cgroup bear its name."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f"/{name}/" in line or f"/{name} " in line]


def processes_rooted_in(directory: Path) -> list[int]:
    """Processes other than ours whose root is the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.path.samefile(entry / "root", directory):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.judges("runtime.warnings.continue")
def test_a_warning_does_not_stop(case: Case) -> None:
    capabilities = {"bounding": ["CAP_KILL", "CAP_OF_NO_KERNEL"], "effective": [], "permitted": []}
    refused, seen = case.attempt(case.config(process={"capabilities": capabilities, "args": ["/probe", "exit:0"]}))
    case.judge("runtime.warnings.continue", not refused, "going on after a warning (an unknown capability)", seen)


@pytest.mark.judges("bundle.config-present", "bundle.config-at-root", "bundle.config-name")
def test_config_is_in_its_place(case: Case) -> None:
    bundle = case.bundle(case.config(hostname="from-the-bundle"))
    text = (bundle.path / "config.json").read_text()
    (bundle.path / "config").mkdir()
    other = json.loads(text)
    other["hostname"] = "from-elsewhere"
    (bundle.path / "config" / "config.json").write_text(json.dumps(other))
    (bundle.path / "Config.JSON").write_text(json.dumps(other))
    container = case.container(bundle.config, bundle)
    container.create()
    container.start()
    seen = case.report_of(container)
    case.equal("bundle.config-at-root", "hostname", "from-the-bundle", seen["hostname"])
    (bundle.path / "config.json").unlink()
    again = case.container(bundle.config, bundle)
    result = again.create()
    for name in ("bundle.config-present", "bundle.config-name"):
        case.failed(name, "create of a bundle without config.json", result)


@pytest.mark.judges("bundle.rootfs")
def test_the_rootfs_is_what_root_path_says(case: Case) -> None:
    seen = case.observe(case.config(), "read:/data/file")
    case.equal("bundle.rootfs", "the file of the root", "data of the root filesystem\n", seen.did("read").get("text"))
