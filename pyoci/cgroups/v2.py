"""The manager for cgroup v2: one cgroup, its limits set before a process is born in it."""

import errno
import posix
import time

from pyoci.cgroups import tree
from pyoci.cgroups.host import Host, Layout, read_file, read_value
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.cgroups.limits_v2 import Limits

FREEZE_SECONDS = 10.0
SIGKILL = 9


def plan(host: Host, layout: Layout, cgroups_path: str, container_id: str, resources: "dict[str, Any]") -> "Manager":
    """Decide the path and the settings; nothing is changed.

    An absolute path starts at the top of the tree; a relative one, or the container's id without any, beside our own
    cgroup: below it no controller could be enabled while we are in it. All as runc does it.
    """
    names = tree.components(cgroups_path or container_id)
    if not names:
        raise Error("names the root of the tree", location="linux.cgroupsPath")
    above = [] if cgroups_path.startswith("/") else tree.components(layout.unified_own)[:-1]
    path = tree.join(layout.unified, above + names)
    manager = Manager(host, path, tree.missing(layout.unified, path))
    manager.base = layout.unified
    manager.optional = not cgroups_path
    from pyoci.cgroups.limits_v2 import Limits

    manager.limits = Limits(host, layout.unified, resources, "linux.resources")
    manager.warnings = manager.limits.warnings
    manager.check_frozen()
    if path not in manager.made:
        tree.refuse_if_used(host, path)
    return manager


class Manager:
    """A container's v2 cgroup. Made by plan() for a new container, by load() for one that exists."""

    __slots__ = ("base", "host", "limits", "made", "optional", "owner", "path", "warnings")

    def __init__(self, host: Host, path: str, made: "list[str]") -> None:
        self.host = host
        self.path = path  # "" for a rootless container that had to do without
        self.base = host.root
        self.made = made
        self.optional = False
        self.owner: "Optional[int]" = None  # the host's uid that may make cgroups below ours
        self.warnings: "list[str]" = []
        self.limits: "Optional[Limits]" = None

    def check_frozen(self) -> None:
        """Refuse a frozen cgroup or a frozen parent: a process in it would never run, and we would wait for ever."""
        for level in tree.levels(self.base, self.path):
            if level in self.made:
                return  # from here on down it does not exist yet
            try:
                frozen = _event(read_value(level + "/cgroup.events"), "frozen")
            except OSError:
                return  # nor does it by now
            if frozen:
                ours = level == self.path
                text = "container's cgroup unexpectedly frozen" if ours else f"cgroup {level} is frozen"
                raise Error(
                    text, location="linux.cgroupsPath", hint="a process in it could not run; thaw it first", kind="host"
                )

    # record

    def record(self) -> "dict[str, Any]":
        """For state.json; complete before create(), so that a killed command's leftovers can be found."""
        paths = {"": self.path} if self.path else {}
        return {"driver": "cgroupfs", "version": 2, "cgroup_paths": paths, "made": self.made}

    # life

    def create(self) -> None:
        """create_early(), after which nothing is left to do."""
        self.create_early()

    def create_late(self) -> None:
        """Nothing is left to do."""

    def create_early(self) -> None:
        """Make the cgroup, get its controllers enabled from the top down, set the limits, all but the device rules."""
        fresh: "list[str]" = []
        try:
            tree.make(self.host, self.base, self.path, fresh)
        except OSError as error:
            self._without_cgroup(error.errno or 0)
            return
        finally:
            self.made += [path for path in fresh if path not in self.made]
        try:
            if self.path not in fresh:
                tree.refuse_if_used(self.host, self.path)
        except Error:
            self.forget()
            self.made = fresh
            raise
        self._settle_type()
        self.limit()

    def limit(self) -> None:
        """Get the controllers enabled from the top down, set the limits, all but the device rules, and hand the cgroup
        to the container's user."""
        from pyoci.cgroups.limits_v2 import delegate, enable

        enable(self.host, self.base, self.path)
        if self.limits is not None:
            self.limits.write(self.path)
        if self.owner is not None:
            delegate(self.host, self.path, self.owner)

    def _without_cgroup(self, number: int) -> None:
        """Rootless without delegation: fine for a container that asked for nothing."""
        denied = number in (errno.EACCES, errno.EPERM, errno.EROFS) and self.host.rootless()
        asks = self.limits is not None and any(not setting.idle for setting in self.limits.settings)
        if denied and self.optional and not asks:
            self.path = ""
            self.made = []
            return
        hint = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups" if denied else ""
        raise Error(step=f"make cgroup {self.path}", errno=number, location="linux.cgroupsPath", hint=hint)

    def forget(self) -> None:
        """This cgroup turned out to be somebody else's: from now on, leave it alone."""
        self.path = ""
        self.made = []

    def _settle_type(self) -> None:
        """Below a threaded cgroup ours has to be threaded as well, where only some controllers can be."""
        if read_value(self.path + "/cgroup.type").strip() != "domain invalid":
            return
        domain = {"memory", "io", "cpu", "hugetlb"}
        limits = self.limits.settings if self.limits else []
        if any(setting.controller in domain and not setting.idle for setting in limits):
            text = f'cannot enter cgroupv2 "{self.path}" with domain controllers -- it is in an invalid state'
            raise Error(text, location="linux.cgroupsPath", hint="a parent of it is threaded", kind="host")
        self._write("cgroup.type", "threaded")

    def _write(self, name: str, value: str) -> None:
        fd = self.host.open_dir(self.path)
        try:
            self.host.write(fd, name, value)
        except OSError as error:
            raise Error(step=f"write {value!r} to {self.path}/{name}", errno=error.errno or 0) from None
        finally:
            posix.close(fd)

    def fd(self) -> "Optional[int]":
        """A descriptor for clone3's CLONE_INTO_CGROUP, which the caller closes; None where there is no cgroup."""
        return self.host.open_dir(self.path) if self.path else None

    def birthplace(self, sub: "dict[str, str]", init_pid: int) -> int:
        """A descriptor for clone3's CLONE_INTO_CGROUP, which the caller closes, or -1: to move a process makes the
        kernel wait for an RCU grace period. init_pid: of the container, for `exec`; 0 for its first process."""
        fd = self.exec_fd(sub, init_pid) if init_pid else self.fd()
        return -1 if fd is None else fd

    def tasks(self, sub: "dict[str, str]", init_pid: int, born: bool) -> "Optional[list[int]]":
        """Nothing is to be joined by who was born there; None: join() has to move it."""
        return [] if born else None

    def join(self, pid: int) -> None:
        """Move a process there, where it could not be born there."""
        if self.path:
            self._write("cgroup.procs", str(pid))

    def apply(self) -> None:
        """Set the device rules, which limit nobody who waits: see v1.py."""
        if self.limits is not None and self.path:
            self.limits.write_rules(self.path)

    def exec_fd(self, sub: "dict[str, str]", init_pid: int) -> "Optional[int]":
        """A descriptor for the clone of an `exec`: the container's cgroup, or `sub[""]` below it."""
        if not self.path:
            return None
        from pyoci.cgroups.subpath import leaf_in

        below = _one_sub(sub)
        return leaf_in(self.host, self.path, below) if below else self.host.open_dir(self._home(init_pid))

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

    def exec_join(self, pid: int, sub: "dict[str, str]", init_pid: int) -> None:
        """Move a process of `exec` there, where it could not be born there."""
        fd = self.exec_fd(sub, init_pid)
        if fd is None:
            return
        try:
            self.host.write(fd, "cgroup.procs", str(pid))
        except OSError as error:
            raise Error(step=f"join cgroup {self.path}", errno=error.errno or 0) from None
        finally:
            posix.close(fd)

    # state

    def pids(self) -> "list[int]":
        """The container's processes, those in cgroups below its own included; our pid numbers."""
        return tree.all_pids(self.host, self.path) if self.path else []

    def empty(self) -> bool:
        """Whether no process is left."""
        try:
            return not self.path or not _event(read_value(self.path + "/cgroup.events"), "populated")
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
        """Stop every process; returns when all have stopped, of which the kernel notifies us."""
        self._need("freeze the container")
        self._write("cgroup.freeze", "1")
        if wait_event(self.path, "frozen", 1, FREEZE_SECONDS):
            return
        self._write("cgroup.freeze", "0")
        raise Error("its processes did not stop in time, it is left running", step="freeze the container", kind="host")

    def _need(self, step: str) -> None:
        if not self.path:
            raise Error("the container has no cgroup", step=step, kind="state")

    def thaw(self) -> None:
        """Let every process run again."""
        self._need("resume the container")
        self._write("cgroup.freeze", "0")

    def release(self) -> None:
        """Nothing to do: v2 kills frozen processes, too."""

    def kill(self, number: int) -> None:
        """Send a signal to every process, none escaping by a fork. SIGKILL works on a paused container as well."""
        if not self.path or self.empty():
            return
        try:
            if number == SIGKILL and tree.exists(self.path + "/cgroup.kill"):  # kernel 5.14
                self._write("cgroup.kill", "1")
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
            return _event(read_file(self.path + "/memory.events"), "oom_kill")
        except OSError:
            return None

    def stats(self) -> "dict[str, Any]":
        """Figures in the shape of runc's events; what a controller lacks is left out."""
        from pyoci.cgroups.stats_v2 import collect

        return collect(self.path)

    def update(self, resources: "dict[str, Any]", tell: "Optional[Callable[[], None]]" = None) -> None:
        """Change limits; absent and null properties stay. Device rules, if there are any, replace the former ones
        in one step, so that there is no moment without. tell: as of change_all()."""
        from pyoci.cgroups.limits_v2 import Limits
        from pyoci.cgroups.settings import changing

        limits = Limits(self.host, self.base, self.with_quota_and_period(resources), "")
        if (resources.get("memory") or {}).get("checkBeforeUpdate") and self.path:
            from pyoci.cgroups.compile import check_room

            check_room(resources, "", int(read_file(self.path + "/memory.current")))
        self.warnings = limits.warnings
        if not resources.get("devices"):
            limits.rules = None
        limits.write(self.path, changing(tell))
        limits.write_rules(self.path)

    def with_quota_and_period(self, resources: "dict[str, Any]") -> "dict[str, Any]":
        """The same, with the half of quota and period that is not given as it is now: cpu.max is both."""
        cpu = resources.get("cpu") or {}
        if not self.path or bool(cpu.get("quota")) == bool(cpu.get("period")):
            return resources
        quota, period = read_file(self.path + "/cpu.max").split()
        now = {"quota": -1 if quota == "max" else int(quota), "period": int(period)}
        return {**resources, "cpu": {**cpu, **{key: value for key, value in now.items() if not cpu.get(key)}}}

    def remove_unused(self) -> bool:
        """destroy() if nobody is in the cgroup, and none is below: rmdir(2) itself knows that. False if not: then it
        takes kill() and destroy()."""
        if not self.path:
            return True
        try:
            self.host.rmdir(self.path)
        except OSError as error:
            if not tree.is_gone(error):
                return False
            tree.check_gone(self.path)
        self._remove_parents()
        return True

    def destroy(self) -> None:
        """Remove the cgroup, those below, and the parents we made that are empty."""
        if self.path:
            wait_event(self.path, "populated", 0, tree.REMOVE_SECONDS)
            tree.remove(self.host, self.path)
        self._remove_parents()

    def _remove_parents(self) -> None:
        tree.remove_made(self.host, [path for path in self.made if path != self.path])

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


def _event(text: str, name: str) -> int:
    """One number of a file of `name number` lines."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def wait_event(path: str, name: str, value: int, seconds: float) -> bool:
    """Wait until cgroup.events says so; the kernel wakes poll(2) at each change. True as well if the cgroup is gone."""
    import select

    try:
        fd = posix.open(path + "/cgroup.events", posix.O_RDONLY)
    except FileNotFoundError:
        return True
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    try:
        while _event(posix.pread(fd, 4096, 0).decode(), name) != value:
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
