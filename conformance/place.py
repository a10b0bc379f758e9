"""The directory for everything that one run makes, and its removal: after the run, or after one that was killed."""

import fcntl
import os
import select
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from conformance import host

PREFIX = "cf-"
_LOCK = "owner"  # locked as long as its owner lives: the kernel lets go for those that are killed


class Place:
    """The directory of one run, with its cgroups, mounts and containers."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.path.chmod(0o711)  # ids of user namespaces have to come through
        self.lock = os.open(self.path / f"{_LOCK}.new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        (self.path / f"{_LOCK}.new").rename(self.path / _LOCK)  # nobody finds it before it is locked

    def remove(self) -> None:
        clean_up(self.path)
        os.close(self.lock)


def sweep() -> None:
    """Removes what runs that were killed have left: places whose owner is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_LOCK}"):
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or gone meanwhile
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.lstat(path.parent).st_uid == os.geteuid():
                print(f"pyoci-conformance: removing {path.parent}, left by a run that was killed", file=sys.stderr)
                clean_up(path.parent)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def suite_cgroups(place: Path) -> list[Path]:
    """Directories of this run in the cgroup hierarchies, deepest first."""
    found = []
    for point in host.cgroup_mounts().values():
        top = point / place.name
        if top.is_dir():
            found += [path for path in [top, *top.rglob("*")] if path.is_dir()]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def leftovers(place: Path) -> list[str]:
    """What the runtime left on the host after every container was deleted."""
    root = place / "root"
    left = [
        f"container record {path.name}"
        for path in (sorted(root.iterdir()) if root.is_dir() else [])
        if "cf-" in path.name
    ]
    left += [f"mount {point}" for point in host.mounts_below(str(place))]
    left += [
        f"cgroup {path}" for path in suite_cgroups(place) if path.name != place.name and (path.name.startswith("gw"))
    ]
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                target = os.readlink(entry / "root")
            except OSError:
                continue
            if target.startswith(str(place)):
                left.append(f"process {entry.name} in {target}")
    return left


def clean_up(place: Path) -> None:
    """Takes away all of the run's: processes, mounts, cgroups, the directory."""
    end_processes(place)
    try:
        host.unmount_below(str(place))
    except OSError as error:  # the verdicts are there, and must be told
        print(f"pyoci-conformance: {error.filename} stays: {error.strerror}", file=sys.stderr)
    for path in suite_cgroups(place):
        try:
            path.rmdir()
        except OSError as error:
            print(f"pyoci-conformance: {path} stays: {error.strerror}", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)


def end_processes(place: Path) -> None:
    """Ends what still runs in the run's own cgroups or root filesystems, and waits for its end."""
    found = {int(word) for path in suite_cgroups(place) for word in (path / "cgroup.procs").read_text().split()}
    found |= {int(thing.split()[1]) for thing in leftovers(place) if thing.startswith("process ")}
    for pid in found - {os.getpid()}:
        try:
            descriptor = os.pidfd_open(pid)
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            continue
        select.select([descriptor], [], [], 5)
        os.close(descriptor)
