"""What a caller asks of create, run and exec beside the bundle: files, sockets, descriptors."""

import posix

from pyoci.errors import Error
from pyoci.ids import check_id as check_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, Optional


class CreateOptions:
    """How to create (or run) a container.

    bundle:          absolute path of the bundle directory
    console_socket:  where the pty's master is sent; "" for none
    pidfd_socket:    where a pidfd of the first process is sent; "" for none
    pid_file:        where the first process's pid is written; "" for none
    no_pivot:        MS_MOVE and chroot in the place of pivot_root
    no_new_keyring:  stay in the caller's session keyring
    preserve_fds:    number of the caller's descriptors handed on, after standard ones and LISTEN_FDS
    detach:          do not wait for the process (always so for create)
    keep:            run: leave the container when its process has ended
    no_subreaper:    run: do not adopt orphans of the container
    notify_socket:   the caller's NOTIFY_SOCKET (sd_notify(3)); "" for none
    listen_fds:      number of descriptors, from 3 on, of socket activation (sd_listen_fds(3))
    listen_fdnames:  their names, as in LISTEN_FDNAMES; "" for none
    keep_owner:      standard streams stay whose they are, else they become the container's user's, who may reopen them
    config:          what to read in the place of the bundle's config.json
    supervised:      with a new pid namespace: "program": the first process is one of pyoci's, which reaps, the program
                     its child; "nobody": there is no program, `exec` brings them; "": the program is first. The last
                     of pass_fds is a socket for that first process: it ends when nobody holds the other end any more,
                     and sends three ints: the program's si_code and si_status (waitid(2)), and the largest ru_maxrss
    """

    __slots__ = (
        "bundle",
        "config",
        "console_socket",
        "detach",
        "keep",
        "keep_owner",
        "listen_fdnames",
        "listen_fds",
        "no_new_keyring",
        "no_pivot",
        "no_subreaper",
        "notify_socket",
        "pid_file",
        "pidfd_socket",
        "preserve_fds",
        "supervised",
    )

    def __init__(
        self,
        bundle: str,
        *,
        console_socket: str = "",
        pidfd_socket: str = "",
        pid_file: str = "",
        no_pivot: bool = False,
        no_new_keyring: bool = False,
        preserve_fds: int = 0,
        detach: bool = False,
        keep: bool = False,
        no_subreaper: bool = False,
        notify_socket: str = "",
        listen_fds: int = 0,
        listen_fdnames: str = "",
        keep_owner: bool = False,
        config: "Optional[dict[str, Any]]" = None,
        supervised: "Literal['', 'program', 'nobody']" = "",
    ) -> None:
        self.bundle = bundle
        self.console_socket = console_socket
        self.pidfd_socket = pidfd_socket
        self.pid_file = pid_file
        self.no_pivot = no_pivot
        self.no_new_keyring = no_new_keyring
        self.preserve_fds = preserve_fds
        self.detach = detach
        self.keep = keep
        self.no_subreaper = no_subreaper
        self.notify_socket = notify_socket
        self.listen_fds = listen_fds
        self.listen_fdnames = listen_fdnames
        self.keep_owner = keep_owner
        self.config = config
        self.supervised = supervised


class ExecOptions:
    """How to run one more process in a container; the names are those of CreateOptions.

    cgroup:         sub-cgroups to join, each `PATH` or `CONTROLLER[,CONTROLLER]:PATH`, as given
    ignore_paused:  run it although the container is paused
    """

    __slots__ = (
        "cgroup",
        "console_socket",
        "detach",
        "ignore_paused",
        "keep_owner",
        "pid_file",
        "pidfd_socket",
        "preserve_fds",
    )

    def __init__(
        self,
        *,
        detach: bool = False,
        pid_file: str = "",
        console_socket: str = "",
        pidfd_socket: str = "",
        preserve_fds: int = 0,
        cgroup: "list[str]" = [],  # noqa: B006 - never changed
        ignore_paused: bool = False,
        keep_owner: bool = False,
    ) -> None:
        self.detach = detach
        self.pid_file = pid_file
        self.console_socket = console_socket
        self.pidfd_socket = pidfd_socket
        self.preserve_fds = preserve_fds
        self.cgroup = cgroup
        self.ignore_paused = ignore_paused
        self.keep_owner = keep_owner


def check_terminal(terminal: bool, detach: bool, console_socket: str) -> None:
    """Refuses a terminal nobody can receive, and a receiver without a terminal. Raises Error."""
    if terminal and detach and not console_socket:
        raise Error(
            "cannot allocate tty if pyoci will detach without setting console socket",
            location="process.terminal",
            hint="pass --console-socket, or set terminal to false",
        )
    if console_socket and not (terminal and detach):
        raise Error(
            "cannot use console socket if pyoci will not detach or allocate tty",
            location="process.terminal",
            hint="drop --console-socket, or set terminal to true and detach",
        )


def listen_fds() -> int:
    """How many descriptors socket activation hands to this very process (sd_listen_fds(3)), 0 for none."""
    if _variable(b"LISTEN_PID") != str(posix.getpid()):
        return 0
    count = _variable(b"LISTEN_FDS")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0


def listen_fdnames() -> str:
    """The names of the descriptors of socket activation, as the caller gave them."""
    return _variable(b"LISTEN_FDNAMES")


def notify_socket() -> str:
    """The path of the service manager's socket (sd_notify(3)), "" for none."""
    return _variable(b"NOTIFY_SOCKET")


def check_preserved(count: int) -> None:
    """Refuses --preserve-fds for descriptors that the caller has not opened.

    To be called before this process opens a descriptor of its own. Raises Error.
    """
    first = 3 + listen_fds()
    for fd in range(first, first + count):
        try:
            posix.fstat(fd)
        except OSError as problem:
            raise Error(
                f"unable to stat preserved-fd {fd} (of {count})",
                errno=problem.errno or 0,
                hint="the caller must leave the descriptors 3 and following open",
            ) from None


def _variable(name: bytes) -> str:
    return posix.environ.get(name, b"").decode("utf-8", "surrogateescape")
