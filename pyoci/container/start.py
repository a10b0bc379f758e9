"""start: tell the waiting init to become the program; poststart hooks."""

import posix

import pyoci
from pyoci import _shim
from pyoci.container.state import Entry, is_exiting, status_by_socket
from pyoci.errors import Error
from pyoci.init.talk import receive, send
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_REFUSALS = {
    "stopped": "cannot start a container that has stopped",
    "running": "cannot start an already running container",
    "paused": "cannot start a container in the paused state",
    "creating": "cannot start a container that is still being created",
}


def start(entry: Entry) -> None:
    """Starts a created container; entry is locked and loaded.

    Errors: Error with the failing step; after a failed hook the container is destroyed (runtime.md, "Lifecycle", steps
    7 and 9), after any other failure it is stopped.
    """
    status = entry.status_by_process()
    if status:
        raise _refusal(entry, status)
    start_created(entry, True)


def _refusal(entry: Entry, status: str) -> Error:
    hint = ""
    if status == "stopped":
        from pyoci.container.memory import hint as why

        hint = why(entry)
    return Error(_REFUSALS[status], hint=hint, kind="state")


def start_created(entry: Entry, left_alone: bool = False) -> None:
    """The same for one whose process is known to be alive, by the command that has just made it.

    left_alone: nobody of ours waits for its end, so this is the last who can tell that memory did not suffice for it
    """
    try:
        _go(entry)
        if left_alone and is_exiting(entry.record["init_process_pid"]):
            from pyoci.container.memory import refuse_killed

            refuse_killed(entry, entry.record["init_process_pid"])
        pyoci.mark("state")
        if "poststart" in entry.record["hooks"]:
            _poststart(entry)
    except Error as problem:
        if entry.fd >= 0 and problem.kind == "hook":
            from pyoci.container.delete import destroy

            destroy(entry)
        raise


def start_and_wait(entry: Entry, notify_socket: str) -> None:
    """Starts a container that was created with NOTIFY_SOCKET; returns when it is ready or has ended."""
    if not entry.record.get("notify"):
        start(entry)
        return
    from pyoci.container.notify import Notify

    notify = Notify(entry, notify_socket)
    pidfd = _shim.pidfd_open(entry.record["init_process_pid"])
    try:
        start(entry)
        notify.wait(pidfd)
    finally:
        posix.close(pidfd)
        notify.close()


def _go(entry: Entry) -> None:
    peer = entry.connect()
    if peer < 0:
        status = status_by_socket(peer)
        raise _refusal(entry, status) if status in _REFUSALS else Error("connect to the container's init", errno=-peer)
    pyoci.mark("init")
    try:
        send(peer, ops.REPORT_START)
        while True:
            message = receive(peer)
            if message is None:
                return
            if message.kind == ops.REPORT_FAILED:
                raise message.error()
            if message.kind == ops.REPORT_STEP and pyoci.on_step is not None:
                pyoci.on_step(message)
            if message.kind == ops.REPORT_SECCOMP:
                _hand_on(entry, message.passed)
                send(peer, ops.REPORT_GO)
            elif message.passed >= 0:
                posix.close(message.passed)
    except Error:
        from pyoci.container.delete import end

        end(entry)  # init is about to: the next command is to find it stopped, and may delete it
        raise
    finally:
        posix.close(peer)


def _hand_on(entry: Entry, listener: int) -> None:
    """The process that we start loads the filter, so its listener comes to us.

    Agents know this state: runc loads filters during create.
    """
    from pyoci.container.hooks import hook_state
    from pyoci.container.listener import send_listener

    config, pid = entry.config(), entry.record["init_process_pid"]
    state = hook_state(config, entry.container, entry.record["bundle"], "creating", pid)
    send_listener(config, state, pid, listener)


def _poststart(entry: Entry) -> None:
    """The container may be deleted while a hook runs, which may outlive the program: then entry is closed."""
    from pyoci.container.hooks import run_hook

    hooks, pid = _hooks(entry), entry.record["init_process_pid"]
    entry.release()
    try:
        for _, where, fields in hooks:
            run_hook(entry, pid, -1, where, fields)
    finally:
        entry.regain()


def _hooks(entry: Entry) -> "list[list[Any]]":
    """The steps that create has compiled, as state.json has them."""
    if "poststart" not in entry.record:
        from pyoci.container.recovery import poststart_of

        return poststart_of(entry)
    from pyoci.container.delete import is_step

    hooks: "list[list[Any]]" = entry.record["poststart"]
    for step in hooks:
        if not is_step(entry, step) or step[0] != "runtime_hook":
            raise Error(f"{entry.path}/state.json has a step {step} that is no hook", kind="damaged")
    return hooks
