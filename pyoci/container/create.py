"""create: compile the bundle, note what will be made, make it, and undo all of it should anything fail."""

import posix

import pyoci
from pyoci import _shim, cgroups
from pyoci.container.bundle import parse_config, read_bundle
from pyoci.container.files import hand_over_console
from pyoci.container.perform import Work, as_record, perform
from pyoci.container.state import EARLY_SOCKET, NOTIFY, Entry, Store, start_time
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.init.launch import Launch, Process, check
from pyoci.options import check_terminal
from pyoci.plan import ops
from pyoci.plan.compile import compile_create
from pyoci.plan.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.cgroups import Manager
    from pyoci.options import CreateOptions
    from pyoci.plan.model import Plan
    from pyoci.process.streams import Streams


class Created:
    """A container that waits for start.

    entry is still locked; process is our child; master is the pty's, or -1
    """

    __slots__ = ("entry", "master", "process")

    def __init__(self, entry: Entry, process: Process, master: int) -> None:
        self.entry = entry
        self.process = process
        self.master = master


def compile_bundle(
    store: Store, container: str, options: "CreateOptions", driver: str
) -> "tuple[bytes, dict[str, Any], Manager, Plan]":
    """All decisions about a container; changes nothing, but that compiled seccomp filters are kept in the store.

    driver: cgroupfs, systemd or disabled
    Errors: Error for everything in the config that cannot be done.
    """
    if options.config is None:
        data, config = read_bundle(options.bundle)
    else:
        from pyoci.json.document import dump

        try:
            text = dump(options.config).encode()
        except UnicodeEncodeError as problem:
            near = problem.object[max(0, problem.start - 20) : problem.end + 20]
            raise Error(f"config: {near!r} is no UTF-8 text, as config.json is", kind="refused") from None
        data, config = parse_config(text)
    return (data, config, *compile_config(store, container, options, driver, config))


def compile_config(
    store: Store, container: str, options: "CreateOptions", driver: str, config: "dict[str, Any]"
) -> "tuple[Manager, Plan]":
    """The same for a config that has been read and checked."""
    pyoci.mark("compile")
    manager = cgroups.compile_cgroups(config, container, driver=driver)
    request = Request(config, Host(), options.bundle, container)
    request.cgroup_mounts = manager.mounts
    request.filters = store.path
    request.no_pivot = options.no_pivot
    request.no_new_keyring = options.no_new_keyring
    request.keep, request.supervised, request.keep_owner = options.preserve_fds, options.supervised, options.keep_owner
    if options.notify_socket:
        request.notify = f"{store.path}/{container}/{NOTIFY}"
    request.listen_fds, request.listen_fdnames = options.listen_fds, options.listen_fdnames
    hook_env: "list[str]" = []
    if config.get("hooks"):
        from pyoci.container.hooks import environment, hook_state

        hook_env = environment()
        request.state = lambda status: _halves(hook_state(config, container, options.bundle, status, -1))
    plan = compile_create(request, hook_env)
    plan.warnings[:0] = manager.warnings
    complete(plan, manager, request, options)
    return manager, plan


def complete(plan: "Plan", manager: "Manager", request: "Request", options: "CreateOptions") -> None:
    """Adds to the plan of a container's first process what the runtime does beside it: cgroups, hooks, files."""
    plan.before = [ops.note("", request.rootfs), *manager.before]
    plan.birth, plan.joined = manager.birth, manager.joined
    plan.going.append(ops.record(""))
    if plan.has(ops.FORK):
        plan.last.append(ops.record(""))  # the process is another one by then
    plan.last.append(ops.ready(""))
    if plan.network:
        plan.last.append(ops.release_network("linux.netDevices"))
    if options.pidfd_socket:
        plan.last.append(ops.send_pidfd("--pidfd-socket", socket=options.pidfd_socket, message="standard"))
    if options.pid_file:
        plan.last.append(ops.pid_file("--pid-file", options.pid_file))
    plan.undo[:0] = manager.undo
    config = request.config
    if config.get("hooks"):
        from pyoci.plan.hooks import runtime_hooks

        plan.hooks = runtime_hooks(config, "prestart") + runtime_hooks(config, "createRuntime")
        plan.started = runtime_hooks(config, "poststart")
        plan.undo[:0] = reversed(runtime_hooks(config, "poststop"))  # undone from the last on, run from the first on


def _halves(state: "dict[str, Any]") -> "tuple[str, str]":
    """The document around its pid, which only init can know: its own, in its own pid namespace."""
    from pyoci.json.document import dump

    head, _, tail = dump(state).partition('"pid":-1')
    return head + '"pid":', tail


class Creation(Work):
    """A container being made.

    data: config.json as it was read
    """

    __slots__ = ("config", "data", "hooked", "launch", "master", "meanwhile", "options", "plan", "streams")

    def __init__(
        self,
        entry: Entry,
        config: "dict[str, Any]",
        manager: "Manager",
        plan: "Plan",
        options: "CreateOptions",
        data: bytes,
    ) -> None:
        super().__init__(entry, manager)
        self.config = config
        self.data = data
        self.plan = plan
        self.options = options
        self.meanwhile: "Optional[Callable[[], None]]" = None
        self.streams: "Optional[Streams]" = None
        self.master = -1
        self.hooked = False

    def note(self, rootfs: str) -> None:
        """Writes down what is going to be made, before it is made: a command killed at any later instant leaves enough
        for `delete --force`."""
        config, options = self.config, self.options
        self.entry.record = {
            "oci_version": config["ociVersion"],
            "id": self.entry.container,
            "init_process_pid": 0,
            "init_process_start": 0,
            "created": _now(),
            "bundle": options.bundle,
            "rootfs": rootfs,
            "annotations": config.get("annotations") or {},
            "owner": "",
            "no_pivot": options.no_pivot,
            "no_new_keyring": options.no_new_keyring,
            "notify": bool(options.notify_socket),
            "hooks": [kind for kind, hooks in (config.get("hooks") or {}).items() if hooks],
            "own_pids": _has_own_pids(config),
            "cgroup": self.manager.record(),
            "undo": as_record(self.plan.undo),
        }
        if self.plan.started:
            self.entry.record["poststart"] = as_record(self.plan.started)
        self.entry.save()
        self.entry.save_config(self.data)
        if options.notify_socket:
            posix.mkdir(NOTIFY, 0o755, dir_fd=self.entry.fd)

    def make(self) -> Process:
        """Makes cgroups and the process. Errors: Error; then undo() is to be called."""
        self.launch = launch = Launch(self.plan)
        launch.on_birth = self._on_birth
        launch.on_going = self._on_going
        launch.on_sync = {
            ops.SYNC_NAMESPACES: self._on_namespaces,
            ops.SYNC_HOOKS: self._on_hooks,
            ops.SYNC_CREATED: self._on_created,
            ops.SYNC_NETWORK: self._on_network,
        }
        launch.on_console = self._on_console
        launch.on_death = self._why_dead
        if self.streams is not None:
            launch.files = self.streams.files
        launch.extra = check(_shim.listen(self.entry.fd, EARLY_SOCKET.encode()), f"listen in {self.entry.path}")
        try:
            pyoci.mark("cgroup")
            perform(self.plan.before, self)
            launch.cgroup = self.manager.birthplace(())
            return launch.run()
        finally:
            launch.close_files()
            posix.close(launch.extra)

    def undo(self, problem: BaseException) -> None:
        """Takes back what was made. What goes wrong meanwhile must not hide the reason we are here."""
        from pyoci.container.delete import take_back

        pyoci.mark("undo")
        if self.master >= 0:
            posix.close(self.master)
        record = self.entry.record
        if not (self.hooked or (isinstance(problem, Error) and problem.kind == "hook")):
            record["undo"] = [step for step in record.get("undo", ()) if step[0] != "runtime_hook"]
        try:
            take_back(self.entry, self.manager, lambda text: None)
        except (Error, OSError) as left:
            if isinstance(problem, Error):
                problem.text += f" (and its cgroup is left behind, for `delete --force`: {left})"
            self._keep()

    def _keep(self) -> None:
        """Leaves what lives there to be found; not cgroups that turned out to be somebody else's."""
        try:
            if self.entry.record.get("cgroup"):
                self.entry.record["cgroup"] = self.manager.record()
                self.entry.save()
        except Error:
            pass  # the record before this one names all, and more
        self.entry.close()

    def remember(self) -> None:
        """Writes down which process it is."""
        pyoci.mark("state")
        record = self.entry.record
        record["init_process_pid"], record["init_process_start"] = self.process.pid, start_time(self.process.pid)
        self.entry.save()

    def _on_birth(self, process: Process) -> None:
        """Init makes its namespaces meanwhile. It joins its cgroups by itself where that is possible."""
        pyoci.mark("cgroup")
        self.process = process
        perform(self.plan.birth, self)
        tasks = self.manager.tasks((), self.launch.cgroup >= 0)
        if tasks is None:
            self.manager.join(process.pid)
        else:
            self.launch.tasks = tasks
        perform(self.plan.joined, self)
        self.entry.record["cgroup"] = self.manager.record()  # without privilege some, or all, could not be made
        if not self.plan.mapped:
            self._on_namespaces(process)

    def _on_going(self, process: Process) -> None:
        perform(self.plan.going, self)
        if self.meanwhile is not None:
            self.meanwhile()

    def _on_namespaces(self, process: Process) -> None:
        pyoci.mark("limits")
        self.process = process
        perform(self.plan.parent, self)

    def _on_network(self, process: Process) -> None:
        self.process = process
        perform(self.plan.network, self)

    def _on_hooks(self, process: Process) -> None:
        self.process = process
        self.hooked = True
        perform(self.plan.hooks, self)

    def _on_created(self, process: Process) -> None:
        self.process = process
        pyoci.mark("state")
        perform(self.plan.last, self)

    def _on_console(self, master: int) -> None:
        if self.streams is not None and not self.options.console_socket:
            self.master = master  # the program's, as it is
        else:
            self.master = hand_over_console(self.options.console_socket, master)

    def _why_dead(self) -> str:
        if not self.manager.oom_kills():
            return ""
        from pyoci.container.memory import TOO_LOW

        return TOO_LOW


def create(
    store: Store,
    container: str,
    options: "CreateOptions",
    driver: str,
    warn: "Optional[Callable[[str], None]]" = None,
    meanwhile: "Optional[Callable[[], None]]" = None,
    streams: "Optional[Streams]" = None,
) -> Created:
    """Creates a container; its process waits for start.

    options:   where the bundle is, and what the caller wants of it; detach tells whether a terminal needs a socket
    warn:      is told what was ignored, once the container is there
    meanwhile: what the caller will need afterwards, and can be done while init starts
    streams:   of a program that has the runtime in it; a terminal's master is then given back
    Errors: Error; then nothing is left.
    """
    store.refuse_taken(container)
    data, config, manager, plan = compile_bundle(store, container, options, driver)
    terminal = bool((config.get("process") or {}).get("terminal"))
    if streams is None:
        check_terminal(terminal, options.detach, options.console_socket)
    else:
        streams.check(terminal, options.console_socket)
    pyoci.mark("state")
    entry = store.make(container)
    for keep in plan.later:
        keep()
    creation = Creation(entry, config, manager, plan, options, data)
    creation.meanwhile = meanwhile
    creation.streams = streams
    try:
        process = creation.make()
    except BaseException as problem:
        creation.undo(problem)
        raise
    plan.tell(warn)
    return Created(entry, process, creation.master)


def _has_own_pids(config: "dict[str, Any]") -> bool:
    """Whether the end of the first process is the end of all: then one SIGKILL does for the whole container."""
    for space in (config.get("linux") or {}).get("namespaces") or ():
        if space["type"] == "pid":
            return not space.get("path")
    return False


def _now() -> str:
    """RFC 3339, UTC, with nanoseconds: Go callers parse it. The C library's calendar reads /etc/localtime first."""
    import time

    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    days, second = divmod(seconds, 86400)
    year, month, day = _date(days)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{year:04}-{month:02}-{day:02}T{clock}.{nanoseconds:09}Z"


def _date(days: int) -> "tuple[int, int, int]":
    """Year, month and day that many days after 1970-01-01. Counted from a March, years end with their leap day."""
    era, day = divmod(days + 719468, 146097)  # 400 years have as many days; the first such era began on 0000-03-01
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153  # the months from March on have 31, 30, 31, 30 and 31 days, and again
    return era * 400 + year + month // 10, (month + 2) % 12 + 1, day - (153 * month + 2) // 5 + 1
