"""The command exec: one more process in a container that exists."""

from pyoci.cli import exec_process
from pyoci.errors import Error
from pyoci.options import ExecOptions, check_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call


def main(call: "Call") -> int:
    """Runs a process in a container; the status is the process's, or 0 with --detach."""
    name = check_id(call.arguments[0])
    runtime = call.runtime()
    if call.text("process"):
        process = exec_process.from_file(call.path("process"))
    elif len(call.arguments) < 2:
        # The id is looked at first: an unknown container is the likelier mistake, and runc's answer.
        runtime.state(name)
        raise Error(
            "process args cannot be empty", hint="name a command after the id, or pass --process FILE", kind="refused"
        )
    else:
        process = exec_process.from_flags(call, runtime.config(name))
    wanted = ExecOptions(
        detach=call.yes("detach"),
        pid_file=call.path("pid-file"),
        console_socket=call.path("console-socket"),
        pidfd_socket=call.path("pidfd-socket"),
        preserve_fds=call.number("preserve-fds"),
        cgroup=call.texts("cgroup"),
        ignore_paused=call.yes("ignore-paused"),
    )
    return runtime.exec(name, process, wanted)
