"""Sizes as people write them: 512m, 1.5GiB, 4096."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
DIGITS = 20  # of 2^64; int() refuses some thousands, float() makes infinity of some hundreds


def parse(text: str) -> "Optional[int]":
    """Bytes of a number with b, k, m, g or t (of 1024) and perhaps a b or ib behind it; None where it is no size."""
    short = text.lower()
    for ending in ("ib", "b"):
        if short.endswith(ending) and short[: -len(ending)][-1:] in ("k", "m", "g", "t"):
            short = short[: -len(ending)]
            break
    unit = _UNITS.get(short[-1:], 0)
    digits = short[:-1] if unit else short
    whole, dot, part = digits.partition(".")
    if not digits.isascii() or not whole.isdigit() or (dot and not part.isdigit()) or len(digits) > DIGITS:
        return None
    return int(float(digits) * unit) if dot else int(whole) * (unit or 1)
