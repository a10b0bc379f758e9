"""The command sandbox: one program that nobody trusts."""

import os
import select

from pyoci.cli.wishes import bind, decimal, tmpfs, variable
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any

    from pyoci.cli.call import Call
    from pyoci.process.process import Process
else:
    import _signal  # `signal` is the same behind enumerations, which cost as much as half of our start

_TIMED_OUT = 124  # as timeout(1) has it


def main(call: "Call") -> int:
    """Runs a program in a sandbox; the status is the program's, 124 when its time was over."""
    from pyoci.sandbox.wishes import Wishes

    wishes = _wishes(call)
    if call.path("bundle"):
        from pyoci.sandbox.bundle import write_bundle

        write_bundle(call.path("bundle"), Wishes(**wishes), call.arguments)
        return 0
    for number in (_signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, _end)
    timeout = call.seconds("timeout", 0) or None
    from pyoci.sandbox.place import place

    try:
        return _on_terminal(call, wishes, timeout) if wishes["terminal"] else _run(call, wishes, timeout)
    finally:
        place().leave()


def _run(call: "Call", wishes: "dict[str, Any]", timeout: "float | None") -> int:
    from pyoci.sandbox.run import run_plainly

    status, timed_out, oom, warnings = run_plainly(call.arguments, timeout, stdin=0, **wishes)
    for text in warnings:
        call.warn(text)
    if oom:
        call.warn("the kernel has killed for lack of memory (--memory is too low for the program)")
    if timed_out:
        call.warn("its time was over (--timeout)")
        return _TIMED_OUT
    return _status(status)


def _end(number: int, frame: object) -> None:
    """What is running is removed on the way out."""
    raise KeyboardInterrupt


def _status(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def _wishes(call: "Call") -> "dict[str, Any]":
    return {
        "rootfs": call.path("rootfs") or None,
        "memory": call.text("memory") or None,
        "cpus": decimal(call, "cpus"),
        "pids": call.number("pids") or None,
        "network": call.yes("network"),
        "binds": dict(bind(call, text) for text in call.texts("bind")),
        "tmpfs": dict(map(tmpfs, call.texts("tmpfs"))),
        "user": call.text("user") or None,
        "env": dict(variable(call, text) for text in call.texts("env")),
        "cwd": call.text("cwd") or None,
        "hostname": call.text("hostname", "sandbox"),
        "terminal": call.yes("tty"),
        "best_effort": call.yes("best-effort"),
        "cgroup_manager": call.cgroup_manager,
    }


def _on_terminal(call: "Call", wishes: "dict[str, Any]", timeout: "float | None") -> int:
    """Copies between our terminal and the sandbox's."""
    if timeout is not None:
        raise Error("--timeout and --tty do not go together", kind="refused")
    from pyoci.container.terminal import Terminal, prepare
    from pyoci.sandbox.sandbox import Sandbox

    with Sandbox(**wishes) as box, box.popen(call.arguments) as running:
        for text in box.warnings:
            call.warn(text)
        prepare(running.terminal)
        terminal = Terminal(os.dup(running.terminal))
        _signal.signal(_signal.SIGWINCH, lambda *_: terminal.resize())
        try:
            return _relay(terminal, running)
        finally:
            terminal.close()


def _relay(terminal: "Any", running: "Process") -> int:
    while (status := running.poll()) is None:
        poll = select.poll()
        poll.register(running.pidfd, select.POLLIN)
        terminal.register(poll)
        terminal.serve(dict(poll.poll()))
    terminal.drain()
    return _status(status)
