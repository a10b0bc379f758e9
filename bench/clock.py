"""Times programs turn by turn, and says what the figures have in common: median, spread, ratio pair by pair."""

import statistics
import subprocess
import tempfile
from collections.abc import Callable
from typing import NamedTuple


class Took(NamedTuple):
    """What one run of a program took."""

    seconds: float
    peak: int  # KiB resident at most


class Failed(Exception):
    """A program under measurement failed: there is no figure."""


class Clock:
    """Runs programs by the helper spawn.c."""

    def __init__(self, spawn: str) -> None:
        self.spawn = spawn

    def run(self, *words: str) -> Took:
        """Runs a program to its end, its input and output /dev/null. Raises Failed unless it succeeds."""
        with tempfile.TemporaryFile() as errors:  # not a pipe: a container keeps standard error open
            done = subprocess.run([self.spawn, *words], stdout=subprocess.PIPE, stderr=errors, check=False)
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace").strip()
        if done.returncode:
            raise Failed(f"{' '.join(words)}: could not be run: {said}")
        nanoseconds, peak, status = done.stdout.split()
        if status != b"0":
            raise Failed(f"{' '.join(words)}: status {status.decode()}: {said}")
        return Took(int(nanoseconds) / 1e9, int(peak))


class Sample(NamedTuple):
    """Figures of one contender, in the order of the rounds."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The bounds of the middle half."""
        if len(self.values) < 2:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    def over(self, other: "Sample") -> "Sample":
        """The ratios pair by pair: what slowed the machine down for a moment slowed both."""
        return Sample([mine / theirs for mine, theirs in zip(self.values, other.values)])


def turns(rounds: int, actions: "dict[str, Callable[[], float]]") -> dict[str, Sample]:
    """Lets contenders act in turn, the order reversed every other round, after a round that does not count."""
    values: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(-1, rounds):
        for name in list(actions) if number % 2 else list(actions)[::-1]:
            value = actions[name]()
            if number >= 0:
                values[name].append(value)
    return {name: Sample(found) for name, found in values.items()}
