"""The command stats: what containers use, as a live table, as graphs, as JSON lines, or for a metrics collector."""

from __future__ import annotations

import os
import signal
import time

from pyoci.cli.call import Call
from pyoci.cli.graph import History, Look, frame
from pyoci.cli.openmetrics import exposition
from pyoci.cli.output import STDOUT, show
from pyoci.cli.units import size
from pyoci.container.stats import Rates, Reading, read
from pyoci.errors import Error
from pyoci.ids import check_id
from pyoci.json.document import dump

FORMATS = ("table", "json", "openmetrics")
_HOME = "\x1b[H"  # to the top left corner
_CLEAR = _HOME + "\x1b[J"  # and the rest of the screen away
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor


def main(call: Call) -> int:
    """Prints readings until interrupted, or until all named containers have stopped; with --once, one."""
    names = [check_id(name) for name in call.arguments]
    form = call.text("format") or "table"
    if form not in FORMATS:
        raise Error("invalid format option", hint=f"--format is one of {', '.join(FORMATS)}", kind="refused")
    interval = call.seconds("interval", 1.0)
    if interval <= 0:
        raise Error("duration interval must be greater than 0", location="--interval")
    if call.yes("graph"):
        _check_graph(call)
    try:
        if call.yes("graph"):
            _draw(call, names, interval)
        else:
            _print(call, names, form, interval)
    except KeyboardInterrupt:
        pass
    return 0


def _print(call: Call, names: list[str], form: str, interval: float) -> None:
    once = call.yes("once")
    readings = _read(call, names)
    if form == "openmetrics":
        show(exposition(readings))
        return
    if form == "json" and once:
        show(_json(readings, {}))
        return
    clear = _CLEAR if form == "table" and not once and _terminal() else ""
    due = time.monotonic() + interval
    while True:
        before = {reading.container: reading for reading in readings}
        time.sleep(max(0.0, due - time.monotonic()))
        due += interval
        readings = _read(call, names)
        rates = {now.container: Rates(before[now.container], now) for now in readings if now.container in before}
        show(clear + table(readings, rates) if form == "table" else _json(readings, rates))
        if once or (names and all(reading.stats is None for reading in readings)):
            return


def _check_graph(call: Call) -> None:
    """Raises Error where no graph can be drawn."""
    if call.yes("once") or call.text("format"):
        raise Error("--graph goes with neither --once nor --format", kind="refused")
    if not _terminal() or os.environ.get("TERM") == "dumb":
        hint = "--format json is for programs and files"
        raise Error("--graph needs a terminal as standard output", hint=hint, kind="refused")


def _draw(call: Call, names: list[str], interval: float) -> None:
    """Draws until interrupted, or until all named containers have stopped; anew when the terminal changes its size."""
    look = Look.here()
    histories: dict[str, History] = {}
    # Blocked, a change of size waits for sigtimedwait, which ends early for it
    signal.signal(signal.SIGWINCH, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGWINCH,))
    show(_HIDE)
    try:
        while True:
            readings = _read(call, names)
            histories = {now.container: histories.get(now.container) or History() for now in readings}
            for now in readings:
                histories[now.container].add(now)
            _show_frame(list(histories.values()), look)
            if names and all(reading.stats is None for reading in readings):
                return
            due = time.monotonic() + interval
            while (rest := due - time.monotonic()) > 0 and signal.sigtimedwait((signal.SIGWINCH,), rest):
                _show_frame(list(histories.values()), look)
    finally:
        show(_SHOW)


def _show_frame(histories: list[History], look: Look) -> None:
    """Draws over what is there; a line is cleared to its end, so that nothing flickers."""
    columns, rows = os.get_terminal_size(STDOUT)
    # A line that fills its row would wrap on some terminals; the last row is the cursor's
    lines = frame(histories, (columns or 80) - 1, (rows or 24) - 1, look)
    show(_HOME + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")


def _read(call: Call, names: list[str]) -> list[Reading]:
    """A reading; the root need not exist, as for list."""
    try:
        return read(call.runtime(), names, call.yes("all"))
    except FileNotFoundError:
        return []


def _terminal() -> bool:
    return os.isatty(STDOUT)


def _json(readings: list[Reading], rates: dict[str, Rates]) -> str:
    lines = []
    for reading in readings:
        line: dict[str, object] = {"id": reading.container, "status": reading.status}
        if rate := rates.get(reading.container):
            line["cpu_percent"] = round(rate.cpu, 2)
            line["read_bytes_per_second"] = round(rate.read)
            line["write_bytes_per_second"] = round(rate.write)
        line["stats"] = reading.stats
        lines.append(dump(line) + "\n")
    return "".join(lines)


_HEADER = (
    "ID",
    "STATUS",
    "CPU %",
    "MEMORY",
    "LIMIT",
    "PIDS",
    "READ/S",
    "WRITE/S",
    "CPU WAIT %",
    "MEM WAIT %",
    "IO WAIT %",
)


def table(readings: list[Reading], rates: dict[str, Rates]) -> str:
    """A header and a line for each container; the last three columns are pressure over ten seconds."""
    rows = [_HEADER] + [_row(reading, rates.get(reading.container)) for reading in readings]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def _row(reading: Reading, rates: Rates | None) -> tuple[str, ...]:
    if reading.stats is None:
        return (reading.container, reading.status, *["-"] * (len(_HEADER) - 2))
    limit = reading.memory_limit()
    waits = (reading.pressure(section) for section in ("cpu", "memory", "blkio"))
    return (
        reading.container,
        reading.status,
        "-" if rates is None else f"{rates.cpu:.1f}",
        size(reading.memory()),
        "-" if limit is None else size(limit),
        str(reading.pids()),
        "-" if rates is None else size(rates.read),
        "-" if rates is None else size(rates.write),
        *("-" if share is None else f"{share:.1f}" for share in waits),
    )
