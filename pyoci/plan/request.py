"""What a compilation starts from: the config, the host, and what the command line adds."""

from pyoci.host import Host
from pyoci.paths import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional


class Request:
    """One container to be compiled.

    config:     config.json as plain JSON, checked
    host:       facts about the host
    bundle:     absolute path of the bundle
    container:  the container's id
    state:      gives, for a status, the state document's text before and after its pid: what hooks get on stdin
    cgroup_mounts:  what a mount of type cgroup consists of (pyoci/cgroups/mounts.py); called with its data options
    keep_owner: standard streams stay whose they are
    supervised: "program": its first process is one of ours, and the program its child; "nobody": there is no program;
                "": the program is the first. The last descriptor handed on is that process's alone
    filters:    the state root, where compiled seccomp filters are kept; "" for nowhere
    """

    __slots__ = (
        "bundle",
        "cgroup_mounts",
        "config",
        "container",
        "filters",
        "host",
        "keep",
        "keep_owner",
        "linux",
        "listen_fdnames",
        "listen_fds",
        "no_new_keyring",
        "no_pivot",
        "notify",
        "process",
        "rootfs",
        "state",
        "supervised",
    )

    def __init__(self, config: "dict[str, Any]", host: "Host", bundle: str, container: str) -> None:
        self.config = config
        self.host = host
        self.bundle = bundle
        self.container = container
        self.linux: "dict[str, Any]" = config.get("linux") or {}
        self.process: "dict[str, Any]" = config.get("process") or {}
        self.rootfs = from_bundle(bundle, (config.get("root") or {}).get("path", ""))
        self.state: "Callable[[str], tuple[str, str]]" = lambda status: ("", "")
        self.cgroup_mounts: "Any" = None
        self.filters = ""
        self.no_pivot = False
        self.no_new_keyring = False
        self.notify = ""
        self.supervised = ""
        self.keep_owner = False
        self.listen_fds = 0
        self.listen_fdnames = ""
        self.keep = 0

    def namespace(self, kind: str) -> "Optional[dict[str, Any]]":
        """The entry of linux.namespaces of a type, None where the host's is used."""
        for entry in self.linux.get("namespaces") or ():
            if entry["type"] == kind:
                return entry  # type: ignore[no-any-return]
        return None

    def has_new(self, kind: str) -> bool:
        """Whether a new namespace of this type is asked for."""
        entry = self.namespace(kind)
        return entry is not None and not entry.get("path")


def from_bundle(bundle: str, path: str) -> str:
    """A path of config.json, where relative ones start at the bundle."""
    if path.startswith("/"):
        return clean(path)
    return clean(f"{bundle}/{path}")
