"""The shim's log: lines as containerd's own, into the FIFO `log` of the bundle. Nobody waits for its reader."""

import posix
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_MAX = 4000  # a line is to be whole in a pipe (PIPE_BUF)


class Log:
    """Writes to a descriptor, -1 for none."""

    def __init__(self, path: str, is_debug: bool = False) -> None:
        self.fd = -1
        self.is_debug = is_debug
        try:
            self.fd = posix.open(path, posix.O_RDWR | posix.O_NONBLOCK | posix.O_CLOEXEC)  # both: no reader, no error
        except OSError:
            pass

    def write(self, level: str, text: str, **fields: str) -> None:
        """One line; lost when the FIFO is full."""
        if self.fd < 0:
            return
        seconds = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e9):09}Z"
        more = "".join(f" {name}={_quote(value)}" for name, value in fields.items())
        line = (
            f"time={_quote(stamp)} level={level} msg={_quote(text[: _MAX // 2])}{more} runtime=io.containerd.pyoci.v1"
        )
        try:
            posix.write(self.fd, line.encode("utf-8", "replace")[:_MAX] + b"\n")
        except OSError:
            pass

    def info(self, text: str, **fields: str) -> None:
        """What may be of interest."""
        self.write("info", text, **fields)

    def warn(self, text: str, **fields: str) -> None:
        """What was ignored, or went wrong without consequence."""
        self.write("warning", text, **fields)

    def mistake(self, text: str, problem: "Optional[BaseException]" = None, **fields: str) -> None:
        """A mistake of ours; with --debug, where."""
        if problem is not None and self.is_debug:
            import traceback

            text += " " + " | ".join(traceback.format_exception(problem)).replace("\n", " ")
        elif problem is not None:
            text += f": {type(problem).__name__}: {problem}{_place(problem)}"
        self.write("error", text, **fields)


def _place(problem: BaseException) -> str:
    """Where it was raised."""
    trace, found = problem.__traceback__, ""
    while trace is not None:
        found = f" ({trace.tb_frame.f_code.co_filename.rpartition('/pyoci/')[2]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found


def _quote(text: str) -> str:
    kept = "".join(char if char.isprintable() else " " for char in text)
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'
