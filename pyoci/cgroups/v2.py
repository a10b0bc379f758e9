"""The manager for cgroup v2: one cgroup, its limits set before a process is born in it."""

import errno
import posix
import time

from pyoci.cgroups import tree
from pyoci.cgroups.host import Host, read_value
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
    """A container's v2 cgroup. Made by compile_cgroups() for a new container, by load() for one that exists.

    path: "" for a rootless container that had to do without
    before, birth, joined, undo: what makes and removes it, as in Plan
    """

    DENIED = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups"
    VERSION = 2

    __slots__ = ("base", "before", "birth", "host", "joined", "path", "undo", "warnings")

    def __init__(self, host: Host, path: str) -> None:
        self.host = host
        self.path = path
        self.base = host.root
        self.warnings: "list[str]" = []
        self.before: "list[RuntimeStep]" = []
        self.birth: "list[RuntimeStep]" = []
        self.joined: "list[RuntimeStep]" = []
        self.undo: "list[RuntimeStep]" = []

    # record

    def record(self) -> "dict[str, Any]":
        """For state.json; complete before create(), so that a killed command's leftovers can be found."""
        paths = {"": self.path} if self.path else {}
        return {"driver": "cgroupfs", "version": 2, "cgroup_paths": paths}

    # life

    def directories(self) -> "list[tuple[str, str]]":
        """(cgroup, mount point), if there is one."""
        return [(self.path, self.base)] if self.path else []

    def has(self, path: str) -> bool:
        """Whether this is the container's cgroup."""
        return path == self.path

    def without(self, path: str) -> None:
        """The cgroup could not be made, and the container does without."""
        self.path = ""

    def forget(self, foreign: "list[str]") -> None:
        """The cgroup turned out to be somebody else's, if it is among these."""
        if self.path in foreign:
            self.path = ""

    def no_cgroup(self, controller: str) -> Error:
        """The error for a limit of a container that does without."""
        return Error("the container has no cgroup to limit it with", kind="missing")

    def vacate(self) -> None:
        """Ends every process that is left, and waits until they are gone."""
        if not self.empty():
            self.kill(SIGKILL)
        if self.path:
            waitevent(self.path, "populated", 0, tree.REMOVE_SECONDS)

    def write(self, name: str, value: str) -> None:
        """Puts a value in one of its files."""
        fd = self.host.open_dir(self.path)
        try:
            self.host.write(fd, name, value)
        except OSError as error:
            raise Error(step=f"write {value!r} to {self.path}/{name}", errno=error.errno or 0) from None
        finally:
            posix.close(fd)

    def places(self, sub: "dict[str, str]", init_pid: int) -> "tuple[str, ...]":
        """Where a process of `exec` goes: a cgroup and a path below it. sub: "" to that path; init_pid: of the
        container's first process."""
        below = _one_sub(sub)
        if not self.path:
            return ()
        return (self.path, below) if below else (self._home(init_pid), "")

    def born_in(self, places: "tuple[str, ...]") -> "tuple[str, ...]":
        """The one of these places in which a process can be born: the only one."""
        return places

    def birthplace(self, places: "tuple[str, ...]") -> int:
        """A descriptor for clone3's CLONE_INTO_CGROUP, which the caller closes, or -1: to move a process makes the
        kernel wait for an RCU grace period. places: as places() has them, or () for the container's own cgroup."""
        if not self.path:
            return -1
        path, below = places or (self.path, "")
        if not below:
            return self.host.open_dir(path)
        from pyoci.cgroups.subpath import leaf_in

        return leaf_in(self.host, path, below)

    def tasks(self, places: "tuple[str, ...]", born: bool) -> "Optional[list[int]]":
        """Nothing is to be joined by a process that was born there; None: join() has to move it."""
        return [] if born else None

    def join(self, pid: int, places: "tuple[str, ...]" = ()) -> None:
        """Moves a process there, where it could not be born there."""
        fd = self.birthplace(places)
        if fd < 0:
            return
        try:
            self.host.write(fd, "cgroup.procs", str(pid))
        except OSError as error:
            from pyoci.cgroups.refusals import of_joining

            hint = of_joining(self.base, self.path, error.errno or 0)
            raise Error(step=f"join cgroup {self.path}", errno=error.errno or 0, hint=hint) from None
        finally:
            posix.close(fd)

    def _home(self, init_pid: int) -> str:
        """Where a process can be: the container's cgroup, unless init (systemd, say) moved itself below and gave
        controllers away there, which leaves the cgroup itself closed to processes: then where init is."""
        try:
            if not read_value(self.path + "/cgroup.subtree_control").strip():
                return self.path
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        # The container chooses the name: it may hold all but a newline and a slash
        for line in read_value(f"{self.host.proc}/{init_pid}/cgroup").split("\n"):
            if line[:3] == "0::" and "/../" not in f"{line[3:]}/":
                home = tree.join(self.base, tree.components(line[3:]))
                return home if home.startswith(self.path + "/") else self.path
        return self.path

    # state

    def pids(self) -> "list[int]":
        """The container's processes, those in cgroups below its own included; our pid numbers."""
        return tree.all_pids(self.host, self.path) if self.path else []

    def empty(self) -> bool:
        """Whether no process is left."""
        try:
            return not self.path or not event(read_value(self.path + "/cgroup.events"), "populated")
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV):
                return True
            raise

    def frozen(self) -> bool:
        """Whether the container itself was paused; a frozen parent does not count."""
        if not self.path:
            return False
        try:
            return read_value(self.path + "/cgroup.freeze").strip() == "1"
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV):
                return False
            raise

    def freeze(self) -> None:
        """Stops every process; returns when all have stopped, of which the kernel notifies us."""
        self._need("freeze the container")
        self.write("cgroup.freeze", "1")
        if waitevent(self.path, "frozen", 1, FREEZE_SECONDS):
            return
        self.write("cgroup.freeze", "0")
        raise Error("its processes did not stop in time, it is left running", step="freeze the container", kind="host")

    def _need(self, step: str) -> None:
        if not self.path:
            raise Error("the container has no cgroup", step=step, kind="state")

    def thaw(self) -> None:
        """Lets every process run again."""
        self._need("resume the container")
        self.write("cgroup.freeze", "0")

    def release(self) -> None:
        """Nothing to do: v2 kills frozen processes, too."""

    def frozen_above(self) -> str:
        """Nothing that matters: v2 kills frozen processes, too."""
        return ""

    def kill(self, number: int) -> None:
        """Sends a signal to every process, none escaping by a fork. SIGKILL works on a paused container as well."""
        if not self.path or self.empty():
            return
        try:
            if number == SIGKILL and tree.exists(self.path + "/cgroup.kill"):  # kernel 5.14
                self.write("cgroup.kill", "1")
            else:
                self._kill_stopped(number)
        except (Error, OSError):
            if tree.exists(self.path):
                raise  # else another command has removed it meanwhile: nobody is in it

    def _kill_stopped(self, number: int) -> None:
        stay_frozen = number != SIGKILL and self.frozen()
        self.freeze()
        try:
            tree.signal_all(self.pids(), number)
        finally:
            if not stay_frozen:
                self.thaw()

    def oom_kills(self) -> "Optional[int]":
        """How many processes the kernel killed for memory; None where that is not counted."""
        try:
            return event(read_file(self.path + "/memory.events"), "oom_kill")
        except OSError:
            return None

    def stats(self) -> "dict[str, Any]":
        """Figures in the shape of runc's events; what a controller lacks is left out."""
        from pyoci.cgroups.stats_v2 import collect

        return collect(self.path)

    def change(self, resources: "dict[str, Any]", old: "dict[str, Any]") -> "Change":
        """What gives it new limits; absent and null properties stay. old: the resources so far."""
        from pyoci.cgroups.change import for_v2

        return for_v2(self, resources)

    def with_quota_and_period(self, resources: "dict[str, Any]") -> "dict[str, Any]":
        """The same, with the half of quota and period that is not given as it is now: cpu.max is both."""
        cpu = resources.get("cpu") or {}
        if not self.path or bool(cpu.get("quota")) == bool(cpu.get("period")):
            return resources
        quota, period = read_file(self.path + "/cpu.max").split()
        now = {"quota": -1 if quota == "max" else int(quota), "period": int(period)}
        return {**resources, "cpu": {**cpu, **{key: value for key, value in now.items() if not cpu.get(key)}}}

    def mounts(self, options: "list[str]") -> "list[dict[str, Any]]":
        """What a mount of type cgroup shows: see pyoci.cgroups.mounts."""
        from pyoci.cgroups.mounts import for_v2

        return for_v2(self.base, self.path)


def _one_sub(sub: "dict[str, str]") -> str:
    for controller in sub:
        if controller:
            raise Error(
                f"cgroup v2 has one path for all controllers, not one for {controller!r}",
                step="--cgroup",
                kind="refused",
            )
    return sub.get("", "")


def event(text: str, name: str) -> int:
    """One number of a file of `name number` lines."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def waitevent(path: str, name: str, value: int, seconds: float) -> bool:
    """Waits until cgroup.events says so; the kernel wakes poll(2) at each change. True if the cgroup is gone, too."""
    try:
        fd = posix.open(path + "/cgroup.events", posix.O_RDONLY)
    except FileNotFoundError:
        return True
    import select

    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    try:
        while event(posix.pread(fd, 4096, 0).decode(), name) != value:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poll.poll(int(left * 1000) + 1)
        return True
    except OSError as error:
        if error.errno == errno.ENODEV:  # removed while we looked
            return True
        raise
    finally:
        posix.close(fd)
