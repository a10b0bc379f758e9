"""--trace FILE: where a command's time goes, in the trace event format that browsers' trace viewers open.

Loaded only when asked for. Hot modules say with pyoci.mark() what they begin; this module listens. The phases follow
one another without a gap, from the launcher's first line to the writing of the file. Init's steps, which it times
itself, stand in a row of their own below.
"""

import builtins
import posix
import sys
import time

import pyoci
from pyoci.errors import Error
from pyoci.fileio import write_all
from pyoci.json.document import dump
from pyoci.plan import ops
from pyoci.plan.words import OPERATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.init.talk import Message

    Event = dict[str, Any]

_RUNTIME, _INIT = 1, 2  # rows of the picture
_WAITS = (ops.AWAIT_START, ops.TIMED)  # init's steps that are none: between create and start it only waits


class Trace:
    """Listens from its making on. phases: (when it began, name), each lasts until the next begins; steps: init's, as
    (begin, end, what is done, place in config.json). All times are nanoseconds of CLOCK_MONOTONIC."""

    __slots__ = ("depth", "fd", "importer", "path", "phases", "steps", "words")

    def __init__(self, path: str, words: "list[str]", began: int) -> None:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
        try:
            self.fd = posix.open(path, flags, 0o644)
        except OSError as problem:
            raise Error(f"open {path}", errno=problem.errno or 0, hint="the --trace file cannot be written") from None
        self.path = path
        self.words = words
        self.phases = [(_started(began), "interpreter start"), (began, "trace"), (time.monotonic_ns(), "command")]
        self.steps: "list[tuple[int, int, str, str]]" = []
        self.depth = 0
        self.importer = builtins.__import__
        builtins.__import__ = self._import
        pyoci.mark = self.mark
        pyoci.on_step = self.step

    def mark(self, phase: str) -> None:
        """A phase begins, or goes on."""
        if phase != self.phases[-1][1]:
            self.phases.append((time.monotonic_ns(), phase))

    def step(self, message: "Message") -> None:
        """Init has done a step (REPORT_STEP in csrc/shared/plan.h)."""
        received, last = time.monotonic_ns(), self.steps[-1][1] if self.steps else self.phases[0][0]
        begin, end = [int(number) for number in message.text.split()]
        if not last <= begin <= end <= received:  # in a time namespace clocks differ (time_namespaces(7))
            begin, end = min(max(begin - end + received, last), received), received
        if message.operation not in _WAITS:
            self.steps.append((begin, end, OPERATIONS[message.operation][1], message.where))

    def _import(self, *words: "Any", **more: "Any") -> "Any":
        """What modules cost is a phase of its own, wherever they are imported."""
        began, known = time.monotonic_ns(), len(sys.modules)
        self.depth += 1
        try:
            return self.importer(*words, **more)
        finally:
            self.depth -= 1
            if not self.depth and len(sys.modules) > known:
                phase = self.phases[-1][1]
                self.phases += [(began, "import"), (time.monotonic_ns(), phase)]

    def finish(self) -> None:
        """Writes the file. Errors: Error."""
        builtins.__import__ = self.importer
        text = dump({"displayTimeUnit": "ms", "traceEvents": self.events(time.monotonic_ns())})
        try:
            write_all(self.fd, text.encode())
            posix.close(self.fd)
        except OSError as problem:
            raise Error(f"write {self.path}", errno=problem.errno or 0) from None

    def events(self, end: int) -> "list[Event]":
        """The events of a command that ends now."""
        zero = self.phases[0][0]
        title = "pyoci " + " ".join(self.words)
        events = [_name("process_name", _RUNTIME, title), _name("thread_name", _RUNTIME, "phases")]
        ends = [began for began, _ in self.phases[1:]] + [end]
        for (began, name), ended in zip(self.phases, ends):
            events.append(_event(name, _RUNTIME, began - zero, ended - zero, {}))
        if self.steps:
            events.append(_name("thread_name", _INIT, "init's steps"))
        for began, ended, name, where in self.steps:
            events.append(_event(name, _INIT, began - zero, ended - zero, {"config": where} if where else {}))
        return events


def _started(now: int) -> int:
    """When the launcher ran its first line, which it hands on; where it did not, the processor time used since."""
    given = str(sys._xoptions.get("started", ""))
    return int(given) if given.isdigit() else now - time.process_time_ns()


def _event(name: str, row: int, began: int, ended: int, more: "dict[str, str]") -> "Event":
    """A complete event; times in nanoseconds, in the file in microseconds."""
    event: "Event" = {"name": name, "ph": "X", "pid": 1, "tid": row, "ts": began / 1000, "dur": (ended - began) / 1000}
    if more:
        event["args"] = more
    return event


def _name(kind: str, row: int, name: str) -> "Event":
    return {"name": kind, "ph": "M", "pid": 1, "tid": row, "args": {"name": name}}
