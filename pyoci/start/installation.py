"""What keeps this installation from working, in words: what to install, or to move."""

import posix
import sys

# By the module that is missed: the library, Debian's package, and the feature that wants it; "": every command does
LIBRARIES = {
    "_cffi_backend": ("cffi", "python3-cffi-backend", ""),
    "google": ("protobuf", "python3-protobuf", "for checkpoints"),
    "jsonschema": ("jsonschema", "python3-jsonschema", "for what is wrong with a config"),
}


def reason(problem: ImportError) -> str:
    """Why a module cannot be imported."""
    name = (problem.name or "").partition(".")[0]
    if name in LIBRARIES:
        library, package, _ = LIBRARIES[name]
        cure = f"install it: {package} (Debian), or pip install {library}"
        return f"the Python library {library} is not installed ({cure})"
    standard = name in sys.builtin_module_names or name in sys.stdlib_module_names
    known = sys.modules.get("_pyoci")
    place = known.STDLIB if known is not None else sys.prefix
    if standard:
        return f"this installation cannot work: {_state(place)}"
    return f"this installation is not complete: {problem} (install pyoci again, with the Python that it is for)"


def _state(place: str) -> str:
    """What is wrong with the directory of Python's own library."""
    blocked = unreadable(place)
    if not blocked:
        return f"the Python library in {place} lacks modules (install Python again, then pyoci)"
    if blocked[1]:
        return (
            f"user {posix.geteuid()} may not read {blocked[0]}, which Python is in (move Python to where every user may"
            " read it, such as /usr or /opt, and install pyoci again with that one)"
        )
    return f"{blocked[0]} is not there, which Python was in (install that Python, or pyoci again with a present one)"


def unreadable(place: str) -> "tuple[str, bool] | None":
    """The first directory on the way that cannot be used, and whether it is there; None where all can be."""
    path = ""
    for part in place.strip("/").split("/"):
        path += f"/{part}"
        try:
            posix.stat(path)
        except PermissionError:
            return path.rpartition("/")[0] or "/", True
        except OSError:
            return path, False
    if not posix.access(place, posix.R_OK | posix.X_OK):
        return place, True
    return None
