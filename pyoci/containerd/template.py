"""The template: a process with all modules loaded, which forks a shim for each `start` of one containerd.

A fork costs a fifth of a start of Python, and what it does not change it shares with the template and with all its
other forks. The first `start` leaves it behind. The launcher (csrc/start/launcher.c) asks it, and does without where
there is none, or where this one refuses, because the caller is not as we are: that one may have other rights, limits or
cgroups. It ends when it has had nothing to do for a while, and none of its forks is left.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import gc
import posix
import select

from pyoci.containerd import process, sockets
from pyoci.containerd.rehearsal import rehearse
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    Begin = Callable[[list[str], Callable[[int], object]], None]

NAME = "pyoci-template"
VARIABLE = b"_PYOCI_TEMPLATE"  # the launcher's, with the socket's path
_PATIENCE = 60.0  # seconds without a request after which it ends, if no shim of its own is left
_LONGEST = 3600.0
_MAX_REQUEST = 64 << 10
_SO_PEERCRED = 17
_ALIKE = (
    b"Umask", b"Uid", b"Gid", b"Groups", b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb", b"NoNewPrivs",
    b"Seccomp", b"Cpus_allowed", b"Mems_allowed",
)  # fmt: skip
_FILES = ("cgroup", "limits", "attr/current")


def portrait(pid: "int | str") -> "tuple[bytes, ...]":
    """What a process hands on to its children, as far as a fork of ours could not make up for it. Raises OSError."""
    found = [_read(f"/proc/{pid}/{name}") for name in _FILES]
    lines = [line for line in _read(f"/proc/{pid}/status").split(b"\n") if line.partition(b":")[0] in _ALIKE]
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (*found, *lines, *fields[15:17], *fields[37:39])  # priority, nice; rt_priority, policy


def _read(path: str) -> bytes:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(fd, 65536)
    except OSError:
        if path.endswith("/attr/current"):
            return b""  # no security module
        raise
    finally:
        posix.close(fd)


def wanted() -> str:
    """The path of the socket, if the launcher wants a template; for nobody else to see."""
    return posix.environ.pop(VARIABLE, b"").decode("utf-8", "surrogateescape")


def leave_behind(path: str, start: "Begin") -> None:
    """Forks the template, unless somebody has been quicker. start: what its forks do. Where none can be had all goes
    on: a shim was just started, and serves."""
    directory, _, name = path.rpartition("/")
    try:
        listener = sockets.listen(directory, name)
    except Error:
        return
    if listener < 0:
        return
    try:
        pid = posix.fork()
    except OSError:
        pid = -1
        posix.unlink(path)
    if pid:
        posix.close(listener)
        return
    status = 1
    try:
        posix.setsid()
        null = posix.open("/dev/null", posix.O_RDWR)
        for fd in range(3):
            posix.dup2(null, fd)
        posix.close(null)
        posix.chdir("/")
        process.rename(NAME, "containerd-shim-pyoci-v1 template")
        Template(path, listener, start).run()
        status = 0
    finally:
        posix._exit(status)


class Template:
    """path: of its socket; start: what a fork does with the words and what is to be told the status."""

    def __init__(self, path: str, listener: int, start: "Begin") -> None:
        self.path, self.start = path, start
        self.listener = sockets.Listener(listener)
        self.inode = posix.stat(path).st_ino

    def run(self) -> None:
        """Until nobody needs it any more."""
        _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel takes the forks' statuses
        rehearse()

        gc.collect()
        gc.freeze()
        poll = select.poll()
        poll.register(self.listener.fd, select.POLLIN)
        patience = _PATIENCE
        while True:
            if poll.poll(patience * 1000):
                self._fork()
                patience = _PATIENCE
            elif not self._has_forks() or not self._is_ours():
                break
            else:
                patience = min(patience * 2, _LONGEST)
        self._retire()

    def _retire(self) -> None:
        """Nobody is to find it any more."""
        if self._is_ours():
            posix.unlink(self.path)

    def _has_forks(self) -> bool:
        try:
            posix.waitpid(-1, posix.WNOHANG)
        except ChildProcessError:
            return False
        return True

    def _is_ours(self) -> bool:
        """Whether the socket is still the one that we listen on."""
        try:
            return posix.stat(self.path).st_ino == self.inode
        except OSError:
            return False

    def _fork(self) -> None:
        fd = self.listener.accept()
        if fd < 0:
            return
        try:
            if posix.fork() == 0:
                self._be_forked(fd)
        except OSError:
            pass  # the caller sees its connection closed
        posix.close(fd)

    def _be_forked(self, fd: int) -> "NoReturn":
        status = 1
        try:
            self.listener.close()
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            posix.setsid()
            peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
            if self._resembles(peer):
                self._serve(peer)
                status = 0
        finally:
            posix._exit(status)

    def _resembles(self, peer: "_socket.socket") -> bool:
        """Whether the caller is as we are; else it does its work itself."""
        pid = int.from_bytes(peer.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12)[:4], "little")
        if portrait(pid) != portrait("self"):
            self._retire()  # containerd has other rights or limits now: the next one will be as it is
            return False
        score = _read(f"/proc/{pid}/oom_score_adj")
        if _read("/proc/self/oom_score_adj") != score:
            written = posix.open("/proc/self/oom_score_adj", posix.O_WRONLY | posix.O_CLOEXEC)
            posix.write(written, score)
            posix.close(written)
        return True

    def _serve(self, peer: "_socket.socket") -> None:
        peer.settimeout(2.0)
        peer.send(b"y")
        words, variables, files = receive(peer)
        peer.send(b"b")  # from here on the caller cannot do it itself any more
        posix.fchdir(files[3])
        for number in range(3):
            posix.dup2(files[number], number)
        for one in files:
            posix.close(one)
        posix.environ.clear()
        posix.environ.update(variables)

        def tell(status: int) -> None:
            peer.send(bytes((ord("d"), status)))
            peer.close()

        self.start(words, tell)


def receive(peer: "_socket.socket") -> "tuple[list[str], dict[bytes, bytes], list[int]]":
    """A request: words, environment, and four descriptors: the standard streams and the working directory."""
    data, control, _, _ = peer.recvmsg(_MAX_REQUEST, _socket.CMSG_SPACE(16), _socket.MSG_CMSG_CLOEXEC)
    files: "list[int]" = []
    for _, _, passed in control:
        files += [int.from_bytes(passed[at : at + 4], "little") for at in range(0, len(passed) - 3, 4)]
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        more = peer.recv(_MAX_REQUEST)
        if not more or len(data) > _MAX_REQUEST:
            raise OSError("the request is cut off")
        data += more
    if len(files) != 4:
        raise OSError("a request has four descriptors")
    first, _, rest = data[4:].partition(b"\0\0")
    words = [word.decode("utf-8", "surrogateescape") for word in first.split(b"\0")]
    variables = {name: value for name, _, value in (one.partition(b"=") for one in rest.split(b"\0") if one)}
    return words, variables, files
