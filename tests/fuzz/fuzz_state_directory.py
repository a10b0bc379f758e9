"""A container's directory, its files damaged, exchanged, removed: whatever is left of it, no live process is forgotten.

After list, state, kill and both ways of delete the process has ended, or its directory is there still. The one way to
lose it is to take away every file that names it, which is no damage but a removal: such inputs are passed over.
"""

import contextlib
import os
import select
import shutil

from pyoci.container import kill, state
from pyoci.container.delete import delete, delete_by_force
from pyoci.errors import Error
from pyoci.runtime import Runtime

ROOT = f"{os.getcwd()}/directories"
PLACE = f"{ROOT}/c"
NAMES = ["state.json", "state.json.copy", "config.json", "start", "state.json.new", "notify", "stranger"]
NAMING = NAMES[:4]
STORE = state.Store(ROOT)


class Sleeper:
    """The process; another one when it has ended."""

    def __init__(self) -> None:
        self.pidfd = -1

    def alive(self, patience: float = 0) -> bool:
        """patience: seconds in which a killed process may end; delete goes on once it runs no more."""
        return self.pidfd >= 0 and not select.select([self.pidfd], [], [], patience)[0]

    def begin(self) -> None:
        if self.alive():
            return
        if self.pidfd >= 0:
            with contextlib.suppress(ChildProcessError):  # delete has taken its status
                os.waitpid(self.pid, 0)
            os.close(self.pidfd)
        self.pid = os.posix_spawn("/bin/sleep", ["sleep", "100000"], {})
        self.pidfd = os.pidfd_open(self.pid)


SLEEPER = Sleeper()


def make() -> None:
    """The directory as a running container has it."""
    SLEEPER.begin()
    shutil.rmtree(PLACE, ignore_errors=True)
    os.makedirs(PLACE, 0o700)
    with STORE.open("c") as entry:
        entry.record = {
            "oci_version": "1.3.0", "id": "c", "created": "2026-01-01T00:00:00.000000000Z", "bundle": "/b",
            "rootfs": "/b/rootfs", "hooks": [], "own_pids": True, "no_pivot": False, "no_new_keyring": False,
            "init_process_pid": SLEEPER.pid, "init_process_start": state.start_time(SLEEPER.pid),
            "cgroup": {"driver": "disabled", "version": 0, "cgroup_paths": {}, "made": []},
        }  # fmt: skip
        entry.save()
        entry.save_config(b"{}")
    os.mknod(f"{PLACE}/start", 0o140600)


def damage(data: bytes) -> None:
    """Operations of three bytes: what, of which file, how much; some take the bytes that follow."""
    while len(data) >= 3:
        what, name, much, data = data[0] % 8, NAMES[data[1] % len(NAMES)], data[2], data[3:]
        path = f"{PLACE}/{name}"
        try:
            data = apply(what, path, much, data)
        except OSError:
            pass  # not there, or no file by now


def apply(what: int, path: str, much: int, data: bytes) -> bytes:
    size = os.lstat(path).st_size if os.path.isfile(path) else 0
    if what == 0:
        remove(path)
    elif what == 1:
        os.truncate(path, size * much // 255)
    elif what == 2 and size:
        change(path, size * much // 256, data[:1])
        return data[1:]
    elif what == 3:
        remove(path)
        with open(path, "wb") as file:
            file.write(data[:much])
        return data[much:]
    elif what == 4:
        os.rename(path, f"{PLACE}/{NAMES[much % len(NAMES)]}")
    elif what == 5:
        remove(path)
        os.mkdir(path)
    elif what == 6:
        remove(path)
        os.symlink(f"{PLACE}/{NAMES[much % len(NAMES)]}", path)
    elif what == 7:
        with open(path, "ab") as file:
            file.write(data[:much])
        return data[much:]
    return data


def remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def change(path: str, at: int, to: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(to if to and to != old else bytes([old[0] ^ 1]))


def seeds() -> "list[bytes]":
    """Each operation on each file; two files at once."""
    one = [bytes([what, name, 128]) + b"{}" * 64 for what in range(8) for name in range(len(NAMES))]
    return one + [bytes([what, 0, 100, 0, what, 1, 100, 0]) for what in range(8)]


def test(data: bytes) -> None:
    """One directory: list, state, kill, delete, delete --force."""
    make()
    damage(data)
    if not any(os.path.lexists(f"{PLACE}/{name}") for name in NAMING):
        return
    Runtime(ROOT).list()
    for command in (look, end_softly, delete_it, delete_by_force_it):
        try:
            command()
        except Error as refusal:
            assert str(refusal)
        assert os.path.isdir(PLACE) or not SLEEPER.alive(5), f"{command.__name__}: a live process is forgotten"


def look() -> None:
    with STORE.look("c").load() as entry:
        entry.document()


def end_softly() -> None:
    with STORE.look("c").load() as entry:
        kill.kill(entry, 18)  # SIGCONT: nobody ends of it


def delete_it() -> None:
    delete(STORE, "c")


def delete_by_force_it() -> None:
    delete_by_force(STORE, "c")
