"""The head of a filter: system calls younger than the profile do not exist.

A profile that denies by default would answer EPERM to a call which its author could not know, and C libraries, which
try the new call first, take that for a refusal; with ENOSYS they use the old one. So whatever is numbered above all
calls of the profile gets ENOSYS, as on a kernel of the profile's age.
"""

import errno
from struct import pack

from pyoci.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.seccomp.compiler import Library

# Under these a call that is not listed can succeed, or is for a tracer to judge
_PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_X32_BIT = 0x40000000  # calls of x32 are x86_64's, with this bit (asm/unistd.h)
# arm's own calls, set_tls among them, without which no program starts: far above the rest, and all there from the first
_PRIVATE = 0xF0000

_LOAD = kernel.BPF_LD | kernel.BPF_W | kernel.BPF_ABS
_EQUAL, _ABOVE = kernel.BPF_JMP | kernel.BPF_JEQ | kernel.BPF_K, kernel.BPF_JMP | kernel.BPF_JGT | kernel.BPF_K
_NOT_BELOW, _JUMP = kernel.BPF_JMP | kernel.BPF_JGE | kernel.BPF_K, kernel.BPF_JMP | kernel.BPF_JA
_RETURN = kernel.BPF_RET | kernel.BPF_K


def unknown_calls(library: "Library", profile: "dict[str, Any]", tokens: "list[int]") -> bytes:
    """Instructions to be put before the filter; none when the default action is good for newer calls, too.

    tokens: the filter's architectures
    """
    default = profile["defaultAction"]
    if default in _PERMISSIVE or (default == "SCMP_ACT_ERRNO" and profile.get("defaultErrnoRet") == errno.ENOSYS):
        return b""
    x64, x32, arm = _token(library, "x86_64"), _token(library, "x32"), _token(library, "arm")
    blocks: "list[list[tuple[int, int, int, int]]]" = []
    for token in tokens:
        newest = _newest(library, profile, token)
        if token == x64:
            newest32 = _newest(library, profile, x32) if x32 in tokens else -1
            if newest >= 0:
                blocks.append(_both_of_x86_64(token, newest, newest32))
        elif newest >= 0 and token != x32:
            blocks.append(_arm(token, newest) if token == arm else _one(token, newest))
    return _assemble(blocks)


def _token(library: "Library", name: str) -> int:
    return int(library.call.seccomp_arch_resolve_name(name.encode()))


def _newest(library: "Library", profile: "dict[str, Any]", token: int) -> int:
    """The highest number among the profile's calls on an architecture, -1 when it has none there."""
    newest = -1
    for rule in profile.get("syscalls") or []:
        for name in rule["names"]:
            number = library.call.seccomp_syscall_resolve_name_arch(token, name.encode("utf-8", "surrogateescape"))
            if number > newest and number & ~_X32_BIT < _PRIVATE:  # below 0: unknown, or made up by the library
                newest = number
    return int(newest)


# Blocks: (code, jump if true, jump if false, operand). Each ends in a jump over all that follows, to the filter itself,
# and in the answer.


def _one(token: int, newest: int) -> "list[tuple[int, int, int, int]]":
    return [(_EQUAL, 0, 4, token), (_LOAD, 0, 0, _NUMBER), (_ABOVE, 1, 0, newest), *_end()]


def _arm(token: int, newest: int) -> "list[tuple[int, int, int, int]]":
    """The calls of its own have no age: the filter says what becomes of them."""
    head = [(_EQUAL, 0, 5, token), (_LOAD, 0, 0, _NUMBER), (_NOT_BELOW, 1, 0, _PRIVATE), (_ABOVE, 1, 0, newest)]
    return [*head, *_end()]


def _both_of_x86_64(token: int, newest: int, newest32: int) -> "list[tuple[int, int, int, int]]":
    """One token for two sets of numbers. Where x32 is not allowed at all the filter says what becomes of its calls."""
    x32 = (_ABOVE, 1, 0, newest32) if newest32 >= 0 else (_JUMP, 0, 0, 0)
    head = [(_EQUAL, 0, 6, token), (_LOAD, 0, 0, _NUMBER), (_NOT_BELOW, 1, 0, _X32_BIT), (_ABOVE, 2, 1, newest)]
    return [*head, x32, *_end()]


def _end() -> "list[tuple[int, int, int, int]]":
    return [(_JUMP, 0, 0, -1), (_RETURN, 0, 0, kernel.SECCOMP_RET_ERRNO | errno.ENOSYS)]


def _assemble(blocks: "list[list[tuple[int, int, int, int]]]") -> bytes:
    if not blocks:
        return b""
    code = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for block in blocks:
        code += block
    size = len(code)
    data = []
    for at, (operation, true, false, operand) in enumerate(code):
        distance = size - at - 1 if operand < 0 else operand
        data.append(pack("=HBBI", operation, true, false, distance))
    return b"".join(data)
