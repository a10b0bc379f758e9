"""What several unit tests are given."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture
def alarms() -> "Iterator[Callable[[Callable[[int, Any], None]], None]]":
    """Has a handler called by a signal every ten milliseconds, until the test ends: again and again, because the first
    may come just before what it is to interrupt."""
    before = signal.getsignal(signal.SIGALRM)

    def begin(handler: "Callable[[int, Any], None]") -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)

    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
