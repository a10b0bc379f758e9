"""The manager for cgroup v1: a cgroup of the container in each hierarchy, and in a v2 tree beside them (hybrid)."""

import posix
import time

from pyoci.cgroups import tree
from pyoci.cgroups.host import UNIFIED, Host, Layout, read_value
from pyoci.errors import Error
from pyoci.fileio import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.cgroups.change import Change
    from pyoci.plan.ops import RuntimeStep

FREEZE_SECONDS = 10.0
SIGKILL = 9


class Manager:
    """A container's v1 cgroups. Made by compile_cgroups() for a new container, by load() for one that exists.

    before, birth, joined, undo: what makes and removes them, as in Plan
    """

    DENIED = ""
    VERSION = 1

    __slots__ = ("bases", "before", "birth", "host", "joined", "layout", "paths", "undo", "warnings")

    def __init__(self, host: Host, paths: "dict[str, str]", bases: "dict[str, str]") -> None:
        self.host = host
        self.paths = paths
        self.bases = bases
        self.layout: "Optional[Layout]" = None
        self.warnings: "list[str]" = []
        self.before: "list[RuntimeStep]" = []
        self.birth: "list[RuntimeStep]" = []
        self.joined: "list[RuntimeStep]" = []
        self.undo: "list[RuntimeStep]" = []

    # record

    def record(self) -> "dict[str, Any]":
        """For state.json; complete before create(), so that a killed command's leftovers can be found."""
        return {
            "driver": "cgroupfs",
            "version": 1,
            "cgroup_paths": {name: path for name, path in self.paths.items() if name != UNIFIED},
            "unified": self.paths.get(UNIFIED, ""),
        }

    # life

    def directories(self) -> "list[tuple[str, str]]":
        """(cgroup, mount point) of each hierarchy once; mounted together, two controllers share one. The freezer's is
        the last, so that it is removed first: when it refuses, vacate() has it still; when it goes, it could not have
        held a process of another."""
        unique: "dict[str, str]" = {}
        for controller, path in self.paths.items():
            unique[path] = self.bases.get(controller, "")
        freezer = self.paths.get("freezer", "")
        if freezer:
            unique[freezer] = unique.pop(freezer)
        return list(unique.items())

    def has(self, path: str) -> bool:
        """Whether this is a cgroup of the container."""
        return path in self.paths.values()

    def without(self, path: str) -> None:
        """A cgroup could not be made, and the container does without."""
        self.forget([path])

    def forget(self, foreign: "list[str]") -> None:
        """Cgroups are not the container's."""
        self.paths = {controller: path for controller, path in self.paths.items() if path not in foreign}

    def no_cgroup(self, controller: str) -> Error:
        """The error for a limit of a container that does without."""
        return Error(f"cannot set {controller} limit: container could not join or create cgroup", kind="missing")

    def vacate(self) -> None:
        """Ends every process that is left."""
        if not self.empty():
            self.kill(SIGKILL)

    def places(self, sub: "dict[str, str]", init_pid: int) -> "tuple[str, ...]":
        """Where a process of `exec` goes: a cgroup of the container's and a path below it, the next one's, and so on.

        sub: a controller, or "" for all, to a path below; init_pid: of the container's first process
        """
        for controller in sub:
            if controller and controller not in self.paths:
                hint = "the container is in no cgroup of that controller"
                text = f"unknown controller {controller} in SubCgroupPaths"
                raise Error(text, step="--cgroup", hint=hint, kind="refused")
        found: "dict[str, str]" = {}
        for controller, path in self.paths.items():
            if path not in found:
                found[path] = sub.get(controller, sub.get("", ""))
        return tuple([text for place in found.items() for text in place])

    def born_in(self, places: "tuple[str, ...]") -> "tuple[str, ...]":
        """The one of these places in which a process can be born: that of a v2 tree beside v1."""
        unified = self.paths.get(UNIFIED)
        for at in range(0, len(places), 2):
            if places[at] == unified:
                return places[at : at + 2]
        return ()

    def birthplace(self, places: "tuple[str, ...]") -> int:
        """A descriptor of the cgroup to be born in, which the caller closes: of a v2 tree beside v1, else -1. v1's
        cgroups a process joins later: there is time to make them. places: as of born_in(), or () for the
        container's own cgroup."""
        unified = self.paths.get(UNIFIED, "")
        if not unified:
            return -1
        try:
            return _open_below(self.host, unified, places[1] if places else "")
        except (Error, OSError):
            return -1

    def tasks(self, places: "tuple[str, ...]", born: bool) -> "Optional[list[int]]":
        """What a process joins by itself, which is quick (csrc/init/init.c): descriptors of each hierarchy's `tasks`;
        the caller closes them. None where something is in the way: join() moves it there, or tells what. born: whether
        it was born in its birthplace()."""
        unified = self.paths.get(UNIFIED, "")
        if born != bool(unified):
            return None
        opened: "list[int]" = []
        places = places or self.places({}, 0)
        try:
            for at in range(0, len(places), 2):
                if places[at] != unified:
                    opened.append(_open_tasks(self.host, places[at], places[at + 1]))
        except (Error, OSError):
            for fd in opened:
                posix.close(fd)
            return None
        return opened

    def join(self, pid: int, places: "tuple[str, ...]" = ()) -> None:
        """Moves a process, which must still have one thread only, to every hierarchy."""
        places, unified = places or self.places({}, 0), self.paths.get(UNIFIED, "")
        for at in range(0, len(places), 2):
            _join(self.host, pid, places[at], places[at + 1], places[at] == unified)

    # state

    def pids(self) -> "list[int]":
        """The container's processes, those in cgroups below its own included; our pid numbers.

        All hierarchies are asked: a process may have been moved out of one of them, or caught on its way in.
        """
        found: "dict[int, None]" = {}
        for path, _ in self.directories():
            for pid in tree.all_pids(self.host, path):
                found[pid] = None
        return list(found)

    def empty(self) -> bool:
        """Whether no process is left."""
        return not self.pids()

    def state_of(self, path: str) -> str:
        """What the freezer says of a cgroup, "" where there is none."""
        try:
            return read_value(path + "/freezer.state").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            if tree.is_gone(error):
                return ""
            raise

    def frozen(self) -> bool:
        """Whether the container itself was paused; a frozen parent does not count."""
        if "freezer" not in self.paths or self.state_of(self.paths["freezer"]) in ("", "THAWED"):
            return False
        return read_value(self.paths["freezer"] + "/freezer.self_freezing").strip() == "1"

    def freeze(self) -> None:
        """Stops every process; returns when all have stopped. v1 gives no notification, so the state is read again."""
        path = self._freezer()
        fd = self.host.open_dir(path)
        try:
            self._freeze_until(fd, time.monotonic() + FREEZE_SECONDS)
        finally:
            posix.close(fd)

    def _freeze_until(self, fd: int, deadline: float) -> None:
        pause, tries = 0.0005, 0
        self.host.write(fd, "freezer.state", "FROZEN")
        while self.host.read(fd, "freezer.state").strip() != "FROZEN":
            if time.monotonic() > deadline:
                self.host.write(fd, "freezer.state", "THAWED")
                raise Error(
                    "its processes did not stop in time, it is left running", step="freeze the container", kind="host"
                )
            tries += 1
            if tries % 50 == 0:  # a task caught in a fork may never count as frozen: let it run a moment
                self.host.write(fd, "freezer.state", "THAWED")
            time.sleep(pause)
            pause = min(pause * 2, 0.01)
            self.host.write(fd, "freezer.state", "FROZEN")

    def _freezer(self) -> str:
        if "freezer" not in self.paths:
            raise Error("the container is in no freezer cgroup", step="freeze the container", kind="state")
        return self.paths["freezer"]

    def thaw(self) -> None:
        """Lets every process run again."""
        fd = self.host.open_dir(self._freezer())
        try:
            self.host.write(fd, "freezer.state", "THAWED")
        finally:
            posix.close(fd)

    def release(self) -> None:
        """Lets processes that were sent SIGKILL die: v1 does not deliver it to frozen processes. Cgroups below may
        be frozen, too, by an engine inside or by the container itself."""
        path = self.paths.get("freezer", "")
        try:
            if self.frozen():
                self.thaw()
        except OSError as error:
            if not tree.is_gone(error):
                raise
        if not tree.has_children(path):
            return
        for fd in tree.subtree(self.host, path):
            try:
                self.host.write(fd, "freezer.state", "THAWED")
            except OSError as error:
                if not tree.is_gone(error):
                    raise

    def frozen_above(self) -> str:
        """The frozen cgroup above the container's own, below which no process can end; "" for none."""
        path = self.paths.get("freezer", "")
        try:
            while path and read_value(path + "/freezer.parent_freezing").strip() == "1":
                path = path.rpartition("/")[0]
                if read_value(path + "/freezer.self_freezing").strip() == "1":
                    return path
        except OSError as error:
            if not tree.is_gone(error):
                raise
        return ""

    def kill(self, number: int) -> None:
        """Sends a signal to every process, none escaping by a fork: they are stopped meanwhile.

        SIGKILL needs a paused container to run again, else v1 would not deliver it; others leave it paused.
        """
        if self.empty():
            return
        if not tree.exists(self.paths.get("freezer", "")):  # none, or nobody was in it when it was removed
            self._signal(number)
            return
        try:
            self._kill_stopped(number)
        except (Error, OSError):
            if tree.exists(self.paths["freezer"]):
                raise
            self._signal(number)  # another command, which removes the container as well, has come to that meanwhile

    def _kill_stopped(self, number: int) -> None:
        stay_frozen = number != SIGKILL and self.frozen()
        try:
            self.freeze()
        except Error:
            if number != SIGKILL:
                raise  # SIGKILL reaches what cannot be stopped as well
        try:
            self._signal(number)
        finally:
            if number == SIGKILL:
                self.release()
            elif not stay_frozen:
                self.thaw()

    def _signal(self, number: int) -> None:
        """To each process; SIGKILL also to those that one outside of the freezer's cgroup has made meanwhile."""
        seen: "set[int]" = set()
        while found := [pid for pid in self.pids() if pid not in seen]:
            tree.signal_all(found, number)
            seen.update(found)
            if number != SIGKILL:
                return

    def oom_kills(self) -> "Optional[int]":
        """How many processes the kernel killed for memory; None where that is not counted."""
        try:
            text = read_file(self.paths["memory"] + "/memory.oom_control")
        except (KeyError, OSError):
            return None
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
        return None

    def stats(self) -> "dict[str, Any]":
        """Figures in the shape of runc's events; what a hierarchy lacks is left out."""
        from pyoci.cgroups.stats_v1 import collect

        return collect(self.paths)

    def change(self, resources: "dict[str, Any]", old: "dict[str, Any]") -> "Change":
        """What gives it new limits; absent and null properties stay. old: the resources so far."""
        from pyoci.cgroups.change import for_v1

        return for_v1(self, resources, old)

    def with_quota_and_period(self, resources: "dict[str, Any]") -> "dict[str, Any]":
        """The same, with the half of quota and period that is not given as it is now: for systemd, which wants both."""
        cpu = resources.get("cpu") or {}
        if "cpu" not in self.paths or bool(cpu.get("quota")) == bool(cpu.get("period")):
            return resources
        files = (("quota", "cpu.cfs_quota_us"), ("period", "cpu.cfs_period_us"))
        now = {key: int(read_file(f"{self.paths['cpu']}/{file}")) for key, file in files}
        return {**resources, "cpu": {**cpu, **{key: value for key, value in now.items() if not cpu.get(key)}}}

    def mounts(self, options: "list[str]") -> "list[dict[str, Any]]":
        """What a mount of type cgroup shows: see pyoci.cgroups.mounts."""
        from pyoci.cgroups.mounts import for_v1

        return for_v1(self.layout or self.host.layout(), self.paths)


def _join(host: Host, pid: int, path: str, below: str, is_unified: bool) -> None:
    """Writes the pid to cgroup.procs of a cgroup, or of one below it."""
    try:
        fd = _open_below(host, path, below)
        try:
            host.write(fd, "cgroup.procs", str(pid))
        finally:
            posix.close(fd)
    except Error as problem:
        if problem.errno:  # it is not there: in runc's words, which scripts know
            problem.step = f"error adding pid {pid} to cgroups: failed to write {pid}"
        raise
    except OSError as error:
        import errno

        if is_unified and error.errno in (errno.EBUSY, errno.EOPNOTSUPP, errno.EACCES):
            return  # the v2 tree beside v1 limits nothing of ours
        raise Error(step=f"join cgroup {path}", errno=error.errno or 0) from None


def _open_below(host: Host, path: str, below: str) -> int:
    if not below:
        return host.open_dir(path)
    from pyoci.cgroups.subpath import leaf_in

    return leaf_in(host, path, below)


def _open_tasks(host: Host, path: str, below: str) -> int:
    if not below:
        return host.open_file(path + "/tasks")
    fd = _open_below(host, path, below)
    try:
        return host.open_file("tasks", fd)
    finally:
        posix.close(fd)


def fill_cpuset(host: Host, base: str, path: str, fresh: "list[str]") -> None:
    """Gives each level without CPUs or memory nodes those of its parent: v1 lets no process in before. The `fresh` ones
    have none; where one has some, so have all above it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        without: "list[str]" = []
        for level in [*reversed(tree.levels(base, path)), base]:
            if level not in fresh and (value := read_value(f"{level}/{name}").strip()):
                break
            without.append(f"{level}/{name}")
        else:
            continue  # even the top has none: what could be given
        for file in reversed(without):
            host.write(None, file, value)
