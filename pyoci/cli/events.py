"""The command events: what happens to a container, one JSON object a line."""

from __future__ import annotations

from typing import Any

from pyoci.cli.call import Call
from pyoci.cli.output import show
from pyoci.errors import Error
from pyoci.ids import check_id
from pyoci.json.document import dump


def main(call: Call) -> int:
    """Prints statistics at an interval and each kill for memory; with --stats one reading."""
    name = check_id(call.arguments[0])
    interval = call.seconds("interval", 5.0)
    if interval <= 0:
        raise Error("duration interval must be greater than 0", location="--interval")
    if call.yes("stats"):
        _print({"type": "stats", "id": name, "data": call.runtime().stats(name)})
    else:
        call.runtime().events(name, interval, _print)
    return 0


def _print(event: dict[str, Any]) -> None:
    show(dump(event) + "\n")
