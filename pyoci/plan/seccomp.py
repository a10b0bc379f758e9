"""linux.seccomp → the step that loads the filter."""

from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.seccomp import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": kernel.SECCOMP_FILTER_FLAG_TSYNC,
    "SECCOMP_FILTER_FLAG_LOG": kernel.SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": kernel.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": kernel.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}
_WHERE = "linux.seccomp"


def compile_seccomp(request: "Request", plan: "Plan") -> None:
    """Adds the filter; none for a profile without a default action, which engines write for `unconfined`."""
    profile = request.linux.get("seccomp")
    if profile and profile.get("defaultAction"):
        flags = _flags(profile, plan)
        plan.add(ops.seccomp(_WHERE, program=program(profile, request.filters, plan.later), flags=flags))


def listens(profile: "dict[str, Any]") -> bool:
    """Whether some calls are decided by an agent."""
    return any(rule["action"] == "SCMP_ACT_NOTIFY" for rule in profile.get("syscalls") or ())


def is_supported(flag: str) -> bool:
    """Whether the running kernel has a flag; WAIT_KILLABLE_RECV is for listeners only, and came with Linux 5.19."""
    from pyoci import _shim

    return bool(_shim.seccomp_knows(FLAGS[flag] | _needs(FLAGS[flag])))


def _needs(flag: int) -> int:
    return kernel.SECCOMP_FILTER_FLAG_NEW_LISTENER if flag == kernel.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV else 0


def _flags(profile: "dict[str, Any]", plan: "Plan") -> int:
    """seccomp(2)'s flags. No list at all is not the empty list: the default is what engines got from runc all along."""
    names = profile.get("flags")
    if names is None:
        names = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    flags = 0
    for name in names:
        flags |= FLAGS[name]
    killable = kernel.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    if listens(profile):
        # init has one thread beside the filtered one, which must stay free to hand over the listener
        return flags & ~kernel.SECCOMP_FILTER_FLAG_TSYNC | kernel.SECCOMP_FILTER_FLAG_NEW_LISTENER
    if flags & killable:
        plan.warnings.append(f"{_WHERE}.flags: WAIT_KILLABLE_RECV has no meaning without a rule SCMP_ACT_NOTIFY")
    return flags & ~killable
