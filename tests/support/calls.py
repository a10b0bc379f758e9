"""System calls by name, on whatever machine: no test holds a number, or names only calls that another machine lacks."""

import struct
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


def arm32(call: int) -> bytes:
    """A program for 32-bit arm that makes one call, its first argument 0, and ends with the errno that it got."""
    head = (0x464C457F, 0x00010101, 0, 0, 40 << 16 | 2, 1, 0x400054, 52, 0, 0x05000000, 32 << 16 | 52, 40 << 16 | 1, 0)
    loaded = (1, 0, 0x400000, 0x400000, 124, 124, 5, 0x10000)
    make = (0xE3A00000, 0xE59F7018, 0xEF000000)  # r0 = 0, r7 = the last word, call
    end = (0xE3500000, 0xA3A00000, 0xB2600000, 0xE3A07001, 0xEF000000, 0xEAFFFFFE)  # exit(r0 < 0 ? -r0 : 0)
    words = (*head, *loaded, *make, *end, call)
    return struct.pack(f"<{len(words)}I", *words)
