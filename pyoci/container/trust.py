"""Whose a path is: what we keep must lie where nobody else can change it, or put something else in its place."""

import posix

from pyoci.errors import Error


def refuse_shared(path: str) -> None:
    """Refuses a directory that others may write to, or whose name they may give to another: one above it, or above what
    a symbolic link leads to, that is another user's or writable by all. Errors: Error."""
    place, rest, links = "", path.strip("/").split("/"), 0
    while True:
        try:
            found = posix.lstat(place or "/")
        except FileNotFoundError:
            return  # it is to be made
        except OSError as problem:
            raise Error(f"look at {place}", location="--root", errno=problem.errno or 0) from None
        if found.st_mode & 0o170000 == 0o120000 and links < 40:
            links += 1
            target = posix.readlink(place)
            place = "" if target[:1] == "/" else place.rpartition("/")[0]
            rest = [part for part in target.split("/") if part] + rest
            continue
        if found.st_mode & _writers(found.st_mode, bool(rest)) or not _is_trusted(found.st_uid, bool(rest)):
            break
        if not rest:
            return
        place = _step(place, rest.pop(0))
    hint = "choose another --root, or make this one mode 700 and your own"
    if rest:
        hint = f"a user who can write there can replace {path}; choose another --root"
    text = f"others can write to {place or '/'}: its owner is {found.st_uid}, its mode {found.st_mode & 0o7777:o}"
    raise Error(text, hint=hint, kind="refused")


def _step(place: str, part: str) -> str:
    if part in (".", ""):
        return place
    return place.rpartition("/")[0] if part == ".." else f"{place}/{part}"


def _is_trusted(owner: int, above: bool) -> bool:
    """Whether a directory's owner is root or we. In a user namespace the host's root has no number of its own."""
    if owner in (0, posix.geteuid()):
        return True
    if not above:
        return False
    from pyoci.cgroups.host import Host, read_value

    return Host().in_user_namespace() and owner == int(read_value("/proc/sys/kernel/overflowuid"))


def _writers(mode: int, above: bool) -> int:
    """The bits of a mode that must not be set. With the sticky bit names of ours are ours even where all may write."""
    if not above:
        return 0o022
    return 0 if mode & 0o1000 else 0o002
