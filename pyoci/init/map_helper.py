"""Runs newuidmap and newgidmap, which write the id maps that only root may write."""

from pyoci import _shim
from pyoci.errors import Error

_PATIENCE = 10000  # milliseconds; they look users up, perhaps over a network


def write_map(path: str, pid: int, numbers: "tuple[str, ...]", where: str) -> None:
    """Lets a helper write a map of a process.

    path:    the helper's, absolute
    numbers: containerID, hostID and size of each range
    Errors: Error with the helper's own words.
    """
    args = tuple([word.encode() for word in (path, str(pid), *numbers)])
    result, status, ending, output = _shim.hook(path.encode(), args, (), b"/", b"", _PATIENCE, -1)
    if result < 0:
        raise Error(f"start {path}", location=where, errno=-result)
    if ending:
        raise Error(f"{path} does not end", location=where, kind="host")
    if status != 0:
        words = " ".join(output.decode("utf-8", "replace").split())
        file = "/etc/subuid" if path.endswith("newuidmap") else "/etc/subgid"
        raise Error(
            words or f"{path} failed", location=where, hint=f"{file} must grant you the ids of the config", kind="host"
        )
