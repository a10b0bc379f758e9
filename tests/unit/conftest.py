"""What several unit tests are given."""

import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import bare

# What a hot command has not loaded, and C code or a branch of ours could take for granted
UNLOADED = ["json", "json.decoder", "json.encoder", "json.scanner", "errno", "fcntl", "select", "math", "struct"]
HOT = ("plan", "cgroups", "cli", "seccomp")


@pytest.fixture(autouse=True)
def nothing_preloaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of what hot commands use find these modules as a command does: not there until somebody imports them."""
    if request.path.parent.name in HOT:
        for name in (*UNLOADED, "pyoci.json.positions"):
            monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture(scope="session", params=bare.KINDS)
def interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[bare.Bare]":
    """The interpreters that users get: the stock one, isolated, and ours."""
    if request.param == "ours" and not (bare.PACKAGE / "programs" / "interpreter").exists():
        pytest.skip("pyoci has no interpreter of its own here")
    made = bare.Bare(request.param, tmp_path_factory.mktemp("bare"))
    yield made
    made.close()


@pytest.fixture
def alarms() -> "Iterator[Callable[[Callable[[int, Any], None]], None]]":
    """Has a handler called by a signal every ten milliseconds, until the test ends: again and again, because the first
    may come just before what it is to interrupt."""
    before = signal.getsignal(signal.SIGALRM)

    def begin(handler: "Callable[[int, Any], None]") -> None:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)

    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
