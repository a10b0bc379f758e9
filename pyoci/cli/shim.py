"""The command shim: what containerd's plugin is at."""

from __future__ import annotations

from typing import Any

from pyoci.cli.call import Call
from pyoci.cli.output import show
from pyoci.errors import Error
from pyoci.json.document import dump

FORMATS = ("table", "json")

_HEADER = ("PID", "NAMESPACE", "AGE", "MEMORY", "CONTAINERS", "IN FLIGHT")
_WAITS = ("Wait",)  # they last as long as a container: no sign of trouble
_GAP = 3


def main(call: Call) -> int:
    """Prints a table, or a JSON array."""
    form = call.text("format") or "table"
    if call.arguments[0] != "list":
        raise Error(f'there is no command "shim {call.arguments[0]}"', hint="it is `pyoci shim list`", kind="usage")
    if form not in FORMATS:
        raise Error("invalid format option", hint=f"--format is one of {', '.join(FORMATS)}", kind="refused")
    from pyoci.containerd.listing import shims  # not before the words are known to be right

    found = shims()
    show(dump(found) + "\n" if form == "json" else table(found))
    return 0


def table(found: list[dict[str, Any]]) -> str:
    """A line for each shim and for each template."""
    rows = [_HEADER, *(_row(shim) for shim in found)]
    widths = [max(len(row[index]) for row in rows) + _GAP for index in range(len(_HEADER) - 1)]
    lines = ["".join(cell.ljust(width) for cell, width in zip(row, widths)) + row[-1] for row in rows]
    return "".join(line.rstrip() + "\n" for line in lines)


def _row(shim: dict[str, Any]) -> tuple[str, ...]:
    memory, age = f"{shim['memory'] / 1e6:.1f} MB", _age(shim["age"])
    if shim["kind"] == "template":
        return str(shim["pid"]), "", age, memory, "(the template)", ""
    if "problem" in shim:
        return str(shim["pid"]), "", age, memory, "", shim["problem"]
    containers = [_container(one) for one in shim["containers"]]
    pending = [_request(one) for one in shim["requests"] if one["method"] not in _WAITS]
    if shim["events"] > 1:
        pending.append(f"{shim['events']} events")
    return str(shim["pid"]), shim["namespace"], age, memory, ", ".join(containers) or "none", ", ".join(pending)


def _container(one: dict[str, Any]) -> str:
    execs = f", {one['execs']} exec" if one["execs"] else ""
    return f"{one['id']} ({one['status']}{execs})"


def _request(one: dict[str, Any]) -> str:
    return " ".join(filter(None, (one["method"], one["id"], one["exec_id"], _age(one["age"]))))


def _age(seconds: float) -> str:
    """As people say it: its two largest parts."""
    whole = int(seconds)
    parts = ((whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s"))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return "".join(f"{count}{unit}" for count, unit in parts[first : first + 2])
