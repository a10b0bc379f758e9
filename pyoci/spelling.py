"""Did you mean …? Only what is a slip of the keyboard away: a wrong guess is worse than none."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 64  # no word that we know is longer


def suggestion(word: str, known: Iterable[str], marks: str = "") -> str:
    """`did you mean "…"?` for a misspelt word, or nothing. marks: what stands before it where it is written."""
    found = closest(word, known)
    return f'did you mean "{marks}{found}"?' if found else ""


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that this one was probably meant to be, or nothing."""
    best, least = "", MOST
    for other in known if 1 < len(word) <= MOST else ():
        start = _common(word.lower(), other.lower())
        mine, theirs = word.lower()[start:], other.lower()[start:]
        away = distance(mine, theirs)
        if away < least and away <= max(1, min(len(mine), len(theirs)) // 3):
            best, least = other, away
    return best


def _common(word: str, other: str) -> int:
    """The length of what both begin with, as RLIMIT_ or SCMP_ACT_: nobody gets that right by meaning the other."""
    length = 0
    while length < min(len(word), len(other)) and word[length] == other[length]:
        length += 1
    return word.rfind("_", 0, length) + 1


def distance(one: str, other: str) -> int:
    """How many letters are to be changed, added, left out, or exchanged with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
