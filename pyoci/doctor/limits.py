"""Cgroups: how they are laid out, which limits can be set, systemd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyoci.cgroups.host import Host
from pyoci.doctor.check import Check, tried
from pyoci.doctor.trial import Trial
from pyoci.errors import Error

_LIMITS: dict[str, dict[str, Any]] = {
    "memory": {"memory": {"limit": 64 << 20}},
    "cpu": {"cpu": {"quota": 50000, "period": 100000}},
    "pids": {"pids": {"limit": 64}},
}
_ROOTLESS = "systemctl edit user@.service: [Service] Delegate=cpu cpuset io memory pids; then log in anew"
_ROOT = "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or mount the controller"
_SYSTEMD = "only for --systemd-cgroup: boot with systemd, and run dbus"


def checks(host: Host, trial: Trial) -> Iterator[Check]:
    """What is asked of the host's cgroups."""
    cure = _ROOTLESS if host.rootless() and host.is_v2() else _ROOT
    yield tried(
        "cgroups", "mounted", lambda: _layout(host), cure="mount -t cgroup2 cgroup2 /sys/fs/cgroup", needed=True
    )
    for name, resources in _LIMITS.items():

        def ask(resources: dict[str, Any] = resources) -> str:
            trial.create(linux={"resources": resources}, driver="cgroupfs")
            return "a container was created with a limit"

        yield _with_cure(tried("cgroups", f"limit of {name}", ask), cure)
    yield tried("cgroups", "systemd", lambda: _systemd(trial), cure=_SYSTEMD)


def _with_cure(check: Check, cure: str) -> Check:
    """The hint is to the config's author; here it is the host that is to be mended."""
    if not check.works:
        check.cure = cure
    return check


def _layout(host: Host) -> str:
    layout = host.layout()
    if layout.hierarchies:
        names = " ".join(sorted(layout.by_controller()))
        return f"v1: {names}" + (f"; v2 beside it at {layout.unified}" if layout.unified else "")
    if not layout.unified:
        raise Error(f"no cgroups below {host.root}", kind="missing")
    return f"v2 at {layout.unified}, ours is {layout.unified_own}"


def _systemd(trial: Trial) -> str:
    trial.create(driver="systemd")
    return "a container was created with a scope"
