"""containerd's CRI plugin: what a kubelet does with a pod whose RuntimeClass names the handler."""

import time
from pathlib import Path
from typing import Any

import pytest
from compare import Operation
from engines.cri import NODE, POD, RUNNING, Cri, CriShim

pytest.importorskip("grpc_tools", reason="the gRPC client is not installed: tests/callers/install.sh")

SLEEPER = ["sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"]


def _up(cri: Cri, **more: Any) -> str:
    """A running container in a pod."""
    security: dict[str, Any] = more.pop("security", {})
    id = cri.container(cri.pod("p"), more.pop("command", SLEEPER), _host(cri, security), **more)
    cri.begin_container(id)
    return id


def _host(cri: Cri, security: dict[str, Any]) -> dict[str, Any]:
    return dict({"namespace_options": cri.messages.NamespaceOption(network=NODE)}, **security)


def _once(cri: Cri, script: str, security: Any = None, **more: Any) -> str:
    """Runs a container to its end; its exit status and output."""
    id = _up(cri, command=["sh", "-c", script], security=security or {}, **more)
    status = cri.wait(id)
    return f"{status.exit_code} {status.reason}\n{cri.log()}"


def version(cri: Cri) -> str:
    return str(cri.client.Version(cri.messages.VersionRequest(version="v1")).runtime_name)


def pod(cri: Cri) -> str:
    m = cri.messages
    id, _ = cri.pod("p")
    request = m.PodSandboxIdRequest(pod_sandbox_id=id)
    status = cri.client.PodSandboxStatus(request).status
    before = f"{status.state} {status.metadata.name}"
    cri.client.StopPodSandbox(request)
    after = cri.client.PodSandboxStatus(request).status.state
    cri.client.RemovePodSandbox(request)
    cri.pods.remove(id)
    return f"{before} {after} {len(cri.client.ListPodSandbox(m.Empty()).items)}"


def pod_network(cri: Cri) -> str:
    id = cri.container(cri.pod("p", network=POD), ["sh", "-c", "hostname; ip -o link | wc -l"], {})
    cri.begin_container(id)
    return f"{cri.wait(id).exit_code}\n{cri.log()}"


def life(cri: Cri) -> str:
    m = cri.messages
    id = cri.container(cri.pod("p"), SLEEPER, _host(cri, {}))
    states = [cri.status(id).state]
    cri.begin_container(id)
    states.append(cri.status(id).state)
    until_ready(cri)
    cri.client.StopContainer(m.StopContainerRequest(container_id=id, timeout=20))
    status = cri.status(id)
    states += [status.state, status.exit_code]
    cri.client.RemoveContainer(m.ContainerIdMessage(container_id=id))
    return f"{states} {len(cri.client.ListContainers(m.Empty()).containers)}"


def until_ready(cri: Cri) -> None:
    log = cri.logs / "log"
    while not log.exists() or "ready" not in log.read_text():
        pass


def killed_after_the_time(cri: Cri) -> str:
    id = _up(cri, command=["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])
    until_ready(cri)
    cri.client.StopContainer(cri.messages.StopContainerRequest(container_id=id, timeout=1))
    return str(cri.status(id).exit_code)


def output(cri: Cri) -> str:
    return _once(cri, "echo out; echo err >&2; exit 7")


def killed(cri: Cri) -> str:
    id = _up(cri)
    cri.client.StopContainer(cri.messages.StopContainerRequest(container_id=id, timeout=0))
    return f"{cri.status(id).exit_code}"


def exec_sync(cri: Cri) -> str:
    id = _up(cri)
    return "\n".join(
        [
            cri.exec(id, "echo", "ok"),
            cri.exec(id, "sh", "-c", "echo e >&2; exit 9"),
            cri.exec(id, "sh", "-c", "id -u; pwd; grep -E 'Seccomp:|CapEff' /proc/self/status"),
        ]
    )


def exec_no_such(cri: Cri) -> str:
    return cri.exec(_up(cri), "/nosuch")


def exec_timeout(cri: Cri) -> str:
    return cri.exec(_up(cri), "sleep", "100", timeout=1)


def exec_stopped(cri: Cri) -> str:
    id = _up(cri, command=["true"])
    cri.wait(id)
    return cri.exec(id, "true")


def start_no_such(cri: Cri) -> str:
    return _up(cri, command=["/nosuch"])


def start_not_executable(cri: Cri) -> str:
    return _up(cri, command=["/etc/passwd"])


def resources(cri: Cri) -> str:
    m = cri.messages
    id = _up(
        cri,
        resources={
            "memory_limit_in_bytes": 64 << 20,
            "cpu_quota": 50000,
            "cpu_period": 100000,
            "cpu_shares": 300,
            "oom_score_adj": 900,
        },
    )
    seen: list[str] = [limits(cri, id), cri.exec(id, "cat", "/proc/1/oom_score_adj")]
    cri.client.UpdateContainerResources(
        m.UpdateContainerResourcesRequest(
            container_id=id, linux=m.LinuxContainerResources(memory_limit_in_bytes=32 << 20, cpu_quota=20000)
        )
    )
    return "\n".join([*seen, limits(cri, id)])


def limits(cri: Cri, id: str) -> str:
    below = f"{cri.directory.parent.name}-{cri.runtime}/{id}"
    return " ".join(
        Path(f"/sys/fs/cgroup/{controller}/{below}/{file}").read_text().strip()
        for controller, file in (
            ("memory", "memory.limit_in_bytes"),
            ("cpu", "cpu.cfs_quota_us"),
            ("cpu", "cpu.shares"),
        )
    )


def stats(cri: Cri) -> str:
    answer = cri.client.ContainerStats(cri.messages.ContainerIdMessage(container_id=_up(cri))).stats
    return f"{answer.cpu.usage_core_nano_seconds.value > 0} {answer.memory.working_set_bytes.value > 0}"


def oom(cri: Cri) -> str:
    """containerd hears of the kernel's kill and of the end on two ways: the reason may come after the end."""
    words = ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1"]
    id = _up(cri, command=words, resources={"memory_limit_in_bytes": 16 << 20})
    status, deadline = cri.wait(id), time.monotonic() + 10
    while status.reason != "OOMKilled" and time.monotonic() < deadline:
        time.sleep(0.02)
        status = cri.status(id)
    return f"{status.exit_code} {status.reason}"


def security(cri: Cri) -> str:
    m = cri.messages
    return _once(
        cri,
        "id; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status; touch /x || echo read-only",
        security={
            "capabilities": m.Capability(add_capabilities=["NET_ADMIN"], drop_capabilities=["CHOWN"]),
            "run_as_user": m.Int64Value(value=1000),
            "supplemental_groups": [77],
            "readonly_rootfs": True,
            "no_new_privs": True,
            "seccomp": m.SecurityProfile(profile_type=0),
        },
    )


def privileged(cri: Cri) -> str:
    m = cri.messages
    config_pod = cri.pod("p", privileged=True)
    id = cri.container(
        config_pod,
        ["grep", "CapEff", "/proc/self/status"],
        _host(cri, {"privileged": True, "seccomp": m.SecurityProfile(profile_type=1)}),
    )
    cri.begin_container(id)
    return f"{cri.wait(id).exit_code}\n{cri.log()}"


def mounts_and_environment(cri: Cri) -> str:
    m = cri.messages
    shared = cri.directory / "shared"
    shared.mkdir(exist_ok=True)
    (shared / "f").write_text("in\n")
    return _once(
        cri,
        "cat /m/f; touch /m/g || echo read-only; echo $A; pwd",
        mounts=[m.Mount(container_path="/m", host_path=str(shared), readonly=True)],
        envs=[m.KeyValue(key="A", value="b")],
        working_dir="/tmp",
    )


def shared_pid(cri: Cri) -> str:
    where = cri.pod("p", pid=POD)
    options = cri.messages.NamespaceOption(network=NODE, pid=POD)
    id = cri.container(where, SLEEPER, {"namespace_options": options})
    cri.begin_container(id)
    return cri.exec(id, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline")


def host_namespaces(cri: Cri) -> str:
    options = {"network": NODE, "pid": NODE, "ipc": NODE}
    id = cri.container(
        cri.pod("p", **options),
        ["sh", "-c", "cat /proc/1/comm; readlink /proc/self/ns/ipc"],
        {"namespace_options": cri.messages.NamespaceOption(**options)},
    )
    cri.begin_container(id)
    return f"{cri.wait(id).exit_code}\n{cri.log()}"


def two_containers(cri: Cri) -> str:
    where = cri.pod("p")
    ids = [cri.container(where, SLEEPER, _host(cri, {}), name=name) for name in ("a", "b")]
    for id in ids:
        cri.begin_container(id)
    return " ".join([cri.exec(id, "hostname") for id in ids] + [str(cri.status(id).state == RUNNING) for id in ids])


def after_restart(cri: Cri) -> str:
    """containerd ends and starts again; pods and containers go on."""
    id = _up(cri)
    assert cri.daemon is not None
    cri.daemon.end()
    cri.begin()
    states = [cri.status(id).state, cri.exec(id, "echo", "still")]
    cri.client.StopContainer(cri.messages.StopContainerRequest(container_id=id, timeout=20))
    return f"{states} {cri.status(id).exit_code}"


OPERATIONS = [
    Operation("Version", version, out="containerd"),
    Operation("RunPodSandbox, StopPodSandbox, RemovePodSandbox", pod, out="^0 p 1 0$", core=True),
    Operation("pod with a network of its own", pod_network, out="^0\nstdout F pod-host\nstdout F 2"),
    Operation(
        "CreateContainer, StartContainer, StopContainer, RemoveContainer", life, out="^\\[0, 1, 2, 3\\] 0", core=True
    ),
    Operation("StopContainer: killed after the time", killed_after_the_time, out="^137$"),
    Operation("StopContainer: at once", killed, out="^137$"),
    Operation("log and exit status", output, out="^7 Error\nstderr F err\nstdout F out", core=True),
    Operation("ExecSync", exec_sync, out="^0 'ok", core=True),
    Operation("ExecSync: no such command", exec_no_such, status=1, err="no such file or directory"),
    Operation("ExecSync: timeout", exec_timeout, status=1, err="DEADLINE_EXCEEDED|timeout"),
    Operation("ExecSync: in what has ended", exec_stopped, status=1, err="EXITED|not running"),
    Operation(
        "StartContainer: no such command",
        start_no_such,
        status=1,
        err='exec: "/nosuch": stat /nosuch: no such file',
        core=True,
    ),
    Operation("StartContainer: not executable", start_not_executable, status=1, err="permission denied"),
    Operation(
        "resources, UpdateContainerResources", resources, out="^67108864 50000 300\n.*\n33554432 20000 300", core=True
    ),
    Operation("ContainerStats", stats, out="True True", core=True),
    Operation("out of memory", oom, out="^137 "),
    Operation("security context", security, out="read-only", core=True),
    Operation("privileged", privileged, out="^0\nstdout F CapEff"),
    Operation("mounts, environment, directory", mounts_and_environment, out="read-only"),
    Operation("PID namespace of the pod", shared_pid, out="sleep"),
    Operation("namespaces of the host", host_namespaces, out="ipc:"),
    Operation("two containers in a pod", two_containers, out="True True"),
    Operation("containerd restarts", after_restart, out="still"),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_cri(same, operation):  # type: ignore[no-untyped-def]
    same(Cri, operation)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_cri_with_our_plugin(same, operation):  # type: ignore[no-untyped-def]
    same(CriShim, operation)
