"""The device rules as an eBPF program, bytes ready for bpf(2) (kernel: BPF_PROG_TYPE_CGROUP_DEVICE; RFC 9669).

The context holds access_type (kind in the low 16 bits, access above), major and minor, each 32 bits. The program walks
the rules from the last to the first; an allow rule settles its bits of the access asked for, a deny rule that names an
unsettled one ends it. So each bit is decided by the last rule that names it, which the spec's order demands.
"""

import sys

from pyoci.cgroups.devices import ANY, EVERY, MKNOD, READ, WRITE, Rule

# opcodes: class | operation | source (RFC 9669, section 4); the 32-bit classes, as the fields are 32 bits unsigned
_LOAD_WORD = 0x61  # LDX | MEM | W
_AND = 0x54  # ALU | AND | K
_SHIFT_RIGHT = 0x74  # ALU | RSH | K
_COPY = 0xBC  # ALU | MOV | X
_SET = 0xB4  # ALU | MOV | K
_JUMP_NOT_EQUAL = 0x56  # JMP32 | JNE | K
_JUMP_SOME_OF = 0x46  # JMP32 | JSET | K, which jumps where some bit is set
_JUMP = 0x05  # JMP | JA
_EXIT = 0x95  # JMP | EXIT

_RESULT, _CONTEXT, _ACCESS, _KIND, _MAJOR, _MINOR = range(6)

_KIND_NUMBER = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
_ACCESS_BIT = ((MKNOD, 1), (READ, 2), (WRITE, 4))  # BPF_DEVCG_ACC_*


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    little = sys.byteorder == "little"
    registers = target | source << 4 if little else target << 4 | source
    order = sys.byteorder
    return bytes((code, registers)) + (offset & 0xFFFF).to_bytes(2, order) + (value & 0xFFFFFFFF).to_bytes(4, order)


def program(rules: "list[Rule]") -> bytes:
    """The program for rules in the configuration's order; what no rule names is denied."""
    code = [
        _instruction(_LOAD_WORD, _ACCESS, _CONTEXT, 0),
        _instruction(_COPY, _KIND, _ACCESS),
        _instruction(_AND, _KIND, value=0xFFFF),
        _instruction(_SHIFT_RIGHT, _ACCESS, value=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for rule in reversed(rules):
        code += _block(rule)
        if rule.kind == "a" and rule.major == rule.minor == ANY and rule.access == EVERY:
            break  # nothing gets past it, and the kernel refuses code that is never reached
    else:
        code += _answer(0)
    return b"".join(code)


def _answer(value: int) -> "list[bytes]":
    return [_instruction(_SET, _RESULT, value=value), _instruction(_EXIT)]


def _block(rule: Rule) -> "list[bytes]":
    """One rule: the tests that leave it, then what it decides."""
    bits = sum(bit for ours, bit in _ACCESS_BIT if rule.access & ours)
    tests = [
        (register, value)
        for register, value in ((_KIND, _KIND_NUMBER.get(rule.kind, ANY)), (_MAJOR, rule.major), (_MINOR, rule.minor))
        if value != ANY
    ]
    if rule.access == EVERY:
        body = _answer(1 if rule.allow else 0)
    elif rule.allow:
        body = [_instruction(_AND, _ACCESS, value=~bits), _instruction(_JUMP_NOT_EQUAL, _ACCESS, offset=2), *_answer(1)]
    else:
        body = [_instruction(_JUMP_SOME_OF, _ACCESS, offset=1, value=bits), _instruction(_JUMP, offset=2), *_answer(0)]
    block: "list[bytes]" = []
    for index, (register, value) in enumerate(tests):
        past = len(tests) - index - 1 + len(body)
        block.append(_instruction(_JUMP_NOT_EQUAL, register, offset=past, value=value))
    return block + body
