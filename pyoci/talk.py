"""What init and the runtime say to each other (csrc/plan.h), and what a failed step means to people."""

import errno
import posix
import sys

from pyoci._shim import ffi, lib
from pyoci.errors import Error, errno_text
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


def _number(data: bytes, signed: bool = False) -> int:
    """A number of struct plan_report: importing `struct` costs a million instructions, and `start` reads one record."""
    return int.from_bytes(data, sys.byteorder, signed=signed)


class Message:
    """A report of init's."""

    __slots__ = ("kind", "number", "operation", "passed", "text", "where")

    def __init__(self, data: bytes, passed: int) -> None:
        self.kind, self.operation = _number(data[:4]), _number(data[4:8])
        self.number = _number(data[8:12], signed=True)
        where, size = _number(data[12:14]), _number(data[14:16])
        body = data[ops.REPORT_HEAD : ops.REPORT_HEAD + size]
        self.where = body[:where].decode("utf-8", "replace")
        self.text = body[where:].decode("utf-8", "replace")
        self.passed = passed

    def error(self) -> Error:
        """What a failed step means to people."""
        if self.operation in (ops.FIND_EXECUTABLE, ops.EXECUTE):
            return _program_error(self)
        words = ops.OPERATIONS[self.operation][1] if self.operation < len(ops.OPERATIONS) else ""  # before the first
        number = 0 if self.operation == ops.HOOK and not self.text.startswith("start it") else self.number
        return Error(_quiet(self.text), location=self.where, step=words, errno=number, hint=_hint(self))


def receive(fd: int) -> "Optional[Message]":
    """The next report, None when the other side has closed."""
    room = ops.REPORT_HEAD + ops.TEXT_MAX
    buffer = ffi.new("char[]", room)
    passed = ffi.new("int *")
    while True:
        got = lib.shim_receive(fd, buffer, room, passed)
        if got > 0 or passed[0] >= 0:
            return _checked(bytes(ffi.buffer(buffer, got)), passed[0])
        # A peer that closed without reading what we sent is told of first, its own last words come after (unix(7))
        if got in (-errno.EINTR, -errno.ECONNRESET):
            continue
        if got < 0:
            raise Error("read from init", errno=-got)
        return None


def _checked(data: bytes, passed: int) -> Message:
    """A descriptor comes with the reports that are about one, and with no other."""
    message = Message(data, passed)
    has = message.kind in (ops.REPORT_CONSOLE, ops.REPORT_SECCOMP)
    if has != (passed >= 0) or len(data) < ops.REPORT_HEAD or message.operation > len(ops.OPERATIONS):
        if passed >= 0:
            posix.close(passed)
        raise Error("init sent what is no report")
    return message


def send(fd: int, kind: int) -> None:
    """Tells init something; that it has gone meanwhile is found out by the next receive."""
    data = kind.to_bytes(4, sys.byteorder).ljust(ops.REPORT_HEAD, b"\0")
    result = lib.shim_send(fd, data, len(data), -1)
    if result < 0 and result not in (-errno.EPIPE, -errno.ECONNRESET):
        raise Error("write to init", errno=-result)


def _quiet(text: str) -> str:
    """One line: hooks and images choose parts of it."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _program_error(message: Message) -> Error:
    """The wording of these is what engines read an exit status of 126 or 127 out of."""
    name = message.text.partition("execve: ")[2] or message.text
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    reason = errno_text(message.number)
    hint = ""
    if message.number == errno.ENOENT and message.operation == ops.FIND_EXECUTABLE:
        reason = f"stat {name}: {reason}" if "/" in name else "executable file not found in $PATH"
    elif message.number == errno.EISDIR:
        reason += ": permission denied"  # execve's own answer, out of which docker reads its status 126
    elif message.number == errno.ENOENT:
        hint = "the file is there: its interpreter (#!) or dynamic loader is missing"
    elif message.number == errno.ENOEXEC:
        hint = "a program of another architecture, or a script without #!"
    return Error(f'exec: "{_quiet(quoted)}": {reason}', location=message.where, hint=hint)


_SCHEDULER = {
    errno.EPERM: "real-time policies take CAP_SYS_NICE, on cgroup v1 also resources.cpu.realtimeRuntime; SCHED_DEADLINE"
    " takes all CPUs, so it cannot be used together with resources.cpu.cpus",
    errno.EINVAL: "a policy or flag that this kernel does not have, or values that do not fit together (sched(7))",
    errno.EOPNOTSUPP: "this kernel was built without clamping of utilization (CONFIG_UCLAMP_TASK)",
    errno.EBUSY: "the CPUs have no such bandwidth left for SCHED_DEADLINE",
}


def _hint(message: Message) -> str:
    if message.operation in (ops.MOUNT_NEW, ops.MOUNT_BIND) and message.number == errno.ENODEV:
        return "the kernel has no such filesystem, or its module is not loaded"
    if message.operation == ops.MEMORY_POLICY and message.number == errno.EINVAL:
        return "a mode or flag that this kernel does not have, or nodes outside of the cpuset's"
    if message.operation == ops.SCHEDULER:
        return _SCHEDULER.get(message.number, "")
    if message.operation == ops.MOUNT_NEW and "plain" not in message.text and message.number == errno.ELOOP:
        return "it must be mounted on an ordinary directory"
    return ""
