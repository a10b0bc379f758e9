"""Starts init with a plan, answers it at its sync points, turns what it reports into errors.

Knows processes and plans, no config. The talk is described in csrc/shared/plan.h.
"""

import posix

import pyoci
from pyoci import _shim
from pyoci.errors import Error
from pyoci.fileio import write_all
from pyoci.init.talk import receive, send
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    from pyoci.plan.model import Plan

INIT = f"{__file__[: __file__.rindex('/init/')]}/programs/init"
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
            _shim.pidfd_signal(self.pidfd, _SIGKILL)
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
    cgroup:     descriptor of the directory it shall be born in (cgroup v2), or -1; -1 afterwards if that was refused
    files:      descriptors that become its 0, 1, 2 and following ones; -1, or none, for ours
    tasks:      descriptors of files to which it writes 0 at JOIN_CGROUPS: so it joins cgroups of v1
    on_birth:   called once init lives: what must be done before it goes on from JOIN_CGROUPS; it may give `tasks`
    on_going:   called when it is told to go on from there: what can be done beside its longest work
    on_sync:    what to do at each sync point, called with the Process
    on_console: called with the pty's master, which it then owns
    on_listener: called with the seccomp listener, which it then owns; init waits meanwhile
    on_step:    called with init's report of each step done, when somebody wants their times
    on_death:   called when init ends without a word: gives a hint why
    """

    __slots__ = (
        "cgroup",
        "extra",
        "files",
        "on_birth",
        "on_console",
        "on_death",
        "on_going",
        "on_listener",
        "on_step",
        "on_sync",
        "plan",
        "process",
        "tasks",
    )

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan
        self.extra = -1
        self.cgroup = -1
        self.files: "tuple[int, ...]" = ()
        self.tasks: "list[int]" = []
        self.on_birth: "Optional[Callable[[Process], None]]" = None
        self.on_going: "Optional[Callable[[Process], None]]" = None
        self.on_sync: "dict[int, Callable[[Process], None]]" = {}
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
            self._admit(report)
            self._talk(report)
        except BaseException:
            self.process.kill()
            raise
        finally:
            posix.close(report)
        return self.process

    def close_files(self) -> None:
        """Closes `cgroup` and `tasks`, if that has not been done."""
        for fd in (*self.tasks, self.cgroup):
            if fd >= 0:
                posix.close(fd)
        self.tasks, self.cgroup = [], -1

    def _admit(self, report: int) -> None:
        """Init makes its namespaces meanwhile, and then awaits this."""
        if self.on_birth is not None:
            try:
                self.on_birth(self.process)
            except Error:
                self._hear(report)
                raise
        if self.plan.has(ops.JOIN_CGROUPS):
            send(report, ops.REPORT_TASKS, self.tasks)
        self.close_files()
        if self.on_going is not None:
            self.on_going(self.process)

    def _hear(self, report: int) -> None:
        """What went wrong for us may have gone wrong because init ended: its own words come first."""
        while _shim.poll([report], 0) > 0:
            message = receive(report)
            if message is None:
                return
            if message.kind == ops.REPORT_FAILED:
                raise message.error(self.plan) from None

    def _spawn(self) -> int:
        if self.on_step is not None:
            self.plan.time_steps()
        plan = executable = -1
        try:
            plan = _memory_file(self.plan.encode())
            executable = check(_shim.seal(INIT.encode()), "make a sealed copy of init")
            return self._give_birth(executable, plan)
        finally:
            for fd in (plan, executable):
                if fd >= 0:
                    posix.close(fd)

    def _give_birth(self, executable: int, plan: int) -> int:
        result, ours, theirs = _shim.socketpair()
        check(result, "make a socket pair")
        given = (executable, plan, theirs, self.extra, 3 + self.plan.keep, self.plan.flags)
        pid, pidfd = _shim.spawn(*given, self.cgroup, self.files)
        if pid < 0 and self.cgroup >= 0:  # who moves it there learns more of the reason, or may do without
            self.close_files()
            pid, pidfd = _shim.spawn(*given, -1, self.files)
        posix.close(theirs)
        if pid < 0:
            posix.close(ours)
            raise Error("start init in new namespaces", errno=-pid, hint=_spawn_hint(-pid))
        self.process = Process(pid, pidfd)
        return ours

    def _talk(self, report: int) -> None:
        while True:
            pyoci.mark("init")
            message = receive(report)
            if message is None:
                if self._awaits_start():
                    raise self._died()
                return  # the descriptor closed by itself: init has become the program
            if message.kind == ops.REPORT_FAILED:
                raise message.error(self.plan)
            if message.kind == ops.REPORT_FORKED:
                self._follow(message.number)
                send(report, ops.REPORT_GO)
            elif message.kind == ops.REPORT_CONSOLE:
                self._hand_over(self.on_console, message.passed)
                send(report, ops.REPORT_GO)
            elif message.kind == ops.REPORT_SECCOMP:
                self._hand_over(self.on_listener, message.passed)
                send(report, ops.REPORT_GO)
            elif message.kind == ops.REPORT_STEP and self.on_step is not None:
                self.on_step(message)
            elif message.kind == ops.REPORT_SYNC:
                self._act(message.number, report)
                send(report, ops.REPORT_GO)
                if message.number == ops.SYNC_CREATED:
                    return

    def _act(self, point: int, report: int) -> None:
        if point == ops.SYNC_MOUNTS:
            from pyoci.init.lend import lend_mounts

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
        self.process = Process(pid, check(_shim.pidfd_open(pid), "open a pidfd"))
        first.wait()
        first.close()

    def _awaits_start(self) -> bool:
        # In the plan of `exec` there is none: whether it ended as the program or before, only its end tells
        return self.plan.has(ops.AWAIT_START)

    def _died(self) -> Error:
        status = self.process.wait()
        ending = f"killed by signal {status & 0x7F}" if status & 0x7F else f"exit status {status >> 8}"
        why = self.on_death() if self.on_death is not None else ""
        text = f"container init ended while it was set up: {ending}"
        place = "linux.resources.memory.limit" if why else ""
        problem = Error(text if why else "", location=place, step=why or text, kind="host")
        problem.by_init = True
        return problem


def _memory_file(data: bytes) -> int:
    try:
        fd = posix.memfd_create("plan", posix.MFD_CLOEXEC)
    except OSError as problem:
        hint = "a seccomp filter over pyoci itself may forbid memfd_create"
        raise Error(step="make a memory file for init's plan", errno=problem.errno or 0, hint=hint) from None
    write_all(fd, data)
    return fd


def _spawn_hint(number: int) -> str:
    import errno

    from pyoci.init.failures import namespaces_hint

    if number == errno.EBADF:
        return "unable to stat preserved-fd: --preserve-fds names descriptors that the caller did not open"
    return namespaces_hint(number)
