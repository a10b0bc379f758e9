"""The catalogue: every requirement of the specification that binds a Linux runtime, in words of our own."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CATALOGUE = Path(__file__).with_name("catalogue")
FILES = ("bundle", "runtime", "runtime-linux", "config", "config-linux", "features", "features-linux", "defacto")
MUST_LEVELS = ("MUST", "MUST NOT")
SHOULD_LEVELS = ("SHOULD", "SHOULD NOT", "STATED")
DEFACTO_LEVEL = "DEFACTO"
DOCUMENTS = "https://github.com/opencontainers/runtime-spec/blob/v1.3.0/"


@dataclass(frozen=True)
class Requirement:
    """One demand.

    id:           stable name, dotted, its first word the document
    level:        MUST, MUST NOT, SHOULD, SHOULD NOT; STATED for plain sentences without a keyword; DEFACTO
    anchor:       the section's anchor in the document
    since:        the version of the specification that brought it
    text:         the demand restated
    unobservable: why no test from outside can judge it, or ""
    """

    id: str
    level: str
    document: str
    anchor: str
    since: str
    text: str
    unobservable: str

    @property
    def link(self) -> str:
        """Where the demand stands, as people follow it."""
        return "" if self.level == DEFACTO_LEVEL else f"{DOCUMENTS}{self.document}#{self.anchor}"

    @property
    def place(self) -> str:
        return "de-facto interface" if self.level == DEFACTO_LEVEL else f"{self.document}#{self.anchor}"


def load() -> dict[str, Requirement]:
    """All requirements by id, in the order in which one reads the documents."""
    found: dict[str, Requirement] = {}
    for name in FILES:
        path = CATALOGUE / f"{name}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        for entry in content["requirements"]:
            requirement = Requirement(
                id=entry["id"],
                level=entry["level"],
                document=content["document"],
                anchor=entry["anchor"],
                since=entry["since"],
                text=entry["text"],
                unobservable=entry.get("unobservable", ""),
            )
            if requirement.id in found:
                raise ValueError(f"{path.name}: {requirement.id} is in the catalogue twice")
            found[requirement.id] = requirement
    return found


def version_key(version: str) -> tuple[int, ...]:
    """A version as something to compare; what follows the three numbers is left out."""
    numbers = version.split("-", maxsplit=1)[0].split("+", maxsplit=1)[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())


def matches(requirement: Requirement, patterns: Iterable[str]) -> bool:
    """Is the requirement named by one of the patterns: its id, or the beginning of it up to a dot?"""
    return any(
        requirement.id == pattern or requirement.id.startswith(pattern.rstrip(".") + ".") for pattern in patterns
    )


def levels(name: str) -> tuple[str, ...]:
    """The levels that `--level NAME` judges: must; should (and must); all, with the de-facto interface."""
    if name == "must":
        return MUST_LEVELS
    if name == "should":
        return MUST_LEVELS + SHOULD_LEVELS
    return (*MUST_LEVELS, *SHOULD_LEVELS, DEFACTO_LEVEL)


def chosen(patterns: list[str], level: str, spec: str) -> dict[str, Requirement]:
    """The requirements that a run judges.

    patterns: ids or beginnings of ids; none means all
    level:    see levels()
    spec:     the newest version of the specification that counts
    """
    limit = version_key(spec)
    return {
        requirement.id: requirement
        for requirement in load().values()
        if requirement.level in levels(level)
        and (not patterns or matches(requirement, patterns))
        and version_key(requirement.since) <= limit
    }
