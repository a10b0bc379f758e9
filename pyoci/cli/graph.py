"""Graphs of what containers use, in block characters, for a terminal of any size."""

from __future__ import annotations

import os
from collections import deque

from pyoci.cli.units import size
from pyoci.container.stats import Rates, Reading

_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN = " .:-=+*#@"
_BARE = ("linux", "ansi", "vt100", "vt102", "vt220")  # terminals whose fonts lack most blocks
_MOST_ROWS = 8  # of one graph; a higher one shows no more
_KEPT = 1000  # readings: more than any terminal is wide
_CPU, _MEMORY, _END = "\x1b[36m", "\x1b[32m", "\x1b[m"


class History:
    """The readings of one container, and what was used at each: percent of a processor, bytes."""

    def __init__(self) -> None:
        self.cpu: deque[float] = deque(maxlen=_KEPT)
        self.memory: deque[float] = deque(maxlen=_KEPT)
        self.last: Reading | None = None

    def add(self, reading: Reading) -> None:
        """Takes in one more reading; a container that has stopped adds nothing."""
        if reading.stats is not None:
            if self.last is not None and self.last.stats is not None:
                self.cpu.append(Rates(self.last, reading).cpu)
            self.memory.append(reading.memory())
        self.last = reading


class Look:
    """How graphs are drawn: with which characters, with or without colours."""

    def __init__(self, blocks: str = _BLOCKS, colours: bool = True) -> None:
        self.blocks = blocks
        self.colours = colours

    @classmethod
    def here(cls) -> Look:
        """As TERM and NO_COLOR want it. The locale is not known: the launcher drops it from the environment."""
        return cls(_PLAIN if os.environ.get("TERM") in _BARE else _BLOCKS, "NO_COLOR" not in os.environ)


def frame(histories: list[History], columns: int, rows: int, look: Look) -> list[str]:
    """The lines of a screen: for each container its name, a graph of the processor, one of memory. No line is longer
    than the screen is wide, and there are no more than it has; what finds no room is counted in the last line."""
    if not histories:
        return ["no container is running"[:columns]][:rows]
    fitting = max(1, min(len(histories), (rows - 1) // 5))  # a name, and twice a heading and a row
    if len(histories) * 5 <= rows:
        fitting = len(histories)
    rest = rows - (fitting < len(histories))
    height = max(1, min(_MOST_ROWS, (rest // fitting - 3) // 2))
    lines: list[str] = []
    for history in histories[:fitting]:
        lines += _container(history, columns, height, look)
    if fitting < len(histories):
        lines = [*lines[: rows - 1], f"and {len(histories) - fitting} more"[:columns]]
    return lines[:rows]


def _container(history: History, columns: int, height: int, look: Look) -> list[str]:
    reading = history.last
    assert reading is not None
    processes = f"  {reading.pids()} processes" if reading.stats is not None else ""
    title = f"{reading.container}  {reading.status}{processes}"
    cpu, memory = list(history.cpu)[-columns:] if columns else [], list(history.memory)[-columns:] if columns else []
    cpu_top, memory_top = _round(max(cpu, default=0)), _power(max(memory, default=0))
    now = f"{cpu[-1]:.1f}" if cpu else "-"
    limit = reading.memory_limit() if reading.stats is not None else None
    of = f" of {size(limit)}" if limit is not None else ""
    return [
        title[:columns],
        f"CPU {now} %  (top: {cpu_top:g} %)"[:columns],
        *_graph(cpu, cpu_top, columns, height, look, _CPU),
        f"memory {size(memory[-1]) if memory else '-'}{of}  (top: {size(memory_top)})"[:columns],
        *_graph(memory, memory_top, columns, height, look, _MEMORY),
    ]


def _graph(values: list[float], top: float, columns: int, height: int, look: Look, colour: str) -> list[str]:
    """Rows of blocks, the newest value at the right; what is used at all shows at least the lowest block."""
    steps = len(look.blocks) - 1
    filled = [max(round(value / top * steps * height), value > 0) for value in values]
    lines = []
    for row in reversed(range(height)):
        line = "".join(look.blocks[min(max(steps_of - row * steps, 0), steps)] for steps_of in filled)
        line = line.rjust(columns)
        lines.append(f"{colour}{line}{_END}" if look.colours else line)
    return lines


def _round(value: float) -> float:
    """The next of 10, 20, 50, 100 and so on."""
    top = 10.0
    while top < value:
        top *= 2.5 if str(top).startswith("2") else 2
    return top


def _power(value: float) -> float:
    """The next power of two, from 64 KiB on."""
    top = 65536.0
    while top < value:
        top *= 2
    return top
