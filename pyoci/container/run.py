"""run, and restore in the foreground: they stay until the process has ended."""

from pyoci import kernel
from pyoci._shim import lib
from pyoci.container.create import create
from pyoci.container.delete import destroy, end
from pyoci.container.start import start, start_and_wait
from pyoci.container.state import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from pyoci.checkpoint.options import CriuOptions
    from pyoci.container.create import Created
    from pyoci.container.notify import Notify
    from pyoci.options import CreateOptions


def run(
    store: Store, container: str, options: "CreateOptions", driver: str, warn: "Optional[Callable[[str], None]]" = None
) -> int:
    """Creates, starts, and unless detached waits for and removes a container; returns the exit status."""
    if options.detach:
        created = create(store, container, options, driver, warn)
        _start(created, options.notify_socket)
        created.process.close()
        created.entry.close()
        return 0
    from pyoci.container.foreground import Foreground

    foreground = Foreground()
    if not options.no_subreaper:
        lib.shim_prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    created = create(store, container, options, driver, warn)
    if options.notify_socket:
        foreground.notify = _listen(created, options.notify_socket)
    _start(created, "")
    created.entry.close()
    status = foreground.wait(created.process, created.master)
    if not options.keep:
        _clean_up(store, container)
    return status


def run_restored(
    store: Store, container: str, options: "CreateOptions", wanted: "CriuOptions", driver: str
) -> int:
    """Restores a container, and unless detached waits for and removes it; returns the exit status."""
    from pyoci.checkpoint.restore import restore

    if options.detach:
        restored = restore(store, container, options, wanted, driver)
        restored.process.close()
        restored.entry.close()
        return 0
    from pyoci.container.foreground import Foreground

    foreground = Foreground()
    if not options.no_subreaper:
        lib.shim_prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    restored = restore(store, container, options, wanted, driver)
    restored.entry.close()
    status = foreground.wait(restored.process, restored.master)
    _clean_up(store, container)
    return status


def _listen(created: "Created", notify_socket: str) -> "Notify":
    from pyoci.container.notify import Notify

    return Notify(created.entry, notify_socket)


def _start(created: "Created", notify_socket: str) -> None:
    """A container that cannot be started is of no use to whoever ran it."""
    try:
        if notify_socket:
            start_and_wait(created.entry, notify_socket)
        else:
            start(created.entry)
    except BaseException:
        if created.entry.fd >= 0:
            end(created.entry)
            destroy(created.entry)
        raise


def _clean_up(store: Store, container: str) -> None:
    from pyoci.errors import Error

    try:
        entry = store.open(container)
    except Error:
        return  # somebody deleted it meanwhile
    with entry:
        destroy(entry.load())
