"""The table of commands and flags: what parsing, help, the man page and the completions are made from.

It is read by every command, so it holds only what parsing needs. The words for people are in `texts.py`, under the same
names; a test holds the two together.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    Flag = tuple[str, str, str]  # (name, one-letter alias or "", kind)

BOOL = "bool"
TEXT = "text"
LIST = "list"  # may be given more than once
NUMBER = "number"  # decimal, 0 or more
DURATION = "duration"  # 5s, 1m30s, 200ms; handed on as seconds

MIXED = "mixed"  # flags may follow the arguments
FIRST = "first"  # the first argument ends the flags: what follows belongs to another program


class Command:
    """One command: where its code is, how many arguments it takes (most = -1: any number), and its flags."""

    __slots__ = ("flags", "function", "least", "module", "most", "order")

    def __init__(
        self, module: str, function: str, least: int, most: int, flags: "tuple[Flag, ...]", order: str = MIXED
    ) -> None:
        self.module = module
        self.function = function
        self.least = least
        self.most = most
        self.flags = flags
        self.order = order


HELP = ("help", "h", BOOL)

GLOBAL = (
    ("debug", "", BOOL),
    ("log", "", TEXT),
    ("log-format", "", TEXT),
    ("root", "", TEXT),
    ("systemd-cgroup", "", BOOL),
    ("cgroup-manager", "", TEXT),
    ("rootless", "", TEXT),
    ("criu", "", TEXT),
    HELP,
    ("version", "v", BOOL),
)

_BUNDLE = ("bundle", "b", TEXT)
_CONSOLE_SOCKET = ("console-socket", "", TEXT)
_PIDFD_SOCKET = ("pidfd-socket", "", TEXT)
_PID_FILE = ("pid-file", "", TEXT)
_NO_PIVOT = ("no-pivot", "", BOOL)
_NO_NEW_KEYRING = ("no-new-keyring", "", BOOL)
_PRESERVE_FDS = ("preserve-fds", "", NUMBER)
_DETACH = ("detach", "d", BOOL)
_NO_SUBREAPER = ("no-subreaper", "", BOOL)
_FORMAT = ("format", "f", TEXT)

# What checkpoint and restore have in common.
_IMAGES = (
    ("image-path", "", TEXT),
    ("work-path", "", TEXT),
    ("tcp-established", "", BOOL),
    ("ext-unix-sk", "", BOOL),
    ("shell-job", "", BOOL),
    ("lazy-pages", "", BOOL),
    ("file-locks", "", BOOL),
    ("manage-cgroups-mode", "", TEXT),
    ("empty-ns", "", LIST),
    ("auto-dedup", "", BOOL),
)

COMMANDS = {
    "checkpoint": Command(
        "unfinished",
        "checkpoint",
        1,
        1,
        (
            *_IMAGES,
            ("parent-path", "", TEXT),
            ("leave-running", "", BOOL),
            ("tcp-skip-in-flight", "", BOOL),
            ("link-remap", "", BOOL),
            ("status-fd", "", NUMBER),
            ("page-server", "", TEXT),
            ("pre-dump", "", BOOL),
            HELP,
        ),
    ),
    "create": Command(
        "lifecycle",
        "create",
        1,
        1,
        (
            _BUNDLE,
            _CONSOLE_SOCKET,
            _PIDFD_SOCKET,
            _PID_FILE,
            _NO_PIVOT,
            _NO_NEW_KEYRING,
            _PRESERVE_FDS,
            ("detach", "", BOOL),
            HELP,
        ),
    ),
    "delete": Command("lifecycle", "delete", 1, 1, (("force", "f", BOOL), HELP)),
    "events": Command("events", "main", 1, 1, (("interval", "", DURATION), ("stats", "", BOOL), HELP)),
    "exec": Command(
        "exec",
        "main",
        1,
        -1,
        (
            _CONSOLE_SOCKET,
            _PIDFD_SOCKET,
            ("cwd", "", TEXT),
            ("env", "e", LIST),
            ("tty", "t", BOOL),
            ("user", "u", TEXT),
            ("additional-gids", "g", LIST),
            ("process", "p", TEXT),
            _DETACH,
            _PID_FILE,
            ("process-label", "", TEXT),
            ("apparmor", "", TEXT),
            ("no-new-privs", "", BOOL),
            ("cap", "c", LIST),
            _PRESERVE_FDS,
            ("cgroup", "", LIST),
            ("ignore-paused", "", BOOL),
            HELP,
        ),
        FIRST,
    ),
    "features": Command("show", "features", 0, 0, (HELP,)),
    "kill": Command("kill", "main", 1, 2, (("all", "a", BOOL), HELP)),
    "list": Command("list", "main", 0, 0, (_FORMAT, ("quiet", "q", BOOL), HELP)),
    "pause": Command("lifecycle", "pause", 1, 1, (HELP,)),
    "plan": Command("show", "plan", 0, 0, (_BUNDLE, ("json", "", BOOL), _NO_PIVOT, HELP)),
    "ps": Command("ps", "main", 1, -1, (_FORMAT, HELP), FIRST),
    "restore": Command(
        "unfinished",
        "restore",
        1,
        1,
        (
            *_IMAGES,
            _CONSOLE_SOCKET,
            _BUNDLE,
            _DETACH,
            _PID_FILE,
            _NO_SUBREAPER,
            _NO_PIVOT,
            ("lsm-profile", "", TEXT),
            ("lsm-mount-context", "", TEXT),
            HELP,
        ),
    ),
    "resume": Command("lifecycle", "resume", 1, 1, (HELP,)),
    "run": Command(
        "lifecycle",
        "run",
        1,
        1,
        (
            _BUNDLE,
            _CONSOLE_SOCKET,
            _PIDFD_SOCKET,
            _PID_FILE,
            _DETACH,
            ("keep", "", BOOL),
            _NO_SUBREAPER,
            _NO_PIVOT,
            _NO_NEW_KEYRING,
            _PRESERVE_FDS,
            HELP,
        ),
    ),
    "spec": Command("show", "spec", 0, 0, (_BUNDLE, ("rootless", "", BOOL), HELP)),
    "start": Command("lifecycle", "start", 1, 1, (HELP,)),
    "state": Command("lifecycle", "state", 1, 1, (HELP,)),
    "stats": Command(
        "stats", "main", 0, -1, (("all", "a", BOOL), _FORMAT, ("interval", "", DURATION), ("once", "", BOOL), HELP)
    ),
    "update": Command(
        "update",
        "main",
        1,
        1,
        (
            ("resources", "r", TEXT),
            ("blkio-weight", "", TEXT),
            ("cpu-period", "", TEXT),
            ("cpu-quota", "", TEXT),
            ("cpu-burst", "", TEXT),
            ("cpu-share", "", TEXT),
            ("cpu-rt-period", "", TEXT),
            ("cpu-rt-runtime", "", TEXT),
            ("cpuset-cpus", "", TEXT),
            ("cpuset-mems", "", TEXT),
            ("kernel-memory", "", TEXT),
            ("kernel-memory-tcp", "", TEXT),
            ("memory", "", TEXT),
            ("memory-reservation", "", TEXT),
            ("memory-swap", "", TEXT),
            ("cpu-idle", "", TEXT),
            ("pids-limit", "", TEXT),
            ("l3-cache-schema", "", TEXT),
            ("mem-bw-schema", "", TEXT),
            HELP,
        ),
    ),
    "validate": Command("validate", "main", 0, -1, (_FORMAT, ("strict", "", BOOL), ("kind", "", TEXT), _BUNDLE, HELP)),
    "help": Command("help", "main", 0, 1, (HELP,)),
    "version": Command("show", "version", 0, 0, (HELP,)),
}

ALIASES = {"h": "help"}
