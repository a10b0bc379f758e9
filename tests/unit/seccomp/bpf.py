"""Two machines that run a seccomp filter: one in Python, and the kernel's own, borrowed from socket filters."""

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

LD_ABS, RET = 0x20, 0x06
ALU_AND = 0x54
JA, JEQ, JGT, JGE, JSET = 0x05, 0x15, 0x25, 0x35, 0x45
Instruction = tuple[int, int, int, int]


class Call(NamedTuple):
    """struct seccomp_data without the instruction pointer, which no filter of ours looks at."""

    architecture: int
    number: int
    args: Sequence[int] = (0, 0, 0, 0, 0, 0)

    def words(self) -> list[int]:
        data = struct.pack("=IIQ6Q", self.number & 0xFFFFFFFF, self.architecture, 0, *self.args)
        return list(struct.unpack("=16I", data))


def decode(program: bytes) -> list[Instruction]:
    return list(struct.iter_unpack("=HBBI", program))


def run(code: list[Instruction], words: Sequence[int]) -> int:
    """The filter's answer. Errors: AssertionError for what is no seccomp filter."""
    at = accumulator = 0
    for _ in range(len(code)):
        operation, true, false, operand = code[at]
        at += 1
        if operation == LD_ABS:
            assert operand % 4 == 0, "an unaligned load"
            accumulator = words[operand // 4]
        elif operation == RET:
            return operand
        elif operation == ALU_AND:
            accumulator &= operand
        elif operation == JA:
            at += operand
        else:
            assert operation in (JEQ, JGT, JGE, JSET), f"operation {operation:#x}"
            jumps = {
                JEQ: accumulator == operand,
                JGT: accumulator > operand,
                JGE: accumulator >= operand,
                JSET: bool(accumulator & operand),
            }
            at += true if jumps[operation] else false
    raise AssertionError("the filter does not end")


class Kernel:
    """The kernel runs classic BPF on packets, too, and a filter's answer is how many bytes of one are kept. So every
    answer gets a length of its own, and the call becomes a packet, its words in network order as such filters load."""

    def __init__(self, program: bytes) -> None:
        code = decode(program)
        answers = sorted({operand for operation, _, _, operand in code if operation == RET})
        self.answers: dict[int, int] = dict(enumerate(answers, 1))
        lengths = {answer: length for length, answer in self.answers.items()}
        data = b"".join(struct.pack("=HBBI", o, t, f, lengths[k] if o == RET else k) for o, t, f, k in code)
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.data = ctypes.create_string_buffer(data, len(data))
        head = struct.pack("=H6xQ", len(code), ctypes.addressof(self.data))
        self.far.setsockopt(socket.SOL_SOCKET, 26, head)  # SO_ATTACH_FILTER

    def run(self, words: Sequence[int]) -> int:
        self.near.send(struct.pack(">16I", *words))
        return self.answers[len(self.far.recv(64))]

    def close(self) -> None:
        self.near.close()
        self.far.close()
