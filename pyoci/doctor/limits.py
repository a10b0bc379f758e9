"""Cgroups: how they are laid out, which limits can be set, systemd."""

from __future__ import annotations

import errno
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
_V1_USER = "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), where users can have cgroups"
_ROOT = "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or mount the controller"
_OUTSIDE = "--systemd-cgroup, or start it by `systemd-run --user --scope -p Delegate=yes …`: here nothing is delegated"
_SYSTEMD = "only for --systemd-cgroup: boot with systemd, and run dbus"


def checks(host: Host, trial: Trial) -> Iterator[Check]:
    """What is asked of the host's cgroups."""

    def cure(problem: Error) -> str:
        return _cure(host, problem)

    yield tried(
        "cgroups", "mounted", lambda: _layout(host), cure="mount -t cgroup2 cgroup2 /sys/fs/cgroup", needed=True
    )
    for name, resources in _LIMITS.items():

        def ask(resources: dict[str, Any] = resources) -> str:
            trial.create(linux={"resources": resources}, driver="cgroupfs")
            return "a container was created with a limit"

        yield tried("cgroups", f"limit of {name}", ask, cure=cure)
    yield tried("cgroups", "systemd", lambda: _systemd(trial), cure=_SYSTEMD)


def _cure(host: Host, problem: Error) -> str:
    """The hint is to the config's author; here it is the host that is to be mended."""
    if not host.is_v2():
        return _V1_USER if host.rootless() else _ROOT
    if problem.errno in (errno.EACCES, errno.EPERM):
        return _OUTSIDE
    return problem.hint or "a kernel with the controller, not held by a hierarchy of v1"


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
