"""Many who want to work at once: few do, and who waits for something holds up nobody."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyoci.containerd import crowd
from pyoci.containerd.loop import Loop


class World:
    """Functions begin when the crowd lets them, and end when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(crowd, "time", self)
        self.timers: "list[tuple[float, Callable[[], None]]]" = []
        self.begun: "dict[str, Any]" = {}
        self.crowd = crowd.Crowd(self, lambda function, then: function(then))  # type: ignore[arg-type]

    def monotonic(self) -> float:
        return self.now

    def later(self, seconds: float, callback: "Callable[[], None]") -> None:
        self.timers.append((self.now + seconds, callback))

    def enter(self, name: str, later: bool = False) -> None:
        def begin(then: "Any" = None) -> None:
            self.begun[name] = then

        self.crowd.enter(crowd.Later(begin) if later else begin, lambda value, problem: None)

    def end(self, name: str) -> None:
        self.begun.pop(name)(None, None)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due, self.timers = self.timers, []
        for _, callback in due:
            callback()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_few_at_once_and_the_next_when_one_has_ended(world: World) -> None:
    for number in range(6):
        world.enter(f"f{number}")
    assert list(world.begun) == ["f0", "f1", "f2", "f3"]
    world.end("f1")
    assert list(world.begun) == ["f0", "f2", "f3", "f4"]


def test_who_waits_for_something_makes_room(world: World) -> None:
    for number in range(9):
        world.enter(f"f{number}")
    world.wait(0.11)
    assert len(world.begun) == 8
    world.wait(0.11)
    assert len(world.begun) == 9


def test_the_many_let_others_go_first(world: World) -> None:
    for number in range(6):
        world.enter(f"create{number}", later=True)
    world.enter("exec")
    world.end("create0")
    assert "exec" in world.begun
    assert "create4" not in world.begun


def test_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, found = Loop(lambda problem: pytest.fail(str(problem))), []

    def steps(number: int) -> "Iterator[Any]":
        found.append((yield crowd.Later(lambda: number)))
        if len(found) == 20:
            loop.stopped = True

    for number in range(20):
        loop.go(steps(number), lambda value, problem: None)  # type: ignore[arg-type]
    loop.run()
    assert sorted(found) == list(range(20))
