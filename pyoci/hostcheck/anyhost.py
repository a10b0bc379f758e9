"""What create would refuse on any host: the plan is made for one that has everything, so that validate and create
judge alike. What is left to the host (cgroups, Intel RDT, the filters that its libseccomp can make) is `--host`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyoci.errors import Error
from pyoci.host import Host
from pyoci.hostcheck.refusals import refusals
from pyoci.validate.catalog import CATALOG, ERRORS
from pyoci.validate.musts import platform

if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.validate.musts import Finding, Json

CODE = "not-creatable"
_OF_THE_HOST = ("intelRdt", "resources", "seccomp")
_PROCESS = {"args": ["/"], "cwd": "/", "user": {"uid": 0, "gid": 0}}


class _Same(tuple):  # type: ignore[type-arg]
    """Equal to any device that is asked for."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


class _All(list):  # type: ignore[type-arg]
    """A list that has every name."""

    def __contains__(self, name: object) -> bool:
        return True


class AnyHost(Host):
    """A host of root's that lacks nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.euid = self.egid = 0

    def confined(self) -> bool:
        """It is the host's own root."""
        return False

    def read(self, path: str) -> str | None:
        """No file says that something is not there."""
        return None

    def exists(self, path: str) -> bool:
        """All is there."""
        return True

    def same_file(self, one: str, other: str) -> bool:
        """A namespace's path is that of another one."""
        return False

    def device(self, path: str) -> tuple[int, int, int] | None:
        """The one that is asked for."""
        return _Same()

    def may_reach(self, path: str, uid: int, gid: int) -> bool:
        """No directory is closed."""
        return True

    def is_directory(self, path: str) -> bool:
        """The rootfs is one."""
        return True

    def on_procfs(self, path: str) -> bool:
        """A source may be one."""
        return True

    def permitted(self) -> int:
        """All capabilities."""
        return 2**64 - 1

    def last_capability(self) -> int:
        """The highest that there may be."""
        return 63

    def helper(self, name: str) -> str | None:
        """Every program is installed."""
        return f"/usr/bin/{name}"

    def has_apparmor(self) -> bool:
        """It is enabled."""
        return True

    def has_selinux(self) -> bool:
        """It is enabled."""
        return True

    def network_devices(self, path: str) -> list[str]:
        """Ours are all that are named, the container's namespace has none."""
        return [] if path else _All()

    def full_proc_mounts(self, root: str) -> list[str]:
        """None is in the way."""
        return []


def everywhere(config: Json, known: list[Finding]) -> list[Finding]:
    """Everything that create would refuse on any host, but for mounts and the like that something is known of.

    config: as the commands take it, without what the schema or a rule refuses
    """
    if platform(config) != "linux":
        return []
    try:
        from pyoci.plan.compile import compile_create
        from pyoci.plan.request import Request
    except ImportError:  # another system, on which nothing can be created, and the shim is not
        return []

    def compile_plan(rest: dict[str, Any], without_cgroups: bool) -> Plan:
        request = Request(rest, AnyHost(), "/bundle", "any")
        request.cgroup_mounts = lambda options: []
        return compile_create(request, [])

    linux = {name: value for name, value in (config.get("linux") or {}).items() if name not in _OF_THE_HOST}
    whole = {"process": _PROCESS, **config, "linux": linux}
    try:
        found = refusals(whole, compile_plan, CODE)
    except Error:
        return []
    places = {item[1][:2] for item in known if CATALOG[item[0]][0] in ERRORS}  # warnings hide nothing
    return [item for item in found if item[0] == CODE and item[1] and item[1][:2] not in places]
