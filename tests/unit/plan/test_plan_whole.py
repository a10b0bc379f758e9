"""Whole plans of configs in tests/data, compared with those in plans/.

PYOCI_WRITE_PLANS=1 writes them anew; read the difference before it is committed.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from plan_samples import DATA, FakeHost, caller, compiled

from pyoci.plan import ops
from pyoci.plan.model import Plan

PLANS = Path(__file__).parent / "plans"


def example(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((DATA / "spec-examples" / "config" / "good" / f"{name}.json").read_text())
    for key in ("seccomp", "intelRdt"):  # of libraries and of hardware
        config.get("linux", {}).pop(key, None)
    # SELinux, AppArmor and their like are the host's; the rest stays
    for key in ("apparmorProfile", "selinuxLabel"):
        config["process"].pop(key, None)
    config["linux"].pop("mountLabel", None)
    return config


def v1_mounts(options: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "source": f"/sys/fs/cgroup/{name}/box",
            "tree": "",
            "filesystem": "cgroup",
            "data": data,
            "aliases": aliases,
        }
        for name, data, aliases in (
            ("memory", "memory", []),
            ("cpu,cpuacct", "cpu,cpuacct", ["cpu", "cpuacct"]),
            ("systemd", "none,name=systemd", []),
        )
    ]


def sample(name: str) -> Plan:
    """The plan that a file of plans/ holds."""
    if name == "spec-example":
        return compiled(example(name))
    if name == "docker-run-create-cgroup-v1":
        return compiled(caller("docker-run-create"), cgroup_mounts=v1_mounts)
    if name == "docker-run-create-no-pivot":
        host = FakeHost()
        host.files["/proc/self/mountinfo"] = (
            "22 27 0:21 / /proc rw - proc proc rw\n23 27 0:22 / /sys rw - sysfs sysfs rw"
        )
        return compiled(caller("docker-run-create"), host, no_pivot=True, no_new_keyring=True)
    return compiled(caller(name))


NAMES = [
    "buildah-run-create",
    "containerd-run-create",
    "containerd-userns-create",
    "containerd21-cri-runp-create",
    "docker-device-create",
    "docker-run-create",
    "docker-run-create-cgroup-v1",
    "docker-run-create-no-pivot",
    "docker-ulimit-create",
    "docker26-ns-host-create",
    "docker28-privileged-create",
    "docker28-run-tty-create",
    "docker28-volume-create",
    "podman-namespaces-create",
    "podman-pod-create",
    "podman-rootless-run-create",
    "podman58-hooks-create",
    "podman58-read-only-create",
    "podman58-run-systemd-create",
    "podman58-sysctl-ulimit-hostname-create",
    "spec-example",
]


def text_of(plan: Plan) -> str:
    """A line for each step, without its number: else one step more would change every line after it."""
    lines = [" ".join(line[4:].split()) for line in plan.lines() if "-  warning: " not in line]
    for step in plan.steps:
        if step.operation == ops.EXECUTE:
            lines += [f"environment {variable}" for variable in list(step.fields[1])]  # type: ignore[arg-type]
    return "\n".join([*lines, *(f"warning {warning}" for warning in plan.warnings)]) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_plan(name: str) -> None:
    file = PLANS / f"{name}.txt"
    text = text_of(sample(name))
    if os.environ.get("PYOCI_WRITE_PLANS"):
        file.write_text(text)
    assert text.split("\n") == file.read_text().split("\n")


def test_no_plan_is_left_over() -> None:
    assert sorted(path.stem for path in PLANS.glob("*.txt")) == sorted(NAMES)
