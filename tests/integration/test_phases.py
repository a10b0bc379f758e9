"""pyoci --trace FILE: a file that viewers open; its phases are whole and in order, init's steps have their places."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import Result

pytestmark = pytest.mark.root
PHASES, STEPS = 1, 2


class Picture:
    """What a viewer would show of a trace file."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text())
        assert document["displayTimeUnit"] in ("ms", "ns")
        events: list[dict[str, Any]] = document["traceEvents"]
        assert {event["ph"] for event in events} <= {"X", "M"}
        shown = [event for event in events if event["ph"] == "X"]
        self.phases = [event for event in shown if event["tid"] == PHASES]
        self.steps = [event for event in shown if event["tid"] == STEPS]
        self.title = next(event["args"]["name"] for event in events if event["name"] == "process_name")

    def names(self) -> list[str]:
        """The phases in order, without imports, which may fall anywhere."""
        names: list[str] = []
        for event in self.phases:
            if event["name"] != "import" and event["name"] not in names[-1:]:
                names.append(event["name"])
        return names

    def check(self) -> None:
        """Phases follow one another without gap or overlap, so their sum is the whole."""
        assert self.phases[0]["ts"] == 0
        for before, after in zip(self.phases, self.phases[1:]):
            assert after["ts"] == pytest.approx(before["ts"] + before["dur"], abs=0.01)
        assert "import" in [event["name"] for event in self.phases]
        for before, after in zip(self.steps, self.steps[1:]):
            assert after["ts"] >= before["ts"] + before["dur"] - 0.01
        assert all(event["dur"] >= 0 for event in self.steps)


def traced(box: Box, *words: str) -> "tuple[Result, Picture]":
    """A command with --trace, and what was written."""
    file = box.path / "trace.json"
    result = box.call("--trace", str(file), *words)
    picture = Picture(file)
    picture.check()
    assert picture.title.endswith(" ".join(words))
    return result, picture


BEGIN = ["interpreter start", "trace", "command"]
CREATE = ["load", "check", "compile", "state", "cgroup", "launch", "cgroup", "limits", "state", "init", "state"]


def test_each_command_has_its_phases(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    for words, expected in (
        (["create", "--bundle", str(bundle.path), "c"], CREATE),
        (["state", "c"], ["state"]),
        (["start", "c"], ["state", "init", "state"]),
        (["exec", "c", "true"], ["state", "check", "compile", "launch", "cgroup", "init", "wait"]),
        (["list"], ["state"]),
        (["kill", "c", "KILL"], ["state"]),
        (["delete", "--force", "c"], ["state"]),
    ):
        result, picture = traced(box, *words)
        assert result.ok and not result.err, result
        names = picture.names()
        assert names[:3] == BEGIN
        assert names[3 : 3 + len(expected)] == expected


def test_run_ends_with_the_wait_and_the_removal(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    result, picture = traced(box, "run", "--bundle", str(bundle.path), "c")
    assert result.ok, result
    names = picture.names()
    assert names[3 : 3 + len(CREATE)] == CREATE
    assert names[names.index("wait") :] == ["wait", "state", "cgroup", "state"]


def test_steps_of_init_stand_below_with_their_places(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    bundle.write()
    _, picture = traced(box, "create", "--bundle", str(bundle.path), "c")
    made = [(event["name"], event.get("args", {}).get("config", "")) for event in picture.steps]
    mounts = [place for name, place in made if name == "mount"]
    assert mounts == ["mounts[0] (/proc)", "mounts[1] (/dev)", "mounts[2] (/dev/pts)", "mounts[3] (/sys)"]
    assert made.index(("switch to the rootfs", "root.path")) > made.index(("set hostname", "hostname"))
    launched = next(event["ts"] for event in picture.phases if event["name"] == "launch")
    end = picture.phases[-1]["ts"] + picture.phases[-1]["dur"]
    assert all(launched < event["ts"] <= end for event in picture.steps)
    _, picture = traced(box, "start", "c")
    assert [event["name"] for event in picture.steps][:1] == ["set umask"]
    assert "mount" not in [event["name"] for event in picture.steps]


@pytest.mark.parametrize("offset", [100000, -100])
def test_steps_with_another_clock(box: Box, offset: int) -> None:
    """In a time namespace init's clock is ahead, or behind."""
    bundle = box.bundle().args("true")
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {"monotonic": {"secs": offset, "nanosecs": 0}}
    bundle.write()
    _, picture = traced(box, "run", "--bundle", str(bundle.path), "c")
    end = picture.phases[-1]["ts"] + picture.phases[-1]["dur"]
    assert picture.steps and all(0 <= event["ts"] <= end for event in picture.steps)


def test_a_container_with_a_filter_that_kills_whatever_init_would_say(box: Box) -> None:
    bundle = box.bundle().args("true")
    calls = ["sendmsg", "sendto", "clock_gettime"]
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": calls, "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    bundle.write()
    result, picture = traced(box, "run", "--bundle", str(bundle.path), "c")
    assert result.ok, result
    assert picture.steps


def test_a_container_made_with_a_trace_starts_without(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    traced(box, "create", "--bundle", str(bundle.path), "c")
    assert box.ok("start", "c").err == ""


def hooked(box: Box) -> Bundle:
    bundle = box.bundle().args("true")
    for kind in ("prestart", "poststart", "poststop"):
        bundle.hook(kind, "/bin/true")
    bundle.write()
    return bundle


def test_hooks_are_a_phase(box: Box) -> None:
    _, picture = traced(box, "run", "--bundle", str(hooked(box).path), "c")
    assert picture.names().count("hooks") == 3


def test_a_failing_command_leaves_a_trace_too(box: Box) -> None:
    bundle = box.bundle().args("/no/such")
    bundle.write()
    result, picture = traced(box, "create", "--bundle", str(bundle.path), "c")
    assert result.status == 1 and "/no/such" in result.err
    assert "undo" in picture.names()
    assert box.names() == []


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_done(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    result = box.call("--trace", "/no/such/trace", "create", "--bundle", str(bundle.path), "c")
    assert result.status == 1
    assert "open /no/such/trace: no such file or directory (ENOENT)" in result.err and "--trace" in result.err
    assert box.names() == []


def test_a_full_disk_is_told(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.write()
    result = box.call("--trace", "/dev/full", "run", "--bundle", str(bundle.path), "c")
    assert result.status == 1
    assert "write /dev/full: no space left on device (ENOSPC)" in result.err
