"""The command kill, and the names of signals."""

import _signal  # type: ignore[import-not-found]

from pyoci.cli.parse import decimal
from pyoci.errors import Error
from pyoci.ids import check_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call

_LAST = _signal.NSIG - 1


def main(call: "Call") -> int:
    """Sends a signal (TERM when none is named) to a container's first process, or with --all to every one."""
    name = check_id(call.arguments[0])
    number = signal_number(call.arguments[1]) if len(call.arguments) > 1 else int(_signal.SIGTERM)
    call.runtime().kill(name, number, call.yes("all"))
    return 0


def signal_number(text: str) -> int:
    """The number of a signal given as `9`, `KILL`, `sigkill`, `RTMIN+3`. Raises Error `unknown signal "FOO"`."""
    number = decimal(text, _LAST)
    if number < 0:
        number = _by_name(text)
    if number < 0:
        raise Error(f'unknown signal "{text}"', hint="use a number or a name of signal(7) such as TERM", kind="refused")
    return number


def _by_name(text: str) -> int:
    name = text.upper() if text.isascii() else ""
    name = name.removeprefix("SIG")
    if name[:5] in ("RTMIN", "RTMAX"):
        return _real_time(name)
    if not name.isalnum():  # keeps SIG_BLOCK and its like out
        return -1
    name = "SIG" + name
    return int(getattr(_signal, name, -1))


def _real_time(name: str) -> int:
    first, last = int(_signal.SIGRTMIN), int(_signal.SIGRTMAX)
    base, sign = (first, "+") if name[:5] == "RTMIN" else (last, "-")
    if len(name) == 5:
        return base
    offset = decimal(name[6:], last - first)
    if name[5] != sign or offset < 0:
        return -1
    return base + offset if sign == "+" else base - offset
