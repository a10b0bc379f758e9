"""Numbers that the specification requires, and that programs written in Go read as zero where they are absent. Callers
write such documents, and runc starts them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Optional

    from pyoci.validate.musts import Path

_DEVICE = ("major", "minor")
# Where; each `*` stands for every item of a list. Names of things (types, classes, policies, paths) have no zero,
# an id map must say whose ids it gives away (zero is root), and there is no device 0:0 to make
_PROCESS: "dict[str, tuple[str, ...]]" = {
    "user": ("uid", "gid"),
    "ioPriority": ("priority",),
    "consoleSize": ("height", "width"),
    "rlimits *": ("soft", "hard"),
}
_CONFIG: "dict[str, tuple[str, ...]]" = {
    **{f"process {place}": names for place, names in _PROCESS.items()},
    "linux resources devices *": ("allow",),
    "linux resources hugepageLimits *": ("limit",),
    "linux resources network priorities *": ("priority",),
    "linux resources blockIO weightDevice *": _DEVICE,
    **{
        f"linux resources blockIO throttle{kind}Device *": (*_DEVICE, "rate")
        for kind in ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")
    },
    "linux seccomp syscalls * args *": ("index", "value"),
}
PLACES = {"config": _CONFIG, "process": _PROCESS}


def fill(document: "Any", kind: str, places: "Optional[list[Path]]" = None) -> bool:
    """Writes a zero (false, for `allow`) for each such property that is absent; tells whether there was one.

    kind:   config or process
    places: gets the path of each
    """
    from pyoci.validate.musts import platform

    found = False
    if kind == "config" and (not isinstance(document, dict) or platform(document) == "windows"):
        return False  # its users have names
    for place, names in PLACES[kind].items():
        for path, value in _at(document, tuple(place.split()), ()):
            if not isinstance(value, dict):
                continue
            for name in names:
                if name not in value:
                    value[name] = False if name == "allow" else 0
                    found = True
                    if places is not None:
                        places.append((*path, name))
    return found


def _at(value: "Any", rest: "tuple[str, ...]", path: "Path") -> "Iterator[tuple[Path, Any]]":
    if not rest:
        yield path, value
    elif rest[0] == "*":
        for number, item in enumerate(value if isinstance(value, list) else ()):
            yield from _at(item, rest[1:], (*path, number))
    elif isinstance(value, dict) and rest[0] in value:
        yield from _at(value[rest[0]], rest[1:], (*path, rest[0]))
