"""Seccomp profiles: the filter answers as the profile says, on this machine's sets of calls, or it is refused."""

from typing import Any

import atheris
from bpf import Call, decode, run
from reference import NATIVE, SETS, Reference, numbers, told

from pyoci.errors import Error
from pyoci.seccomp.compiler import ACTIONS, OPERATORS, compile_profile

# Without socket and its like: on i386 they have two ways in, and libseccomp numbers them below zero
_NAMES = ["read", "write", "open", "close", "stat", "mmap", "ioctl", "bpf", "clone", "personality", "openat2",
          "futex", "setns", "mount", "set_tls", "no_such_call", ""]  # fmt: skip
_EDGES = [0, 1, 8, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
_ARCHITECTURES = ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
# No kernel has x86's and arm's calls; of profiles with both libseccomp 2.5.4 makes filters that err in the other's
_OURS = {"64": ("64", "32", "x32"), "arm64": ("arm64", "arm")}[NATIVE]
_NUMBERS = {calls: numbers(calls) for calls in _OURS if told(calls)}


def seeds() -> "list[bytes]":
    """Bytes are choices here: any will do."""
    return [bytes(range(n, n + 120)) for n in range(0, 130, 10)]


def _value(data: atheris.FuzzedDataProvider) -> int:
    pick = data.ConsumeIntInRange(0, 2 * len(_EDGES))
    return _EDGES[pick] if pick < len(_EDGES) else data.ConsumeUInt(8)


def _action(data: atheris.FuzzedDataProvider) -> str:
    return list(ACTIONS)[data.ConsumeIntInRange(0, len(ACTIONS) - 1)]


def _condition(data: atheris.FuzzedDataProvider, index: int) -> "dict[str, Any]":
    op = OPERATORS[data.ConsumeIntInRange(0, len(OPERATORS) - 1)]
    condition: "dict[str, Any]" = {"index": index, "value": _value(data), "op": op}
    if op == "SCMP_CMP_MASKED_EQ":
        condition["valueTwo"] = _value(data)
    return condition


def _profile(data: atheris.FuzzedDataProvider) -> "dict[str, Any]":
    profile: "dict[str, Any]" = {"defaultAction": _action(data)}
    if data.ConsumeBool():
        profile["defaultErrnoRet"] = data.ConsumeIntInRange(0, 4095)
    profile["architectures"] = [name for name in _ARCHITECTURES if data.ConsumeBool()]
    rules = []
    free = list(_NAMES)
    for _ in range(data.ConsumeIntInRange(0, 6)):
        # One rule a call, one condition an argument: libseccomp 2.5.4 loses alternatives where two orderings of one
        # argument meet, with whatever runtime (tests/unit/seccomp names it)
        name = free.pop(data.ConsumeIntInRange(0, len(free) - 1))
        picked = [index for index in range(6) if data.ConsumeIntInRange(0, 3) == 0]
        rule: "dict[str, Any]" = {"names": [name], "action": _action(data)}
        rule["args"] = [_condition(data, index) for index in picked]
        if data.ConsumeBool():
            rule["errnoRet"] = data.ConsumeIntInRange(0, 4095)
        rules.append(rule)
    return {**profile, "syscalls": rules}


def test(data: bytes) -> None:
    """One profile, some calls."""
    source = atheris.FuzzedDataProvider(data)
    profile = _profile(source)
    try:
        program = compile_profile(profile).program
    except Error as refusal:
        assert str(refusal)
        return
    assert 0 < len(program) // 8 <= 4096
    code = decode(program)
    listed = [rule["names"][0] for rule in profile["syscalls"]]
    conditions = [condition for rule in profile["syscalls"] for condition in rule["args"]]
    values = [condition.get(key, 0) for condition in conditions for key in ("value", "valueTwo")]
    for calls, known in _NUMBERS.items():
        token, base, bits, asked = SETS[calls]
        if calls != NATIVE and f"SCMP_ARCH_{asked}" not in profile["architectures"]:
            continue
        reference = Reference(profile, known, bits)
        for name in [*listed, "getpid"]:
            number = known.get(name)
            if number is None:
                continue
            for args in ([0] * 6, [source.ConsumeUInt(8) for _ in range(6)], *([value] * 6 for value in values)):
                answer = run(code, Call(token, number, args).words())
                assert answer in reference.answers(number, args), (profile, name, calls, args, hex(answer), base)
