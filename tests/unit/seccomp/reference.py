"""What a profile means, call by call, written from the spec's text: no library, no filter.

A profile that contradicts itself has more than one answer, so an answer is a set.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

X86_64, I386 = 0xC000003E, 0x40000003  # linux/audit.h
X32_BIT = 0x40000000
ENOSYS = 0x00050000 | 38
_HEADERS = Path("/usr/include/x86_64-linux-gnu/asm")
_CODES = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_COMPARE = {
    "SCMP_CMP_NE": lambda arg, one, _: arg != one,
    "SCMP_CMP_LT": lambda arg, one, _: arg < one,
    "SCMP_CMP_LE": lambda arg, one, _: arg <= one,
    "SCMP_CMP_EQ": lambda arg, one, _: arg == one,
    "SCMP_CMP_GE": lambda arg, one, _: arg >= one,
    "SCMP_CMP_GT": lambda arg, one, _: arg > one,
    "SCMP_CMP_MASKED_EQ": lambda arg, mask, value: arg & mask == value & mask,
}


YOUNGER = [
    "set_mempolicy_home_node", "cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait",
    "futex_requeue", "statmount", "listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal",
    "setxattrat", "getxattrat", "listxattrat", "removexattrat", "open_tree_attr",
]  # fmt: skip


def code(action: str, number: "int | None") -> int:
    if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        return _CODES[action] | (1 if number is None else number)
    return _CODES[action]


@cache
def numbers(architecture: str) -> dict[str, int]:
    """The system calls of the kernel's headers: 64, 32 or x32; those that the library knows and the headers do not are
    taken from the library."""
    from pyoci.seccomp.compiler import Library

    library = Library()
    token = library.architecture("SCMP_ARCH_" + {"64": "X86_64", "32": "X86", "x32": "X32"}[architecture], "")
    younger = {name: library.call.seccomp_syscall_resolve_name_arch(token, name.encode()) for name in YOUNGER}
    return {**{name: number for name, number in younger.items() if number >= 0}, **_of_headers(architecture)}


def _of_headers(architecture: str) -> dict[str, int]:
    text = (_HEADERS / f"unistd_{architecture}.h").read_text()
    pattern = re.compile(r"#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ (\d+)\)|(\d+))$", re.M)
    found = {name: X32_BIT + int(x32) if x32 else int(plain) for name, x32, plain in pattern.findall(text)}
    assert len(found) > 300
    return found


class Reference:
    """A profile on one architecture."""

    def __init__(self, profile: Mapping[str, Any], names: Mapping[str, int], bits: int) -> None:
        self.profile = profile
        self.mask = (1 << bits) - 1
        self.default = code(profile["defaultAction"], profile.get("defaultErrnoRet"))
        self.rules: dict[int, list[tuple[int, Any]]] = {}
        for rule in profile.get("syscalls") or []:
            for name in rule["names"]:
                if name in names:
                    action = code(rule["action"], rule.get("errnoRet"))
                    self.rules.setdefault(names[name], []).append((action, rule.get("args") or []))
        permissive = profile["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
        self.newest = max(self.rules, default=None) if not permissive else None

    def has_conditions(self, number: int) -> bool:
        return any(conditions for _, conditions in self.rules.get(number, ()))

    def answers(self, number: int, args: Sequence[int]) -> frozenset[int]:
        if self.newest is not None and number > self.newest:
            return frozenset((ENOSYS,))
        found = frozenset(a for a, conditions in self.rules.get(number, ()) if self._holds(conditions, args))
        return found or frozenset((self.default,))

    def _holds(self, conditions: list[dict[str, Any]], args: Sequence[int]) -> bool:
        results = list(self._results(conditions, args))
        several = len({c["index"] for c in conditions}) < len(conditions)
        return any(results) if several else all(results)

    def _results(self, conditions: list[dict[str, Any]], args: Sequence[int]) -> Iterator[bool]:
        for c in conditions:
            one, two = c["value"] & self.mask, (c.get("valueTwo") or 0) & self.mask
            yield _COMPARE[c["op"]](args[c["index"]] & self.mask, one, two)
