"""A manager's steps, done and undone as create and delete do them, without a container."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Optional

from pyoci import cgroups
from pyoci.cgroups.host import Host
from pyoci.container.delete import _UNDOES
from pyoci.container.perform import Work, as_record, perform
from pyoci.errors import Error


class InUse(Exception):
    """Somebody is in a cgroup that is to be removed."""


class Cgroups:
    """What a manager can do, and what its steps do.

    undo: what takes them back, as state.json has it; without it, what the manager says
    """

    def __init__(self, manager: Any, undo: "Optional[list[list[Any]]]" = None) -> None:
        self.manager = manager
        entry: Any = SimpleNamespace(record={"undo": as_record(manager.undo) if undo is None else undo})
        self.entry = entry
        self.work = Work(self.entry, manager)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.manager, name)

    def record(self) -> "dict[str, Any]":
        return {**self.manager.record(), **self.entry.record}

    def create_early(self) -> None:
        """What is there before a process is born."""
        perform(self.manager.before, self.work)

    def create_late(self) -> None:
        """What is made before it joins."""
        perform(self.manager.birth, self.work)

    def create(self) -> None:
        self.create_early()
        self.create_late()

    def birth(self, pid: int) -> None:
        """create_late() for a driver that needs the process."""
        process: Any = SimpleNamespace(pid=pid, pidfd=-1)
        self.work.process = process
        self.create_late()

    def apply(self) -> None:
        """What is done to a process in its cgroups."""
        perform(self.manager.joined, self.work)

    def update(self, resources: "dict[str, Any]") -> None:
        """What update does to cgroups, and what takes it back when it fails."""
        change = self.manager.change(resources, {})
        self.work.refused = []
        try:
            perform(change.steps(), self.work)
        except Error:
            self.work.refused = []
            perform(reversed(change.undo), self.work)
            raise

    def exec_join(self, pid: int, sub: "dict[str, str]", init_pid: int) -> None:
        """What exec does when the process cannot join by itself."""
        self.manager.join(pid, self.manager.places(sub, init_pid))

    def exec_fd(self, sub: "dict[str, str]", init_pid: int) -> int:
        """The cgroup in which exec's process is born."""
        fd: int = self.manager.birthplace(self.manager.places(sub, init_pid))
        return fd

    def destroy(self) -> None:
        self._walk(self.manager.vacate)

    def remove_unused(self) -> bool:
        """destroy(), unless somebody is in there."""
        try:
            self._walk(self._refuse)
        except InUse:
            return False
        return True

    def _refuse(self) -> None:
        raise InUse

    def _walk(self, vacate: "Callable[[], None]") -> None:
        stand_in: Any = SimpleNamespace(host=getattr(self.manager, "host", None), vacate=vacate)
        for name, where, fields in reversed(self.entry.record["undo"]):
            if name == "stop_unit":
                vacate()
                stand_in.stop = self.manager.stop
            _UNDOES[name](self.entry, stand_in, print, where, fields)


def plan(config: "dict[str, Any]", container_id: str, *, driver: str, host: "Optional[Host]" = None) -> Cgroups:
    """cgroups.compile_cgroups() with its steps."""
    return Cgroups(cgroups.compile_cgroups(config, container_id, driver=driver, host=host))


def load(record: "dict[str, Any]", host: "Optional[Host]" = None) -> Cgroups:
    """What another command has of Cgroups.record()."""
    record = json.loads(json.dumps(record))
    return Cgroups(cgroups.load(record, host=host), record["undo"])
