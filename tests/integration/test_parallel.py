"""Many at once: no command disturbs another, neither on containers of their own nor on one and the same."""

import pytest

from tests.support.box import Box
from tests.support.command import Result, Started

pytestmark = pytest.mark.root


def together(box: Box, commands: list[list[str]]) -> list[Result]:
    """Starts all commands before it waits for the first."""
    started: list[Started] = [box.begin(*words) for words in commands]
    return [one.finish() for one in started]


def test_fifty_containers(box: Box) -> None:
    names = [f"c{n}" for n in range(50)]
    commands = []
    for name in names:
        bundle = box.bundle(name).args("sleep", "1000")
        bundle.write()
        commands.append(["create", "--bundle", str(bundle.path), name])
    for verb in (None, "start", "kill", "delete"):
        if verb is not None:
            extra = {"kill": ["KILL"], "delete": []}.get(verb, [])
            flags = ["--force"] if verb == "delete" else []
            commands = [[verb, *flags, name, *extra] for name in names]
        bad = [result for result in together(box, commands) if not result.ok or result.err]
        assert bad == []
        if verb == "start":
            assert {box.state(name)["status"] for name in names} == {"running"}
    assert box.left() == []


def test_one_id_is_given_to_one_of_many(box: Box) -> None:
    commands = []
    for n in range(8):
        bundle = box.bundle(f"b{n}").args("sleep", "1000")
        bundle.write()
        commands.append(["create", "--bundle", str(bundle.path), "c"])
    results = together(box, commands)
    assert sorted(result.status for result in results) == [0] + [1] * 7
    for result in results:
        assert result.ok or "container with given ID already exists" in result.err, result
    box.ok("delete", "--force", "c")
    assert box.left() == []


def test_one_of_many_starts_it(box: Box) -> None:
    bundle = box.bundle().shell("echo x >> /count; exec sleep 1000")
    box.made_container(bundle, "c")
    results = together(box, [["start", "c"]] * 8)
    assert sorted(result.status for result in results) == [0] + [1] * 7, results
    for result in results:
        assert result.ok or "cannot start an already running container" in result.err, result
    box.ok("exec", "c", "true")
    assert (bundle.rootfs / "count").read_text() == "x\n"


def test_deletes_and_questions_at_the_same_time(box: Box) -> None:
    """A question meanwhile gets an answer or hears that the container does not exist: nothing in between."""
    for _ in range(3):
        bundle = box.bundle().args("sleep", "1000")
        box.started(bundle)
        results = together(box, [["delete", "--force", "c"], ["state", "c"]] * 2)
        assert results[0].ok and results[2].ok, results
        for result in (results[1], results[3]):
            assert result.ok or "does not exist" in result.err, result
        assert box.left() == []


def test_exec_many(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"))
    results = together(box, [["exec", "c", "echo", str(n)] for n in range(20)])
    assert [result.out for result in results] == [f"{n}\n" for n in range(20)], results
