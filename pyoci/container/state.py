"""State directories: <root>/<id>/ with state.json, config.json and the start socket.

state.json is replaced whole, under a lock on the directory. A process is named by (pid, start time). What a container
is doing is asked of the kernel at every call, never read from the file.
"""

import posix

import pyoci
from pyoci import _shim
from pyoci.errors import Error
from pyoci.fileio import write_all
from pyoci.json.document import dump, parse
from pyoci.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, Optional, Union

    from pyoci.cgroups import Manager
    from pyoci.documents.results import State, Status

SOCKET = "start"  # init listens there from the moment that it may be started
EARLY_SOCKET = "start.new"  # and there before
NOTIFY = "notify"
_STATE, _COPY, _CONFIG = "state.json", "state.json.copy", "config.json"
_FORMAT = 1  # of state.json; it had no number, and no check and copy, before it had this one
_PRIME = 2**30 - 35  # one digit of Python's: a remainder by two of them costs twenty times as much
_FORMER_PRIME = 2**61 - 1  # of pyoci before 0.2.0
_DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC
_LARGEST = 64 << 20
# What create always notes, and what comes to it
_SHAPE = {
    "id": str, "oci_version": str, "created": str, "bundle": str, "rootfs": str, "hooks": list, "cgroup": dict,
    "init_process_pid": int, "init_process_start": int, "own_pids": bool, "no_pivot": bool, "no_new_keyring": bool,
}  # fmt: skip
_MORE = {
    "annotations": dict, "owner": str, "notify": bool, "started": bool, "network_path": str,
    "network_devices": list, "resctrl": dict, "undo": list, "changing": list, "poststart": list,
}  # fmt: skip
_LAST_PID = 2**31 - 1
_EROFS = 30
# What may lie in a directory in which state.json was not written, or is no more
_UNBORN = {"state.json.new", EARLY_SOCKET, NOTIFY, "criu-root"}


class Store:
    """The directory of all containers of one --root."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def refuse_taken(self, container: str) -> None:
        """Refuses an id that is taken, before anything that its container has (cgroup, devices, a class of service) is
        found in use. Errors: Error, in words that callers look for."""
        if posix.access(f"{self.path}/{container}", posix.F_OK):
            raise _taken(container)

    def make(self, container: str) -> "Entry":
        """Makes a container's directory, which takes the id; locked.

        Errors: Error when the id is taken, or the root is not ours to trust.
        """
        self._ensure()
        try:
            posix.mkdir(f"{self.path}/{container}", 0o700)
        except FileExistsError:
            raise _taken(container) from None
        except OSError as problem:
            raise _unusable(f"{self.path}/{container}", problem) from None
        return self.open(container)

    def open(self, container: str) -> "Entry":
        """Opens an existing container's directory and waits for its lock.

        Errors: Error "container does not exist"; with an errno, that it cannot be locked.
        """
        path = f"{self.path}/{container}"
        while True:
            try:
                fd = posix.open(path, _DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                raise self._absent(container) from None
            except OSError as problem:
                raise Error(f"open {path}", errno=problem.errno or 0) from None
            entry = Entry(container, path, fd)
            try:
                _lock(fd, path)
            except BaseException:
                entry.close()
                raise
            if _still_there(fd, path):
                return entry
            entry.close()  # while we waited it was deleted, and perhaps made anew

    def look(self, container: str) -> "Entry":
        """Opens an existing container's directory to read: state.json is whole at every instant, and a command that
        hangs in a hook must not keep others from asking, or from sending a signal.

        Errors: Error "container does not exist".
        """
        path = f"{self.path}/{container}"
        try:
            return Entry(container, path, posix.open(path, _DIRECTORY))
        except (FileNotFoundError, NotADirectoryError):
            raise self._absent(container) from None
        except OSError as problem:
            raise Error(f"open {path}", errno=problem.errno or 0) from None

    def names(self) -> "list[str]":
        """The ids, sorted. Errors: FileNotFoundError when there is no root."""
        try:
            found = posix.listdir(self.path)
        except FileNotFoundError:
            raise
        except OSError as problem:
            raise Error(f"list {self.path}", location="--root", errno=problem.errno or 0) from None
        return sorted([name for name in found if name[:1] != "@"])  # what is ours is no id

    def _absent(self, container: str) -> Error:
        """An id of which there is nothing. Where there is no root either, another was meant."""
        hint = ""
        try:
            if posix.stat(self.path).st_mode & 0o170000 != 0o040000:
                hint = f"{self.path} is not a directory: is --root the right one?"
        except (FileNotFoundError, NotADirectoryError):
            hint = f"there is no {self.path}: is --root the right one?"
        except OSError:
            pass
        return Error(f"container does not exist: {container}", hint=hint, kind="not_found")

    def _ensure(self) -> None:
        """Makes the root where there is none. It holds what we will trust, so nobody else may write there, nor put
        another in its place."""
        from pyoci.container.trust import refuse_shared

        refuse_shared(self.path)
        if not posix.access(self.path, posix.F_OK):
            self._make_root()
            refuse_shared(self.path)

    def _make_root(self) -> None:
        made = ""
        for part in self.path.strip("/").split("/"):
            made += "/" + part
            try:
                posix.mkdir(made, 0o700 if made == self.path else 0o755)
            except FileExistsError:
                pass
            except OSError as problem:
                raise _unusable(made, problem) from None


def _unusable(path: str, problem: OSError) -> Error:
    """The error for a root in which no directory can be made."""
    elsewhere = isinstance(problem, (FileNotFoundError, NotADirectoryError, PermissionError)) or problem.errno == _EROFS
    hint = "choose another --root: a place in which you may make directories" if elsewhere else ""
    return Error(f"make {path}", location="--root", errno=problem.errno or 0, hint=hint)


def _taken(container: str) -> Error:
    return Error(f"container with given ID already exists: {container}", kind="exists")


def _lock(fd: int, path: str) -> None:
    result = _shim.flock(fd, kernel.LOCK_EX)
    if result < 0:
        raise Error(f"lock {path}", errno=-result)


def _still_there(fd: int, path: str) -> bool:
    try:
        now, ours = posix.lstat(path), posix.fstat(fd)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino)


class Entry:
    """One container's directory, locked until it is closed.

    record: the contents of state.json; {} before the first save
    """

    __slots__ = ("container", "fd", "path", "record")

    def __init__(self, container: str, path: str, fd: int) -> None:
        self.container = container
        self.path = path
        self.fd = fd
        self.record: "dict[str, Any]" = {}

    def load(self) -> "Entry":
        """Reads state.json into record. Errors: Error when it is missing or is not what we wrote; then it is closed, so
        that a program does not keep the lock."""
        try:
            self._load()
        except BaseException:
            self.close()
            raise
        return self

    def _load(self) -> None:
        pyoci.mark("state")
        data = self._read(_STATE)
        if data is None:
            raise Error(
                f"container does not exist: {self.container} has no state",
                hint="`delete --force` removes what a command that was killed has left",
                kind="not_found",
            )
        record = read_record(data, f"{self.path}/{_STATE}")
        if not record.get("format") and self._has(_COPY):
            raise Error(f"{self.path}/{_STATE} is damaged: its format is missing", kind="damaged")
        self.record = record

    def recover(self) -> bool:
        """load() for who removes a container: where state.json cannot be read its copy says what there is. False where
        neither was ever written: then nothing else was made.

        Errors: Error when one of them was, and cannot be read: there may be a live process that only it names.
        """
        try:
            self._load()
        except Error as problem:
            if self._was_never_written():
                return False
            from pyoci.container.recovery import recover

            self.record = recover(self, problem)
        return True

    def _was_never_written(self) -> bool:
        """What is made after state.json is removed before it: if none of that is there, it was not either."""
        try:
            left = set(posix.listdir(self.fd)) - _UNBORN
        except OSError as problem:
            raise Error(f"list {self.path}", errno=problem.errno or 0) from None
        if left and not left & {_STATE, _COPY, _CONFIG, SOCKET}:
            raise Error(
                f"{self.path} is not a container's: {min(left)} is in it",
                hint="is --root the right one?",
                kind="damaged",
            )
        return not left

    def read_copy(self) -> "Optional[dict[str, Any]]":
        """What the copy of state.json holds, None where there is none. Errors: as of load()."""
        data = self._read(_COPY)
        return None if data is None else read_record(data, f"{self.path}/{_COPY}")

    def save(self) -> None:
        """Replaces state.json by record. /run is in memory: there is no disk to wait for. Once there is a process, a
        copy is kept: should the one be damaged, the other names it.

        cgroup_paths stands outside as well: collectors of statistics that know runc's file look for it there.
        """
        record = self.record
        record.pop("check", None)
        record["format"] = _FORMAT
        record["cgroup_paths"] = record["cgroup"]["cgroup_paths"]
        text = dump(record).encode()
        data = b'%b,"check":%d}' % (text[:-1], _check(text))
        self._replace(_STATE, data)
        if record["init_process_pid"]:
            try:
                self._write(_COPY, data)
            except OSError as problem:
                raise Error(f"write {self.path}/{_COPY}", errno=problem.errno or 0) from None

    def save_config(self, data: bytes) -> None:
        """Keeps the config.json that the container is made of: later changes of the bundle must not affect it. Once,
        and after state.json: see _was_never_written()."""
        try:
            self._write(_CONFIG, data)
        except OSError as problem:
            raise Error(f"write {self.path}/{_CONFIG}", errno=problem.errno or 0) from None

    def config(self) -> "dict[str, Any]":
        """The config kept. Errors: Error when there is none, or it is damaged."""
        data = self._read(_CONFIG)
        if data is None:
            raise Error(
                f"container {self.container} has no config",
                hint="was `create` killed? `delete --force` it",
                kind="damaged",
            )
        value = _parse(data, f"{self.path}/{_CONFIG}")
        if type(value) is not dict:
            raise Error(f"{self.path}/{_CONFIG} is not an object", kind="damaged")
        return value

    def close(self) -> None:
        """Lets go of the lock."""
        if self.fd >= 0:
            posix.close(self.fd)
            self.fd = -1

    def release(self) -> None:
        """Lets others have the lock for a while: what may take for ever must not keep `delete --force` waiting."""
        _shim.flock(self.fd, kernel.LOCK_UN)

    def regain(self) -> bool:
        """Locks and loads again after release(); False, and closed, when the container was deleted meanwhile."""
        _lock(self.fd, self.path)
        if _still_there(self.fd, self.path):
            self.load()
            return True
        self.close()
        return False

    def __enter__(self) -> "Entry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def remove(self) -> None:
        """Removes the directory and lets go of it. Only names that we make are expected, and nothing is followed."""
        pyoci.mark("state")
        for name in (_CONFIG, SOCKET, _COPY, _STATE):  # mostly that is all, and no list of it is needed
            try:
                posix.unlink(name, dir_fd=self.fd)
            except (FileNotFoundError, IsADirectoryError):
                pass
            except OSError as problem:
                raise Error(f"remove {self.path}/{name}", errno=problem.errno or 0) from None
        try:
            posix.rmdir(self.path)
        except OSError:
            try:
                self._remove_rest()
            except OSError as problem:
                raise Error(f"remove {self.path}", errno=problem.errno or 0) from None
        self.close()

    def _remove_rest(self) -> None:
        for name in posix.listdir(self.fd):
            try:
                posix.unlink(name, dir_fd=self.fd)
            except IsADirectoryError:
                self._remove_directory(name)
        posix.rmdir(self.path)

    def _remove_directory(self, name: str) -> None:
        inner = posix.open(name, _DIRECTORY, dir_fd=self.fd)
        try:
            for leaf in posix.listdir(inner):
                posix.unlink(leaf, dir_fd=inner)
        finally:
            posix.close(inner)
        posix.rmdir(name, dir_fd=self.fd)

    def _read(self, name: str) -> "Optional[bytes]":
        try:
            flags = posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC
            fd = posix.open(name, flags, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise Error(f"open {self.path}/{name}", errno=problem.errno or 0) from None
        try:
            found = posix.fstat(fd)
            if found.st_mode & 0o170000 != 0o100000:
                raise Error(f"{self.path}/{name} is not a regular file", kind="damaged")
            if found.st_size > _LARGEST:
                raise Error(f"{self.path}/{name} is larger than {_LARGEST >> 20} MiB", kind="damaged")
            return posix.read(fd, found.st_size)
        except OSError as problem:
            raise Error(f"read {self.path}/{name}", errno=problem.errno or 0) from None
        finally:
            posix.close(fd)

    def _replace(self, name: str, data: bytes) -> None:
        try:
            self._write(f"{name}.new", data)
            posix.rename(f"{name}.new", name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError as problem:
            raise Error(f"write {self.path}/{name}", errno=problem.errno or 0) from None

    def _write(self, name: str, data: bytes) -> None:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW | posix.O_CLOEXEC
        fd = posix.open(name, flags, 0o600, dir_fd=self.fd)
        try:
            write_all(fd, data)
        finally:
            posix.close(fd)

    # What the kernel says

    def pid(self) -> int:
        """The first process's pid if it is alive, else 0: not a zombie, and not another that got its number."""
        pid = int(self.record.get("init_process_pid") or 0)
        if pid and start_time(pid) == self.record.get("init_process_start"):
            return pid
        return 0

    def pids(self) -> "list[int]":
        """Every process in the container's cgroup and below; where it has none, all that is known: the first."""
        found = self.manager().pids()
        if not found and (first := self.pid()):
            found.append(first)
        return found

    def ready(self) -> None:
        """From now on the container may be started: to give the socket its name is less work than to write it down."""
        posix.rename(EARLY_SOCKET, SOCKET, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def status(self) -> "Status":
        """creating, created, running, paused or stopped."""
        status = self.status_by_process()
        if status:
            return status
        fd = self.connect()
        if fd >= 0:
            posix.close(fd)
        return status_by_socket(fd)

    def status_by_process(self) -> "Union[Status, Literal['']]":
        """paused or stopped, or running where that was written down; "" when only the socket can tell."""
        if not self.pid():
            return "stopped"
        if self.record.get("cgroup") and self.manager().frozen():
            return "paused"
        return "running" if self.record.get("started") else ""

    def connect(self) -> int:
        """A connection to the socket on which init awaits `start`; or a negated errno, see status_by_socket()."""
        return _shim.connect(self.fd, SOCKET.encode(), kernel.SOCK_SEQPACKET)

    def was_created(self) -> bool:
        """Whether `create` has come to its end, whatever has become of the container since."""
        return bool(self.record.get("started")) or self._has(SOCKET)

    def _has(self, name: str) -> bool:
        try:
            posix.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError as problem:
            raise Error(f"look at {self.path}/{name}", errno=problem.errno or 0) from None
        return True

    def manager(self) -> "Manager":
        """The container's cgroups."""
        from pyoci import cgroups

        return cgroups.load(self.record["cgroup"])

    def document(self) -> "State":
        """The state document of runtime.md, "State", with what runc adds."""
        record = self.record
        status = self.status()
        result: "State" = {
            "ociVersion": record["oci_version"],
            "id": self.container,
            "pid": 0 if status == "stopped" else record["init_process_pid"],
            "status": status,
            "bundle": record["bundle"],
            "rootfs": record["rootfs"],
            "created": record["created"],
        }  # type: ignore[typeddict-item]  # the owner is the last, as in runc's
        if record.get("annotations"):
            result["annotations"] = record["annotations"]
        result["owner"] = record.get("owner", "")
        return result


def status_by_socket(result: int) -> "Status":
    """What connect() tells: only init holds the socket, and only until it becomes the program."""
    if result >= 0:
        return "created"
    problem = OSError(-result, "connect")  # of the kind that its number stands for, without importing `errno`
    if isinstance(problem, FileNotFoundError):
        return "creating"
    # It was frozen, and so many have asked that the queue is full
    return "created" if isinstance(problem, BlockingIOError) else "running"


def _check(text: bytes, prime: int = _PRIME) -> int:
    """What a byte more, less or other changes: the text as a number, modulo a prime."""
    return int.from_bytes(text, "little") % prime


def _is_whole(data: bytes) -> bool:
    """Whether the check at a file's end is that of the rest."""
    text, _, check = data.rpartition(b',"check":')
    return any(check == b"%d}" % _check(text + b"}", prime) for prime in (_PRIME, _FORMER_PRIME))


def _parse(data: bytes, name: str) -> "Any":
    """The value of a file that we wrote."""
    try:
        return parse(data, name=name)
    except Error as problem:
        problem.kind = "damaged"
        raise


def read_record(data: bytes, name: str) -> "dict[str, Any]":
    """The record that a state file holds. Errors: Error that says why it is none."""
    record = _parse(data, name)
    if type(record) is dict:
        number = record.get("format")
        if number not in (None, _FORMAT):
            raise Error(
                f"{name} is of format {number}; this pyoci reads {_FORMAT}",
                hint="the container was made by another version of pyoci: use that one",
                kind="version",
            )
        if number and not _is_whole(data):
            raise Error(f"{name} is damaged: its check is wrong", kind="damaged")
        if _is_state(record):
            return record
    raise Error(f"{name} is not a container's state", kind="damaged")


def _is_state(record: "dict[str, Any]") -> bool:
    """Whether every value has the type that we give it."""
    for name, kind in _SHAPE.items():
        if type(record.get(name)) is not kind:
            return False
    for name, kind in _MORE.items():
        if name in record and type(record[name]) is not kind:
            return False
    pid: int = record["init_process_pid"]
    return 0 <= pid <= _LAST_PID


def start_time(pid: int) -> int:
    """When a process was started, in clock ticks since boot (proc_pid_stat(5), field 22); 0 when it has ended, were it
    a zombie still."""
    fields = _stat(pid)
    return 0 if not fields or fields[0] in (b"Z", b"X", b"x") else int(fields[19])


def open_process(pid: int) -> int:
    """A pidfd, or -1 when there is no such process. Errors: Error when the kernel refuses."""
    pidfd = _shim.pidfd_open(pid)
    if pidfd >= 0:
        return pidfd
    if isinstance(OSError(-pidfd, ""), ProcessLookupError):
        return -1
    raise Error(f"open process {pid}", errno=-pidfd)


def begin_time(pid: int) -> int:
    """The same, of a zombie, too; 0 when there is no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def is_exiting(pid: int) -> bool:
    """Whether a process runs no more, though it may not have ended (PF_EXITING in field 9)."""
    fields = _stat(pid)
    return not fields or bool(int(fields[6]) & 4)


def end_signal(pid: int) -> int:
    """The signal that has ended a process whose status nobody has taken yet, 0 for none or where it is not told."""
    fields = _stat(pid)
    return int(fields[49]) & 0x7F if len(fields) > 49 else 0  # exit_code, field 52


def _stat(pid: int) -> "list[bytes]":
    """/proc/<pid>/stat from field 3 on, [] when there is no such process.

    Errors: Error when the kernel does not tell: a process that cannot be looked at has not ended.
    """
    try:
        fd = posix.open(f"/proc/{pid}/stat", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            text = posix.read(fd, 4096)
        finally:
            posix.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return []
    except OSError as problem:
        raise Error(f"read /proc/{pid}/stat", errno=problem.errno or 0) from None
    return text[text.rindex(b")") + 2 :].split(b" ")
