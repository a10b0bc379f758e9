"""Files of the bundle and of the shim, and where containers' state lies."""

import posix

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPTIONS_FILE = "pyoci-shim.json"  # in the bundle, for `delete` when there is no shim any more
STATE_ROOT = "/run/containerd/pyoci"


def bundle_config(bundle: str) -> "dict[str, Any]":
    """The bundle's config.json, not checked: that is create's. {} where there is none, or another kind of document."""
    from pyoci.json.document import MAX_BYTES, parse

    try:
        fd = posix.open(f"{bundle}/config.json", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            config = parse(read_all(fd, MAX_BYTES))
        finally:
            posix.close(fd)
    except (OSError, Error):
        return {}
    return config if isinstance(config, dict) else {}


def read_all(fd: int, limit: int) -> bytes:
    """What a descriptor has until its end, up to a limit."""
    data = b""
    while len(data) <= limit and (piece := posix.read(fd, 1 << 16)):
        data += piece
    return data
