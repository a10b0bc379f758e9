"""What a test has left on the host: processes, mounts, cgroups. Found by names and ancestry of its own."""

import ctypes
import os
import select
import signal
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
OWN: set[int] = set()  # commands whose status somebody waits for


def adopt_orphans() -> None:
    """Makes this process the parent of whatever its children leave behind: so descendants can be counted."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _parents() -> dict[int, int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                text = Path(f"/proc/{name}/stat").read_bytes()
            except OSError:
                continue
            state, parent = text[text.rindex(b")") + 2 :].split(b" ")[:2]
            if state not in (b"Z", b"X"):
                parents[int(name)] = int(parent)
    return parents


def reap() -> None:
    """Takes the status of orphans that have ended; commands under way take their own."""
    me = os.getpid()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in OWN:
            continue
        try:
            text = Path(f"/proc/{name}/stat").read_bytes()
        except OSError:
            continue
        state, parent = text[text.rindex(b")") + 2 :].split(b" ")[:2]
        if state == b"Z" and int(parent) == me:
            try:
                os.waitpid(int(name), os.WNOHANG)
            except ChildProcessError:
                pass


def settle() -> None:
    """Reaps, and waits for those that have begun to end: the first of a pid namespace ends after all the others."""
    reap()
    for pid in descendants():
        try:
            flags = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[6])
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        if flags & 4:  # PF_EXITING
            select.select([fd], [], [], 10)
        os.close(fd)
    reap()


def descendants() -> set[int]:
    """Pids of living processes below this one."""
    parents = _parents()
    found: set[int] = set()
    for pid in parents:
        at, path = pid, []
        while at in parents and at != os.getpid():
            path.append(at)
            at = parents[at]
        if at == os.getpid():
            found.update(path)
    return found


def mounts_below(path: str) -> list[str]:
    """The mount points of this mount namespace in a directory."""
    lines = Path("/proc/self/mountinfo").read_text().split("\n")
    points = [line.split(" ")[4] for line in lines if line]
    return [point for point in points if point == path or point.startswith(path + "/")]


def cgroups_named(part: str) -> list[str]:
    """Cgroup directories, three levels deep, with a string in their name."""
    found: list[str] = []
    level = ["/sys/fs/cgroup"]
    for _ in range(3):
        below = []
        for path in level:
            try:
                below += [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
            except OSError:  # other tests remove theirs meanwhile
                pass
        found += [path for path in below if part in os.path.basename(path)]
        level = below
    return sorted(found)


def name_of(pid: int) -> str:
    """A process's own name."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def describe(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return f"{pid} (gone)"
    return f"{pid} ({line.strip()})"


def remove_cgroups(part: str) -> None:
    for path in reversed(cgroups_named(part)):
        for inner in sorted(Path(path).glob("**/"), reverse=True):
            try:
                inner.rmdir()
            except OSError:
                pass


def kill(pids: set[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
