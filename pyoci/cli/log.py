"""Tells the caller what went wrong: a line on standard error and a line in the log, in the forms that engines parse.

containerd decodes the whole log as JSON objects and takes the last of level error; podman decodes the whole file as one
object. So a failing command adds exactly one line, and nothing else is written there unless --debug was given.
"""

import posix
import time

from pyoci.cli.output import READER_GONE, STDERR, STDOUT, write
from pyoci.cli.parse import Usage
from pyoci.errors import Error, errno_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Optional

    from pyoci.cli.call import Call

# What callers see before the reason; docker's and kubelet's users grep for these words.
_PREFIX = {
    "create": "pyoci create failed: ",
    "run": "pyoci run failed: ",
    "exec": "exec failed: ",
}
_STARTS_A_PROCESS = "unable to start container process: "
_IN_INIT = "error during container init: "


def report(call: "Call", problem: BaseException) -> int:
    """Writes the problem to standard error and to the log, and returns the exit status."""
    if isinstance(problem, SystemExit) and problem.code == READER_GONE:
        return READER_GONE
    try:
        text, status = describe(call, problem)
        if isinstance(problem, Usage):
            _help(problem)
        if call.debug:
            _traceback(call, problem)
        emit(call, "error", text)
        return status
    except BaseException:  # a full disk or a closed standard error: the status is all that is left to say
        return 1


def describe(call: "Call", problem: BaseException) -> "tuple[str, int]":
    """The message and the exit status for whatever a command raised."""
    from pyoci.kinds import exit_status, kind_of

    kind = kind_of(problem)
    return _words(call.command, problem), exit_status(kind, call.command)


def _words(command: str, problem: BaseException) -> str:
    if isinstance(problem, Usage):
        return problem.text
    prefix = _PREFIX.get(command, "")
    if not isinstance(problem, Error):
        return prefix + _unexpected(problem)
    if prefix and (problem.step or problem.kind == "program"):
        prefix += _STARTS_A_PROCESS
        if problem.by_init and command != "exec" and problem.step:
            prefix += _IN_INIT
    return prefix + _refusal(problem)


def _unexpected(problem: BaseException) -> str:
    if isinstance(problem, KeyboardInterrupt):
        return "interrupted"
    if isinstance(problem, MemoryError):
        return "out of memory"
    if isinstance(problem, RecursionError):
        return f"the input is nested too deeply (at {_place(problem.__traceback__)})"
    if isinstance(problem, OSError) and problem.errno:
        name = problem.filename
        if isinstance(name, bytes):
            name = name.decode("utf-8", "surrogateescape")
        if name:
            return f"{name}: {errno_text(problem.errno)}"
        return f"{errno_text(problem.errno)} (at {_place(problem.__traceback__)})"
    if isinstance(problem, ImportError):
        from pyoci.start.installation import reason

        return reason(problem)
    name = type(problem).__name__
    return f"internal error, please report: {name}: {problem} ({_place(problem.__traceback__)})"


def _refusal(problem: Error) -> str:
    """The error's own line; for a program that cannot be executed, with its place at the end.

    Callers look for the words `unable to start container process: exec: "NAME": ...` in one piece.
    """
    if problem.kind == "program" and problem.location:
        moved = Error(problem.text, errno=problem.errno, hint=problem.hint)
        return f"{moved} ({problem.location})"
    return str(problem)


def _place(trace: "Optional[TracebackType]") -> str:
    """The file and line of our own code where an unexpected exception was raised."""
    place = "?"
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "pyoci" in file:
            place = f"{file[file.rindex('pyoci') :]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def emit(call: "Call", level: str, text: str) -> None:
    """Writes one line: into the log when there is one; an error on standard error as well."""
    _make_sure_of_log(call)
    text = one_line(text)
    if call.log_fd < 0:
        write(STDERR, _text_line(level, text))
        return
    line = _json_line(level, text) if call.log_format == "json" else _text_line(level, text)
    try:
        write(call.log_fd, line)
    finally:
        if level == "error":
            write(STDERR, text + "\n")


def debug(call: "Call", text: str) -> None:
    """Writes a line of level debug, when --debug was given."""
    if call.debug:
        emit(call, "debug", text)


_PHASES = {
    "load": "reading config.json",
    "check": "checking the config",
    "compile": "compiling the plan",
    "state": "the container's state",
    "cgroup": "the container's cgroups",
    "limits": "the limits of the cgroups",
    "launch": "starting the container's process",
    "init": "talking with the container's process",
    "hooks": "running hooks",
    "kill": "killing what is left of the container",
    "undo": "undoing what was done",
    "wait": "waiting for the container's process",
}


def log_phases(call: "Call") -> None:
    """From here on each phase of the command is a line of level debug, beside what --trace makes of it."""
    import pyoci

    traced, last = pyoci.mark, [""]

    def mark(phase: str) -> None:
        traced(phase)
        if phase == last[0]:
            return
        last[0] = phase
        try:
            debug(call, f"{call.command}: {_PHASES.get(phase, phase)}")
        except OSError:
            pass  # a full disk is no reason to end what is done

    pyoci.mark = mark


def _make_sure_of_log(call: "Call") -> None:
    """A command line can fail before its log is opened."""
    if call.log_fd < 0 and call.log_path:
        flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC
        try:
            call.log_fd = posix.open(call.log_path, flags, 0o644)
        except OSError:
            call.log_path = ""


def one_line(text: str) -> str:
    """The text with its control characters written out: names in a message may come from a hostile image."""
    if text.isprintable():
        return text
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    done: "list[str]" = []
    for character in text.strip("\n"):
        if character.isprintable() or "\udc80" <= character <= "\udcff":
            done.append(character)
        elif character in known:
            done.append(known[character])
        elif ord(character) < 256:
            done.append(f"\\x{ord(character):02x}")
        else:
            done.append(f"\\u{ord(character):04x}")
    return "".join(done)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _text_line(level: str, text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'time="{_now()}" level={level} msg="{quoted}"\n'


def _json_line(level: str, text: str) -> str:
    from pyoci.json.document import dump

    # Bytes that are not UTF-8 become their replacement: a decoder would refuse the line, and the error would be lost.
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return dump({"level": level, "msg": clean, "time": _now()}) + "\n"


def _help(problem: Usage) -> None:
    from pyoci.cli.help import of_command, of_program

    body = of_command(problem.command) if problem.command else of_program()
    try:
        write(STDOUT, f"{problem.headline}\n\n{body}")
    except OSError:
        pass  # the message itself still goes to standard error


def _traceback(call: "Call", problem: BaseException) -> None:
    """The whole traceback as one debug line of the log file; never on standard error."""
    _make_sure_of_log(call)
    if call.log_fd >= 0:
        from traceback import format_exception

        emit(call, "debug", "".join(format_exception(type(problem), problem, problem.__traceback__)))
