"""What is known of a task's kills for memory."""

from types import SimpleNamespace
from typing import Any

import pytest

from pyoci.containerd.loop import Loop
from pyoci.containerd.task import Task


@pytest.mark.parametrize("comes_early", [True, False])
def test_a_kill_that_is_counted_after_its_notice(comes_early: bool) -> None:
    """v1, where the one that is killed is a child of a process that goes on."""
    told: "list[str]" = []
    loop = Loop(lambda problem: pytest.fail(str(problem)))
    publisher: "Any" = SimpleNamespace(publish=lambda topic, fields: told.append(topic))
    task = Task(loop, publisher, None, {"id": "c", "bundle": "/b", "rootfs": []})  # type: ignore[arg-type]
    counts = [0, 0, 1]
    task.notices = SimpleNamespace(comes_early=comes_early, take=lambda: counts.pop(0))  # type: ignore[assignment]
    task._on_notice(5)
    loop.later(1, lambda: setattr(loop, "stopped", True))
    loop.run()
    assert told == (["/tasks/oom"] if comes_early else [])
