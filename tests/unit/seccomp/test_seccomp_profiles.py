"""Compiled filters against what the profiles say, for every number of a system call, on the three sets that x86 has and
arm's two."""

import json
from pathlib import Path
from typing import Any

import pytest
from bpf import Call, Kernel, decode, run
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ARMS_OWN, NATIVE, PRIVATE, SETS, X32_BIT, Reference, numbers, told

from pyoci.seccomp.compiler import OPERATORS, compile_profile

PROFILES = sorted(path.stem for path in (Path(__file__).parents[2] / "data" / "seccomp").glob("*.json"))
NATIVES = SETS[NATIVE].token
FAMILIES = [("64", "32", "x32"), ("arm64", "arm")]
# What the profiles' conditions compare with, and values beside them; one is equal when its upper half is forgotten
VALUES = (0, 1, 8, 9, 16, 17, 40, 41, 0x20000, 0x20008, 2**32 - 1, 2**32 + 16, 0x7E020000, 2**64 - 1)
SAMPLES = [(one, 0, three, 0, 0, 0) for one in VALUES for three in (0, 9)]


def profile(name: str) -> dict[str, Any]:
    path = Path(__file__).parents[2] / "data" / "seccomp" / f"{name}.json"
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def for_machine(document: dict[str, Any], calls: str) -> dict[str, Any]:
    """A profile, made by an engine on x86_64, as it would have made it on the machine that has these calls."""
    (family,) = (names for names in FAMILIES if calls in names)
    architectures = [f"SCMP_ARCH_{SETS[name].name}" for name in family]
    rules = [*document["syscalls"], {"names": PRIVATE, "action": "SCMP_ACT_ALLOW"}]
    return {**document, "architectures": architectures, "syscalls": rules}


@pytest.mark.parametrize("calls", SETS)
@pytest.mark.parametrize("name", PROFILES)
def test_every_call_of_an_engines_profile(name: str, calls: str) -> None:
    if not told(calls):
        pytest.skip("needs the kernel's headers of x86_64 (linux-libc-dev)")
    document, (token, base, bits, _) = for_machine(profile(name), calls), SETS[calls]
    program = compile_profile(document).program
    code, kernel = decode(program), Kernel(program)
    reference = Reference(document, numbers(calls), bits)
    contradictions = 0
    try:
        for number in [*range(base, base + 600), *(range(ARMS_OWN, ARMS_OWN + 16) if calls == "arm" else ())]:
            for args in SAMPLES if reference.has_conditions(number) else SAMPLES[-2:]:
                words = Call(token, number, args).words()
                answer, expected = run(code, words), reference.answers(number, args)
                assert answer in expected, (number, args, hex(answer), [hex(e) for e in expected])
                assert kernel.run(words) == answer
                contradictions += len(expected) > 1
    finally:
        kernel.close()
    # podman names setns twice, with two actions, and socket's rules overlap in one value: all else is one answer
    assert contradictions <= 4


def test_the_profiles_are_there() -> None:
    assert PROFILES == ["docker20", "docker28", "podman43", "podman58"]


NAMES = ["read", "write", "open", "close", "stat", "mmap", "ioctl", "socket", "clone", "personality", "openat2"]
EDGES = st.sampled_from((0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1))
WORDS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 16), EDGES)


ACTIONS = [("SCMP_ACT_ERRNO", 13), ("SCMP_ACT_TRACE", 7)]
ACTIONS += [("SCMP_ACT_" + name, None) for name in ("ALLOW", "ERRNO", "LOG", "TRAP", "KILL_PROCESS", "KILL")]


@st.composite
def conditions(draw: Any) -> dict[str, Any]:
    op = draw(st.sampled_from(OPERATORS))
    condition = {"index": draw(st.integers(0, 5)), "value": draw(WORDS), "op": op}
    if op == "SCMP_CMP_MASKED_EQ":
        condition["valueTwo"] = draw(WORDS) & condition["value"]
    return condition


@st.composite
def profiles(draw: Any) -> dict[str, Any]:
    """A profile that says one thing about each call."""
    actions = st.sampled_from(ACTIONS)
    default = draw(actions)
    document: dict[str, Any] = {"defaultAction": default[0], "syscalls": []}
    if default[1] is not None:
        document["defaultErrnoRet"] = default[1]
    document["architectures"] = draw(st.sampled_from([[], ["SCMP_ARCH_X86"], ["SCMP_ARCH_ARM", "SCMP_ARCH_X32"]]))
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=8)):
        action, number = draw(actions)
        # libseccomp 2.5.4 forgets an alternative where two orderings of one argument meet (arg < 2^32 or arg >= 1),
        # with whatever runtime; found here, and kept out until a library does better
        args = draw(st.lists(conditions(), max_size=3, unique_by=lambda condition: condition["index"]))
        rule = {"names": [name, "no_such_call"], "action": action, "args": args}
        document["syscalls"].append(rule if number is None else {**rule, "errnoRet": number})
    return document


@settings(max_examples=100, derandomize=True, deadline=None)
@given(profiles(), st.lists(st.tuples(st.sampled_from(NAMES), st.tuples(*[WORDS] * 6)), min_size=20, max_size=40))
def test_any_profile(document: dict[str, Any], calls: list[tuple[str, tuple[int, ...]]]) -> None:
    code = decode(compile_profile(document).program)
    known = numbers(NATIVE)
    reference = Reference(document, known, 64)
    edges = [c["value"] for rule in document["syscalls"] for c in rule["args"]]
    for name, args in calls:
        for value in [args[0], *edges]:
            values = tuple(value if n % 2 else arg for n, arg in enumerate(args))
            for number in (known.get(name, 0), known.get(name, 0) + 1):
                assert run(code, Call(NATIVES, number, values).words()) in reference.answers(number, values)


def test_the_rules_of_an_engine_that_lists_values_are_alternatives() -> None:
    """Two conditions on one argument never hold together: each stands for itself."""
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (3, 5)]
    rule = {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": args}
    code = decode(compile_profile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}).program)
    number = numbers(NATIVE)["personality"]
    answers = [run(code, Call(NATIVES, number, (value, 0, 0, 0, 0, 0)).words()) for value in (3, 4, 5)]
    assert answers == [0x7FFF0000, 0x00050001, 0x7FFF0000]


def test_conditions_on_several_arguments_hold_together() -> None:
    args = [{"index": index, "value": 1, "op": "SCMP_CMP_EQ"} for index in (0, 1)]
    rule = {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": args}
    code = decode(compile_profile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}).program)
    number = numbers(NATIVE)["personality"]
    pairs = ((1, 1), (1, 0), (0, 1), (2**32 + 1, 1))
    answers = [run(code, Call(NATIVES, number, (one, two, 0, 0, 0, 0)).words()) for one, two in pairs]
    assert answers == [0x7FFF0000, 0x00050001, 0x00050001, 0x00050001]


@pytest.mark.parametrize("token", [0x80000016, *{calls.token for calls in SETS.values()} - {NATIVES}])
def test_calls_of_another_architecture_are_no_way_around(token: int) -> None:
    """A filter that knows this machine's own alone kills for what it cannot judge."""
    rule = {"names": ["read"], "action": "SCMP_ACT_ERRNO"}
    code = decode(compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}).program)
    assert run(code, Call(token, 0).words()) == run(code, Call(token, 3).words()) == 0
    if NATIVE == "64":
        assert run(code, Call(NATIVES, X32_BIT).words()) == 0
