"""Starts init with a plan, answers it at its sync points, turns what it reports into errors.

Knows processes and plans, no config. The talk is described in csrc/plan.h.
"""

import posix

import pyoci
from pyoci._shim import ffi, lib
from pyoci.errors import Error
from pyoci.plan import ops
from pyoci.talk import receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from pyoci.plan.model import ParentStep, Plan

INIT = f"{__file__[: __file__.rindex('/')]}/init"
_SIGKILL = 9


def check(result: int, step: str, location: str = "") -> int:
    """Returns what a call of the shim gave, unless it is a negated errno: then raises Error."""
    if result < 0:
        raise Error(step=step, errno=-result, location=location)
    return result


class Process:
    """A child of ours on its way to become a container's process: pid (as we see it) and pidfd."""

    __slots__ = ("pid", "pidfd")

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd

    def kill(self) -> None:
        """Ends it, and takes its exit status."""
        if self.pidfd >= 0:
            lib.shim_pidfd_signal(self.pidfd, _SIGKILL)
        self.wait()
        self.close()

    def wait(self) -> int:
        """Waits for its end; its status as waitpid(2) gives it."""
        try:
            return posix.waitpid(self.pid, 0)[1]
        except ChildProcessError:
            return 0

    def close(self) -> None:
        """Closes the pidfd."""
        if self.pidfd >= 0:
            posix.close(self.pidfd)
            self.pidfd = -1


class Launch:
    """One start of init.

    extra:      a descriptor for it: the socket on which it will await `start`, or for exec the container's pidfd; or -1
    cgroup:     descriptor of the directory it shall be born in (cgroup v2), or -1
    tasks:      descriptors of files to which it writes 0 as the first thing it does: so it joins cgroups of v1
    placed:     afterwards: whether it is in these cgroups; if not it must be moved there
    file:       the memory file for the plan, or -1
    on_birth:   called once init starts: what can be done beside that, before its first sync point, SYNC_NAMESPACES
    on_sync:    what to do at each sync point, called with the Process; where nothing is to be done at SYNC_NAMESPACES
                any more when on_birth returns, init does not wait there
    on_going:   called when it goes on from SYNC_NAMESPACES: what can be done beside its longest work
    on_console: called with the pty's master, which it then owns
    on_listener: called with the seccomp listener, which it then owns; init waits meanwhile
    on_step:    called with init's report of each step done, when somebody wants their times
    on_death:   called when init ends without a word: gives a hint why
    """

    __slots__ = (
        "cgroup",
        "extra",
        "file",
        "on_birth",
        "on_console",
        "on_death",
        "on_going",
        "on_listener",
        "on_step",
        "on_sync",
        "placed",
        "plan",
        "process",
        "tasks",
    )

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan
        self.extra = -1
        self.cgroup = -1
        self.tasks: "list[int]" = []
        self.placed = False
        self.file = -1
        self.on_birth: "Optional[Callable[[], None]]" = None
        self.on_sync: "dict[int, Callable[[Process], None]]" = {}
        self.on_going: "Optional[Callable[[Process], None]]" = None
        self.on_console: "Optional[Callable[[int], None]]" = None
        self.on_listener: "Optional[Callable[[int], None]]" = None
        self.on_death: "Optional[Callable[[], str]]" = None
        self.on_step = pyoci.on_step
        self.process = Process(0, -1)

    def run(self) -> Process:
        """Starts init and talks with it until it is created (AWAIT_START) or has become the program.

        Errors: Error with the failing step's place in the config; then the process has ended.
        """
        pyoci.mark("launch")
        report = self._spawn()
        try:
            self._hand_plan(report)
            if self.on_birth is not None:
                self.on_birth()
            if self._goes_ahead():
                send(report, ops.REPORT_GO)  # the first thing that it will wait for: now it need not
            self._talk(report)
        except BaseException:
            self.process.kill()
            raise
        finally:
            posix.close(report)
        return self.process

    def close_files(self) -> None:
        """Closes `cgroup`, `tasks` and the plan's file, if that has not been done."""
        for fd in (*self.tasks, self.cgroup, self.file):
            if fd >= 0:
                posix.close(fd)
        self.tasks, self.cgroup, self.file = [], -1, -1

    def _hand_plan(self, report: int) -> None:
        """Init asks for its plan when it is in its cgroups: until then there is time to write it."""
        if self.on_step is not None:
            self.plan.time_steps()
        _write(self.file, self.plan.encode())
        send(report, ops.REPORT_GO)
        self.close_files()

    def _spawn(self) -> int:
        self.file = posix.memfd_create("plan", posix.MFD_CLOEXEC)
        executable = check(lib.shim_seal(INIT.encode()), "make a sealed copy of init")
        pair = ffi.new("int[2]")
        birth = ffi.new("struct shim_spawn *")
        try:
            check(lib.shim_socketpair(pair), "make a socket pair")
            birth.executable, birth.plan, birth.report, birth.extra = executable, self.file, pair[1], self.extra
            birth.flags, birth.base = self.plan.flags, 3 + self.plan.keep
            pid = self._give_birth(birth)
            posix.close(pair[1])
            if pid < 0:
                posix.close(pair[0])
                raise Error("start init in new namespaces", errno=-pid, hint=_spawn_hint(-pid))
        finally:
            posix.close(executable)
        self.process = Process(pid, birth.pidfd)
        return int(pair[0])

    def _give_birth(self, birth: "Any") -> int:
        tasks = ffi.new("int[]", self.tasks)
        birth.cgroup, birth.tasks, birth.task_count = self.cgroup, tasks, len(self.tasks)
        pid: int = lib.shim_spawn(birth)
        self.placed = pid > 0 and (self.cgroup >= 0 or bool(self.tasks))
        if pid < 0 and self.cgroup >= 0:  # who moves it there learns more of the reason, or may do without
            birth.cgroup, birth.task_count = -1, 0
            pid = lib.shim_spawn(birth)
        return pid

    def _talk(self, report: int) -> None:
        while True:
            pyoci.mark("init")
            message = receive(report)
            if message is None:
                if self._awaits_start():
                    raise self._died()
                return  # the descriptor closed by itself: init has become the program
            if message.kind == ops.REPORT_FAILED:
                raise message.error()
            if message.kind == ops.REPORT_FORKED:
                self._follow(message.number)
                send(report, ops.REPORT_GO)
            elif message.kind == ops.REPORT_CONSOLE:
                self._hand_over(self.on_console, message.passed)
            elif message.kind == ops.REPORT_SECCOMP:
                self._hand_over(self.on_listener, message.passed)
                send(report, ops.REPORT_GO)
            elif message.kind == ops.REPORT_STEP and self.on_step is not None:
                self.on_step(message)
            elif message.kind == ops.REPORT_SYNC:
                self._act(message.number, report)
                if message.number != ops.SYNC_NAMESPACES or not self._goes_ahead():
                    send(report, ops.REPORT_GO)
                if message.number == ops.SYNC_CREATED:
                    return
                if message.number == ops.SYNC_NAMESPACES and self.on_going is not None:
                    self.on_going(self.process)

    def _goes_ahead(self) -> bool:
        """Whether init is told to go on from SYNC_NAMESPACES before it asks: nothing is to be done there."""
        return ops.SYNC_NAMESPACES not in self.on_sync

    def _act(self, point: int, report: int) -> None:
        if point == ops.SYNC_MOUNTS:
            from pyoci.lend import lend_mounts

            lend_mounts(report, self.plan.sources)
        act = self.on_sync.get(point)
        if act is not None:
            act(self.process)

    def _hand_over(self, receiver: "Optional[Callable[[int], None]]", fd: int) -> None:
        if receiver is None:
            posix.close(fd)
        else:
            receiver(fd)

    def _follow(self, pid: int) -> None:
        """Init has started the process that stays; the first one ends."""
        first = self.process
        self.process = Process(pid, check(lib.shim_pidfd_open(pid), "open a pidfd"))
        first.wait()
        first.close()

    def _awaits_start(self) -> bool:
        # In the plan of `exec` there is none: whether it ended as the program or before, only its end tells
        return self.plan.has(ops.AWAIT_START)

    def _died(self) -> Error:
        status = self.process.wait()
        ending = f"killed by signal {status & 0x7F}" if status & 0x7F else f"exit status {status >> 8}"
        hint = self.on_death() if self.on_death is not None else ""
        return Error(f"container init ended while it was set up: {ending}", hint=hint)


def obey(step: "ParentStep", pid: int) -> None:
    """Does one thing to a waiting process from outside."""
    if step.name == "rlimit":
        number, soft, hard = [int(field) for field in step.fields]
        result = lib.shim_prlimit(pid, number, soft, hard)
        if result < 0:
            import errno

            hint = "raising a hard limit takes CAP_SYS_RESOURCE" if result == -errno.EPERM else ""
            raise Error("set limit", location=step.where, errno=-result, hint=hint)
        return
    if step.name in ("newuidmap", "newgidmap"):
        from pyoci.map_helper import write_map

        path, *numbers = [str(field) for field in step.fields]
        write_map(path, pid, numbers, step.where)
        return
    _write_proc(f"/proc/{pid}/{step.name}", str(step.fields[0]), step.where)


def _write_proc(path: str, text: str, where: str) -> None:
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(fd, text.encode())
        finally:
            posix.close(fd)
    except OSError as problem:
        raise Error(f"write {path}", location=where, errno=problem.errno or 0) from None


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[posix.write(fd, view) :]


def _spawn_hint(number: int) -> str:
    import errno

    if number == errno.EPERM:
        return "new namespaces need root, or a user namespace among them"
    if number in (errno.ENOSPC, errno.EUSERS):
        return "a limit in /proc/sys/user, or the nesting of namespaces"
    if number == errno.EBADF:
        return "unable to stat preserved-fd: --preserve-fds names descriptors that the caller did not open"
    return ""
