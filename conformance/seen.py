"""What the probe saw, with the questions that tests ask about it."""

from typing import Any, NamedTuple, Optional


class Mount(NamedTuple):
    """A line of mountinfo."""

    id: int
    parent: int
    root: str
    point: str
    options: set[str]
    peers: list[str]
    kind: str
    source: str
    super_options: set[str]


def unescape(text: str) -> str:
    """mountinfo's octal escapes back to what they stand for."""
    for code in ("040", "011", "012", "134"):
        text = text.replace("\\" + code, chr(int(code, 8)))
    return text


def parse_mountinfo(text: str) -> list[Mount]:
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        kind, source, super_options = ([*after.split(" ", 2), "", ""])[:3]
        found.append(
            Mount(
                id=int(words[0]),
                parent=int(words[1]),
                root=unescape(words[3]),
                point=unescape(words[4]),
                options=set(words[5].split(",")),
                peers=[word for word in words[6:] if word],
                kind=kind,
                source=unescape(source),
                super_options=set(super_options.split(",")),
            )
        )
    return found


class Seen(dict[str, Any]):
    """The probe's report as it came, a dictionary, and questions about it."""

    def mounts(self) -> list[Mount]:
        return parse_mountinfo(self.get("mountinfo") or "")

    def mount(self, point: str) -> Optional[Mount]:
        """The mount that is on top at a mount point."""
        return next((mount for mount in reversed(self.mounts()) if mount.point == point), None)

    def did(self, verb: str, operand: str = "") -> dict[str, Any]:
        """The outcome of an attempt; of the first of its verb when no operand is given."""
        for attempt in self.get("did", []):
            if attempt.get("verb") == verb and (not operand or attempt.get("operand") == operand):
                found: dict[str, Any] = attempt
                return found
        raise KeyError(f"the probe did not report {verb} {operand}")

    def environment(self) -> dict[str, str]:
        return dict(entry.partition("=")[::2] for entry in self["env"])
