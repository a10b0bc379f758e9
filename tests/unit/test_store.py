"""The directory of containers: who holds an Entry holds its lock."""

import errno
import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pyoci import _shim
from pyoci.container.state import Store
from pyoci.errors import Error


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "c").mkdir()
    return Store(str(tmp_path))


def test_a_signal_that_a_program_handles_does_not_open_an_entry_without_its_lock(
    store: Store, alarms: "Callable[..., None]"
) -> None:
    """The other holder lets go of it when it has been waited for through two signals."""
    other = os.open(f"{store.path}/c", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    seen: "list[int]" = []

    def handler(number: int, frame: object) -> None:
        seen.append(number)
        if len(seen) == 3:
            fcntl.flock(other, fcntl.LOCK_UN)

    alarms(handler)
    try:
        entry = store.open("c")
        signal.setitimer(signal.ITIMER_REAL, 0)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        entry.close()
    finally:
        os.close(other)
    assert len(seen) >= 3


@pytest.mark.parametrize("problem", [-errno.ENOLCK, KeyboardInterrupt()])
def test_what_cannot_be_locked_is_closed(
    store: Store, monkeypatch: pytest.MonkeyPatch, problem: "int | BaseException"
) -> None:
    locked: "list[int]" = []

    def flock(fd: int, operation: int) -> int:
        locked.append(fd)
        if isinstance(problem, BaseException):
            raise problem
        return problem

    monkeypatch.setattr(_shim, "flock", flock)
    with pytest.raises((Error, KeyboardInterrupt)) as caught:
        store.open("c")
    if isinstance(caught.value, Error):
        assert str(caught.value).startswith(f"lock {store.path}/c: no locks available (ENOLCK)")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(locked[0])


def test_a_state_that_cannot_be_read_does_not_keep_the_lock(store: Store) -> None:
    """Programs that hold the runtime would wait for themselves."""
    Path(store.path, "c", "state.json").write_text("{")
    for _ in range(2):
        with pytest.raises(Error, match=r"state\.json"):
            store.open("c").load()
    other = os.open(f"{store.path}/c", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_an_id_of_which_there_is_nothing_where_there_is_no_root(tmp_path: Path) -> None:
    """Another --root was meant, most probably."""
    (tmp_path / "file").touch()
    (tmp_path / "root").mkdir()
    hints = {
        "root": "",
        "none": f" (there is no {tmp_path}/none: is --root the right one?)",
        "file": f" ({tmp_path}/file is not a directory: is --root the right one?)",
        "file/below": f" (there is no {tmp_path}/file/below: is --root the right one?)",
    }
    for name, hint in hints.items():
        for ask in (Store(f"{tmp_path}/{name}").open, Store(f"{tmp_path}/{name}").look):
            with pytest.raises(Error) as caught:
                ask("c")
            assert str(caught.value) == f"container does not exist: c{hint}"
