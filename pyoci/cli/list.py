"""The command list: every container under the root."""

from pyoci.cli.output import STDERR, show, write
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call
    from pyoci.documents.results import State

FORMATS = ("table", "json")

_HEADER = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_NARROWEST = 12
_GAP = 3


def main(call: "Call") -> int:
    """Prints a table, a JSON array, or with --quiet the ids; broken directories are named on standard error."""
    form = call.text("format") or "table"
    if form not in FORMATS:
        raise Error("invalid format option", hint=f"--format is one of {', '.join(FORMATS)}", kind="refused")
    states, warnings = _listing(call)
    for warning in warnings:
        write(STDERR, warning + "\n")
    if call.yes("quiet"):
        show("".join(f"{state['id']}\n" for state in states))
    elif form == "json":
        from pyoci.json.document import dump

        show(dump(states or None) + "\n")  # null for none, as runc's callers know it
    else:
        show(table(states))
    return 0


def _listing(call: "Call") -> "tuple[list[State], list[str]]":
    try:
        return call.runtime().list()
    except FileNotFoundError:
        return [], []  # the root is made by the first create


def table(states: "list[State]") -> str:
    """The table in runc's layout: columns at least 12 wide and 3 apart, the last one ragged."""
    rows = [_HEADER, *(tuple(str(state.get(name.lower(), "")) for name in _HEADER) for state in states)]
    widths = [max(_NARROWEST, _GAP + max(len(row[index]) for row in rows)) for index in range(len(_HEADER) - 1)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths)]
        lines.append("".join(padded) + row[-1] + "\n")
    return "".join(lines)
