"""The seccomp listener of a process, sent to the agent that the config names (config-linux.md, "Seccomp")."""

import posix

from pyoci.container.files import send_descriptor
from pyoci.errors import Error
from pyoci.plan.request import from_bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_AGENT = "seccomp agent specified in the seccomp profile"


def send_listener(config: "dict[str, Any]", state: "dict[str, Any]", pid: int, fd: int) -> None:
    """Sends a listener, and closes it.

    state: the container's state document
    pid:   the process's that is filtered, as the runtime sees it
    Errors: Error when nobody listens at linux.seccomp.listenerPath.
    """
    from pyoci.jsondoc import dump

    profile = config["linux"]["seccomp"]
    document = {"ociVersion": config["ociVersion"], "fds": ["seccompFd"], "pid": pid}
    if profile.get("listenerMetadata"):
        document["metadata"] = profile["listenerMetadata"]
    document["state"] = state
    path = from_bundle(state["bundle"], profile["listenerPath"])
    try:
        send_descriptor(path, "linux.seccomp.listenerPath", dump(document).encode(), fd)
    except Error as problem:  # in runc's words, which scripts know
        sending = problem.text.startswith("send ")
        problem.step = "cannot send seccomp fd" if sending else f"failed to connect with {_AGENT}"
        raise
    finally:
        posix.close(fd)
