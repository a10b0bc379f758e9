"""Paths by their text alone: no link is followed."""


def components(path: str) -> "list[str]":
    """The names in a path, `.` and `..` resolved without ever leaving the top, as a chroot would."""
    names: "list[str]" = []
    for name in path.split("/"):
        if name == "..":
            del names[-1:]
        elif name not in ("", "."):
            names.append(name)
    return names


def clean(path: str) -> str:
    """A path from /, without `.`, `..` and doubled slashes."""
    path = "/" + path.lstrip("/")
    if "//" not in path and "/." not in path and path[-1] != "/":
        return path
    return "/" + "/".join(components(path))
