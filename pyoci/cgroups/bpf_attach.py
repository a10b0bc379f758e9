"""bpf(2) for device programs: load one, put it in the place of what a cgroup had."""

from .. import kernel
from .._shim import ffi, lib

_ATTRIBUTES = 128  # the kernel ignores zeros past what it knows; some kernels write past a short block (see shim.c)
_MANY = 64  # programs on one cgroup that we ask for; the kernel allows as many


def _call(command: int, *fields: "tuple[int, int]") -> "tuple[int, bytearray]":
    """bpf(2) with (value, bytes) fields in order; its result, and the attributes as the kernel left them."""
    import sys

    attributes = bytearray(b"".join(value.to_bytes(size, sys.byteorder) for value, size in fields))
    attributes += bytes(_ATTRIBUTES - len(attributes))
    result = lib.shim_bpf(command, ffi.from_buffer(attributes), _ATTRIBUTES)
    if result < 0:
        raise OSError(-result, f"bpf command {command}")
    return result, attributes


def _address(buffer: "bytes | bytearray") -> int:
    return int(ffi.cast("uintptr_t", ffi.from_buffer(buffer)))


def load(code: bytes) -> int:
    """A descriptor of the program, which the caller closes."""
    licence = b"Apache-2.0\0"  # a device program calls no GPL-only helper
    fields = (
        (kernel.BPF_PROG_TYPE_CGROUP_DEVICE, 4),
        (len(code) // 8, 4),
        (_address(code), 8),
        (_address(licence), 8),
    )
    return _call(kernel.BPF_PROG_LOAD, *fields)[0]


def attached(cgroup: int) -> "list[int]":
    """The numbers of the device programs on a cgroup, its parents' not among them."""
    import sys

    numbers = bytearray(4 * _MANY)
    fields = ((cgroup, 4), (kernel.BPF_CGROUP_DEVICE, 4), (0, 4), (0, 4), (_address(numbers), 8), (_MANY, 4))
    _, attributes = _call(kernel.BPF_PROG_QUERY, *fields)
    count = int.from_bytes(attributes[24:28], sys.byteorder)
    return [int.from_bytes(numbers[i * 4 : i * 4 + 4], sys.byteorder) for i in range(count)]


def replace(cgroup: int, code: bytes) -> None:
    """Attach a program instead of those on the cgroup (an open directory); raises OSError.

    One program is exchanged in one step. Several (not ours alone) all have to agree to an access: the new one is
    attached first, then the others go, so that never more is allowed than one of the two lists allows.
    """
    import posix

    program = load(code)
    old: "list[int]" = []
    try:
        for number in attached(cgroup):
            old.append(_call(kernel.BPF_PROG_GET_FD_BY_ID, (number, 4))[0])
        if len(old) == 1:
            _attach(cgroup, program, kernel.BPF_F_ALLOW_MULTI | kernel.BPF_F_REPLACE, old[0])
            return
        _attach(cgroup, program, kernel.BPF_F_ALLOW_MULTI, 0)
        for fd in old:
            _call(kernel.BPF_PROG_DETACH, (cgroup, 4), (fd, 4), (kernel.BPF_CGROUP_DEVICE, 4))
    finally:
        for fd in (program, *old):
            posix.close(fd)


def _attach(cgroup: int, program: int, flags: int, former: int) -> None:
    fields = ((cgroup, 4), (program, 4), (kernel.BPF_CGROUP_DEVICE, 4), (flags, 4), (former, 4))
    _call(kernel.BPF_PROG_ATTACH, *fields)
