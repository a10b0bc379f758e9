"""A task, its processes, and what is known of them. All of it is changed in the loop's thread alone."""

import select
import time

from pyoci.containerd import messages
from pyoci.containerd.loop import Turn, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.checkpoint.request import CriuOptions
    from pyoci.container.notices import Notices
    from pyoci.containerd.children import Child
    from pyoci.containerd.events import Publisher
    from pyoci.containerd.loop import Loop
    from pyoci.containerd.streams import Owner, Streams
    from pyoci.options import CreateOptions
    from pyoci.runtime import Runtime

UNKNOWN, CREATED, RUNNING, STOPPED, PAUSED = range(5)
_RECOUNT, _RECOUNTS = 0.1, 20  # seconds between looks for a kill that was announced, and how many there are
NEVER = 137  # the status of what was removed before it ran


class Member:
    """A process of a task: the first one (its id is ""), or one that exec has added."""

    def __init__(self, task: "Task", exec_id: str, streams: "Streams") -> None:
        self.task = task
        self.id = exec_id
        self.streams = streams
        self.status = CREATED
        self.child: "Optional[Child]" = None
        self.pid = 0
        self.exit_status = 0
        self.exited_at = 0  # nanoseconds since 1970
        self.is_starting = False  # its start event comes before its exit event
        self.has_ended = False
        self.process: "dict[str, Any]" = {}  # of an exec, as in config.json
        self.turn = Turn()
        self._waiters: "list[Waiting]" = []

    def born(self, child: "Child") -> None:
        """It is there: it waits for start, or, after an exec, runs."""
        self.child, self.pid = child, child.pid
        self.streams.close_given()
        loop = self.task.loop
        self.streams.start_copying(loop, child.master)
        loop.watch(child.pidfd, select.EPOLLIN, lambda _: self._ended())

    def _ended(self) -> None:
        child = self.child
        assert child is not None
        status = child.poll()
        if status is None:
            return
        self.task.loop.forget(child.pidfd)
        self.exit_status = status if status >= 0 else 128 - status
        self.exited_at = time.time_ns()
        self.has_ended = True
        if not self.is_starting:
            self.tell_end()

    def tell_end(self) -> None:
        """Once its output is handed over."""
        self.streams.finish(self.task.loop, self._stopped)

    def _stopped(self) -> None:
        if self.status == STOPPED:
            return
        self.status = STOPPED
        self.streams.let_go()
        self.task.tell_killed()
        fields = {"container_id": self.task.id, "id": self.id or self.task.id, "pid": self.pid, **self.ending()}
        self.task.publisher.publish("/tasks/exit", fields)
        self._answer()

    def abandon(self, status: int) -> None:
        """It never ran, and never will."""
        if self.status != STOPPED:
            self.status, self.exit_status, self.exited_at = STOPPED, status, time.time_ns()
            self.streams.close()
            self._answer()

    def _answer(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.resume()

    def end(self) -> Waiting:
        """Has happened when the process has stopped."""
        waiting = Waiting()
        if self.status == STOPPED:
            waiting.resume()
        else:
            self._waiters.append(waiting)
        return waiting

    def ending(self) -> "dict[str, Any]":
        """Status and time, as several messages have them."""
        if self.status != STOPPED:
            return {"exit_status": 0, "exited_at": None}
        return {"exit_status": self.exit_status, "exited_at": messages.timestamp(self.exited_at)}

    def close(self) -> None:
        """Gives back all descriptors."""
        self._answer()
        if self.child is not None:
            self.task.loop.forget(self.child.pidfd)
            self.streams.close()
            self.child.close()
            self.child = None
        else:
            self.streams.close()


class Task:
    """A container with its processes."""

    def __init__(self, loop: "Loop", publisher: "Publisher", runtime: "Runtime", request: "dict[str, Any]") -> None:
        self.loop, self.publisher, self.runtime = loop, publisher, runtime
        self.id: str = request["id"]
        self.bundle: str = request["bundle"]
        self.is_paused = False
        self.is_ready = False  # false while it is being created
        self.has_mounts = bool(request["rootfs"])
        self.turn = Turn()
        self.owner: "Optional[Owner]" = None
        self.options: "dict[str, Any]" = {}
        self.execs: "dict[str, Member]" = {}
        self.notices: "Optional[Notices]" = None
        self.restored_from: "Optional[tuple[CreateOptions, CriuOptions]]" = None
        self.first: Member

    def members(self) -> "list[Member]":
        """All processes, the first one first."""
        return [self.first, *self.execs.values()]

    def status_of(self, member: Member) -> int:
        """As the protocol numbers them."""
        return PAUSED if self.is_paused and member.status == RUNNING else member.status

    def watch_memory(self) -> None:
        """An event for each kill for lack of memory, from now on."""
        from pyoci.container.notices import Notices

        try:
            with self.runtime.store.look(self.id).load() as entry:
                self.notices = Notices(entry.manager())
        except Exception:
            return  # nobody counts it
        if self.notices.fd >= 0:
            self.loop.watch(self.notices.fd, self.notices.mask, lambda _: self._on_notice(_RECOUNTS))

    def _on_notice(self, recounts: int) -> None:
        """v1 gives notice before it counts, and the end of the killed process may be out of our sight: then it is
        counted again after a while."""
        if not self.tell_killed() and recounts and self.notices is not None and self.notices.comes_early:
            self.loop.later(_RECOUNT, lambda: self._on_notice(recounts - 1))

    def tell_killed(self) -> int:
        """Events for kills that were not told yet; how many there were."""
        count = self.notices.take() if self.notices is not None else 0
        for _ in range(count):
            self.publisher.publish("/tasks/oom", {"container_id": self.id})
        return count

    def forget_memory(self) -> None:
        """No more events: the cgroup goes, which would be one, too."""
        if self.notices is not None:
            self.tell_killed()
            self.loop.forget(self.notices.fd)
            self.notices.close()
            self.notices = None

    def close(self) -> None:
        """Gives back all descriptors."""
        self.forget_memory()
        for member in self.members():
            member.close()
