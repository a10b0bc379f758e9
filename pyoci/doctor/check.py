"""One answer of the doctor's."""

from __future__ import annotations

from collections.abc import Callable

from pyoci.errors import Error


class Check:
    """Whether something is there.

    group, name: what it is
    works:       whether it is
    detail:      what was found, or what went wrong
    cure:        what to do about it, "" where it works
    needed:      whether containers as engines ask for them cannot do without
    """

    __slots__ = ("cure", "detail", "group", "name", "needed", "works")

    def __init__(
        self, group: str, name: str, works: bool, detail: str = "", *, cure: str = "", needed: bool = False
    ) -> None:
        self.group = group
        self.name = name
        self.works = works
        self.detail = detail
        self.cure = "" if works else cure
        self.needed = needed

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {name: getattr(self, name) for name in ("group", "name", "works", "needed", "detail", "cure")}


def tried(
    group: str, name: str, ask: Callable[[], str], *, cure: str | Callable[[Error], str] = "", needed: bool = False
) -> Check:
    """The check that ask() makes: it gives what was found, or raises Error, whose hint goes before `cure`.

    cure: a function is told of the error, and has the last word
    """
    try:
        return Check(group, name, True, ask(), needed=needed)
    except Error as problem:
        found, hint = str(problem), problem.hint
        detail = found[: -len(f" ({hint})")] if hint else found
        known = (hint or cure) if isinstance(cure, str) else cure(problem)
        return Check(group, name, False, detail, cure=known, needed=needed)
