"""The shim: the parent's half of the system calls (csrc/shim/shim.h has a word on each), called by cffi.

Each function gives what the kernel gave, or -errno. cffi checks that numbers fit; what C could not tell is checked
here: that a string is bytes without a NUL, and how long a buffer is. So no call reads or writes what it should not.
Other threads run meanwhile.
"""

import _signal  # type: ignore[import-not-found]

from pyoci._native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from _typeshed import ReadableBuffer, WriteableBuffer

    Strings = tuple[bytes, ...]

_INTERRUPTED = -4  # -EINTR


def _text(value: bytes) -> bytes:
    """Bytes that C finds the end of."""
    if type(value) is not bytes:
        raise TypeError(f"bytes are expected, not {type(value).__name__}")
    if 0 in value:
        raise ValueError("a NUL in a string")
    return value


def _texts(values: "Strings") -> "Any":
    """An array of strings, ended by NULL."""
    if type(values) is not tuple:
        raise TypeError(f"a tuple of bytes is expected, not {type(values).__name__}")
    return [*[ffi.new("char[]", _text(value)) for value in values], ffi.NULL]


def _going_on(call: "Callable[..., int]", *given: "Any") -> int:
    """What waits goes on after a signal, unless what Python does at it raises: like Python's own (PEP 475)."""
    result = _INTERRUPTED
    while result == _INTERRUPTED:
        result = call(*given)
    return result


def seal(path: bytes) -> int:
    return lib.shim_seal(_text(path))


def spawn(
    executable: int, plan: int, report: int, extra: int, base: int, flags: int, cgroup: int, files: "Sequence[int]"
) -> "tuple[int, int]":
    """The child's pid, and a pidfd. files: what becomes its descriptors 0, 1 and so on, -1 for what stays as ours."""
    pidfd = ffi.new("int *")
    given = tuple(files)
    return lib.shim_spawn(executable, plan, report, extra, base, flags, cgroup, given, len(given), pidfd), pidfd[0]


def socketpair() -> "tuple[int, int, int]":
    """Beside the result, both ends."""
    ends = ffi.new("int[2]")
    return lib.shim_socketpair(ends, ends + 1), ends[0], ends[1]


def listen(directory: int, name: bytes) -> int:
    return lib.shim_listen(directory, _text(name))


def connect(directory: int, name: bytes, type: int) -> int:
    return lib.shim_connect(directory, _text(name), type)


def send(fd: int, data: "ReadableBuffer", files: "Sequence[int]") -> int:
    given = ffi.from_buffer(data)
    return _going_on(lib.shim_send, fd, given, len(given), tuple(files), len(files))


def receive(fd: int, data: "WriteableBuffer") -> "tuple[int, int]":
    """Beside the result, a descriptor that came along, or -1."""
    room, file = ffi.from_buffer("char[]", data, True), ffi.new("int *", -1)
    return _going_on(lib.shim_receive, fd, room, len(room), file), file[0]


def flock(fd: int, operation: int) -> int:
    return _going_on(lib.shim_flock, fd, operation)


def prctl(operation: int, argument: int) -> int:
    return lib.shim_prctl(operation, argument)


def prlimit(pid: int, resource: int, soft: int, hard: int) -> int:
    return lib.shim_prlimit(pid, resource, soft, hard)


def pidfd_open(pid: int) -> int:
    return lib.shim_pidfd_open(pid)


def pidfd_signal(pidfd: int, number: int) -> int:
    return lib.shim_pidfd_signal(pidfd, number)


def poll(fds: "Sequence[int]", milliseconds: int) -> int:
    return lib.shim_poll(tuple(fds), len(fds), milliseconds)


def signalfd() -> int:
    return lib.shim_signalfd()


def openat2(directory: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    return lib.shim_openat2(directory, _text(path), flags, mode, resolve)


def bpf_load(code: "ReadableBuffer") -> int:
    data = ffi.from_buffer(code)
    return lib.shim_bpf_load(data, len(data))


def bpf_open(number: int) -> int:
    return lib.shim_bpf_open(number)


def bpf_attach(cgroup: int, program: int, flags: int, former: int) -> int:
    return lib.shim_bpf_attach(cgroup, program, flags, former)


def bpf_detach(cgroup: int, program: int) -> int:
    return lib.shim_bpf_detach(cgroup, program)


def bpf_attached(cgroup: int, numbers: "WriteableBuffer") -> int:
    room = ffi.from_buffer("char[]", numbers, True)
    return lib.shim_bpf_attached(cgroup, room, len(room))


def namespace_type(fd: int) -> int:
    return lib.shim_namespace_type(fd)


def netlink(netns: int) -> int:
    return lib.shim_netlink(netns)


def pin(file: int, directory: int, name: bytes) -> int:
    return lib.shim_pin(file, directory, _text(name))


def unpin(directory: int, name: bytes) -> int:
    return lib.shim_unpin(directory, _text(name))


def clone_mount(path: bytes, flags: int, propagation: int, namespace: int, map_flags: int) -> int:
    return lib.shim_clone_mount(_text(path), flags, propagation, namespace, map_flags)


def user_namespace(uid_map: bytes, gid_map: bytes) -> int:
    return lib.shim_user_namespace(_text(uid_map), _text(gid_map))


def seccomp_knows(flags: int) -> int:
    return lib.shim_seccomp_knows(flags)


def mount(source: bytes, target: bytes, type: bytes, flags: int, data: bytes) -> int:
    return lib.shim_mount(_text(source), _text(target), _text(type), flags, _text(data))


def unmount(target: bytes, flags: int) -> int:
    return lib.shim_unmount(_text(target), flags)


def own_directory() -> int:
    return lib.shim_own_directory()


def sched_core() -> int:
    return lib.shim_sched_core()


def hook(
    path: bytes, args: "Strings", env: "Strings", cwd: bytes, state: "ReadableBuffer", timeout: int, owner: int
) -> "tuple[int, int, int, bytes]":
    """Runs a hook: 0 or -errno when it could not be started, its status, its ending, and the end of its output.

    It is killed should what Python does at a signal raise. To block signals does what is to be done at those that came;
    the wait alone lets others come, so none of them is left until the hook ends."""
    run, data = ffi.new("struct hook_run *"), ffi.from_buffer(state)
    given = _text(path), _texts(args), _texts(env), _text(cwd), data, len(data), timeout, owner, run
    everything, before = _signal.valid_signals(), _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
    try:
        result = lib.shim_hook_start(*given)
        runs = result == 0
        while runs:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, everything)
            runs = lib.shim_hook_watch(run) == _INTERRUPTED
    finally:
        try:
            lib.shim_hook_kill(run)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
    return result, run.status, run.ending, bytes(ffi.buffer(run.text)[0 : run.output])


def pack(numbers: "list[int]") -> bytes:
    """Numbers of a plan as init reads them: Python alone has no way to write many that costs little."""
    return bytes(ffi.buffer(ffi.new("long long[]", [*numbers])))
