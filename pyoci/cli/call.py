"""One call of the program: its global settings, its command's flags and arguments.

A command is a function `main(call: Call) -> int` in a module of pyoci/cli, which returns the exit status, writes its
result with `pyoci.cli.output.show`, and raises pyoci.errors.Error for everything that goes wrong.
"""

import posix

from pyoci.errors import Error
from pyoci.paths import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.cli.trace import Trace
    from pyoci.runtime import Runtime

MANAGERS = ("cgroupfs", "systemd", "disabled")
LOG_FORMATS = ("text", "json")
WHEN = ("true", "false", "auto")  # --rootless; a Go program's other words for the first two as well


class Call:
    """command: its name; flags: the values of those given, by full name; arguments: the rest of the words.

    root is absolute; root_given tells whether --root was there. log_fd is -1 until the log file is open.
    """

    __slots__ = (
        "arguments",
        "cgroup_manager",
        "command",
        "criu",
        "debug",
        "flags",
        "log_fd",
        "log_format",
        "log_path",
        "root",
        "root_given",
        "rootless",
        "trace",
        "trace_path",
    )

    def __init__(self) -> None:
        self.command = ""
        self.flags: "dict[str, Any]" = {}
        self.arguments: "list[str]" = []
        self.root = ""
        self.root_given = False
        self.log_path = ""
        self.log_format = "text"
        self.log_fd = -1
        self.debug = False
        self.cgroup_manager = "cgroupfs"
        self.rootless = "auto"
        self.criu = ""
        self.trace_path = ""
        self.trace: "Optional[Trace]" = None

    def text(self, name: str, default: str = "") -> str:
        """The value of a text flag."""
        value: str = self.flags.get(name, default)
        return value

    def yes(self, name: str) -> bool:
        """Whether a flag without a value was given (and not as =false)."""
        value: bool = self.flags.get(name, False)
        return value

    def number(self, name: str, default: int = 0) -> int:
        """The value of a number flag."""
        value: int = self.flags.get(name, default)
        return value

    def seconds(self, name: str, default: float) -> float:
        """The value of a duration flag, in seconds."""
        value: float = self.flags.get(name, default)
        return value

    def texts(self, name: str) -> "list[str]":
        """All values of a flag that may be repeated, in order."""
        value: "list[str]" = self.flags.get(name, [])
        return value

    def path(self, name: str) -> str:
        """The value of a text flag that names a file, made absolute; "" when not given or empty."""
        value = self.text(name)
        return absolute(value) if value else ""

    def runtime(self) -> "Runtime":
        """The runtime on this call's root."""
        from pyoci.runtime import Runtime

        return Runtime(self.root, cgroup_manager=self.cgroup_manager, rootless=self.rootless, warn=self.warn)

    def warn(self, text: str) -> None:
        """Logs what was ignored, of a command that did not fail: callers read the log of one that did as the error
        alone. Without a log it goes to standard error."""
        from pyoci.cli.log import emit

        try:
            emit(self, "warning", text)
        except OSError:
            pass  # a full disk is no reason to end what was done


def settle(call: Call, values: "dict[str, Any]") -> None:
    """Takes the global flags into the call. Raises Error for a value that is none of the known ones.

    The log comes first, so that a wrong value of the others is written to it.
    """
    form = values.get("log-format", "text") or "text"
    if form not in LOG_FORMATS:
        raise Error(f"invalid log-format: {form}", hint=f"it is one of {', '.join(LOG_FORMATS)}", kind="refused")
    call.log_format = form
    log = values.get("log", "")
    call.log_path = absolute(log) if log else ""
    call.debug = values.get("debug", False)
    call.criu = values.get("criu", "")
    trace = values.get("trace", "")
    call.trace_path = absolute(trace) if trace else ""
    manager = values.get("cgroup-manager", "")
    if not manager:
        manager = "systemd" if values.get("systemd-cgroup", False) else "cgroupfs"
    elif manager not in MANAGERS:
        raise Error(f'unknown cgroup manager "{manager}"', hint="use cgroupfs, systemd or disabled", kind="refused")
    call.cgroup_manager = manager
    call.rootless = _rootless(values.get("rootless", "auto"))
    call.root_given = "root" in values
    if values.get("root") == "":
        raise Error(
            "Option --root argument must not be empty", hint="it would be the working directory", kind="refused"
        )
    call.root = absolute(values["root"]) if call.root_given else default_root()
    if call.root == "/":
        # The container directories would be mixed with the host's own.
        raise Error("Option --root argument should not be set to /", kind="refused")


def _rootless(value: str) -> str:
    if value in ("", "auto"):
        return "auto"
    if value in ("1", "t", "T", "TRUE", "true", "True"):
        return "true"
    if value in ("0", "f", "F", "FALSE", "false", "False"):
        return "false"
    raise Error(f'invalid value "{value}" for --rootless', hint=f"it is one of {', '.join(WHEN)}", kind="refused")


def absolute(path: str) -> str:
    """The path from /, without `.`, `..` and doubled slashes, symbolic links not looked at. Raises Error."""
    if path[:1] != "/":
        try:
            path = f"{posix.getcwd()}/{path}"
        except FileNotFoundError:
            raise Error(f'cannot resolve "{path}": the working directory no longer exists', kind="host") from None
    return clean(path)


def default_root() -> str:
    """Where states are kept without --root: /run/pyoci, or under $XDG_RUNTIME_DIR without the host's root."""
    directory = environment("XDG_RUNTIME_DIR")
    if directory and _not_host_root():
        return absolute(directory) + "/pyoci"
    return "/run/pyoci"


def _not_host_root() -> bool:
    if posix.geteuid() != 0:
        return True
    # Root of a user namespace made by `unshare -r` or rootless podman keeps the user's name; a real root session is
    # told apart by USER=root, which is also how a nested engine asks for /run.
    return environment("USER") != "root" and in_user_namespace()


def in_user_namespace() -> bool:
    """Whether ids here are mapped: the initial namespace maps all 2^32-1 ids onto themselves (user_namespaces(7))."""
    try:
        fd = posix.open("/proc/self/uid_map", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        return posix.read(fd, 4096).split() != [b"0", b"0", b"4294967295"]
    finally:
        posix.close(fd)


def environment(name: str) -> str:
    """The value of an environment variable, "" when it is not set."""
    return posix.environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")
