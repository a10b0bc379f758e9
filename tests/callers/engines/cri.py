"""containerd's CRI plugin, as a kubelet uses it: pods and containers by gRPC, the runtime by a RuntimeClass handler."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

import compare
from compare import Outcome

from engines.containerd import OURS, RUNC, Containerd, ContainerdShim
from tests.support.image import image_archive

IMAGE = "docker.io/library/bb:latest"
PAUSE = "docker.io/library/pause:latest"
HANDLER = """
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
    runtime_type = "{plugin}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
"""
BINARY = """      BinaryName = "{binary}"
"""
_PLUGIN = """
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{directory}/cni"
"""
CREATED, RUNNING, EXITED = range(3)
POD, CONTAINER, NODE = range(3)


def _generated() -> tuple[Any, Any]:
    """The client's modules, made from cri.proto."""
    import importlib

    from grpc_tools import protoc

    here = Path(__file__).parents[1]
    made = tempfile.mkdtemp(prefix="e-cri-")
    if protoc.main(["protoc", f"-I{here}", f"--python_out={made}", f"--grpc_python_out={made}", "cri.proto"]) != 0:
        raise RuntimeError("cri.proto does not compile")
    sys.path.insert(0, made)
    try:
        return importlib.import_module("cri_pb2"), importlib.import_module("cri_pb2_grpc")
    finally:
        sys.path.remove(made)
        shutil.rmtree(made)


class Cri(Containerd):
    name = "containerd (CRI)"
    disabled = ""

    def _plugins(self) -> str:
        cni = self.directory / "cni"
        cni.mkdir()
        (cni / "net.conflist").write_text(
            json.dumps(
                {
                    "cniVersion": "0.4.0",
                    "name": "pods",
                    "plugins": [
                        {
                            "type": "ptp",
                            "ipMasq": False,
                            "ipam": {
                                "type": "host-local",
                                "ranges": [[{"subnet": f"10.97.{len(self.runtime)}.0/24"}]],
                                "dataDir": str(self.directory / "ipam"),
                            },
                        }
                    ],
                }
            )
        )
        handlers = ""  # runc's is there always: it is the default
        for name, binary in compare.RUNTIMES:
            ours = name == self.runtime
            handlers += HANDLER.format(name=name, plugin=self.plugin() if ours else RUNC)
            handlers += "" if ours and not self.binary_words() else BINARY.format(binary=binary)
        return _PLUGIN.format(pause=PAUSE, directory=self.directory) + handlers

    def start(self) -> None:
        super().start()
        import grpc

        self.space = "k8s.io"
        self.environment["CONTAINERD_NAMESPACE"] = self.space
        here = self.directory
        image_archive(here / "rootfs", here / "pause.tar", PAUSE, ["/bin/sleep", "1000000"])
        loaded = self.script("$C images import image.tar && $C images import pause.tar")
        assert isinstance(loaded, Outcome) and loaded.status == 0, loaded
        self.grpc = grpc
        self.messages, stubs = _generated()
        self.channel = grpc.insecure_channel(f"unix://{here}/c.sock")
        self.client = stubs.RuntimeServiceStub(self.channel)
        self.pods: list[str] = []
        self.logs = here / "logs"
        self.logs.mkdir()

    def script(self, script: Union[str, Callable[["Cri"], str]]) -> Outcome:
        """Also a function of the engine, which returns its findings; an error of gRPC is status 1."""
        if isinstance(script, str):
            return super().script(script)
        where = str(self.directory)
        try:
            return Outcome(0, compare.steady(script(self), where), "")
        except self.grpc.RpcError as error:
            return Outcome(1, "", compare.steady(f"{error.code()}: {error.details()}", where))

    def after(self, script: Any) -> None:
        for pod in self.pods:
            self.client.StopPodSandbox(self.messages.PodSandboxIdRequest(pod_sandbox_id=pod))
            self.client.RemovePodSandbox(self.messages.PodSandboxIdRequest(pod_sandbox_id=pod))
        self.pods.clear()

    def stop(self) -> None:
        for pod in self.client.ListPodSandbox(self.messages.Empty()).items:
            self.pods.append(pod.id)
        self.after(None)
        self.channel.close()
        super().stop()

    def pod(self, name: str, **security: Any) -> tuple[str, Any]:
        """Runs a pod in the host's network, if nothing else is said; returns its id and configuration."""
        m = self.messages
        privileged = security.pop("privileged", False)
        options = m.NamespaceOption(**dict({"network": NODE}, **security))
        config = m.PodSandboxConfig(
            metadata=m.PodSandboxMetadata(name=name, uid=f"{name}-{time.monotonic_ns()}", namespace="default"),
            log_directory=str(self.logs),
            linux=m.LinuxPodSandboxConfig(
                cgroup_parent=f"/{self.directory.parent.name}-{self.runtime}",
                security_context=m.LinuxSandboxSecurityContext(namespace_options=options, privileged=privileged),
            ),
        )
        if options.network == POD:
            config.hostname = "pod-host"
        answer = self.client.RunPodSandbox(m.RunPodSandboxRequest(config=config, runtime_handler=self.runtime))
        self.pods.append(answer.pod_sandbox_id)
        return answer.pod_sandbox_id, config

    def container(self, pod: tuple[str, Any], command: list[str], security: dict[str, Any], **more: Any) -> str:
        """Creates a container of a pod; its output goes to a file `log`."""
        m = self.messages
        (self.logs / "log").unlink(missing_ok=True)
        resources = m.LinuxContainerResources(**more.pop("resources", {}))
        config = m.ContainerConfig(
            metadata=m.ContainerMetadata(name=more.pop("name", "c")),
            image=m.ImageSpec(image=IMAGE),
            command=command,
            log_path="log",
            linux=m.LinuxContainerConfig(
                resources=resources, security_context=m.LinuxContainerSecurityContext(**security)
            ),
            **more,
        )
        request = m.CreateContainerRequest(pod_sandbox_id=pod[0], config=config, sandbox_config=pod[1])
        return str(self.client.CreateContainer(request).container_id)

    def begin(self) -> None:
        """Starts the daemon; its plugin answers some time after its socket."""
        super().begin()
        deadline = time.monotonic() + compare.PATIENCE  # a guard
        while hasattr(self, "client"):
            try:
                self.client.ListPodSandbox(self.messages.Empty(), wait_for_ready=True)
                return
            except self.grpc.RpcError:
                assert time.monotonic() < deadline, "the CRI plugin does not answer"
                time.sleep(0.02)

    def begin_container(self, id: str) -> None:
        self.client.StartContainer(self.messages.ContainerIdMessage(container_id=id))

    def status(self, id: str) -> Any:
        return self.client.ContainerStatus(self.messages.ContainerIdMessage(container_id=id)).status

    def wait(self, id: str) -> Any:
        """The status of a container that has ended."""
        deadline = time.monotonic() + compare.PATIENCE  # a guard
        while self.status(id).state != EXITED:
            assert time.monotonic() < deadline, "the container does not end"
            time.sleep(0.02)
        return self.status(id)

    def exec(self, id: str, *command: str, timeout: int = 0) -> str:
        request = self.messages.ExecSyncRequest(container_id=id, cmd=command, timeout=timeout)
        answer = self.client.ExecSync(request)
        return f"{answer.exit_code} {answer.stdout.decode()!r} {answer.stderr.decode()!r}"

    def log(self) -> str:
        """What the container has said, and where."""
        path = self.logs / "log"
        lines = path.read_text().split("\n") if path.exists() else []
        if path.exists():
            path.unlink()
        # standard output and error come by two pipes: their order is chance
        return "\n".join(sorted((line.split(" ", 1)[1] for line in lines if line), key=lambda line: line[:7]))


class CriShim(Cri, ContainerdShim):
    """The same with pyoci's own plugin beside containerd's with runc."""

    name = f"containerd (CRI), {OURS}"
