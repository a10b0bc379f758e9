"""Lists of CPUs and memory nodes, such as `0-3,7` → bits."""

from pyoci.errors import Error


def number_mask(text: str, most: int, what: str, where: str) -> int:
    """The numbers of a list as bits.

    most: how many there can be at all
    what: their name in errors: CPUs
    Errors: Error when it is no such list.
    """
    mask = 0
    for part in text.split(","):
        if not part.strip(" \n"):
            continue  # as the kernel, which passes over commas
        first, dash, last = part.strip(" \n").partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash) and first.isascii() and last.isascii()):
            raise Error(f"not a list of {what}: {text!r}", location=where, hint="such as 0-3,7")
        low, high = int(first), int(last or first)
        if low > high or high >= most:
            raise Error(f"no such range of {what}: {part!r}", location=where)
        mask |= (1 << high + 1) - (1 << low)
    return mask
