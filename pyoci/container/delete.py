"""delete: take back all that create made; with force after ending what runs."""

import posix

import pyoci
from pyoci import _shim
from pyoci.container.state import Entry, Store, begin_time, is_exiting, open_process, start_time
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.cgroups import Manager
    from pyoci.plan.model import Plan

    Warn = Callable[[str], None]

_SIGKILL = 9
_OTHERS_AT = 980  # of 1000 waits of 10 ms
_FROZEN_AT = 995


def delete(store: Store, container: str, warn: "Optional[Warn]" = None) -> None:
    """Removes a stopped container. Errors: Error when it runs, or does not exist.

    warn: is told of what could not be taken back; without it standard error is
    """
    with store.open(container).load() as entry:
        status = entry.status()
        if status != "stopped":
            hint = "kill it first, or use --force"
            text = f"cannot delete container {container} that is not stopped: {status}"
            raise Error(text, hint=hint, kind="state")
        destroy(entry, warn)


def delete_by_force(store: Store, container: str, warn: "Optional[Warn]" = None) -> None:
    """Ends and removes a container, or what a killed command has left of one; none there is none to complain about."""
    _end_early(store, container)
    try:
        entry = store.open(container)
    except Error as problem:
        if problem.kind != "not_found":
            raise  # it may be there
        return
    with entry:
        if entry.recover():
            destroy(entry, warn)
        else:
            entry.remove()


def _end_early(store: Store, container: str) -> None:
    """The command that holds the lock may be waiting for this very process.

    What goes wrong here does so again with the lock.
    """
    try:
        with store.look(container).load() as entry:
            end(entry)
    except (Error, OSError):
        return


def end(entry: Entry) -> bool:
    """Kills the first process and waits for its end, by pidfd. False when it lives on."""
    pid = entry.pid()
    if not pid:
        return True
    pidfd = open_process(pid)
    if pidfd < 0:
        return True
    try:
        if start_time(pid) != entry.record["init_process_start"]:
            return True
        pyoci.mark("kill")
        manager = entry.manager()
        sent = _shim.pidfd_signal(pidfd, _SIGKILL)
        if sent < 0 and not isinstance(OSError(-sent, ""), ProcessLookupError):
            raise Error(f"kill process {pid}", errno=-sent)
        manager.release()
        return _await_end(pid, pidfd, manager)
    finally:
        posix.close(pidfd)


def _await_end(pid: int, pidfd: int, manager: "Manager") -> bool:
    """Ten seconds at most. The first process of a pid namespace is not quite dead before the parents of all others have
    taken their status (pid_namespaces(7)), and the parent of one that `exec` brought in is somebody else: that it runs
    no more, and nobody else is in the cgroup, is as good. A parent or tracer in the cgroup, which is outside of the pid
    namespace (a CRIU that goes on after a killed `restore`), is ended, too: it may never take a status."""
    tries = 1000
    while (ready := _shim.poll([pidfd], 10)) <= 0 and not (is_exiting(pid) and manager.empty()):
        if ready < 0:  # it did not wait, as where the kernel has no memory for it
            from select import select

            select((), (), (), 0.01)
        tries -= 1
        if not tries or (tries == _FROZEN_AT and manager.frozen_above()):
            return False
        if tries == _OTHERS_AT:
            manager.kill(_SIGKILL)
    return True


def _reap(entry: Entry) -> None:
    """Takes the status of a first process that is our own child, as when `run` cleans up, or when a program has the
    runtime in it. Such a program may have taken it, and have another child of that number."""
    pid = entry.record["init_process_pid"]
    try:
        ended = pid and posix.waitid(posix.P_PID, pid, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT)
        if ended and begin_time(pid) == entry.record["init_process_start"]:
            if pid in pyoci.children:
                pyoci.children[pid].poll()  # the program has it in hand and may ask for its status later
            else:
                posix.waitpid(pid, posix.WNOHANG)
    except ChildProcessError:
        pass


def destroy(entry: Entry, warn: "Optional[Warn]" = None) -> None:
    """Ends what is left of a locked container and removes everything, the state directory last: a command killed
    halfway is to be finished by the next one. poststop hooks that fail do not stop it (runtime.md, step 13).

    warn: is told of what could not be taken back; without it, as where a command fails anyway, standard error is
    """
    if not end(entry):
        pid, frozen = entry.record["init_process_pid"], entry.manager().frozen_above()
        hint = "a process that waits for a device cannot be killed: try later"
        if frozen:
            hint = f"cgroup {frozen} is frozen, and no process below it can end: thaw it first"
        raise Error(f"process {pid} does not end", hint=hint, kind="host")
    _reap(entry)
    take_back(entry, entry.manager(), warn or _warn)


def take_back(entry: Entry, manager: "Manager", warn: "Warn") -> None:
    """Walks what was made backwards, and undoes each: what create noted before it made it, and what came to it. A step
    that finds nothing is content: a command may have been killed before, or in the middle of, its deed. The state goes
    last, so that the next command finds what this one leaves."""
    pyoci.mark("cgroup")
    record, undo = entry.record, _undo(entry)
    if record.get("network_devices") or record.get("resctrl") or any(step[0] == "stop_unit" for step in undo):
        manager.vacate()  # nobody must use what is taken away; systemd would send SIGTERM, and wait for its effect
    record["undo"] = undo
    while undo:
        name, where, fields = undo[-1]
        _UNDOES[name](entry, manager, warn, where, fields)
        undo.pop()
    for text in manager.warnings:
        warn(text)
    entry.remove()


def _undo(entry: Entry) -> "list[list[Any]]":
    if entry.record and "undo" not in entry.record:
        from pyoci.container.recovery import undo_of

        return undo_of(entry)
    undo: "list[list[Any]]" = entry.record.get("undo") or []
    for step in undo:
        if not is_step(entry, step):
            hint = "the container was made by another version of pyoci: use that one"
            text = f"{entry.path}/state.json has a step {step} that this pyoci does not know"
            raise Error(text, hint=hint, kind="version")
    return undo


def is_step(entry: Entry, step: "Any") -> bool:
    """Whether it is one of ours, with the fields that it has, and its container has what it takes back."""
    if type(step) is not list or len(step) != 3:
        return False
    name, where, fields = step
    if type(name) is not str or name not in _FIELDS or type(where) is not str or type(fields) is not list:
        return False
    if tuple(map(type, fields)) not in _FIELDS[name]:
        return False
    if name in _DRIVERS and entry.record["cgroup"].get("driver") not in _DRIVERS[name]:
        return False
    for field in fields:
        for text in field if type(field) is list else (field,):
            if "\0" in text if type(text) is str else type(field) is list:
                return False
    return True


def plan_delete(entry: Entry) -> "Plan":
    """What `delete` would do."""
    from pyoci.container.perform import of_record
    from pyoci.plan.model import Plan

    plan = Plan()
    plan.undo = of_record(_undo(entry))
    return plan


def _remove_cgroup(entry: Entry, manager: "Manager", warn: "Warn", where: str, fields: "Any") -> None:
    from pyoci.cgroups.tree import take_away

    path, parents = fields
    host = manager.host  # type: ignore[attr-defined]
    take_away(host, path, parents, manager.vacate)


def _stop_unit(entry: Entry, manager: "Manager", warn: "Warn", where: str, fields: "Any") -> None:
    manager.stop()  # type: ignore[attr-defined]


def _return_devices(entry: Entry, manager: "Manager", warn: "Warn", where: str, fields: "Any") -> None:
    if not entry.record.get("network_devices"):
        return
    from pyoci.network.devices import move_back

    for problem in move_back(entry):
        warn(str(problem))


def _leave_resctrl(entry: Entry, manager: "Manager", warn: "Warn", where: str, fields: "Any") -> None:
    if not entry.record.get("resctrl"):
        return
    from pyoci.container.resctrl import leave

    for problem in leave(entry):
        warn(str(problem))


def _poststop(entry: Entry, manager: "Manager", warn: "Warn", where: str, fields: "Any") -> None:
    from pyoci.container.hooks import run_hook

    try:
        run_hook(entry, 0, -1, where, fields)
    except Error as problem:
        warn(str(problem))


def _release_root(entry: Entry, manager: "Manager", warn: "Warn", where: str, fields: "Any") -> None:
    work = fields[0] if fields else entry.record.get("criu_work")  # where an older pyoci noted it
    if not work:
        return
    from pyoci.container.criu_mounts import release

    release(entry, work)


_UNDOES = {
    "release_root": _release_root,
    "remove_cgroup": _remove_cgroup,
    "stop_unit": _stop_unit,
    "leave_resctrl": _leave_resctrl,
    "return_devices": _return_devices,
    "runtime_hook": _poststop,
}
_NONE: "tuple[tuple[type, ...], ...]" = ((),)
_FIELDS = {  # what types they may have: lists are tuples before they are written down
    "release_root": ((), (str,)),
    "remove_cgroup": ((str, list), (str, tuple)),
    "stop_unit": ((str, int),),
    "leave_resctrl": _NONE,
    "return_devices": _NONE,
    "runtime_hook": tuple(
        [(str, int, str, args, env, int, str) for args in (list, tuple) for env in (list, type(None))]
    ),
}
_DRIVERS = {"remove_cgroup": ("cgroupfs", "systemd"), "stop_unit": ("systemd",)}  # that have such a thing


def _warn(text: str) -> None:
    posix.write(2, f"warning: {text}\n".encode("utf-8", "replace"))
