"""Cgroup directories: a path's components, making, listing, signalling and removing them."""

import posix
import time

from pyoci import paths
from pyoci.cgroups.host import Host
from pyoci.errors import Error
from pyoci.fileio import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATH_MAX = 4096  # the kernel's, limits.h
MAKE_TRIES = 20  # as often may others remove the parents of what is being made
REMOVE_SECONDS = 5.0  # a killed process may need this long to leave, on a loaded machine


def components(path: str) -> "list[str]":
    """The names in a path, `.` and `..` resolved without ever leaving the top (as a chroot would)."""
    if "\0" in path or "\n" in path or len(path) >= _PATH_MAX:
        raise _no_path(path)
    return paths.components(path)


def _no_path(path: str) -> Error:
    import errno

    if len(path) >= _PATH_MAX and "\0" not in path and "\n" not in path:
        text, number = f"a cgroup's path of {len(path)} characters", errno.ENAMETOOLONG
    else:
        text, number = "a cgroup's path cannot contain a NUL or a newline", errno.EINVAL
    return Error(text, location="linux.cgroupsPath", errno=number)


def is_gone(error: OSError) -> bool:
    """Whether the kernel says that a cgroup is not there, or no more."""
    import errno

    return error.errno in (errno.ENOENT, errno.ENODEV)


def join(base: str, names: "list[str]") -> str:
    """base/name/name, without a doubled slash."""
    return "/".join([base.rstrip("/"), *names])


def levels(base: str, path: str) -> "list[str]":
    """The directories from below `base` down to `path`, both as strings."""
    names = path[len(base.rstrip("/")) :].strip("/").split("/")
    return [join(base, names[: i + 1]) for i in range(len(names))]


def exists(path: str) -> bool:
    """Whether this cgroup is there."""
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def missing(base: str, path: str) -> "list[str]":
    """The directories that make() would have to make, outermost first."""
    absent: "list[str]" = []
    while len(path) > len(base) and not exists(path):
        absent.append(path)
        path = path.rpartition("/")[0]
    return absent[::-1]


def make(host: Host, base: str, path: str, fresh: "list[str]") -> None:
    """Makes `path` and what is missing between it and `base`; adds to `fresh` what was not there.

    By path, though /sys/fs/cgroup of v1 is a tmpfs, which can hold symlinks: `base` is a mount point as the kernel
    resolved it, and below it is cgroupfs, in which nobody can make any.
    """
    wanted = [path]
    for left in reversed(range(MAKE_TRIES)):
        try:
            for level in wanted:
                _make_level(host, level, fresh)
            return
        except OSError as error:
            if not left or not is_gone(error):
                raise
        wanted = levels(base, path)  # a parent is missing, or went just now with another container, the last in it


def _make_level(host: Host, path: str, fresh: "list[str]") -> None:
    try:
        host.mkdir(path)
    except FileExistsError:  # from before, or another container's create was quicker: its directory, then
        posix.close(host.open_dir(path))
    else:
        fresh.append(path)


def subtree(host: Host, path: str, remove: bool = False) -> "Iterator[int]":
    """A descriptor of every cgroup below `path` and of itself, children first, open until the next is asked for.

    Nothing if it is gone. remove: each is removed after that, but for `path` itself.

    A container shapes what lies below: it may nest deeper than a stack, a path or the descriptors that one may have
    open reach. So there is one at a time, and `..` leads back: in cgroupfs a directory never gets another parent.
    """
    try:
        fd = host.open_dir(path)
    except OSError as error:
        if is_gone(error):
            return
        raise
    names, waiting = [path], [_children(fd)]
    try:
        while True:
            if waiting[-1]:
                name = waiting[-1].pop()
                try:
                    fd = _move(host, name, fd)
                except OSError as error:
                    if is_gone(error):
                        continue
                    raise
                names.append(name)
                waiting.append(_children(fd))
                continue
            yield fd
            name = names.pop()
            waiting.pop()
            if not names:
                return
            fd = _move(host, "..", fd)
            if remove:
                host.rmdir(name, fd)
    finally:
        posix.close(fd)


def _move(host: Host, name: str, fd: int) -> int:
    """The descriptor of a neighbour, in the place of one."""
    there = host.open_dir(name, fd)
    posix.close(fd)
    return there


def _children(fd: int) -> "list[str]":
    try:
        if posix.fstat(fd).st_nlink == 2:
            return []
        with posix.scandir(fd) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if is_gone(error):
            return []
        raise


def pids_in(path: str, name: str = "cgroup.procs") -> "list[int]":
    """The processes of one cgroup, not of those below; none if it is gone."""
    try:
        return [int(word) for word in read_file(f"{path}/{name}").split()]
    except OSError as error:
        if is_gone(error):
            return []
        import errno

        if error.errno == errno.EOPNOTSUPP and name == "cgroup.procs":  # a threaded cgroup of v2
            return pids_in(path, "cgroup.threads")
        raise


def has_children(path: str) -> bool:
    """Whether there are cgroups below one."""
    try:
        return posix.stat(path).st_nlink != 2  # itself and its name
    except OSError as error:
        if is_gone(error):
            return False
        raise


def all_pids(host: Host, path: str) -> "list[int]":
    """The processes of a cgroup and of all below it, each once."""
    if not has_children(path):
        return pids_in(path)
    found: "dict[int, None]" = {}
    for directory in subtree(host, path):
        for pid in pids_in(f"/proc/self/fd/{directory}"):
            found[pid] = None
    return list(found)


def refuse_if_used(host: Host, path: str) -> None:
    """Refuses a cgroup that has processes: they would be limited, and killed, as this container's."""
    if found := all_pids(host, path):
        text = f"container's cgroup is not empty: {len(found)} process(es) found"
        raise Error(text, location="linux.cgroupsPath", hint=f"another program uses {path}", kind="host")


def signal_all(pids: "list[int]", number: int) -> None:
    """Signal each through a pidfd; one that ended in between is no error."""
    from _signal import pidfd_send_signal  # type: ignore[import-not-found]

    for pid in pids:
        try:
            fd = posix.pidfd_open(pid)
        except ProcessLookupError:
            continue
        except OSError as error:
            import errno

            if error.errno in (errno.EINVAL, errno.ENOENT):  # a thread of cgroup.threads: its leader is signalled
                continue
            raise
        try:
            pidfd_send_signal(fd, number)
        except ProcessLookupError:
            pass
        finally:
            posix.close(fd)


def remove(host: Host, path: str) -> None:
    """Removes a cgroup with those below it; waits while the kernel still sees tasks leaving.

    There is no notification for «rmdir would work now»: on v1 none at all, on v2 `populated 0` comes first but the
    last reference may still be dropping. So: 1 ms doubled up to 50 ms, for REMOVE_SECONDS at most.
    """
    deadline, pause = time.monotonic() + REMOVE_SECONDS, 0.001
    while True:
        try:
            for _ in subtree(host, path, remove=True):
                pass
            host.rmdir(path)
            return
        except OSError as error:
            if is_gone(error):  # somebody else removes it as well
                if not exists(path):
                    check_gone(path)
                    return
                continue
            import errno

            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise _not_removed(host, path, error.errno or 0) from None
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def check_gone(path: str) -> None:
    """A name that leads nowhere may mean that the cgroup is gone, or that its hierarchy is not mounted there by now.

    Errors: Error in the second case: what is out of sight is not removed.
    """
    above = path
    while above and not exists(above):
        above = above.rpartition("/")[0]
    if not exists(f"{above}/cgroup.procs"):
        hint = "mount its hierarchy there again; after a restart only the directory below --root is left: remove that"
        raise Error("it is out of sight", step=f"remove cgroup {path}", hint=hint, kind="host")


def _check_cgroup(path: str) -> None:
    """What is below another directory is not removed. Errors: Error for such a one."""
    if not exists(f"{path}/cgroup.procs") and exists(path):
        raise Error("it is no cgroup", step=f"remove cgroup {path}", hint="who changed state.json?", kind="damaged")


def _not_removed(host: Host, path: str, number: int) -> Error:
    left = all_pids(host, path)
    hint = f"still in it: {', '.join(map(str, left[:10]))}" if left else ""
    return Error(step=f"remove cgroup {path}", errno=number, hint=hint)


def remove_made(host: Host, made: "list[str]") -> None:
    """Removes the parents we made, where nobody else uses them by now. Errors: Error for any other reason to stay."""
    for path in sorted(made, key=len, reverse=True):
        try:
            host.rmdir(path)
        except OSError as error:
            import errno

            if error.errno != errno.EBUSY and not is_gone(error):
                raise Error(step=f"remove cgroup {path}", errno=error.errno or 0) from None


def take_away(host: Host, path: str, parents: "list[str]", vacate: "Callable[[], None]") -> None:
    """Does REMOVE_CGROUP: removes a cgroup, those below, and the parents we made that are empty.

    path:   "" for one that turned out to be somebody else's
    vacate: ends what is in it. rmdir(2) itself knows whether that is needed
    """
    try:
        if path:
            host.rmdir(path)
    except OSError as error:
        if is_gone(error):
            check_gone(path)
        else:
            _check_cgroup(path)
            vacate()
            remove(host, path)
    if parents:
        remove_made(host, parents)
