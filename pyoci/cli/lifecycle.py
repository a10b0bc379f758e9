"""The commands of a container's life: create, run, start, state, pause, resume, delete."""

from pyoci.ids import check_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call
    from pyoci.options import CreateOptions


def create(call: "Call") -> int:
    """Creates a container and leaves its process waiting for start."""
    name = check_id(call.arguments[0])
    wanted = create_options(call)
    wanted.detach = True
    _keep_root(call)
    call.runtime().create_detached(name, wanted)
    return 0


def run(call: "Call") -> int:
    """Creates a container, starts it, waits for it and removes it; the status is the process's."""
    name = check_id(call.arguments[0])
    wanted = create_options(call)
    _keep_root(call)
    return call.runtime().run(name, wanted)


def start(call: "Call") -> int:
    """Lets a created container's process run."""
    from pyoci.cli.call import environment

    call.runtime().start(check_id(call.arguments[0]), environment("NOTIFY_SOCKET"))
    return 0


def state(call: "Call") -> int:
    """Prints the state document, as runc lays it out: two spaces, no newline at the end."""
    from pyoci.cli.output import show
    from pyoci.json.document import dump_pretty

    show(dump_pretty(call.runtime().state(check_id(call.arguments[0])), "  "))
    return 0


def pause(call: "Call") -> int:
    """Freezes every process of a container."""
    call.runtime().pause(check_id(call.arguments[0]))
    return 0


def resume(call: "Call") -> int:
    """Thaws a paused container."""
    call.runtime().resume(check_id(call.arguments[0]))
    return 0


def delete(call: "Call") -> int:
    """Removes what a stopped container holds; with --force ends it first."""
    call.runtime().delete(check_id(call.arguments[0]), call.yes("force"))
    return 0


def create_options(call: "Call") -> "CreateOptions":
    """What create and run were asked, with all paths absolute."""
    from pyoci import options

    descriptors = options.listen_fds()
    return options.CreateOptions(
        call.path("bundle") or working_directory(),
        console_socket=call.path("console-socket"),
        pidfd_socket=call.path("pidfd-socket"),
        pid_file=call.path("pid-file"),
        no_pivot=call.yes("no-pivot"),
        no_new_keyring=call.yes("no-new-keyring"),
        preserve_fds=call.number("preserve-fds"),
        detach=call.yes("detach"),
        keep=call.yes("keep"),
        no_subreaper=call.yes("no-subreaper"),
        notify_socket=options.notify_socket(),
        listen_fds=descriptors,
        listen_fdnames=options.listen_fdnames() if descriptors else "",
    )


def _keep_root(call: "Call") -> None:
    """Makes a user's default root, with the sticky bit: $XDG_RUNTIME_DIR may be cleaned of old files without it."""
    if call.root_given or call.root == "/run/pyoci":
        return
    import posix

    try:
        try:
            posix.mkdir(call.root, 0o700)
        except FileExistsError:
            return
        posix.chmod(call.root, 0o1700)
    except OSError:
        pass  # the runtime makes it, or says why it cannot


def working_directory() -> str:
    """The bundle when none was named. Raises Error when the directory is gone."""
    from pyoci.cli.call import absolute

    return absolute(".")
