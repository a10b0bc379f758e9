"""Lengths of time as Go writes them: `5s`, `1m30s`, `1.5h`, `200ms`."""

_UNITS = (("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("s", 1.0), ("m", 60.0), ("h", 3600.0))
_LONGEST = 2**63 / 1e9


def seconds(text: str) -> float:
    """The length in seconds, or -1.0 when the text is not a length of time."""
    if text == "0":
        return 0.0
    total = 0.0
    rest = text
    while rest:
        digits = 0
        while digits < len(rest) and (rest[digits] == "." or (rest[digits].isascii() and rest[digits].isdigit())):
            digits += 1
        number, rest = rest[:digits], rest[digits:]
        if not number.strip(".") or number.count(".") > 1 or digits > 30:
            return -1.0
        for unit, factor in _UNITS:
            if rest.startswith(unit):
                total += float(number) * factor
                rest = rest[len(unit) :]
                break
        else:
            return -1.0
    return total if text and total < _LONGEST else -1.0
