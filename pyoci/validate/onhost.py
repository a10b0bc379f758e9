"""`validate --host`: what this host and this bundle lack for a config that is right by itself. Changes nothing."""

import os
import posixpath

from ..errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..plan.model import Plan
    from .analysis import Problem
    from .musts import Finding, Json, Path

    Compiler = Any  # what makes a plan, or raises Error

CODE = "host-lacks"
MOST_LINKS = 40  # path_resolution(7)


def report(raw: bytes, bundle: str, compile_plan: "Compiler") -> "list[Problem]":
    """findings() with their places in the text of a config that is right by itself."""
    from ..jsondoc import parse
    from .analysis import located

    config = parse(raw)
    assert isinstance(config, dict)  # it is right by itself
    return located(raw, findings(config, bundle, compile_plan))


def findings(config: "Json", bundle: str, compile_plan: "Compiler") -> "list[Finding]":
    """Everything that is missing: rootfs, sources of bind mounts, the program; then what create would say first.

    compile_plan: makes the plan of the bundle, as `pyoci plan` does
    """
    found: "list[Finding]" = []
    rootfs = posixpath.join(bundle, config.get("root", {}).get("path", ""))
    if not os.path.isdir(rootfs):
        state = "is not a directory" if os.path.lexists(rootfs) else "does not exist"
        found.append((CODE, ("root", "path"), f"{rootfs} {state}", ""))
    for number, mount in enumerate(config.get("mounts", ())):
        _source(mount, number, bundle, rootfs, found)
    if not found:
        _program(config, rootfs, found)
        _plan(config, compile_plan, found)
    return found


def _source(mount: "Json", number: int, bundle: str, rootfs: str, out: "list[Finding]") -> None:
    options = mount.get("options", ())
    if not mount.get("source") or not ("bind" in options or "rbind" in options):
        return
    source = posixpath.join(bundle, mount["source"])
    if not os.path.exists(source) and not source.startswith(rootfs + "/"):  # an earlier mount may bring that
        out.append((CODE, ("mounts", number, "source"), f"{source} does not exist", ""))


def _program(config: "Json", rootfs: str, out: "list[Finding]") -> None:
    """The program, where no mount covers its place: what is in those is not looked at."""
    process = config.get("process") or {}
    name = (process.get("args") or [""])[0]
    if not name or (name[0] != "/" and "/" in name):
        return
    covers = [posixpath.normpath("/" + mount["destination"]) for mount in config.get("mounts", ())]
    places = [name] if name[0] == "/" else [posixpath.join("/", way, name) for way in _search(process)]
    for place in places:
        if any(place.startswith(cover + "/") for cover in covers):
            return
        found = resolve(rootfs, place)
        if found and os.path.isfile(found):
            if not os.stat(found).st_mode & 0o111:
                out.append((CODE, ("process", "args", 0), f"{place} is not executable", "chmod +x"))
            return
    where = name if name[0] == "/" else f"{name} in {':'.join(_search(process))}"
    out.append((CODE, ("process", "args", 0), f"the rootfs has no {where}", ""))


def _search(process: "Json") -> "list[str]":
    from ..plan.process import DEFAULT_PATH

    values = [entry[5:] for entry in process.get("env") or () if entry.startswith("PATH=")]
    return (values[-1] if values else DEFAULT_PATH).split(":")


def resolve(root: str, path: str) -> str:
    """Where a path of the container is on the host: links are the container's, too. "" where it leads nowhere."""
    rest, at, links = path.split("/"), "", 0
    while rest:
        part = rest.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            at = posixpath.dirname(at).rstrip("/")
            continue
        here = f"{root}{at}/{part}"
        if os.path.islink(here):
            links += 1
            if links > MOST_LINKS:
                return ""
            target = os.readlink(here)
            at = "" if target[:1] == "/" else at
            rest = target.split("/") + rest
            continue
        at += f"/{part}"
    return root + at if os.path.exists(root + at) else ""


def _plan(config: "Json", compile_plan: "Compiler", out: "list[Finding]") -> None:
    try:
        plan: "Plan" = compile_plan()
    except Error as problem:
        text = str(Error(problem.text, step=problem.step, errno=problem.errno))
        out.append((CODE, place_of(problem.location, config), text, problem.hint))
        return
    out += [("host-ignores", (), warning, "") for warning in plan.warnings]


def place_of(location: str, document: "Any") -> "Path":
    """The path of an error's place, as far as the document has it."""
    path: "Path" = ()
    for word in location.partition(" ")[0].replace("[", ".").replace("]", "").split("."):
        step = int(word) if word.isdigit() else word
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            break
        path = (*path, step)
    return path
