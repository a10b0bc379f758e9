"""stats --graph: what is drawn fits the terminal, whatever its size, and shows what was read."""

from typing import Any, Optional

import pytest

from pyoci.cli.graph import History, Look, frame
from pyoci.container.stats import Reading

PLAIN = Look(colours=False)
MIB = 1 << 20


def stats(cpu: float, memory: int, limit: int = 0) -> dict[str, Any]:
    return {
        "cpu": {"usage": {"total": cpu * 1e9}},
        "memory": {"usage": {"usage": memory, "limit": limit}},
        "pids": {"current": 3},
    }


def history(name: str, *readings: "Optional[dict[str, Any]]") -> History:
    """Readings a second apart."""
    made = History()
    for when, reading in enumerate(readings):
        made.add(Reading(name, "running" if reading else "stopped", reading, float(when)))
    return made


def test_what_is_drawn() -> None:
    one = history("one", stats(0, MIB), stats(0.5, 2 * MIB, 64 * MIB), stats(1.5, 4 * MIB, 64 * MIB))
    assert frame([one], 40, 9, PLAIN)[:6] == [
        "one  running  3 processes",
        "CPU 100.0 %  (top: 100 %)",
        "█".rjust(40),
        "▄█".rjust(40),
        "██".rjust(40),
        "memory 4.0MiB of 64.0MiB  (top: 4.0MiB)",
    ]


@pytest.mark.parametrize("columns", [0, 1, 7, 20, 79, 300])
@pytest.mark.parametrize("rows", [0, 1, 2, 5, 6, 11, 23, 100])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_it_fits(columns: int, rows: int, count: int) -> None:
    busy = [stats(second * 0.37, second * MIB, 64 * MIB) for second in range(50)]
    histories = [history(f"container-{number}", *busy) for number in range(count)]
    lines = frame(histories, columns, rows, PLAIN)
    assert min(1, rows) <= len(lines) <= rows
    assert all(len(line) <= columns for line in lines)
    coloured = frame(histories, columns, rows, Look())
    assert [line.replace("\x1b[36m", "").replace("\x1b[32m", "").replace("\x1b[m", "") for line in coloured] == lines
    told = [line for line in lines if line.startswith("and ")]
    shown = [line for line in lines if line.startswith("container-")]
    if columns >= 20 and rows >= 2:
        assert bool(told) == (len(shown) < count)
        assert not told or told == [f"and {count - len(shown)} more"]


def test_little_is_seen_and_nothing_is_not() -> None:
    """One percent of the top is the lowest block; a container that does nothing leaves the row empty."""
    one = history("one", stats(0, 0), stats(0, 0), stats(0.9, 0), stats(0.901, MIB))
    lines = frame([one], 10, 6, PLAIN)
    assert lines[1:3] == ["CPU 0.1 % "[:10], "        ▇▁"]
    assert lines[3:] == ["memory 1.0", "         █"]


def test_stopped_ones_and_none() -> None:
    assert frame([], 80, 24, PLAIN) == ["no container is running"]
    gone = history("gone", stats(1, MIB), stats(2, MIB), None)
    assert frame([gone], 80, 24, PLAIN)[0] == "gone  stopped"


def test_how_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert Look.here().blocks[-1] == "█" and Look.here().colours
    monkeypatch.setenv("TERM", "linux")
    monkeypatch.setenv("NO_COLOR", "1")
    assert Look.here().blocks.isascii() and not Look.here().colours
