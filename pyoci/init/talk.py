"""What init and the runtime say to each other (csrc/shared/plan.h)."""

import posix
import sys

from pyoci import _shim
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from pyoci.plan.model import Plan


def _number(data: bytes, signed: bool = False) -> int:
    """A number of struct plan_report: importing `struct` costs a million instructions, and `start` reads one record."""
    return int.from_bytes(data, sys.byteorder, signed=signed)


class Message:
    """A report of init's.

    text:     of the call that it is about, in words for people; detail is the end of it: what it was about
    call:     one of ops.CALL_*, of a step that failed
    filtered: it failed under the container's seccomp filter, which may be why
    """

    __slots__ = ("call", "detail", "filtered", "kind", "number", "operation", "passed", "text", "where")

    def __init__(self, data: bytes, passed: int) -> None:
        self.kind, self.operation = _number(data[:2]), _number(data[4:6])
        self.call, self.filtered = _number(data[6:7]), data[7:8] == b"\1"
        self.number = _number(data[8:12], signed=True)
        where, size = _number(data[12:14]), _number(data[14:16])
        body = data[ops.REPORT_HEAD : ops.REPORT_HEAD + size]
        self.where = body[:where].decode("utf-8", "replace")
        self.text = body[where:].decode("utf-8", "replace")
        self.detail = body[max(where, _number(data[2:4])) :].decode("utf-8", "replace")
        self.passed = passed

    def error(self, plan: "Optional[Plan]" = None) -> Error:
        """What a failed step (of a plan, where that is at hand) means to people."""
        from pyoci.init.failures import error

        return error(self, plan)


def receive(fd: int) -> "Optional[Message]":
    """The next report, None when the other side has closed."""
    buffer = bytearray(ops.REPORT_HEAD + ops.TEXT_MAX)
    while True:
        got, passed = _shim.receive(fd, buffer)
        if got > 0 or passed >= 0:
            return _checked(bytes(buffer[:got]), passed)
        if got == 0:
            return None
        import errno

        # A peer that closed without reading what we sent is told of first, its own last words come after (unix(7))
        if got != -errno.ECONNRESET:
            raise Error("read from init", errno=-got)


def _checked(data: bytes, passed: int) -> Message:
    """A descriptor comes with the reports that are about one, and with no other."""
    message = Message(data, passed)
    has = message.kind in (ops.REPORT_CONSOLE, ops.REPORT_SECCOMP)
    if has != (passed >= 0) or len(data) < ops.REPORT_HEAD or message.operation > ops.OPERATION_COUNT:
        if passed >= 0:
            posix.close(passed)
        raise Error("init sent something that is not a report", kind="internal")
    return message


def packet(kind: int) -> bytes:
    """A record that says no more than its kind."""
    return kind.to_bytes(2, sys.byteorder).ljust(ops.REPORT_HEAD, b"\0")


def send(fd: int, kind: int, passed: "tuple[int, ...] | list[int]" = ()) -> None:
    """Tells init something, and gives it descriptors; that it has gone meanwhile is found out by the next receive."""
    result = _shim.send(fd, packet(kind), passed)
    if result < 0:
        import errno

        if result not in (-errno.EPIPE, -errno.ECONNRESET):
            raise Error("write to init", errno=-result)
