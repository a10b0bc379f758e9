"""Lists of CPUs and memory nodes such as `0-3,7`, as the kernel reads them (cpuset(7), "List format")."""

from pyoci.errors import Error

MOST = 65536  # more CPUs than any kernel can be built for


def parse(text: str, where: str, what: str = "numbers", most: int = MOST) -> int:
    """The numbers of a list as bits: one, a range, or of a range the first USED of each GROUP (`0-31:2/8`).

    where: the place in the config
    what:  what the numbers are, for errors: CPUs
    most:  how many there can be at all
    Commas and blanks too many are passed over, as the kernel does. `all` and `N`, which only newer kernels know, are
    refused. Errors: Error when it is no such list.
    """
    bits = 0
    for part in text.replace(",", " ").split():
        span, colon, groups = part.partition(":")
        first, dash, last = span.partition("-")
        used, slash, group = groups.partition("/")
        low, high = _number(first), _number(last) if dash else _number(first)
        step, count = (_number(group), _number(used)) if colon else (1, 1)
        if min(low, high, step, count) < 0 or (colon and not (dash and slash)) or not count <= step or not step:
            raise Error(f"not a list of {what}: {text!r}", location=where, hint="such as 0-3,7")
        if low > high or high >= most:
            raise Error(f"no such range of {what}: {part!r}", location=where)
        for start in range(low, high + 1, step) if colon else ():
            bits |= (1 << min(start + count, high + 1)) - (1 << start)
        if not colon:
            bits |= (1 << high + 1) - (1 << low)
    return bits


def _number(text: str) -> int:
    """-1 for what is none, or of a length that no such number has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else -1


def numbers(bits: int) -> "list[int]":
    """The numbers of the bits that are set, in order."""
    return [number for number in range(bits.bit_length()) if bits >> number & 1]


def ranges(bits: int) -> str:
    """Bits as a list such as `0-3,7`."""
    parts: "list[str]" = []
    low = 0
    while bits >> low:
        if bits >> low & 1:
            high = low
            while bits >> high + 1 & 1:
                high += 1
            parts.append(f"{low}-{high}" if high > low else str(low))
            low = high
        low += 1
    return ",".join(parts)
