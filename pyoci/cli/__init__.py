"""The command line: reads it, runs the command, turns what goes wrong into one line and an exit status."""

import posix

from pyoci.cli import table
from pyoci.cli.call import Call, settle
from pyoci.cli.parse import Usage, parse
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def main(argv: "list[str]") -> int:
    """Runs the command line argv (without the program's name) and returns the exit status. Raises nothing."""
    call = Call()
    try:
        status = _run(call, argv)
    except BaseException as problem:  # the last line of defence: no traceback ever reaches the caller
        status = _report(call, problem)
    if call.trace is not None:
        try:
            call.trace.finish()
        except BaseException as problem:
            return _report(call, problem)
    return status


def _report(call: Call, problem: BaseException) -> int:
    from pyoci.cli.log import report

    return report(call, problem)


def _run(call: Call, argv: "list[str]") -> int:
    try:
        values, words = parse(argv, table.GLOBAL, table.FIRST)
    except Usage as wrong:
        wrong.headline = f"Incorrect Usage. {wrong.text}"
        raise
    settle(call, values)
    if not words or values.get("help") or values.get("version"):
        return _about(call, "version" if values.get("version") and not values.get("help") else "help", [])
    call.command = table.ALIASES.get(words[0], words[0])
    command = table.command(call.command)
    if command is None:
        from pyoci.cli.help import unknown_command

        raise unknown_command(words[0])
    _read(call, command, words[1:])
    if call.flags.get("help"):
        return _about(call, "help", [call.command])
    _count(call, command)
    if call.flags.get("preserve-fds"):
        from pyoci.options import check_preserved

        # Before any descriptor of our own is opened: it could be taken for one of the caller's.
        check_preserved(call.flags["preserve-fds"])
    _open_log(call)
    if call.trace_path:
        _begin_trace(call, argv)
    if call.debug:
        from pyoci.cli.log import log_phases

        log_phases(call)
    return _function(command)(call)


def _read(call: Call, command: table.Command, words: "list[str]") -> None:
    try:
        call.flags, call.arguments = parse(words, command.flags, command.order)
    except Usage as wrong:
        wrong.headline = f"Incorrect Usage: {wrong.text}"
        wrong.command = call.command
        raise


def _count(call: Call, command: table.Command) -> None:
    count = len(call.arguments)
    if command.least <= count and (count <= command.most or command.most < 0):
        return
    if command.least == command.most:
        text = f"requires exactly {command.least} argument(s)"
    elif count < command.least:
        text = f"requires a minimum of {command.least} argument(s)"
    else:
        text = f"requires a maximum of {command.most} argument(s)"
    raise Usage(f'pyoci: "{call.command}" {text}', headline="Incorrect Usage.", command=call.command)


def _open_log(call: Call) -> None:
    """Opens the log now, so that one which cannot be written is refused before anything was done."""
    if call.log_path:
        flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC
        try:
            call.log_fd = posix.open(call.log_path, flags, 0o644)
        except OSError as problem:
            path, call.log_path = call.log_path, ""
            raise Error(f"open {path}", errno=problem.errno or 0, hint="the --log file cannot be written") from None


def _begin_trace(call: Call, argv: "list[str]") -> None:
    """Opens the file now, for the same reason."""
    import time

    began = time.monotonic_ns()
    from pyoci.cli.trace import Trace

    call.trace = Trace(call.trace_path, argv, began)


def _function(command: table.Command) -> "Callable[[Call], int]":
    module = __import__("pyoci.cli." + command.module, None, None, [command.function])
    function: "Callable[[Call], int]" = getattr(module, command.function)
    return function


def _about(call: Call, what: str, words: "list[str]") -> int:
    call.arguments = words
    return _function(table.Command(*table.COMMANDS[what]))(call)
