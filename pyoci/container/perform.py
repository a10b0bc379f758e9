"""Does the runtime's steps of a plan: the twin of init's table in csrc/init/init.c.

What a step needs beside its fields is in the Work that it is done for. Steps on cgroups: pyoci/cgroups/perform.py.
"""

import posix

from pyoci import _shim
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Optional

    from pyoci.cgroups import Manager
    from pyoci.container.state import Entry
    from pyoci.init.launch import Process
    from pyoci.plan.ops import RuntimeStep


class Work:
    """What steps are done for, and what one leaves to the next.

    entry:   the container's, whose record is written as they say
    manager: its cgroups, as far as they are made
    process: that is being made, once it is born
    cgroup:  descriptor of the cgroup in which it is born, or -1; the launcher's to close, as are
    tasks:   files by which it joins its cgroups; None: only the cgroup of its birth
    enabled: controllers that the cgroup of v2 has got, or None where nobody has looked
    refused: limits that wait for their neighbours, see LIMIT_AGAIN
    fresh:   cgroups that were not there before
    """

    __slots__ = ("cgroup", "enabled", "entry", "fresh", "manager", "process", "refused", "tasks")

    process: "Process"

    def __init__(self, entry: "Entry", manager: "Manager") -> None:
        self.entry = entry
        self.manager = manager
        self.enabled: "Optional[set[str]]" = None
        self.refused: "list[tuple[str, str, tuple[str, ...], int]]" = []
        self.fresh: "list[str]" = []
        self.cgroup = -1
        self.tasks: "Optional[list[int]]" = None

    def note(self, rootfs: str) -> None:
        """Does NOTE: writes down what is going to be made."""

    def restore(self, fields: "Any") -> None:
        """Does RESTORE: has CRIU make the processes."""

    def remember(self) -> None:
        """Does RECORD: writes down the process."""


def perform(steps: "Iterable[RuntimeStep]", work: Work) -> None:
    """Does steps, in order. Errors: Error of the first that fails."""
    for operation, where, fields in steps:
        (_DOES.get(operation) or _in_cgroups(operation))(work, where, fields)


def _in_cgroups(operation: int) -> "Any":
    from pyoci.cgroups.perform import DOES

    return DOES[operation]


def write_proc(pid: int, name: str, text: str, where: str) -> None:
    """Writes a file of a process's directory in procfs."""
    path = f"/proc/{pid}/{name}"
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(fd, text.encode())
        finally:
            posix.close(fd)
    except OSError as problem:
        raise Error(f"write {path}", location=where, errno=problem.errno or 0) from None


def _writes(name: str) -> "Any":
    """What does an operation whose one field goes into that file of the process's directory in procfs."""
    return lambda work, where, fields: write_proc(work.process.pid, name, str(fields[0]), where)


def _map_by_helper(work: Work, where: str, fields: "Any") -> None:
    from pyoci.init.map_helper import write_map

    helper, numbers = fields
    write_map(helper, work.process.pid, numbers, where)


def _rlimit(work: Work, where: str, fields: "Any") -> None:
    number, soft, hard = fields
    result = _shim.prlimit(work.process.pid, number, soft, hard)
    if result < 0:
        from pyoci.init.failures import limit

        raise limit(where, number, hard, -result)


def _resctrl(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.resctrl import enter_step

    enter_step(work, fields)


def _schemata(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.resctrl import write_lines
    from pyoci.plan.intel_rdt import Tree

    tree, group, lines = fields
    write_lines(Tree(tree), group, lines)


def _join_resctrl(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.resctrl import join
    from pyoci.plan.intel_rdt import Tree

    (groups,) = fields
    join(Tree(groups["tree"]), groups, work.process.pid)


def _net_device(work: Work, where: str, fields: "Any") -> None:
    from pyoci.network.devices import move_in

    name, target, path = fields
    move_in(work.entry, where, name, target, work.process.pid, path)


def _hook(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.hooks import run_hook

    run_hook(work.entry, work.process.pid, work.process.pidfd, where, fields)


def _note(work: Work, where: str, fields: "Any") -> None:
    work.note(fields[0])


def _born_in(work: Work, where: str, fields: "Any") -> None:
    work.cgroup = work.manager.birthplace(fields[0])


def _enter_cgroups(work: Work, where: str, fields: "Any") -> None:
    """A process that joins by itself is there at once; the kernel takes a while to move another one."""
    places, flags = fields
    if not flags & ops.ENTER_MOVED:
        work.tasks = work.manager.tasks(places, work.cgroup >= 0)
    if work.tasks is None:
        work.manager.join(work.process.pid, places)


def _record(work: Work, where: str, fields: "Any") -> None:
    work.remember()


def _ready(work: Work, where: str, fields: "Any") -> None:
    work.entry.ready()


def _release_network(work: Work, where: str, fields: "Any") -> None:
    from pyoci.network.devices import settle

    settle(work.entry)


def _send_pidfd(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.files import send_descriptor

    socket, message = fields
    send_descriptor(socket, "--pidfd-socket", message.encode(), work.process.pidfd)


def _pid_file(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.files import write_pid_file

    write_pid_file(fields[0], work.process.pid)


def _keep_config(work: Work, where: str, fields: "Any") -> None:
    from pyoci.json.document import dump

    name, value = fields
    config = work.entry.config()
    linux = config.setdefault("linux", {})
    if value is None:
        linux.pop(name, None)
    else:
        linux[name] = value
    work.entry.save_config(dump(config).encode())


def _make_points(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.criu_mounts import make_points

    make_points(*fields)


def _lend_root(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.criu_mounts import lend

    lend(work.entry, fields[0], where)


def _release_root(work: Work, where: str, fields: "Any") -> None:
    from pyoci.container.criu_mounts import release

    release(work.entry, fields[0])
    record = work.entry.record
    record["undo"] = [step for step in record["undo"] if step[0] != "release_root"]


def _restore(work: Work, where: str, fields: "Any") -> None:
    work.restore(fields)


_DOES = {
    ops.NOTE: _note,
    ops.RECORD: _record,
    ops.BORN_IN: _born_in,
    ops.ENTER_CGROUPS: _enter_cgroups,
    ops.UID_MAP: _writes("uid_map"),
    ops.GID_MAP: _writes("gid_map"),
    ops.SETGROUPS: _writes("setgroups"),
    ops.NEWUIDMAP: _map_by_helper,
    ops.NEWGIDMAP: _map_by_helper,
    ops.OOM_SCORE_ADJ: _writes("oom_score_adj"),
    ops.RESCTRL: _resctrl,
    ops.JOIN_RESCTRL: _join_resctrl,
    ops.SCHEMATA: _schemata,
    ops.NET_DEVICE: _net_device,
    ops.RUNTIME_HOOK: _hook,
    ops.RLIMIT: _rlimit,
    ops.READY: _ready,
    ops.RELEASE_NETWORK: _release_network,
    ops.SEND_PIDFD: _send_pidfd,
    ops.PID_FILE: _pid_file,
    ops.KEEP_CONFIG: _keep_config,
    ops.MAKE_POINTS: _make_points,
    ops.LEND_ROOT: _lend_root,
    ops.RELEASE_ROOT: _release_root,
    ops.RESTORE: _restore,
}


# Of the steps that take back, which state.json keeps by name, for another version of pyoci as well. Who does them:
# pyoci/container/delete.py
UNDOING = {
    ops.REMOVE_CGROUP: "remove_cgroup",
    ops.STOP_UNIT: "stop_unit",
    ops.LEAVE_RESCTRL: "leave_resctrl",
    ops.RETURN_DEVICES: "return_devices",
    ops.RELEASE_ROOT: "release_root",
    ops.RUNTIME_HOOK: "runtime_hook",
}


def as_record(steps: "Iterable[RuntimeStep]") -> "list[list[Any]]":
    """Steps as state.json keeps them."""
    return [[UNDOING[operation], where, [*fields]] for operation, where, fields in steps]


def of_record(record: "list[list[Any]]") -> "list[RuntimeStep]":
    """The same steps again."""
    numbers: "dict[str, Any]" = {name: operation for operation, name in UNDOING.items()}
    steps: "Any" = [(numbers[name], where, tuple(fields)) for name, where, fields in record]
    return steps  # type: ignore[no-any-return]
