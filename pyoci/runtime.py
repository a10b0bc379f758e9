"""The runtime for Python programs, and for the command line: a method for each operation.

runtime = Runtime("/run/pyoci")
runtime.create("web", CreateOptions("/bundles/web", detach=True))
runtime.start("web")
print(runtime.state("web")["status"])
"""

from pyoci.container.state import Store
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Optional, TypeVar

    from pyoci.checkpoint.request import CriuOptions
    from pyoci.container.create import Created
    from pyoci.documents.results import State, Stats
    from pyoci.options import CreateOptions, ExecOptions
    from pyoci.plan.model import Plan
    from pyoci.process.process import Process
    from pyoci.process.streams import Stream

    Options = TypeVar("Options", CreateOptions, ExecOptions)
    Pids = list[int]  # inside the class `list` is a method
    Listing = tuple[list[State], list[str]]


class Runtime:
    """All containers whose state lies in one directory.

    root:           that directory, absolute
    cgroup_manager: cgroupfs, systemd or disabled: who makes cgroups of new containers
    rootless:       auto, true or false: accepted for callers' sake; what the kernel allows decides
    warn:           called with a sentence for what was ignored
    Every method raises pyoci.errors.Error, and nothing else, for what goes wrong.
    """

    __slots__ = ("cgroup_manager", "rootless", "store", "warn")

    def __init__(
        self,
        root: str,
        *,
        cgroup_manager: str = "cgroupfs",
        rootless: str = "auto",
        warn: "Optional[Callable[[str], None]]" = None,
    ) -> None:
        self.store = Store(root)
        self.cgroup_manager = cgroup_manager
        self.rootless = rootless
        self.warn = warn

    def create(
        self,
        container: str,
        options: "CreateOptions",
        *,
        stdin: "Stream" = None,
        stdout: "Stream" = None,
        stderr: "Stream" = None,
        pass_fds: "Sequence[int]" = (),
        text: bool = False,
        encoding: "Optional[str]" = None,
        errors: "Optional[str]" = None,
    ) -> "Process":
        """Creates a container from a bundle; its first process, which is returned, waits for start.

        stdin, stdout, stderr, text, encoding, errors: as in subprocess.Popen
        pass_fds: descriptors that become its 3, 4 and so on
        """
        from pyoci.container.create import create
        from pyoci.process.process import hold
        from pyoci.process.streams import Streams

        with Streams(stdin, stdout, stderr, pass_fds) as streams:
            options = _passing(options, len(pass_fds))
            created = create(self.store, container, options, self.cgroup_manager, self.warn, None, streams)
            created.entry.close()
            return hold(container, created, streams, text, encoding, errors)

    def create_detached(self, container: str, options: "CreateOptions") -> None:
        """Creates a container whose process the caller has no use for, as the command does: nothing is given back."""
        from pyoci.container.create import create

        created = create(self.store, container, options, self.cgroup_manager, self.warn)
        created.process.close()
        created.entry.close()

    def start(self, container: str, notify_socket: str = "") -> None:
        """Lets a created container's process run its program.

        notify_socket: the caller's (sd_notify(3)); then returns when the container has said that it is ready, or ended
        """
        from pyoci.container.start import start, start_and_wait

        with self.store.open(container).load() as entry:
            if notify_socket:
                start_and_wait(entry, notify_socket)
            else:
                start(entry)

    def run(self, container: str, options: "CreateOptions") -> int:
        """create and start; unless detached, waits, removes the container, and returns the exit status."""
        from pyoci.container.run import run

        return run(self.store, container, options, self.cgroup_manager, self.warn)

    def exec(self, container: str, process: "dict[str, Any]", options: "ExecOptions") -> int:
        """Runs a process (as in config.json) in a container; unless detached, waits and returns its exit status.

        User, capabilities, limits, labels and scheduling that it leaves out are the container's.
        """
        from pyoci.container.exec import run_exec

        return run_exec(self.store, container, process, options, self.warn)

    def popen(
        self,
        container: str,
        process: "dict[str, Any]",
        options: "Optional[ExecOptions]" = None,
        *,
        stdin: "Stream" = None,
        stdout: "Stream" = None,
        stderr: "Stream" = None,
        pass_fds: "Sequence[int]" = (),
        text: bool = False,
        encoding: "Optional[str]" = None,
        errors: "Optional[str]" = None,
    ) -> "Process":
        """Starts a process (as in config.json) in a container and returns it; the other parameters are create's."""
        from pyoci.container.exec import execute
        from pyoci.options import ExecOptions
        from pyoci.process.process import hold
        from pyoci.process.streams import Streams

        with Streams(stdin, stdout, stderr, pass_fds) as streams:
            options = _passing(options or ExecOptions(), len(pass_fds))
            with self.store.look(container).load() as entry:
                joined = execute(entry, process, options, self.warn, streams)
            return hold(container, joined, streams, text, encoding, errors)

    def attach(self, container: str) -> "Process":
        """The first process of a container that this program, or another one, has created: to wait for its end.

        Its status is known where it is this program's child, else not.
        """
        from pyoci.process.process import attach

        with self.store.look(container).load() as entry:
            return attach(entry)

    def state(self, container: str) -> "State":
        """The state document."""
        with self.store.look(container).load() as entry:
            return entry.document()

    def list(self) -> "Listing":
        """The state documents of all containers, and a sentence for each directory that is none.

        Errors: FileNotFoundError when the root does not exist.
        """
        states, broken = [], []
        for name in self.store.names():
            try:
                states.append(self.state(name))
            except Error as problem:
                broken.append(f"load container {name}: {problem}")
        return states, broken

    def config(self, container: str) -> "dict[str, Any]":
        """The config that the container was created from."""
        with self.store.look(container) as entry:
            return entry.config()

    def kill(self, container: str, signal: int, everything: bool = False) -> None:
        """Sends a signal (its number) to the first process, or to every process."""
        from pyoci.container.kill import kill, kill_everything

        with self.store.look(container).load() as entry:
            if everything:
                kill_everything(entry, signal)
            else:
                kill(entry, signal)

    def delete(self, container: str, force: bool = False) -> None:
        """Removes a stopped container; by force one that runs, too, and what killed commands have left."""
        from pyoci.container.delete import delete, delete_by_force

        if force:
            delete_by_force(self.store, container, self.warn)
        else:
            delete(self.store, container, self.warn)

    def ps(self, container: str) -> "Pids":
        """The pids, as we see them, of every process in the container's cgroup and below; without one, of the first."""
        with self.store.look(container).load() as entry:
            return entry.pids()

    def pause(self, container: str) -> None:
        """Freezes every process of the container; returns when the kernel says so."""
        from pyoci.container.pause import pause

        with self.store.open(container).load() as entry:
            pause(entry)

    def resume(self, container: str) -> None:
        """Thaws a paused container."""
        from pyoci.container.pause import resume

        with self.store.open(container).load() as entry:
            resume(entry)

    def update(self, container: str, resources: "dict[str, Any]") -> None:
        """Changes limits; resources is as linux.resources in config.json, what is absent stays."""
        from pyoci.container.update import update

        with self.store.open(container).load() as entry:
            ignored = update(entry, resources)
        if self.warn is not None:
            for warning in ignored:
                self.warn(warning)

    def update_classes(self, container: str, schemas: "dict[str, str]") -> None:
        """Changes Intel RDT; schemas: l3CacheSchema and memBwSchema, as in linux.intelRdt."""
        from pyoci.container.update import update_classes

        with self.store.open(container).load() as entry:
            update_classes(entry, schemas)

    def checkpoint(self, container: str, options: "CriuOptions") -> None:
        """Saves a container to files; unless it goes on it is removed."""
        from pyoci.checkpoint.dump import checkpoint
        from pyoci.container.delete import destroy

        with self.store.open(container).load() as entry:
            checkpoint(entry, options)
            if not (options.has("leave-running") or options.has("pre-dump")):
                destroy(entry, self.warn)

    def restore(self, container: str, options: "CreateOptions", wanted: "CriuOptions") -> int:
        """Makes a container of such files; unless detached, waits, removes it, and returns the exit status."""
        from pyoci.checkpoint.restore import restore
        from pyoci.container.run import run_restored

        def restored() -> "Created":
            return restore(self.store, container, options, wanted, self.cgroup_manager, self.warn)

        return run_restored(restored, options, self.warn)

    def stats(self, container: str) -> "Stats":
        """What a running container has used, in the shape of runc's events."""
        from pyoci.container.events import statistics

        with self.store.look(container).load() as entry:
            return statistics(entry)

    def events(self, container: str, interval: float, emit: "Callable[[dict[str, Any]], None]") -> None:
        """Calls emit for statistics each interval seconds and for each kill for memory, until the container ends."""
        from pyoci.container.events import watch

        with self.store.look(container).load() as entry:
            watch(entry, interval, emit)

    def plan(self, options: "CreateOptions") -> "Plan":
        """What create would do, and what is missing for it, without doing it."""
        from pyoci.container.create import compile_bundle
        from pyoci.hostcheck.lacks import lacks
        from pyoci.validate.pointer import dotted

        _, config, _, plan = compile_bundle(self.store, "plan", options, self.cgroup_manager)
        for _, path, text, hint in lacks(config, options.bundle):
            plan.missing.append((dotted(path), f"{text} ({hint})" if hint else text))
        return plan

    def plan_restore(self, options: "CreateOptions", wanted: "CriuOptions") -> "Plan":
        """What restore would do, without doing it."""
        from pyoci.checkpoint.restore import compile_restore
        from pyoci.container.bundle import read_bundle

        _, config = read_bundle(options.bundle)
        return compile_restore(config, "plan", options, wanted, self.cgroup_manager)[1]

    def plan_exec(self, container: str, process: "dict[str, Any]", options: "ExecOptions") -> "Plan":
        """What exec would do, without doing it."""
        from pyoci.container.exec import plan_exec

        with self.store.look(container).load() as entry:
            return plan_exec(entry, process, options)

    def plan_update(self, container: str, resources: "dict[str, Any]") -> "Plan":
        """What update would do, without doing it."""
        from pyoci.container.update import plan_update

        with self.store.look(container).load() as entry:
            return plan_update(entry, resources)

    def plan_delete(self, container: str) -> "Plan":
        """What delete would do, without doing it."""
        from pyoci.container.delete import plan_delete

        with self.store.look(container).load() as entry:
            return plan_delete(entry)


def _passing(options: "Options", count: int) -> "Options":
    """The options, with so many descriptors to be handed on."""
    if not count:
        return options
    changed = options.__new__(type(options))  # as copy.copy does, whose module the command has no use for
    for name in getattr(options, "__slots__", None) or options.__dict__:  # slots are left out when it is installed
        setattr(changed, name, getattr(options, name))
    changed.preserve_fds = count - getattr(options, "listen_fds", 0)
    return changed
