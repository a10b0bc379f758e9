"""Beyond the specification: what engines rely on, so that a runtime drops in where runc is called."""

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from conformance import host
from conformance.bundle import json_lines, merged
from conformance.case import Case
from conformance.container import Container
from conformance.runtime import PATIENCE
from conformance.seen import Seen
from conformance.terminal import ConsoleSocket

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def D(name: str) -> str:
    return f"defacto.{name}"


def report(case: Case, *verbs: str) -> dict[str, Any]:
    return case.config(process={"args": ["/probe", *verbs]})


@pytest.mark.judges(D("pid-file"), D("pid-file-on-failure"))
def test_pid_file(case: Case) -> None:
    container = case.created(case.config())
    text = container.pid_file.read_text() if container.pid_file.exists() else "no file"
    state = container.state() or {}
    case.equal("defacto.pid-file", "the pid of the state, and nothing else", str(state.get("pid")), text)
    failing = case.container(case.config(root={"path": "no-such"}))
    failing.create()
    case.equal("defacto.pid-file-on-failure", "a pid file after a failed create", False, failing.pid_file.exists())


@pytest.mark.judges(D("console-socket"), D("console-socket-required"))
def test_console_socket(case: Case) -> None:
    config = case.config(process={"terminal": True})
    container = case.container(config)
    with ConsoleSocket(container.bundle.path / "tty") as console:
        created = container.create("--console-socket", str(console.path))
        if created.ok:
            master = console.receive()
            case.judge(
                "defacto.console-socket",
                os.isatty(master),
                "a terminal's descriptor",
                os.readlink(f"/proc/self/fd/{master}"),
            )
        got = (len(console.descriptors), console.messages, bool(console.payload))
        case.equal("defacto.console-socket", "descriptors, messages, a payload", (1, 1, True), got)
    without = case.container(config)
    case.failed("defacto.console-socket-required", "create with a terminal and no console socket", without.create())


@pytest.mark.judges(D("log-json"), D("log-stderr"))
def test_log(case: Case) -> None:
    log = case.session.place / f"log-{case.session.next_name()}"
    case.after(lambda: log.unlink(missing_ok=True))
    bundle = case.bundle(case.config(root={"path": "no-such"}))
    words = [case.runtime.path, "--log", str(log), "--log-format", "json", *case.runtime.words()[1:]]
    result = case.runtime.run([*words, "create", "--bundle", str(bundle.path), "cf-log"])
    text = log.read_text() if log.exists() else ""
    entries = json_lines(log)
    case.judge(
        "defacto.log-json", text and len(entries) == len(text.splitlines()), "one JSON object a line", text[:300]
    )
    errors = [entry for entry in entries if entry.get("level") == "error"]
    case.judge("defacto.log-json", errors and errors[-1].get("msg"), "an entry of level error with a msg", entries)
    times = [RFC3339.fullmatch(str(entry.get("time"))) for entry in entries]
    case.judge("defacto.log-json", times and all(times), "RFC 3339 times", [entry.get("time") for entry in entries])
    said = result.err.strip()
    case.judge("defacto.log-stderr", said and result.status not in (0, 2), "why, on standard error; status 1", result)


@pytest.mark.judges(D("root"))
def test_root(case: Case) -> None:
    container = case.created(case.config())
    other = case.session.place / f"other-{case.session.next_name()}"
    other.mkdir()
    result = case.runtime.run([case.runtime.path, "--root", str(other), "state", container.id])
    case.failed("defacto.root", "state of a container of another --root", result)
    for path in sorted(other.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    other.rmdir()


def processes_of(container: Container) -> list[int]:
    """The host's numbers of the processes in the container's pid namespace, or whose root is the container's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.path.samefile(entry / "root", container.bundle.rootfs):
                    found.append(int(entry.name))
            except OSError:
                continue
    return sorted(found)


def await_end(pids: list[int]) -> list[int]:
    """Waits until the processes have ended; those that have not after a while."""
    import select

    left = []
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        if not select.select([descriptor], [], [], 5)[0]:
            left.append(pid)
        os.close(descriptor)
    return left


def without_pid_namespace(case: Case, *verbs: str) -> dict[str, Any]:
    kinds = ("network", "ipc", "uts", "mount")
    return case.config(linux={"namespaces": [{"type": kind} for kind in kinds]}, process={"args": ["/probe", *verbs]})


@pytest.mark.judges(D("kill-all"))
def test_kill_all(case: Case) -> None:
    case.needs_cgroups()
    container = case.started(without_pid_namespace(case, "pause:2"))
    container.line()
    pids = processes_of(container)
    case.equal("defacto.kill-all", "processes before", 3, len(pids))
    result = case.runtime.call("kill", "--all", container.id, "KILL")
    container.wait()
    case.judge("defacto.kill-all", result.ok, "kill --all KILL succeeds", result)
    case.equal("defacto.kill-all", "processes that do not end", [], await_end(pids))


@pytest.mark.judges(D("kill-all-init-gone"))
def test_kill_all_without_first_process(case: Case) -> None:
    case.needs_cgroups()
    container = case.started(without_pid_namespace(case, "orphan", "exit:0"))
    container.wait()
    pids = processes_of(container)
    case.equal("defacto.kill-all-init-gone", "processes left after the first one", 1, len(pids))
    result = case.runtime.call("kill", "--all", container.id, "KILL")
    left = await_end(pids)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    case.judge("defacto.kill-all-init-gone", result.ok, "kill --all KILL succeeds", result)
    case.equal("defacto.kill-all-init-gone", "processes that do not end", [], left)


@pytest.mark.judges(D("kill-signal-names"), D("kill-default-term"), D("kill-unknown-signal"))
def test_signals(case: Case) -> None:
    container = case.started(
        report(case, "wait-signals:1", "wait-signals:1", "wait-signals:1", "wait-signals:1", "exit:0")
    )
    results = []
    for words in (["TERM"], ["SIGTERM"], ["15"], []):
        container.line()
        results.append(container.kill(*words).status)
    container.wait()
    signals = [attempt["signals"] for attempt in container.lines()[-1]["did"]]
    case.equal(
        "defacto.kill-signal-names", "signals for TERM, SIGTERM, 15", ([[15]] * 3, [0] * 3), (signals[:3], results[:3])
    )
    case.equal("defacto.kill-default-term", "the signal when none is given", ([[15]], [0]), (signals[3:], results[3:]))
    container = case.running(case.config())
    case.failed("defacto.kill-unknown-signal", "kill with the signal NONSENSE", container.kill("NONSENSE"))


@pytest.mark.judges(D("text-does-not-exist"), D("text-not-running"), D("text-exec-not-found"))
def test_texts(case: Case) -> None:
    for operation in ("state", "start", "delete"):
        result = case.runtime.call(operation, "cf-no-such")
        case.judge(
            "defacto.text-does-not-exist", "does not exist" in result.err, f"{operation}: does not exist", result
        )
    container = case.stopped(case.config())
    result = container.kill("TERM")
    case.judge("defacto.text-not-running", "container not running" in result.err, "container not running", result)
    for program in ("/no/such/program", "no-such-program"):
        container = case.container(report(case))
        container.bundle.config["process"]["args"] = [program]
        container.bundle.write()
        result = container.create()
        if result.ok:
            result = container.start()
        text = result.err + container.errors()
        right = "executable file not found in $PATH" in text or "no such file or directory" in text.lower()
        case.judge(
            "defacto.text-exec-not-found", right and not result.ok, f"the text engines know, for {program}", result
        )


def run(case: Case, config: dict[str, Any], *options: str, **popen: Any) -> "tuple[Container, Any]":
    """run in the foreground; the container and the command's result."""
    container = case.container(config)
    container.output.close()
    command = case.runtime.words("run", "--bundle", str(container.bundle.path), *options, container.id)
    result = case.runtime.run(command, **popen)
    container.created = True
    return container, result


@pytest.mark.judges(D("run"))
def test_run(case: Case) -> None:
    container, result = run(case, report(case, "write:/log/ran", "exit:42"))
    case.equal("defacto.run", "exit status, the program's", 42, result.status)
    ran = (container.bundle.rootfs / "log" / "ran").exists()
    case.equal("defacto.run", "the program ran; status after it", (True, "absent"), (ran, container.status()))
    container.created = False


@pytest.mark.judges(D("run-signal-status"))
def test_run_of_what_a_signal_ends(case: Case) -> None:
    case.needs_root()  # without a pid namespace of one's own no proc can be mounted in a user namespace
    container, result = run(case, without_pid_namespace(case, "raise:9"))
    case.equal("defacto.run-signal-status", "exit status after SIGKILL", 137, result.status)
    container.created = False


@pytest.mark.judges(D("run-detach"))
def test_run_detach(case: Case) -> None:
    config = report(case, "pause")
    container = case.container(config)
    words = [
        "run",
        "--detach",
        "--bundle",
        str(container.bundle.path),
        "--pid-file",
        str(container.pid_file),
        container.id,
    ]
    with open_errors(container.bundle.path) as errors:
        result = case.runtime.call(*words, stdout=container.output.writer, stderr=errors)
    container.output.writer_given()
    container.created = result.ok
    container.adopt()
    case.judge("defacto.run-detach", result.ok, "run --detach succeeds", result)
    case.equal("defacto.run-detach", "status after that", "running", container.status())


@pytest.mark.judges(D("run-forwards-signals"))
def test_run_forwards_signals(case: Case) -> None:
    container = case.container(report(case, "wait-signals:1", "exit:5"))
    words = case.runtime.words("run", "--bundle", str(container.bundle.path), container.id)
    case.runtime.history.append(" ".join(words))
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=container.output.writer, env=case.runtime.environment
    )
    container.output.writer_given()
    container.created = True
    try:
        container.line()
        process.send_signal(signal.SIGUSR1)
        status = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
    lines = container.lines()
    signals = lines[-1]["did"][0]["signals"] if lines else None
    case.equal("defacto.run-forwards-signals", "signal that arrived, status", ([10], 5), (signals, status))


def executed(case: Case, container: Container, *words: str, **popen: Any) -> Any:
    return case.runtime.call("exec", *words, **popen)


def reported(result: Any) -> Seen:
    """The probe's report in a command's output; empty when there is none."""
    lines = [line for line in result.out.splitlines() if line.startswith("{")]
    return Seen(json.loads(lines[-1])) if lines else Seen()


@pytest.mark.judges(D("exec"), D("exec-options"), D("exec-process"), D("exec-cgroup"))
def test_exec(case: Case) -> None:
    container = case.running(case.config())
    result = executed(case, container, container.id, "/probe", "report", "exit:43")
    seen = reported(result)
    case.equal("defacto.exec", "exit status", 43, result.status)
    theirs = {kind: os.readlink(f"/proc/{container.pid}/ns/{kind}") for kind in ("pid", "net", "ipc", "uts", "mnt")}
    found = {kind: (seen.get("namespaces") or {}).get(kind) for kind in theirs}
    case.equal("defacto.exec", "namespaces", theirs, found)
    uid, gid = (0, 0) if case.session.rootless else (1000, 1001)  # an id has to be mapped
    options = ["--cwd", "/data", "--env", "ONE=two", "--user", f"{uid}:{gid}"]
    seen = reported(executed(case, container, *options, container.id, "/probe", "report"))
    found_options = (seen.get("cwd"), "ONE=two" in seen.get("env", []), seen.get("uids"), seen.get("gids"))
    wanted = ("/data", True, [uid] * 3, [gid] * 3)
    case.equal("defacto.exec-options", "--cwd, --env, --user", wanted, found_options)
    process = merged(
        container.bundle.config["process"], {"args": ["/probe", "report"], "cwd": "/tmp", "env": ["PATH=/", "A=b"]}
    )
    file = container.bundle.path / "process.json"
    file.write_text(json.dumps(process))
    seen = reported(executed(case, container, "--process", str(file), container.id))
    case.equal("defacto.exec-process", "cwd, env", ("/tmp", True), (seen.get("cwd"), "A=b" in seen.get("env", [])))
    case.needs_cgroups()
    first = Path(f"/proc/{container.pid}/cgroup").read_text()
    case.equal("defacto.exec-cgroup", "cgroups, those of the first process", first, seen.get("cgroup"))


@pytest.mark.judges(D("exec-detach"), D("exec-stopped-error"))
def test_exec_detached(case: Case) -> None:
    container = case.running(case.config())
    pid_file = container.bundle.path / "exec-pid"
    words = ["--detach", "--pid-file", str(pid_file), container.id, "/probe", "pause"]
    result = executed(case, container, *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    case.judge("defacto.exec-detach", result.ok, "exec --detach succeeds", result)
    text = pid_file.read_text() if pid_file.exists() else ""
    container.find_others()
    alive = text.isdecimal() and Path(f"/proc/{text}").exists()
    case.judge("defacto.exec-detach", alive, "the pid of a living process in --pid-file", text)
    container.kill("KILL")
    container.wait()
    result = executed(case, container, container.id, "/probe", "report")
    case.failed("defacto.exec-stopped-error", "exec in a stopped container", result)


@pytest.mark.judges(D("exec-tty"))
def test_exec_tty(case: Case) -> None:
    container = case.running(case.config())
    with ConsoleSocket(container.bundle.path / "tty") as console:
        pid_file = container.bundle.path / "exec-pid"
        options = ["--tty", "--detach", "--pid-file", str(pid_file), "--console-socket", str(console.path)]
        result = executed(case, container, *options, container.id, "/probe", "report")
        if pid_file.exists():
            container.others.append(int(pid_file.read_text()))
        case.judge("defacto.exec-tty", result.ok, "exec --tty succeeds", result)
        if result.ok:
            seen = console.report(console.receive())
            case.equal("defacto.exec-tty", "terminals", [True] * 3, seen["terminal"]["isatty"])


@pytest.mark.judges(D("delete-force"), D("delete-force-unknown"))
def test_delete_force(case: Case) -> None:
    container = case.running(case.config())
    result = container.delete("--force")
    case.judge("defacto.delete-force", result.ok, "delete --force of a running container succeeds", result)
    container.ends_within(PATIENCE)
    found = (container.alive(), container.status())
    case.equal("defacto.delete-force", "alive, status", (False, "absent"), found)
    result = case.runtime.call("delete", "--force", "cf-no-such")
    case.judge("defacto.delete-force-unknown", result.ok, "delete --force of an unknown container succeeds", result)


@pytest.mark.judges(D("list-json"), D("list-quiet"), D("ps-json"))
def test_lists(case: Case) -> None:
    container = case.running(case.config(), children=1)
    result = case.runtime.call("list", "--format", "json")
    entries = json.loads(result.out) if result.ok and result.out.strip() else []
    entry: dict[str, Any] = next((entry for entry in entries or [] if entry.get("id") == container.id), {})
    found = {key: entry.get(key) for key in ("pid", "status", "bundle")}
    wanted = {"pid": container.pid, "status": "running", "bundle": str(container.bundle.path)}
    case.equal("defacto.list-json", f"the entry of {container.id}", wanted, found)
    case.judge(
        "defacto.list-json", RFC3339.fullmatch(str(entry.get("created"))), "created, RFC 3339", entry.get("created")
    )
    result = case.runtime.call("list", "--quiet")
    ids = result.out.split()
    case.judge(
        "defacto.list-quiet", container.id in ids and all("cf-" in word for word in ids), "ids alone", result.out
    )
    case.needs_cgroups()
    result = case.runtime.call("ps", "--format", "json", container.id)
    numbers = sorted(json.loads(result.out)) if result.ok else str(result)
    case.equal("defacto.ps-json", "host numbers of the processes", processes_of(container), numbers)


@pytest.mark.judges(D("pause-resume"))
def test_pause_and_resume(case: Case) -> None:
    case.needs_cgroups()
    container = case.running(case.config())
    results = [case.runtime.call("pause", container.id)]
    seen = [container.status()]
    results.append(case.runtime.call("resume", container.id))
    seen.append(container.status())
    wanted = (["paused", "running"], [0, 0])
    case.equal("defacto.pause-resume", "statuses and exit statuses", wanted, (seen, [one.status for one in results]))


@pytest.mark.judges(D("update"), D("events-stats"))
def test_update_and_events(case: Case) -> None:
    case.needs_cgroups()
    case.needs(host.cgroup_v1("pids") or host.cgroup_v2("pids"), "no pids controller")
    container = case.running(case.config(linux={"resources": {"pids": {"limit": 50}}}))
    file = container.bundle.path / "resources.json"
    file.write_text(json.dumps({"pids": {"limit": 61}}))
    result = case.runtime.call("update", "--resources", str(file), container.id)
    name = "pids" if host.cgroup_v1("pids") else ""
    limit = (container.cgroup(name, host.cgroup_mounts()[name]) / "pids.max").read_text().strip()
    case.equal("defacto.update", "exit status, pids.max", (0, "61"), (result.status, limit))
    result = case.runtime.call("events", "--stats", container.id)
    lines = json_lines_of(result.out)
    entry = lines[0] if lines else {}
    found = (len(lines), entry.get("type"), entry.get("id"), sorted(entry.get("data") or {})[:1] != [])
    case.equal("defacto.events-stats", "lines, type, id, some data", (1, "stats", container.id, True), found)


def json_lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.judges(D("features-plain"), D("version"))
def test_features_and_version(case: Case) -> None:
    result = case.runtime.run([case.runtime.path, "features"], env={})
    found = (result.status, result.err, result.out.lstrip()[:1])
    case.equal("defacto.features-plain", "status, standard error, first byte", (0, "", "{"), found)
    result = case.runtime.run([case.runtime.path, "--version"])
    words = result.out.split()
    right = result.ok and words[1:2] == ["version"] and re.search(r"^spec: \d+\.\d+\.\d+", result.out, re.MULTILINE)
    case.judge("defacto.version", right, "NAME version X, and a line spec: Y", result.out)


@pytest.mark.judges(D("state-created-time"), D("state-rootfs"), D("state-stopped-pid"))
def test_more_of_the_state(case: Case) -> None:
    container = case.stopped(case.config())
    state = container.state() or {}
    created = str(state.get("created"))
    case.judge("defacto.state-created-time", RFC3339.fullmatch(created), "created, RFC 3339", created)
    if RFC3339.fullmatch(created):
        moment = datetime.datetime.fromisoformat(re.sub(r"(\.\d+)?(Z)$", "+00:00", created)[:25])
        age = abs((datetime.datetime.now(datetime.UTC) - moment).total_seconds())
        case.judge("defacto.state-created-time", age < 3600, "a time of this hour", created)
    case.equal("defacto.state-rootfs", "rootfs", str(container.bundle.rootfs), state.get("rootfs"))
    case.equal("defacto.state-stopped-pid", "pid", 0, state.get("pid"))


@pytest.mark.judges(D("spec"))
def test_spec(case: Case) -> None:
    case.needs_root()
    bundle = case.bundle(case.config())
    (bundle.path / "config.json").unlink()
    result = case.runtime.run(case.runtime.words("spec"), cwd=str(bundle.path))
    written = bundle.path / "config.json"
    case.judge("defacto.spec", result.ok and written.exists(), "a config.json", result)
    if not written.exists():
        return
    config = json.loads(written.read_text())
    config = merged(config, {"process": {"terminal": False, "args": ["/probe", "report"]}})
    bundle.config = case.with_cgroup(config, bundle.path.name)
    bundle.write()
    container = case.container(bundle.config, bundle)
    created = container.create()
    started = container.start()
    ran = created.ok and started.ok and bool(case.report_of(container))
    case.judge("defacto.spec", ran, "a configuration that runs", (created, started))


@pytest.mark.judges(D("session-leader"), D("signal-state"), D("stdio-passed"), D("loopback-up"))
def test_the_program_s_surroundings(case: Case) -> None:
    seen = case.observe(case.config())
    ids = (seen["sid"], seen["pgid"])
    case.equal("defacto.session-leader", "session and process group", (seen["pid"], seen["pid"]), ids)
    found = (seen["signals_blocked"], seen["signals_ignored"])
    case.equal("defacto.signal-state", "signals blocked, ignored", ([], []), found)
    kinds = {fd: seen["fds"].get(fd, {}).get("link", "").split(":")[0] for fd in ("0", "1")}
    wanted = {"0": "/dev/null", "1": "pipe"}
    case.equal("defacto.stdio-passed", "standard streams, the caller's", wanted, kinds)
    flags = seen["interfaces"].get("lo", 0)
    case.judge("defacto.loopback-up", flags & 1, "lo is up", f"flags {flags:#x}")


@pytest.mark.judges(D("outlives-runtime"))
def test_the_container_becomes_the_caller_s_child(case: Case) -> None:
    container = case.running(case.config())
    parent = int(Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()[1])
    case.equal("defacto.outlives-runtime", "parent of the container's process", os.getpid(), parent)
    container.kill("KILL")
    case.equal("defacto.outlives-runtime", "exit status that the caller waits for", 137, container.wait())


@pytest.mark.judges(D("parent-death"))
def test_the_calling_thread_may_end(case: Case) -> None:
    """Engines call a runtime from threads that come and go, and ask for a signal at their own death."""
    container = case.container(report(case, "pause"))
    thread = threading.Thread(target=lambda: (container.create(), container.start()))
    thread.start()
    thread.join()
    container.line()
    ended = container.ends_within(0.2)
    case.equal("defacto.parent-death", "ended with the thread that called", False, ended)


@pytest.mark.judges(D("home-set"))
def test_home(case: Case) -> None:
    seen = case.observe(case.config(process={"env": ["PATH=/"]}))
    case.equal("defacto.home-set", "HOME of root", "/home-of-root", seen.environment().get("HOME"))
    seen = case.observe(case.config(process={"env": ["PATH=/"], "user": {"uid": 4321, "gid": 0}}))
    case.equal("defacto.home-set", "HOME of a user without an entry", "/", seen.environment().get("HOME"))


@pytest.mark.judges(D("preserve-fds"), D("listen-fds"))
def test_descriptors_handed_on(case: Case) -> None:
    reader, writer = os.pipe()
    case.after(lambda: os.close(reader))
    case.after(lambda: os.close(writer))
    # LISTEN_PID has to be the runtime's own number: the launcher becomes the runtime
    script = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3);"
        "'LISTEN_FDS' in os.environ and os.environ.update(LISTEN_PID=str(os.getpid()));"
        "os.execvp(sys.argv[2], sys.argv[2:])"
    )

    def with_descriptor(container: Container, *options: str, **environment: str) -> Any:
        words = case.runtime.words(
            "create", "--bundle", str(container.bundle.path), "--pid-file", str(container.pid_file)
        )
        command = [sys.executable, "-c", script, str(reader), *words, *options, container.id]
        env = {**case.runtime.environment, **environment}
        streams = {"stdout": container.output.writer, "stderr": open_errors(container.bundle.path)}
        result = case.runtime.run(command, pass_fds=(reader,), env=env, **streams)
        container.output.writer_given()
        container.created = result.ok
        container.adopt()
        return result

    container = case.container(case.config())
    result = with_descriptor(container, "--preserve-fds", "1")
    if result.ok and container.start().ok:
        seen = case.report_of(container)
        theirs = seen["fds"].get("3", {}).get("ino")
        case.equal("defacto.preserve-fds", "descriptor 3, by inode", os.fstat(reader).st_ino, theirs)
    else:
        case.judge("defacto.preserve-fds", False, "a container with --preserve-fds 1", result)
    container = case.container(case.config())
    result = with_descriptor(container, LISTEN_FDS="1")
    if result.ok and container.start().ok:
        seen = case.report_of(container)
        theirs = seen["fds"].get("3", {}).get("ino")
        env = seen.environment()
        found = (theirs, env.get("LISTEN_FDS"), env.get("LISTEN_PID"))
        case.equal(
            "defacto.listen-fds", "descriptor 3, LISTEN_FDS, LISTEN_PID", (os.fstat(reader).st_ino, "1", "1"), found
        )
    else:
        case.judge("defacto.listen-fds", False, "a container with LISTEN_FDS=1", result)


@pytest.mark.judges(D("single-dash-options"), D("options-accepted"), D("relative-bundle"))
def test_forms_of_options(case: Case) -> None:
    bundle = case.bundle(report(case, "exit:0"))
    forms = {
        "single-dash-options": ["-bundle", str(bundle.path)],
        "options-accepted": ["--no-new-keyring", "--no-pivot", "--preserve-fds", "0", "--bundle", str(bundle.path)],
        "relative-bundle": ["--bundle", bundle.path.name],
    }
    for name, options in forms.items():
        container = case.container(bundle.config, bundle)
        words = case.runtime.words("create", *options, container.id)
        result = case.runtime.run(
            words, cwd=str(bundle.path.parent), stdout=subprocess.DEVNULL, stderr=open_errors(bundle.path)
        )
        container.created = result.ok
        said = (bundle.path / "errors").read_text()[-300:]
        case.judge(f"defacto.{name}", result.ok, f"create {' '.join(options)} succeeds", f"{result} {said}")
        if result.ok:
            case.runtime.call("delete", "--force", container.id)
            container.created = False
    container = case.container(bundle.config, bundle)
    words = case.runtime.words("create", f"--pid-file={container.pid_file}", container.id)
    result = case.runtime.run(words, cwd=str(bundle.path), stdout=subprocess.DEVNULL, stderr=open_errors(bundle.path))
    container.created = result.ok
    case.judge("defacto.relative-bundle", result.ok, "create in the bundle, without --bundle", result)
    case.judge(
        "defacto.single-dash-options", container.pid_file.exists(), "--pid-file=PATH", container.pid_file.exists()
    )


def open_errors(place: Path) -> Any:
    """A file for standard error: a pipe would be kept open by the container."""
    return open(place / "errors", "wb")
