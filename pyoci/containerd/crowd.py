"""The order in which many begin: a hundred creates at once would take turns at one interpreter, and each State with
them. Few work at once; one that has not finished after a while waits for something (a hook, a mount, the freezer,
CRIU), and another may begin."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.containerd.loop import Loop

    Then = Callable[[Any, Optional[BaseException]], None]
    Function = Callable[[], Any]
    Work = Callable[[Function, Then], None]

WIDTH = 4  # who may work at once
_PATIENCE = 0.1  # seconds after which one waits rather than works


class Later:
    """A function that lets others go first: there may be many of its kind at once."""

    __slots__ = ("function",)

    def __init__(self, function: "Function") -> None:
        self.function = function


class Crowd:
    """work: begins a function, and calls its `then`. All is called in the loop's thread."""

    def __init__(self, loop: "Loop", work: "Work") -> None:
        self._loop, self._work = loop, work
        self._first: "list[tuple[Function, Then]]" = []
        self._later: "list[tuple[Function, Then]]" = []
        self._begun: "dict[int, float]" = {}
        self._count = 0
        self._has_timer = False

    def enter(self, wish: "Function | Later", then: "Then") -> None:
        """Begins a function when it is its turn."""
        if isinstance(wish, Later):
            self._later.append((wish.function, then))
        else:
            self._first.append((wish, then))
        self._admit()

    def _admit(self) -> None:
        while self._first or self._later:
            now = time.monotonic()
            working = [begun for begun in self._begun.values() if now - begun < _PATIENCE]
            if len(working) >= WIDTH:
                if not self._has_timer:
                    self._has_timer = True
                    self._loop.later(min(working) + _PATIENCE - now, self._on_time)
                return
            self._begin(*(self._first or self._later).pop(0))

    def _begin(self, function: "Function", then: "Then") -> None:
        self._count += 1
        number = self._count
        self._begun[number] = time.monotonic()

        def over(value: "Any", problem: "Optional[BaseException]") -> None:
            del self._begun[number]
            then(value, problem)
            self._admit()

        self._work(function, over)

    def _on_time(self) -> None:
        self._has_timer = False
        self._admit()
