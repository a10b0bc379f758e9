"""`validate --host`: what this host and this bundle lack for a config that is right by itself, and all that create
would refuse before it makes anything. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyoci.container.bundle import parse_config
from pyoci.errors import Error
from pyoci.hostcheck.lacks import CODE, IGNORED, ignored, lacks
from pyoci.validate.analysis import Problem, located, pruned, restored

if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.validate.musts import Finding, Json, Path

    # Makes the plan of a config, or raises Error; the cgroups left out on demand
    Compiler = Callable[[dict[str, Any], bool], Plan]

MOST = 100  # refusals that are told: each takes a plan
# Without them the rest would be refused for that alone
_NEEDED: tuple[Path, ...] = (("root",), ("process",), ("process", "cwd"), ("linux",), ("linux", "namespaces"))
_TOGETHER = {"uidMappings": "gidMappings", "gidMappings": "uidMappings"}


def report(raw: bytes, bundle: str, compile_plan: Compiler) -> list[Problem]:
    """findings() with their places in the text of a config that is right by itself.

    compile_plan: makes the plan, as `pyoci plan` does
    """
    try:
        config = parse_config(raw)[1]
    except Error as problem:  # no process: right by itself, and nothing to create
        found: list[Finding] = [(CODE, (), str(problem), "")]
    else:
        found = findings(config, bundle, compile_plan)
    return located(raw, found)


def findings(config: Json, bundle: str, compile_plan: Compiler) -> list[Finding]:
    """Everything that is missing, then all that create would say, then what would be ignored."""
    found = lacks(config, bundle)
    known = {item[1] for item in found}
    if ("root", "path") in known:
        config = {**config, "root": {**config["root"], "path": "/"}}  # one that is there, for all the rest to be judged
    found += [item for item in refusals(config, compile_plan) if item[1] not in known]
    return found + ignored(config)


def refusals(config: Json, compile_plan: Compiler, code: str = CODE) -> list[Finding]:
    """A plan stops at the first thing that cannot be done: what asked for that is taken out, and it is made again. At
    last what would be ignored."""
    found: list[Finding] = []
    bad: set[Path] = set()
    without_cgroups = False
    while True:
        moved: dict[Path, list[int]] = {}
        rest: Any = pruned(config, (), (), bad, moved)
        try:
            plan = compile_plan(rest, without_cgroups)
        except Error as problem:
            place, whole = place_of(problem.location, rest)
            place = restored(place, moved)
            text = str(Error(problem.text, step=problem.step, errno=problem.errno))
            found.append((code, place, text, problem.hint))
            if not problem.location and not without_cgroups:  # the cgroups' manager: the plan has a place for all else
                without_cgroups = True
                continue
            place = _unit(place)
            needed = place in _NEEDED or place[:2] == ("linux", "namespaces")
            if len(found) == MOST or not whole or needed or place in bad:
                return found
            bad.add(place)
            if place[-1] in _TOGETHER:
                bad.add((*place[:-1], _TOGETHER[str(place[-1])]))
            continue
        return found + [(IGNORED, (), warning, "") for warning in plan.warnings]


def _unit(place: Path) -> Path:
    """What can be taken out without breaking what is around it: an item of a list is whole, or not there."""
    for depth, step in enumerate(place):
        if isinstance(step, int):
            return place[: depth + 1]
    return place


def place_of(location: str, document: Any) -> tuple[Path, bool]:
    """The path of an error's place, as far as the document has it, and whether it has all of it.

    Such as `mounts[3] (/data).options`, `linux.sysctl[net.ipv4.x]`: what stands in brackets is one step.
    """
    path: Path = ()
    for word in _steps(location.partition(" ")[0]):
        step = int(word) if type(document) is list and word.isdigit() else word
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return path, False
        path = (*path, step)
    return path, bool(path)


def _steps(place: str) -> list[str]:
    steps = []
    while place:
        head, bracket, rest = place.partition("[")
        steps += [name for name in head.split(".") if name]
        inside, _, place = rest.partition("]") if bracket else ("", "", "")
        steps += [inside] if inside else []
    return steps
