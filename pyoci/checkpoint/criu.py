"""One run of CRIU: `criu swrk`, a request, what it asks meanwhile, its answer, and of a failure its first words."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

from pyoci.errors import Error

Ask = Callable[[str, int, int], None]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HINT = "install criu, or name it with --criu"


def load_messages() -> Any:
    """The module of the protocol. Errors: Error when the protobuf library is missing."""
    try:
        from pyoci.checkpoint import messages
    except ImportError:
        hint = "install it: python3-protobuf (Debian), or pip install protobuf"
        raise Error("checkpoint and restore need the Python library protobuf", hint=hint, kind="missing") from None
    return messages


def _let_signals_through() -> None:
    """In CRIU's process before it is CRIU: `restore` in the foreground holds signals back, and that is inherited."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class Directories:
    """Where images and log are: descriptors for CRIU, and the paths for people."""

    __slots__ = ("images", "images_path", "work", "work_path")

    def __init__(self, images: str, work: str) -> None:
        self.images_path = images
        self.work_path = work or images
        self.images = _directory(self.images_path)
        if work:  # containerd's shim names one that nobody has made
            make_directory(work, "--work-path")
        self.work = _directory(self.work_path)

    def close(self) -> None:
        """Closes both."""
        os.close(self.images)
        os.close(self.work)


def make_directory(path: str, flag: str) -> None:
    """Makes a directory where there is none. Errors: Error with the flag that names it."""
    try:
        os.makedirs(path, 0o700, exist_ok=True)
    except OSError as problem:
        raise Error(f"make {path}", location=flag, errno=problem.errno or 0) from None


def _directory(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as problem:
        raise Error(f"open {path}", errno=problem.errno or 0) from None


class Criu:
    """A process of CRIU's.

    program:    its path or name, "" for `criu`
    descriptors: it inherits these under their numbers
    on_notify:  called with what CRIU is about to do, the pid it tells, and a descriptor that comes along, or -1
    on_spawn:   called with CRIU's own pid, before it gets to work
    """

    def __init__(self, program: str, directories: Directories) -> None:
        self.program = program or "criu"
        self.directories = directories
        self.descriptors: list[int] = []
        self.on_notify: Ask | None = None
        self.on_spawn: Callable[[int], None] | None = None

    def run(self, kind: int, name: str, options: Any) -> Any:
        """Does a request. name: its name for errors. Errors: Error with CRIU's first error and the place of its log."""
        messages = load_messages()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with tempfile.TemporaryFile() as words:
            try:
                process = self._spawn(theirs, words)
            finally:
                theirs.close()
            try:
                if self.on_spawn is not None:
                    self.on_spawn(process.pid)
                options.images_dir_fd, options.work_dir_fd = self.directories.images, self.directories.work
                ours.send(messages.Request(type=kind, opts=options).SerializeToString())
                return self._talk(ours, name)
            except OSError:
                process.wait()
                words.seek(0)
                last = words.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                text = f"{self.program} ended without an answer"
                raise Error(
                    f"{text}: {last}" if last else text, step=name, hint=_HINT + self._log(name), kind="host"
                ) from None
            finally:
                ours.close()
                process.wait()

    def _spawn(self, theirs: socket.socket, words: Any) -> subprocess.Popen[bytes]:
        handed = [theirs.fileno(), self.directories.images, self.directories.work, *self.descriptors]
        try:
            return subprocess.Popen(
                [self.program, "swrk", str(theirs.fileno())], pass_fds=handed,
                env={"PATH": os.environ.get("PATH") or _PATH}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=words,
                preexec_fn=_let_signals_through,  # noqa: PLW1509 - one system call, no lock
            )  # fmt: skip
        except OSError as problem:
            raise Error(f"start {self.program}", errno=problem.errno or 0, hint=_HINT) from None

    def _talk(self, ours: socket.socket, name: str) -> Any:
        messages = load_messages()
        while True:
            data, passed, _, _ = socket.recv_fds(ours, 1 << 16, 1)
            if not data:
                raise OSError
            answer = messages.Response()
            answer.ParseFromString(data)
            fd = passed[0] if passed else -1
            if answer.type != messages.NOTIFY:
                if fd >= 0:
                    os.close(fd)
                if not answer.success:
                    raise self._failure(name, answer)
                return answer
            script, pid = answer.notify.script, answer.notify.pid
            if self.on_notify is not None:
                self.on_notify(script, pid, fd)
            elif fd >= 0:
                os.close(fd)
            ours.send(messages.Request(type=messages.NOTIFY, notify_success=True).SerializeToString())

    def _failure(self, name: str, answer: Any) -> Error:
        first = self._first_error(name) or answer.cr_errmsg
        text = f"criu failed: {first}" if first else "criu failed"
        return Error(text, step=name, errno=answer.cr_errno, hint=self._log(name).lstrip("; "), kind="host")

    def _first_error(self, name: str) -> str:
        """CRIU's log is long; the first error is mostly the cause, the rest are its consequences."""
        try:
            with open(f"{self.directories.work_path}/{name}.log", encoding="utf-8", errors="replace") as log:
                for line in log:
                    if "Error (" in line and "RLIMIT_NOFILE for self" not in line:  # which it goes on without
                        return "".join(c for c in line[line.index("Error (") :].strip() if c.isprintable())
        except OSError:
            pass
        return ""

    def _log(self, name: str) -> str:
        path = f"{self.directories.work_path}/{name}.log"
        return f"; log: {path}" if os.path.exists(path) else ""
