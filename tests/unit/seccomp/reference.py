"""What a profile means, call by call, written from the spec's text: no library, no filter.

A profile that contradicts itself has more than one answer, so an answer is a set.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

X32_BIT = 0x40000000
ARMS_OWN = 0xF0000  # calls of 32-bit arm alone, which are no younger than the rest
ENOSYS = 0x00050000 | 38


class Calls(NamedTuple):
    """A set of system calls that a filter may judge."""

    token: int  # linux/audit.h
    first: int
    bits: int
    name: str  # of SCMP_ARCH_*


SETS = {
    "64": Calls(0xC000003E, 0, 64, "X86_64"),
    "32": Calls(0x40000003, 0, 32, "X86"),
    "x32": Calls(0xC000003E, X32_BIT, 32, "X32"),
    "arm64": Calls(0xC00000B7, 0, 64, "AARCH64"),
    "arm": Calls(0x40000028, 0, 32, "ARM"),
}
NATIVE = {"x86_64": "64", "aarch64": "arm64"}[os.uname().machine]
PROFILES = Path(__file__).parents[2] / "data" / "seccomp"
_HEADERS = Path("/usr/include/x86_64-linux-gnu/asm")
# arm64's are the generic ones; what asm/unistd.h of that machine defines before it includes them
_GENERIC = "RENAMEAT NEW_STAT SET_GET_RLIMIT TIME32_SYSCALLS SYS_CLONE3 MEMFD_SECRET"
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


# arm's own, which an engine's profile allows there
PRIVATE = ["breakpoint", "cacheflush", "set_tls"]


def told(calls: str) -> bool:
    """Whether this machine has headers that tell a set's numbers. Those of arm come from the library."""
    return calls in ("arm", "arm64") or _HEADERS.is_dir()


@cache
def numbers(calls: str) -> dict[str, int]:
    """The system calls of the kernel's headers; those that the library knows and the headers do not are taken from the
    library, and all of arm, whose headers are on no other machine."""
    if calls == "arm":
        return _of_library(calls, [*_listed(), *_generic(), *YOUNGER, *PRIVATE])
    return {**_of_library(calls, YOUNGER), **(_generic() if calls == "arm64" else _of_headers(calls))}


def _listed() -> set[str]:
    """What engines' profiles name."""
    documents = [json.loads(path.read_text()) for path in PROFILES.glob("*.json")]
    return {name for document in documents for rule in document["syscalls"] for name in rule["names"]}


def _of_library(calls: str, names: list[str]) -> dict[str, int]:
    from pyoci.seccomp.compiler import Library

    library = Library()
    token = library.architecture(f"SCMP_ARCH_{SETS[calls].name}", "")
    found = {name: library.call.seccomp_syscall_resolve_name_arch(token, name.encode()) for name in names}
    return {name: number for name, number in found.items() if number >= 0}


def _of_headers(calls: str) -> dict[str, int]:
    text = (_HEADERS / f"unistd_{calls}.h").read_text()
    pattern = re.compile(r"#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ (\d+)\)|(\d+))$", re.MULTILINE)
    found = {name: X32_BIT + int(x32) if x32 else int(plain) for name, x32, plain in pattern.findall(text)}
    assert len(found) > 300
    return found


@cache
def _generic() -> dict[str, int]:
    words = [f"-D__ARCH_WANT_{name}" for name in _GENERIC.split()]
    command = ["cc", *words, "-E", "-dM", "-include", "asm-generic/unistd.h", "-xc", os.devnull]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    lines = dict(re.findall(r"^#define (__NR\w+) (\w+)$", text, re.MULTILINE))
    values = {name: lines.get(value, value) for name, value in lines.items()}  # one of two names of one number
    found = {name[len("__NR_") :]: int(number) for name, number in values.items() if number.isdigit()}
    found = {name: number for name, number in found.items() if not name.startswith(("_", "syscalls", "arch_specific"))}
    assert len(found) > 300
    return found


def own(number: int) -> bool:
    return ARMS_OWN <= number < X32_BIT


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
        self.newest = max((n for n in self.rules if not own(n)), default=None) if not permissive else None

    def has_conditions(self, number: int) -> bool:
        return any(conditions for _, conditions in self.rules.get(number, ()))

    def answers(self, number: int, args: Sequence[int]) -> frozenset[int]:
        if self.newest is not None and number > self.newest and not own(number):
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
