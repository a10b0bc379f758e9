"""The commands checkpoint and restore."""

from __future__ import annotations

from pyoci.checkpoint.request import CriuOptions
from pyoci.cli.call import Call
from pyoci.cli.lifecycle import working_directory
from pyoci.options import CreateOptions, check_id


def checkpoint(call: Call) -> int:
    """Saves a container to files."""
    name = check_id(call.arguments[0])
    call.runtime().checkpoint(name, criu_options(call))
    return 0


def restore(call: Call) -> int:
    """Makes a container of such files; unless detached waits for it, and the status is its process's."""
    name = check_id(call.arguments[0])
    return call.runtime().restore(name, restore_options(call), criu_options(call))


def restore_options(call: Call) -> CreateOptions:
    """What restore was asked of files and sockets."""
    return CreateOptions(
        call.path("bundle") or working_directory(),
        console_socket=call.path("console-socket"),
        pid_file=call.path("pid-file"),
        no_pivot=call.yes("no-pivot"),
        detach=call.yes("detach"),
        no_subreaper=call.yes("no-subreaper"),
    )


def criu_options(call: Call) -> CriuOptions:
    """What checkpoint or restore was asked of CRIU."""
    images = call.path("image-path") or f"{working_directory()}/checkpoint"
    options = CriuOptions(images, call.path("work-path"), call.criu)
    options.flags = {name for name, value in call.flags.items() if value is True}
    options.manage_cgroups_mode = call.text("manage-cgroups-mode")
    options.empty_ns = call.flags.get("empty-ns") or []
    options.page_server = call.text("page-server")
    options.parent_path = call.text("parent-path")
    options.status_fd = call.number("status-fd", -1)
    options.lsm_profile = call.text("lsm-profile")
    options.lsm_mount_context = call.text("lsm-mount-context")
    return options
