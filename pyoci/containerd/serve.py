"""The process that stays: it sets itself up, serves, and ends when it has no container left."""

import _signal  # type: ignore[import-not-found]
import posix
import select
import sys

import pyoci
from pyoci import _shim
from pyoci.containerd import children, process, sockets
from pyoci.containerd.events import Publisher
from pyoci.containerd.log import Log
from pyoci.containerd.loop import Loop
from pyoci.containerd.service import Service
from pyoci.containerd.ttrpc import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.containerd.command import Wish

_CHILD_SUBREAPER = 36
_LINGER = 5.0  # seconds that a shared shim waits for one more container before it ends
_REAPING = 1.0  # seconds in which orphans that have ended gather
_SWITCH = 0.001  # seconds after which a thread that works lets the loop's go on
_TASKLESS = 15.0  # seconds after which a shim without a container ends, even if clients are connected
_DELAYS = 12  # how often a call puts the end off: who only looks is not to keep us alive
_AGAIN = 0.02  # seconds until the next look whether the socket can be given up
_FAREWELL = 10.0  # seconds for the last events


class Shim:
    """All of it."""

    def __init__(self, wish: "Wish", listener: int, bundle: str, socket: str, is_shared: bool) -> None:
        self.log = Log(f"{bundle}/log", wish.is_debug)
        self.loop = Loop(lambda problem: self.log.mistake("internal error", problem))
        self.publisher = Publisher(self.loop, wish.events, wish.namespace)
        self.service = Service(self.loop, self.log, self.publisher, wish.namespace)
        self.service.on_shutdown = self.shut_down
        self.listener = sockets.Listener(listener)
        self.socket = socket
        self.is_shared = is_shared
        self.connections: "set[Connection]" = set()
        self._reaping = 0
        self._is_ending = False
        self._is_watched = False
        self._attempts = 0
        self._calls = 0  # connections that were made, ever
        self._delays = 0  # how often the end was put off since the last task

    def run(self) -> None:
        """Until the end."""
        self.loop.watch(self.listener.fd, select.EPOLLIN, lambda _: self._on_call())
        _signal.set_wakeup_fd(self.loop.waker, warn_on_full_buffer=False)
        self.loop.signal(_signal.SIGCHLD, self._on_child)
        for number in (_signal.SIGTERM, _signal.SIGINT):
            self.loop.signal(number, self._asked_to_end)
        for number in (_signal.SIGPIPE, _signal.SIGHUP):
            _signal.signal(number, _signal.SIG_IGN)
        self.service.on_idle = self._on_idle
        self._on_idle()
        self.loop.on_rest = process.give_back
        self.loop.run()

    def _on_call(self) -> None:
        self._accept()

    def _accept(self) -> bool:
        fd = self.listener.accept()
        if fd >= 0:
            self.connections.add(Connection(self.loop, fd, self.service.handle, self.connections.discard))
            self._calls += 1
        return fd >= 0

    def _on_child(self) -> None:
        """Some child has ended: an orphan, if it is no process of a container."""
        if not self._reaping:
            self._reaping = self.loop.later(_REAPING, self._reap)

    def _reap(self) -> None:
        self._reaping = 0
        children.reap_others()

    def _asked_to_end(self) -> None:
        if not self.service.tasks:
            self._end()

    def _on_idle(self) -> None:
        """There is no task. A containerd that was killed between `start` and Create, or between Delete and Shutdown,
        asks for no end: its successor (1.6) would keep us for good, and refuse another container of our name."""
        if not self._is_watched:
            self._is_watched = True
            self.loop.later(_TASKLESS, self._end_taskless)

    def _end_taskless(self) -> None:
        self._is_watched = False
        if self.service.in_flight:
            self._on_idle()
        elif not self.service.tasks and not self._is_ending:
            self._end()

    def shut_down(self) -> None:
        """containerd needs us no more. Another container may be on its way to a shared shim."""
        if not self._is_ending:
            self._is_ending = True
            self._end_later(_LINGER if self.is_shared else 0.0)

    def _end_later(self, seconds: float) -> None:
        calls = self._calls
        self.loop.later(seconds, lambda: self._end_if_idle(calls))

    def _end_if_idle(self, calls: int) -> None:
        """Unless somebody has called meanwhile: a `start` that has found us sends its container to us."""
        if self.service.tasks or self.service.in_flight:
            self._is_ending, self._delays = False, 0
        elif self._calls != calls and self._delays < _DELAYS:
            self._delays += 1
            self._end_later(_LINGER)
        else:
            self._is_ending = False
            self._end()

    def _end(self) -> None:
        """Nobody is to find the socket from here on, and containerd is to hear the last events."""
        if self._attempts == 0 and not self._close():
            return
        self._attempts += 1
        if not self.publisher.is_idle and self._attempts < _FAREWELL * 20:
            self.loop.later(0.05, self._end)
        else:
            self.loop.stopped = True

    def _close(self) -> bool:
        """Gives up the socket under the lock that each `start` takes while it looks whether somebody listens: so that
        none is sent to a shim that ends. False when one has just found us, or looks; then it is tried again later."""
        try:
            lock = sockets.Lock(self.socket.rpartition("/")[0], is_patient=False)
        except OSError:
            return True  # its directory is gone
        with lock:
            if lock.is_held and not self._accept():
                self.loop.forget(self.listener.fd)
                self.listener.close()
                try:
                    posix.unlink(self.socket)
                    sockets.sweep(self.socket.rpartition("/")[0])
                except OSError:
                    pass
                return True
        if not self._is_ending:
            self._is_ending = True
            self._end_later(_LINGER if lock.is_held else _AGAIN)
        return False


def serve(wish: "Wish", listener: int, bundle: str, socket: str, is_shared: bool) -> None:
    """Serves until there is no container left."""
    _shim.prctl(_CHILD_SUBREAPER, 1)
    words = f"containerd-shim-pyoci-v1 -namespace {wish.namespace} -id {wish.container} -address {wish.address}"
    process.rename("containerd-shim", words)  # the words that containerd's own shim has
    _settle(wish)
    for name in list(posix.environ):
        if name not in (b"PATH", b"HOME", b"TZ", b"XDG_RUNTIME_DIR", b"DBUS_SESSION_BUS_ADDRESS"):
            del posix.environ[name]
    pyoci.is_command = False
    shim = Shim(wish, listener, bundle, socket, is_shared)
    posix.chdir("/")
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(3000, 5, 5)
    gc.enable()
    sys.setswitchinterval(_SWITCH)
    shim.run()


def _settle(wish: "Wish") -> None:
    """The kernel is to end containers before us; core scheduling and the cgroup are as containerd wants them."""
    try:
        fd = posix.open("/proc/self/oom_score_adj", posix.O_RDWR | posix.O_CLOEXEC)
        score = int(posix.read(fd, 16))
        posix.pwrite(fd, str(min(1000, score + 1)).encode(), 0)
        posix.close(fd)
    except (OSError, ValueError):
        pass
    if posix.environ.get(b"SCHED_CORE"):
        _shim.sched_core()
    if wish.options["shim_cgroup"]:
        _join(wish.options["shim_cgroup"])


def _join(name: str) -> None:
    """The cgroup of Options.shim_cgroup, in every hierarchy."""
    for top in posix.listdir("/sys/fs/cgroup"):
        path = f"/sys/fs/cgroup/{top}/{name.strip('/')}"
        for place in (path, f"/sys/fs/cgroup/{name.strip('/')}"):
            try:
                posix.mkdir(place)
            except OSError:
                pass
            try:
                fd = posix.open(f"{place}/cgroup.procs", posix.O_WRONLY | posix.O_CLOEXEC)
                posix.write(fd, b"0")
                posix.close(fd)
            except OSError:
                pass
