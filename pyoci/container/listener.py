"""The seccomp listener of a process, sent to the agent that the config names (config-linux.md, "Seccomp")."""

import posix

from pyoci.container.files import send_descriptor
from pyoci.plan.request import from_bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# in runc's words, which scripts know
_CONNECTING = "failed to connect with seccomp agent specified in the seccomp profile"
_SENDING = "cannot send seccomp fd"


def send_listener(config: "dict[str, Any]", state: "dict[str, Any]", pid: int, fd: int) -> None:
    """Sends a listener, and closes it.

    state: the container's state document
    pid:   the process's that is filtered, as the runtime sees it
    Errors: Error when nobody listens at linux.seccomp.listenerPath.
    """
    from pyoci.json.document import dump

    profile = config["linux"]["seccomp"]
    document = {"ociVersion": config["ociVersion"], "fds": ["seccompFd"], "pid": pid}
    if profile.get("listenerMetadata"):
        document["metadata"] = profile["listenerMetadata"]
    document["state"] = state
    path = from_bundle(state["bundle"], profile["listenerPath"])
    place, text = "linux.seccomp.listenerPath", dump(document).encode()
    try:
        send_descriptor(path, place, text, fd, connecting=_CONNECTING, sending=_SENDING)
    finally:
        posix.close(fd)
