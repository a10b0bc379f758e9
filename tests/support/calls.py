"""System calls by name, on whatever machine: no test holds a number, or names only calls that another machine lacks."""

from functools import cache
from typing import Any

# arm64 and younger machines have the newer of two calls alone, which a C library then makes
MKDIR = ("mkdir", "mkdirat")
MACHINES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")


@cache
def _library() -> Any:
    from pyoci.seccomp.compiler import Library

    return Library()


def numbers(*names: str) -> "list[int]":
    """This machine's numbers of those that it has; of one of them at least, or the test would test nothing."""
    found = [_library().call.seccomp_syscall_resolve_name(name.encode()) for name in names]
    found = [number for number in found if number >= 0]
    assert found, f"this machine has none of {names}"
    return found


def missing(*names: str) -> "list[str]":
    """The machines that have none of the calls."""
    tokens = {machine: _library().architecture(machine, "") for machine in MACHINES}
    resolve = _library().call.seccomp_syscall_resolve_name_arch
    return [machine for machine in MACHINES if all(resolve(tokens[machine], name.encode()) < 0 for name in names)]


def rule(*names: str, action: str = "SCMP_ACT_ERRNO", **more: Any) -> "dict[str, Any]":
    """A rule of a profile, which means something on every machine."""
    assert not missing(*names), f"{missing(*names)} have none of {names}"
    return {"names": list(names), "action": action, **more}
