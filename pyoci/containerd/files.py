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
    from pyoci.fileio import read_all
    from pyoci.json.document import MAX_BYTES, parse

    try:
        fd = posix.open(f"{bundle}/config.json", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            config = parse(read_all(fd, MAX_BYTES + 1))
        finally:
            posix.close(fd)
    except (OSError, Error):
        return {}
    return config if isinstance(config, dict) else {}
