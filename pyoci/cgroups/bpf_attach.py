"""bpf(2) for device programs: load one, put it in the place of what a cgroup had."""

from pyoci import _shim
from pyoci.linux import kernel

_MANY = 64  # programs on one cgroup that we ask for; the kernel allows as many


def _checked(result: int, step: str) -> int:
    if result < 0:
        raise OSError(-result, step)
    return result


def load(code: bytes) -> int:
    """A descriptor of the program, which the caller closes."""
    return _checked(_shim.bpf_load(code), "load a device program")


def attached(cgroup: int) -> "list[int]":
    """The numbers of the device programs on a cgroup, its parents' not among them."""
    numbers = memoryview(bytearray(4 * _MANY)).cast("I")
    count = _checked(_shim.bpf_attached(cgroup, numbers), "ask for device programs")
    return numbers[:count].tolist()


def replace(cgroup: int, code: bytes) -> None:
    """Attaches a program instead of those on the cgroup (an open directory); raises OSError.

    One program is exchanged in one step. Several (not ours alone) all have to agree to an access: the new one is
    attached first, then the others go, so that never more is allowed than one of the two lists allows.
    """
    import posix

    program = load(code)
    old: "list[int]" = []
    try:
        for number in attached(cgroup):
            old.append(_checked(_shim.bpf_open(number), "open a device program"))
        if len(old) == 1:
            _attach(cgroup, program, kernel.BPF_F_ALLOW_MULTI | kernel.BPF_F_REPLACE, old[0])
            return
        _attach(cgroup, program, kernel.BPF_F_ALLOW_MULTI, 0)
        for fd in old:
            _checked(_shim.bpf_detach(cgroup, fd), "detach a device program")
    finally:
        for fd in (program, *old):
            posix.close(fd)


def _attach(cgroup: int, program: int, flags: int, former: int) -> None:
    _checked(_shim.bpf_attach(cgroup, program, flags, former), "attach a device program")
