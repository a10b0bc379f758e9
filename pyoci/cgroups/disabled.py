"""The manager for `--cgroup-manager disabled`: the container stays in its caller's cgroup, nobody limits it."""

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional

    from pyoci.plan.ops import RuntimeStep


class Manager:
    """No cgroup of the container's own."""

    __slots__ = ("before", "birth", "joined", "undo", "warnings")

    def __init__(self) -> None:
        self.before: "list[RuntimeStep]" = []
        self.birth: "list[RuntimeStep]" = []
        self.joined: "list[RuntimeStep]" = []
        self.undo: "list[RuntimeStep]" = []
        self.warnings: "list[str]" = []

    def record(self) -> "dict[str, Any]":
        """For state.json."""
        return {"driver": "disabled", "version": 0, "cgroup_paths": {}}

    def places(self, sub: "dict[str, str]", init_pid: int) -> "tuple[str, ...]":
        """None: the caller's cgroup is inherited."""
        if sub:
            self._refuse("--cgroup")
        return ()

    def born_in(self, places: "tuple[str, ...]") -> "tuple[str, ...]":
        """None: the caller's cgroup is inherited."""
        return ()

    def birthplace(self, places: "tuple[str, ...]") -> int:
        """The caller's cgroup is inherited."""
        return -1

    def tasks(self, places: "tuple[str, ...]", born: bool) -> "Optional[list[int]]":
        """Nothing to join."""
        return []

    def join(self, pid: int, places: "tuple[str, ...]" = ()) -> None:
        """The caller's cgroup is inherited."""

    def pids(self) -> "list[int]":
        """Unknown: its processes share a cgroup with others."""
        return []

    def empty(self) -> bool:
        """Nothing of it can be left in a cgroup of its own."""
        return True

    def frozen(self) -> bool:
        """It cannot be paused."""
        return False

    def freeze(self) -> None:
        """Refused: its processes share a cgroup with others."""
        self._refuse("pause")

    def thaw(self) -> None:
        """Refused: see freeze()."""
        self._refuse("resume")

    def release(self) -> None:
        """It cannot be paused."""

    def frozen_above(self) -> str:
        """Unknown: its processes share a cgroup with others."""
        return ""

    def kill(self, number: int) -> None:
        """Nothing: the init process is all that we know of it."""

    def oom_kills(self) -> "Optional[int]":
        """Not counted."""
        return None

    def stats(self) -> "dict[str, Any]":
        """Refused: nothing counts its processes apart from others."""
        self._refuse("read statistics")

    def change(self, resources: "dict[str, Any]", old: "dict[str, Any]") -> "NoReturn":
        """Refused."""
        self._refuse("update")

    def vacate(self) -> None:
        """Nothing: see kill()."""

    def mounts(self, options: "list[str]") -> "list[dict[str, Any]]":
        """No cgroup of its own to show."""
        return []

    def _refuse(self, step: str) -> "NoReturn":
        raise Error("the container was made without a cgroup (--cgroup-manager disabled)", step=step, kind="state")
