"""Namespaces, by trial; filters of system calls; security modules; Intel RDT."""

from __future__ import annotations

from collections.abc import Iterator

from pyoci.doctor.check import Check, tried
from pyoci.doctor.trial import Trial
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.plan.seccomp import FLAGS, is_supported
from pyoci.seccomp.compiler import Library, compile_profile

_SPACES = {
    "mount": "",
    "pid": "CONFIG_PID_NS",
    "network": "CONFIG_NET_NS",
    "ipc": "CONFIG_IPC_NS",
    "uts": "CONFIG_UTS_NS",
    "user": "CONFIG_USER_NS",
    "cgroup": "CONFIG_CGROUPS",
    "time": "CONFIG_TIME_NS",
}
_NEEDED = ("mount", "pid", "network", "ipc", "uts")
# A setting, the value by which users are refused their namespaces, and what to do
_LIMITS = (
    ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
    ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
)


def checks(host: Host, trial: Trial) -> Iterator[Check]:
    """What is asked of the kernel."""
    yield from _namespaces(host, trial)
    yield from _filters()
    for name, is_there in (("AppArmor", host.has_apparmor()), ("SELinux", host.has_selinux())):
        cure = f"only for configs that name one: boot with lsm=…,{name.lower()} on a kernel that has it"
        yield Check("security", name, is_there, "enabled" if is_there else "not enabled", cure=cure)
    where = host.resctrl()
    cure = "mount -t resctrl resctrl /sys/fs/resctrl, if the processor has Intel RDT"
    yield Check("security", "Intel RDT", bool(where), where or "resctrl is not mounted", cure=cure)


def _namespaces(host: Host, trial: Trial) -> Iterator[Check]:
    for kind, option in _SPACES.items():
        needed = kind in _NEEDED or (kind == "user" and host.euid != 0)
        cure = f"a kernel with {option}, and the right to use it (CAP_SYS_ADMIN)" if option else "run as root"
        if kind == "user" or host.euid != 0:
            cure = userns_cure(host) or cure

        def ask(kind: str = kind) -> str:
            trial.create((kind,))
            return "a container was created with one"

        check = tried("namespaces", kind, ask, cure=cure, needed=needed)
        if not check.works:
            check.cure = cure  # the error's own hint knows less
        yield check
    yield tried("namespaces", "a procfs of its own", lambda: _procfs(trial), needed=True, cure=(
        "something is mounted over a part of /proc here, as engines do in their own containers: unmask it there"
    ))  # fmt: skip


def _procfs(trial: Trial) -> str:
    trial.create(("pid",), mounts=[{"destination": "/proc", "type": "proc", "source": "proc"}])
    return "mounted"


def userns_cure(host: Host) -> str:
    """Which setting keeps users from making user namespaces, as a command that changes it; "" for none."""
    for name, value, cure in _LIMITS:
        if host.read(f"/proc/sys/{name}") == value:
            return cure
    return ""


def _filters() -> Iterator[Check]:
    yield tried("security", "seccomp", _compiled, needed=True)
    for flag in sorted(FLAGS):
        works = is_supported(flag)
        yield Check("security", flag, works, "" if works else "the kernel does not know it", cure="a newer kernel")


def _compiled() -> str:
    made = compile_profile({"defaultAction": "SCMP_ACT_ALLOW"})
    if not made.program:
        raise Error("an empty filter", location="linux.seccomp", kind="host")
    return f"libseccomp {Library().version}, {made.library}"
