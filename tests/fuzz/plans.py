"""Plans to start from: one of each operation, and one of all."""

from pathlib import Path

from pyoci.plan.model import Plan
from pyoci.plan.words import OPERATIONS

SAMPLES = {"i": 7, "s": "a string", "l": ("one", "", "three"), "b": b"\0\1\2\3"}


def seeds(directory: Path) -> None:
    """Writes them."""
    whole = Plan()
    for number, (_, _, fields) in enumerate(OPERATIONS):
        plan = Plan()
        for target in (plan, whole):
            target.add((number, f"place[{number}]", tuple(SAMPLES[kind] for kind, _ in fields)))
        (directory / str(number)).write_bytes(plan.encode())
    (directory / "whole").write_bytes(whole.encode())
