"""run, and restore in the foreground: they stay until the process has ended."""

import pyoci
from pyoci import _shim
from pyoci.container.create import create
from pyoci.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    from pyoci.container.create import Created
    from pyoci.container.foreground import Foreground
    from pyoci.container.notify import Notify
    from pyoci.container.state import Entry, Store
    from pyoci.options import CreateOptions


def run(
    store: "Store",
    container: str,
    options: "CreateOptions",
    driver: str,
    warn: "Optional[Callable[[str], None]]" = None,
) -> int:
    """Creates, starts, and unless detached waits for and removes a container; returns the exit status."""
    if options.detach:
        created = create(store, container, options, driver, warn, _load_start)
        _start(created, options.notify_socket, None)
        created.process.close()
        created.entry.close()
        return 0
    from pyoci.container.foreground import Foreground

    with Foreground() as foreground:
        if pyoci.is_command and not options.no_subreaper:  # it is a setting of the whole process
            _shim.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        created = create(store, container, options, driver, warn, _load_all)
        _start(created, options.notify_socket, foreground)
        created.entry.release()
        status = _watch(foreground, created)
        _tell_of_end(created.entry, status, warn)
        if options.keep:
            created.entry.close()
        else:
            _clean_up(created.entry, warn)
    return status


def _load_start() -> None:
    """Imports what comes next, while init does its work on another processor."""
    from pyoci.container import start as start


def _load_all() -> None:
    from pyoci.container import delete as delete
    from pyoci.container import start as start


def run_restored(
    restore: "Callable[[], Created]",
    options: "CreateOptions",
    warn: "Optional[Callable[[str], None]]" = None,
) -> int:
    """Restores a container, and unless detached waits for and removes it; returns the exit status.

    restore: does it
    """
    if options.detach:
        restored = restore()
        restored.process.close()
        restored.entry.close()
        return 0
    from pyoci.container.foreground import Foreground

    with Foreground() as foreground:
        if pyoci.is_command and not options.no_subreaper:  # it is a setting of the whole process
            _shim.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        restored = restore()
        restored.entry.release()
        status = _watch(foreground, restored)
        _tell_of_end(restored.entry, status, warn)
        _clean_up(restored.entry, warn)
    return status


def _listen(created: "Created", notify_socket: str) -> "Notify":
    from pyoci.container.notify import Notify

    return Notify(created.entry, notify_socket, stays=True)


def _start(created: "Created", notify_socket: str, foreground: "Optional[Foreground]") -> None:
    """A container that cannot be started is of no use to its caller. In the foreground it is notified of later."""
    from pyoci.container.start import start_and_wait, start_created

    try:
        if notify_socket and foreground is None:
            start_and_wait(created.entry, notify_socket)
            return
        if notify_socket and foreground is not None:
            foreground.notify = _listen(created, notify_socket)
        start_created(created.entry, foreground is None)
    except BaseException:
        if created.entry.fd >= 0:
            from pyoci.container.delete import destroy, end

            end(created.entry)
            destroy(created.entry)
        raise


def _watch(foreground: "Foreground", created: "Created") -> int:
    """Waits for the end. Whatever keeps us from it ends the container, too: nobody else watches it."""
    try:
        return foreground.wait(created.process, created.master)
    except BaseException:
        _clean_up(created.entry)
        raise


def _tell_of_end(entry: "Entry", status: int, warn: "Optional[Callable[[str], None]]") -> None:
    if status > 128 and warn is not None:  # a signal's, mostly
        from pyoci.container.memory import tell_of_end

        tell_of_end(entry, status, warn)


def _clean_up(entry: "Entry", warn: "Optional[Callable[[str], None]]" = None) -> None:
    """Unless somebody deleted it meanwhile."""
    from pyoci.container.delete import destroy

    if entry.regain():
        with entry:
            destroy(entry, warn)
