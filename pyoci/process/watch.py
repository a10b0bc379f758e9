"""One thread for the ends of all processes that somebody wants to be called for."""

import os
import select
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyoci.process.process import Process

    Watched = tuple[Process, Callable[[Process], object]]


class _Watcher:
    """Sleeps in epoll while there is nobody to wait for, and does not keep the program from ending."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.epoll = select.epoll()
        self.watched: "dict[int, Watched]" = {}
        threading.Thread(target=self._serve, name="pyoci ends", daemon=True).start()

    def add(self, process: "Process", callback: "Callable[[Process], object]") -> None:
        """The descriptor is our own: the caller may close his."""
        fd = os.dup(process.pidfd)
        with self.lock:
            self.watched[fd] = (process, callback)
            self.epoll.register(fd, select.EPOLLIN | select.EPOLLONESHOT)

    def _serve(self) -> None:
        while True:
            for fd, _ in self.epoll.poll():
                with self.lock:
                    process, callback = self.watched.pop(fd)
                    self.epoll.unregister(fd)
                os.close(fd)
                process.poll()
                _call(callback, process)
                del process, callback


def _call(callback: "Callable[[Process], object]", process: "Process") -> None:
    try:
        callback(process)
    except BaseException:
        kind, value, trace = sys.exc_info()
        threading.excepthook(threading.ExceptHookArgs((kind, value, trace, threading.current_thread())))


_watchers: "dict[int, _Watcher]" = {}  # by the process that has its thread: threads do not survive a fork
_lock = threading.Lock()


def watch(process: "Process", callback: "Callable[[Process], object]") -> None:
    """Process.on_end()."""
    if process.poll() is not None:
        _call(callback, process)
        return
    with _lock:
        if os.getpid() not in _watchers:
            _watchers[os.getpid()] = _Watcher()
        watcher = _watchers[os.getpid()]
    watcher.add(process, callback)
