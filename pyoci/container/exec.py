"""exec: one more process in a running container."""

import posix

import pyoci
from pyoci.container.files import hand_over_console
from pyoci.container.perform import Work, perform
from pyoci.container.state import Entry, is_exiting, open_process, start_time
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.init.launch import Launch, Process
from pyoci.options import check_terminal
from pyoci.plan import ops
from pyoci.plan.compile_exec import compile_exec
from pyoci.plan.request import Request
from pyoci.validate import check_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.cgroups import Manager
    from pyoci.container.state import Store
    from pyoci.options import ExecOptions
    from pyoci.plan.model import Plan
    from pyoci.process.streams import Streams


# What an exec has from the container's own process where its document leaves it out: none of it may be lost by being
# forgotten. The others (args, cwd, env, terminal, consoleSize) are the document's alone
_INHERITED = (
    "apparmorProfile", "capabilities", "execCPUAffinity", "ioPriority", "noNewPrivileges", "oomScoreAdj", "rlimits",
    "scheduler", "selinuxLabel", "user",
)  # fmt: skip


class Joined:
    """A process started in a container: our child; master is its pty's, or -1."""

    __slots__ = ("master", "process")

    def __init__(self, process: Process, master: int) -> None:
        self.process = process
        self.master = master


def run_exec(
    store: "Store",
    container: str,
    process: "dict[str, Any]",
    options: "ExecOptions",
    warn: "Optional[Callable[[str], None]]" = None,
) -> int:
    """Starts a process in a container, and unless detached waits for it; returns its exit status."""
    if options.detach:
        with store.look(container).load() as entry:
            joined = execute(entry, process, options, warn)
            joined.process.close()
            if is_exiting(joined.process.pid):
                from pyoci.container.memory import refuse_killed

                refuse_killed(entry, joined.process.pid, "the process")
        return 0
    from pyoci.container.foreground import Foreground

    with Foreground() as foreground:
        with store.look(container).load() as entry:
            joined = execute(entry, process, options, warn)
        status = foreground.wait(joined.process, joined.master)
        if status > 128 and warn is not None:  # a signal's, mostly
            from pyoci.container.memory import tell_of_end

            tell_of_end(entry, status, warn)
        return status


def execute(
    entry: Entry,
    process: "dict[str, Any]",
    options: "ExecOptions",
    warn: "Optional[Callable[[str], None]]" = None,
    streams: "Optional[Streams]" = None,
) -> Joined:
    """Starts a process in a container.

    process: as in config.json
    warn:    is told what was ignored, once the process is there
    streams: of a program that has the runtime in it; a terminal's master is then given back
    Errors: Error; then the container is as it was.
    """
    pid = _running(entry, options)
    pyoci.mark("check")
    check_process(process)
    terminal = bool(process.get("terminal"))
    if streams is None:
        check_terminal(terminal, options.detach, options.console_socket)
    else:
        streams.check(terminal, options.console_socket)
    pidfd = open_process(pid)
    if pidfd < 0 or start_time(pid) != entry.record["init_process_start"]:
        raise Error("cannot exec in a stopped container", kind="state")
    try:
        manager = entry.manager()
        plan = _compile(entry, manager, process, options, pid)
        joined = _Execution(entry, manager, options, pid, streams).run(plan, pidfd)
        plan.tell(warn)
        return joined
    finally:
        posix.close(pidfd)


def plan_exec(entry: Entry, process: "dict[str, Any]", options: "ExecOptions") -> "Plan":
    """What `exec` would do. Errors: as of execute()."""
    pid = _running(entry, options)
    check_process(process)
    return _compile(entry, entry.manager(), process, options, pid)


def _running(entry: Entry, options: "ExecOptions") -> int:
    status = entry.status()
    if status == "paused" and not options.ignore_paused:
        raise Error("cannot exec in a paused container (use --ignore-paused to override)", kind="state")
    if status == "stopped":
        from pyoci.container.memory import hint

        raise Error("cannot exec in a stopped container", hint=hint(entry), kind="state")
    if status == "creating":
        raise Error("cannot exec in a creating container", kind="state")
    return entry.pid()


def _compile(entry: Entry, manager: "Manager", process: "dict[str, Any]", options: "ExecOptions", pid: int) -> "Plan":
    pyoci.mark("compile")
    config = entry.config()
    config["process"] = complete(process, config.get("process") or {})
    request = Request(config, Host(), entry.record["bundle"], entry.container)
    request.filters = entry.path.rpartition("/")[0]
    request.no_pivot = entry.record["no_pivot"]
    request.no_new_keyring = entry.record["no_new_keyring"]
    request.keep, request.keep_owner = options.preserve_fds, options.keep_owner
    plan = compile_exec(request, pid)
    _compile_cgroups(plan, manager, options, pid)
    if entry.record.get("resctrl"):
        plan.parent.insert(0, ops.join_resctrl("linux.intelRdt", entry.record["resctrl"]))
    if options.pidfd_socket:
        plan.started.append(ops.send_pidfd("--pidfd-socket", socket=options.pidfd_socket, message="setns"))
    if options.pid_file:
        plan.started.append(ops.pid_file("--pid-file", options.pid_file))
    return plan


def _compile_cgroups(plan: "Plan", manager: "Manager", options: "ExecOptions", pid: int) -> None:
    sub: "dict[str, str]" = {}
    if options.cgroup:
        from pyoci.cgroups.subpath import parse

        sub = parse(options.cgroup)
    where, places = "--cgroup" if options.cgroup else "", manager.places(sub, pid)
    if not places:
        return
    if options.ignore_paused:  # born into a frozen cgroup it would hold us, too
        plan.birth.append(ops.enter_cgroups(where, places=places, flags=ops.ENTER_MOVED))
        return
    place = manager.born_in(places)
    if place:
        plan.before.append(ops.born_in(where, place))
    plan.birth.append(ops.enter_cgroups(where, places=places, flags=0))


def complete(process: "dict[str, Any]", own: "dict[str, Any]") -> "dict[str, Any]":
    """The process that an exec's document means: what it leaves out is as in the container's own process.

    null, an empty string and an empty list are what programs write for nothing; `capabilities: {}` means none.
    """
    result = dict(process)
    for name in _INHERITED:
        if result.get(name) in (None, "", []) and name in own:
            result[name] = own[name]
    umask = (own.get("user") or {}).get("umask")
    user = result.get("user")
    if umask is not None and user and user.get("umask") is None:
        result["user"] = {**user, "umask": umask}
    return result


class _Execution(Work):
    __slots__ = ("init", "master", "options", "plan", "streams")

    def __init__(
        self, entry: Entry, manager: "Manager", options: "ExecOptions", init: int, streams: "Optional[Streams]"
    ) -> None:
        self.streams = streams
        super().__init__(entry, manager)
        self.options = options
        self.init = init
        self.master = -1

    def run(self, plan: "Plan", pidfd: int) -> Joined:
        self.plan = plan
        launch = Launch(plan)
        launch.extra = pidfd
        if self.streams is not None:
            launch.files = self.streams.files
        perform(plan.before, self)
        launch.cgroup = self.cgroup

        def on_birth(process: Process) -> None:
            pyoci.mark("cgroup")
            self.process = process
            perform(plan.birth, self)
            if self.tasks is not None:
                launch.tasks = self.tasks
            perform(plan.parent, self)

        launch.on_birth = on_birth
        launch.on_sync = {ops.SYNC_LIMITS: self._on_limits}
        launch.on_console = self._on_console
        launch.on_listener = lambda fd: self._on_listener(launch.process, fd)
        try:
            self.process = process = launch.run()
            self._tell(process)
        except BaseException:
            if self.master >= 0:
                posix.close(self.master)
            raise
        finally:
            launch.close_files()
        return Joined(process, self.master)

    def _tell(self, process: Process) -> None:
        """A process that its caller is not told of would be nobody's."""
        try:
            perform(self.plan.started, self)
        except BaseException:
            process.kill()
            raise

    def _on_limits(self, process: Process) -> None:
        self.process = process
        perform(self.plan.last, self)

    def _on_listener(self, process: Process, listener: int) -> None:
        from pyoci.container.hooks import hook_state
        from pyoci.container.listener import send_listener

        config = self.entry.config()
        state = hook_state(config, self.entry.container, self.entry.record["bundle"], "running", self.init)
        send_listener(config, state, process.pid, listener)

    def _on_console(self, master: int) -> None:
        if self.streams is not None and not self.options.console_socket:
            self.master = master  # the program's, as it is
        else:
            self.master = hand_over_console(self.options.console_socket, master)
