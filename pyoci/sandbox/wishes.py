"""What a caller wants of a sandbox, read and checked."""

import os

from pyoci.errors import Error
from pyoci.sizes import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Optional, Union

    Size = Union[int, str]
    Path = Union[str, os.PathLike[str]]
    Bind = Union[str, tuple[str, str]]
    User = Union[int, str, tuple[int, int]]

DEFAULT_TMPFS = 64 << 20
NOBODY = 65534
HOME = "/home/sandbox"
# Where the sandbox's own system lies, or the kernel: what is put over it would undo what it is for
_RESERVED = ("/", "/proc", "/dev", "/sys")


def size(value: "Size", name: str) -> int:
    """Bytes of a number, or of text as 256M, 1G, 512k. Errors: Error that names the parameter."""
    found = value if isinstance(value, int) and not isinstance(value, bool) else parse(str(value))
    if found is None:
        raise Error(f"{value!r} is not a size", location=name, hint="a number of bytes, or 256M, 1G …")
    if found <= 0:
        raise Error(f"{value!r} is not a size above zero", location=name)
    return found


class Mount:
    """A path of the host in the sandbox."""

    __slots__ = ("destination", "source", "writable")

    def __init__(self, source: str, destination: str, writable: bool) -> None:
        self.source = source
        self.destination = destination
        self.writable = writable


class Wishes:
    """The parameters of pyoci.Sandbox, which explains them, in one form each."""

    def __init__(
        self,
        *,
        rootfs: "Optional[Path]" = None,
        memory: "Optional[Size]" = None,
        cpus: "Optional[float]" = None,
        pids: "Optional[int]" = None,
        network: bool = False,
        binds: "Mapping[str, Bind]" = {},  # noqa: B006 - never changed
        tmpfs: "Union[Iterable[str], Mapping[str, Size]]" = (),
        user: "Optional[User]" = None,
        env: "Mapping[str, str]" = {},  # noqa: B006 - never changed
        cwd: "Optional[str]" = None,
        hostname: str = "sandbox",
        terminal: bool = False,
        best_effort: bool = False,
        cgroup_manager: str = "cgroupfs",
    ) -> None:
        self.rootfs = None if rootfs is None else os.path.realpath(os.fspath(rootfs))
        if self.rootfs is not None and not os.path.isdir(self.rootfs):
            raise Error(f"{self.rootfs} is not a directory", location="rootfs")
        self.memory = None if memory is None else size(memory, "memory")
        self.cpus = None if cpus is None else _positive(cpus, "cpus")
        self.pids = None if pids is None else int(_positive(pids, "pids"))
        self.network = network
        self.binds = [_bind(source, how) for source, how in binds.items()]
        self.tmpfs = _tmpfs(tmpfs)
        self.rootless = os.geteuid() != 0
        self.uid, self.gid = _user(user)
        self.env = {**_environment(self.rootfs is None), **env}
        self.cwd = cwd or (HOME if self.rootfs is None else "/")
        _absolute(self.cwd, "cwd")
        self.hostname = hostname
        self.terminal = terminal
        self.best_effort = best_effort
        self.cgroup_manager = cgroup_manager
        self.warnings: "list[str]" = []
        self.data: "Optional[int]" = None  # where best_effort found no limit for all processes together: for each
        places = [mount.destination for mount in self.binds] + list(self.tmpfs)
        check_text("hostname", self.hostname)
        check_text("cwd", self.cwd)
        check_text("env", *self.env, *self.env.values())
        check_text("rootfs", self.rootfs or "")
        check_text("binds", *places, *[mount.source for mount in self.binds])
        for place in places:
            if place in _RESERVED or place.startswith(("/proc/", "/dev/", "/sys/")):
                raise Error("this place is the sandbox's own", location=place)
            if places.count(place) > 1:
                raise Error("asked for twice", location=place)


def check_text(location: str, *values: str) -> None:
    """config.json is UTF-8, which names of files and words of a command line need not be. Raises Error."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError as problem:
        raise Error(f"{problem.object!r} is no UTF-8 text, as config.json is", location=location) from None


def _positive(value: "Any", name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1 << 31:
        raise Error(f"{value!r} is not a number above zero", location=name)
    return value


def _absolute(path: str, name: str) -> str:
    clean = os.path.normpath(path)
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise Error(f"{path!r} is not an absolute path", location=name)
    return "/" + clean.lstrip("/")


def _bind(source: str, how: "Bind") -> Mount:
    destination, mode = (source, how) if isinstance(how, str) else how
    if mode not in ("ro", "rw"):
        raise Error(f"{mode!r} is neither ro nor rw", location=f"binds[{source!r}]")
    place = _absolute(destination, f"binds[{source!r}]")
    source = os.path.realpath(source)
    if not os.path.exists(source):
        raise Error(f"{source} does not exist", location=f"binds[{source!r}]")
    return Mount(source, place, mode == "rw")


def _tmpfs(wanted: "Union[Iterable[str], Mapping[str, Size]]") -> "dict[str, int]":
    from _collections_abc import Mapping  # which `os` has loaded; collections.abc is a package more

    sizes = wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted, DEFAULT_TMPFS)
    return {_absolute(path, "tmpfs"): size(value, f"tmpfs[{path!r}]") for path, value in sizes.items()}


def _user(user: "Optional[User]") -> "tuple[int, int]":
    """uid and gid inside. A user without privileges is himself; root's sandboxes are nobody's."""
    if user is None:
        return (os.geteuid(), os.getegid()) if os.geteuid() else (NOBODY, NOBODY)
    parts = user.split(":") if isinstance(user, str) else list(user) if isinstance(user, tuple) else [user]
    try:
        numbers = [int(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (1, 2) or not all(0 <= number < (1 << 32) - 1 for number in numbers):
        raise Error(f"{user!r} is neither a uid nor uid:gid", location="user")
    return numbers[0], numbers[-1]


def _environment(is_hosts: bool) -> "dict[str, str]":
    """Nothing of the caller's: it may hold what is secret."""
    names = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    if is_hosts:
        names |= {"HOME": HOME, "USER": "sandbox", "LOGNAME": "sandbox"}
    return names
