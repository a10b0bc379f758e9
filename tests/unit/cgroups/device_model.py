"""Two models to hold the device code against: what rules mean, and what the kernel answers for a program."""

import sys

from pyoci.cgroups import bpf


def allowed(rules, kind, major, minor, access):
    """For each access bit the last rule that names it decides; nothing is allowed without one."""
    for bit in (1, 2, 4):
        if access & bit:
            verdict = False
            for rule in rules:
                if (
                    rule.kind in ("a", kind)
                    and rule.major in (-1, major)
                    and rule.minor in (-1, minor)
                    and rule.access & bit
                ):
                    verdict = rule.allow
            if not verdict:
                return False
    return True


def state_allows(state, kind, major, minor, access):
    """The v1 controller: an exception must cover the access whole to allow, and touch it to deny."""
    entries = [
        bits for (k, ma, mi), bits in state.exceptions.items() if k == kind and ma in (-1, major) and mi in (-1, minor)
    ]
    if state.allow:
        return not any(bits & access for bits in entries)
    return any(access & ~bits == 0 for bits in entries)


def interpret(code, kind, access, major, minor):
    """What the kernel answers for such a program."""
    context = {0: access << 16 | kind, 4: major, 8: minor}
    registers = [0] * 6
    at = 0
    order = sys.byteorder
    while True:
        chunk = code[at * 8 : at * 8 + 8]
        low, high = chunk[1] & 15, chunk[1] >> 4
        target, source = (low, high) if order == "little" else (high, low)
        offset = int.from_bytes(chunk[2:4], order, signed=True)
        value = int.from_bytes(chunk[4:8], order)
        at += 1
        if chunk[0] == bpf._LOAD_WORD:
            registers[target] = context[offset]
        elif chunk[0] == bpf._AND:
            registers[target] &= value
        elif chunk[0] == bpf._SHIFT_RIGHT:
            registers[target] >>= value
        elif chunk[0] == bpf._COPY:
            registers[target] = registers[source]
        elif chunk[0] == bpf._SET:
            registers[target] = value
        elif (
            (chunk[0] == bpf._JUMP_NOT_EQUAL and registers[target] != value)
            or (chunk[0] == bpf._JUMP_SOME_OF and registers[target] & value)
            or chunk[0] == bpf._JUMP
        ):
            at += offset
        elif chunk[0] == bpf._EXIT:
            return registers[bpf._RESULT] != 0
