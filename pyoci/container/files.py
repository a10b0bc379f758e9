"""What a caller gets beside the exit status: the pid file, and descriptors over its sockets."""

import posix

from pyoci import _shim
from pyoci.errors import Error
from pyoci.linux import kernel


def write_pid_file(path: str, pid: int) -> None:
    """Writes the pid in decimal, without a newline, as callers read it; the file appears whole.

    Errors: Error with the errno.
    """
    directory, _, name = path.rpartition("/")
    scratch = f"{directory}/.{name}"
    try:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW | posix.O_CLOEXEC
        fd = posix.open(scratch, flags, 0o644)
        try:
            try:
                posix.write(fd, str(pid).encode())
            finally:
                posix.close(fd)
            posix.rename(scratch, path)
        except OSError:
            posix.unlink(scratch)
            raise
    except OSError as problem:
        raise Error(f"write {path}", location="--pid-file", errno=problem.errno or 0) from None


def hand_over_console(socket: str, master: int) -> int:
    """Sends a pty's master to the caller's --console-socket and closes it here; without one ("") it stays ours, and
    is made ready for the caller's terminal before the program can use it.

    Returns the master, -1 when it has gone. Errors: as send_descriptor.
    """
    if not socket:
        from pyoci.container.terminal import prepare

        prepare(master)
        return master
    try:
        send_descriptor(socket, "--console-socket", b"/dev/ptmx", master)
    finally:
        posix.close(master)
    return -1


def _hint(problem: OSError) -> str:
    if isinstance(problem, ConnectionRefusedError):
        return "no program listens there, or the file is no socket"
    return "its owner makes it before the runtime is called" if isinstance(problem, FileNotFoundError) else ""


def send_descriptor(path: str, flag: str, payload: bytes, fd: int, *, connecting: str = "", sending: str = "") -> None:
    """Sends a descriptor over the stream socket at path; flag is the command's option that named it.

    connecting, sending: the steps that errors name
    Errors: Error with the errno: nobody listens, or it is no socket.
    """
    directory, _, name = path.rpartition("/")
    try:
        parent = posix.open(directory or "/", kernel.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
    except OSError as problem:
        raise Error(f"open {directory}", location=flag, step=connecting, errno=problem.errno or 0) from None
    try:
        peer = _shim.connect(parent, name.encode("utf-8", "surrogateescape"), kernel.SOCK_STREAM)
    finally:
        posix.close(parent)
    if peer < 0:
        raise Error(f"connect to {path}", location=flag, step=connecting, errno=-peer, hint=_hint(OSError(-peer, "")))
    try:
        sent = _shim.send(peer, payload, [fd])
    finally:
        posix.close(peer)
    if sent < 0:
        raise Error(f"send to {path}", location=flag, step=sending, errno=-sent)
