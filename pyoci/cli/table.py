"""The table of commands and flags: what parsing, help, the man page and the completions are made from.

It is read by every command, so it holds only what parsing needs, as text that costs nothing until a command's own row
is looked at. The words for people are in `texts.py`, under the same names; a test holds the two together.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    Flag = tuple[str, str, str]  # (name, one-letter alias or "", kind)

BOOL = "bool"
TEXT = "text"
LIST = "list"  # may be given more than once
NUMBER = "number"  # decimal, 0 or more
DURATION = "duration"  # 5s, 1m30s, 200ms; handed on as seconds

MIXED = "mixed"  # flags may follow the arguments
FIRST = "first"  # the first argument ends the flags: what follows belongs to another program

HELP = ("help", "h", "bool")

GLOBAL = (
    ("debug", "", "bool"),
    ("log", "", "text"),
    ("log-format", "", "text"),
    ("root", "", "text"),
    ("systemd-cgroup", "", "bool"),
    ("cgroup-manager", "", "text"),
    ("rootless", "", "text"),
    ("criu", "", "text"),
    ("trace", "", "text"),
    ("help", "h", "bool"),
    ("version", "v", "bool"),
)

# command: (module, function, fewest arguments, most arguments (-1: any number), order, flags)
# A flag is written name[/letter][:kind]; one without a kind is BOOL. Every command has --help besides.
# fmt: off
COMMANDS = {
    "checkpoint": ("checkpoint", "checkpoint", 1, 1, "mixed",
        "image-path:text work-path:text tcp-established ext-unix-sk shell-job lazy-pages file-locks"
        " manage-cgroups-mode:text empty-ns:list auto-dedup parent-path:text leave-running tcp-skip-in-flight"
        " link-remap status-fd:number page-server:text pre-dump",
    ),
    "create": ("lifecycle", "create", 1, 1, "mixed",
        "bundle/b:text console-socket:text pidfd-socket:text pid-file:text no-pivot no-new-keyring preserve-fds:number"
        " detach",
    ),
    "delete": ("lifecycle", "delete", 1, 1, "mixed", "force/f"),
    "doctor": ("doctor", "main", 0, 0, "mixed", "format/f:text"),
    "events": ("events", "main", 1, 1, "mixed", "interval:duration stats"),
    "exec": ("exec", "main", 1, -1, "first",
        "console-socket:text pidfd-socket:text cwd:text env/e:list tty/t user/u:text additional-gids/g:list"
        " process/p:text detach/d pid-file:text process-label:text apparmor:text no-new-privs cap/c:list"
        " preserve-fds:number cgroup:list ignore-paused",
    ),
    "features": ("show", "features", 0, 0, "mixed", ""),
    "help": ("help", "main", 0, 1, "mixed", ""),
    "kill": ("kill", "main", 1, 2, "mixed", "all/a"),
    "list": ("list", "main", 0, 0, "mixed", "format/f:text quiet/q"),
    "pause": ("lifecycle", "pause", 1, 1, "mixed", ""),
    "plan": ("show", "plan", 0, 0, "mixed",
        "bundle/b:text exec:text process/p:text cgroup:list ignore-paused update:text resources/r:text delete:text"
        " restore image-path:text work-path:text json no-pivot",
    ),
    "ps": ("ps", "main", 1, -1, "first", "format/f:text"),
    "restore": ("checkpoint", "restore", 1, 1, "mixed",
        "image-path:text work-path:text tcp-established ext-unix-sk shell-job lazy-pages file-locks"
        " manage-cgroups-mode:text empty-ns:list auto-dedup console-socket:text bundle/b:text detach/d pid-file:text"
        " no-subreaper no-pivot lsm-profile:text lsm-mount-context:text",
    ),
    "resume": ("lifecycle", "resume", 1, 1, "mixed", ""),
    "run": ("lifecycle", "run", 1, 1, "mixed",
        "bundle/b:text console-socket:text pidfd-socket:text pid-file:text detach/d keep no-subreaper no-pivot"
        " no-new-keyring preserve-fds:number",
    ),
    "sandbox": ("sandbox", "main", 1, -1, "first",
        "rootfs:text memory:text cpus:text pids:number timeout:duration network bind:list tmpfs:list user/u:text"
        " env/e:list cwd:text hostname:text tty/t best-effort bundle/b:text",
    ),
    "shim": ("shim", "main", 1, 1, "mixed", "format/f:text"),
    "spec": ("spec", "main", 0, -1, "first",
        "bundle/b:text rootless rootfs:text readonly writable args:text env/e:list cwd:text user/u:text cap/c:list"
        " tty/t no-tty hostname:text net:text bind:list tmpfs:list memory:text cpus:text pids:number",
    ),
    "start": ("lifecycle", "start", 1, 1, "mixed", ""),
    "state": ("lifecycle", "state", 1, 1, "mixed", ""),
    "stats": ("stats", "main", 0, -1, "mixed", "all/a format/f:text graph interval:duration once"),
    "update": ("update", "main", 1, 1, "mixed",
        "resources/r:text blkio-weight:text cpu-period:text cpu-quota:text cpu-burst:text cpu-share:text"
        " cpu-rt-period:text cpu-rt-runtime:text cpuset-cpus:text cpuset-mems:text kernel-memory:text"
        " kernel-memory-tcp:text memory:text memory-reservation:text memory-swap:text cpu-idle:text pids-limit:text"
        " l3-cache-schema:text mem-bw-schema:text",
    ),
    "validate": ("validate", "main", 0, -1, "mixed", "format/f:text strict start host kind:text bundle/b:text"),
    "version": ("version", "version", 0, 0, "mixed", "check"),
}
# fmt: on

ALIASES = {"h": "help"}


class Command:
    """One row: where the command's code is, how many arguments it takes (most = -1: any number), and its flags."""

    __slots__ = ("flags", "function", "least", "module", "most", "order")

    def __init__(self, module: str, function: str, least: int, most: int, order: str, flags: str) -> None:
        self.module = module
        self.function = function
        self.least = least
        self.most = most
        self.order = order
        self.flags: "tuple[Flag, ...]" = (*(_flag(word) for word in flags.split()), HELP)


def command(name: str) -> "Optional[Command]":
    """The row of a command, None when there is none of that name."""
    row = COMMANDS.get(name)
    return Command(*row) if row else None


def flags_of(name: str) -> "tuple[Flag, ...]":
    """The flags of a command; those of the program for ""."""
    return Command(*COMMANDS[name]).flags if name else GLOBAL


def _flag(word: str) -> "Flag":
    spelled, _, kind = word.partition(":")
    name, _, short = spelled.partition("/")
    return name, short, kind or BOOL
