"""Builds the process document of exec: from a file, or from the container's own process and the flags."""

import posix

from pyoci.cli.parse import decimal
from pyoci.errors import Error
from pyoci.json import document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.cli.call import Call

_LAST_ID = 2**32 - 2  # 2^32-1 is (uid_t)-1, "leave unchanged" for the kernel: root would stay root
_SETS = ("bounding", "effective", "permitted")


def from_file(path: str) -> "dict[str, Any]":
    """The document of --process FILE, checked. Raises Error."""
    from pyoci.fileio import read_all

    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as problem:
        raise Error(f"open {path}", errno=problem.errno or 0) from None
    try:
        data = read_all(fd, document.MAX_BYTES + 1)
    except OSError as problem:
        raise Error(f"read {path}", errno=problem.errno or 0) from None
    finally:
        posix.close(fd)
    process = document.parse(data, name=path)
    if not isinstance(process, dict):
        raise Error("the process document must be an object", location=path)
    return check(process)


def from_flags(call: "Call", config: "dict[str, Any]") -> "dict[str, Any]":
    """The container's process with the command, and what the flags say, in place of its own. Raises Error.

    config: the container's config as it was at create; it is not changed.
    """
    process: "dict[str, Any]" = dict(config.get("process") or {})
    process["args"] = call.arguments[1:]
    process["terminal"] = call.yes("tty")
    if call.text("cwd"):
        process["cwd"] = call.text("cwd")
    if call.text("apparmor"):
        process["apparmorProfile"] = call.text("apparmor")
    if call.text("process-label"):
        process["selinuxLabel"] = call.text("process-label")
    if "no-new-privs" in call.flags:
        process["noNewPrivileges"] = call.yes("no-new-privs")
    if call.texts("cap"):
        process["capabilities"] = with_capabilities(process.get("capabilities"), call.texts("cap"))
    process["env"] = [*(process.get("env") or []), *call.texts("env")]
    if "user" in call.flags or call.texts("additional-gids"):
        process["user"] = with_user(process.get("user"), call)
    return check(process)


def with_capabilities(sets: "Any", more: "list[str]") -> "dict[str, list[str]]":
    """The capability sets with more added to bounding, effective and permitted.

    Never to the inheritable set (CVE-2022-29162); to the ambient one only where the container's config made the
    capability inheritable, since the kernel asks for both.
    """
    wider: "dict[str, list[str]]" = {name: list(members or []) for name, members in (sets or {}).items()}
    for name in more:
        for kind in _SETS:
            _add(wider.setdefault(kind, []), name)
        if name in wider.get("inheritable", []):
            _add(wider.setdefault("ambient", []), name)
    return wider


def _add(members: "list[str]", name: str) -> None:
    if name not in members:
        members.append(name)


def with_user(user: "Any", call: "Call") -> "dict[str, Any]":
    """The user with the ids of --user UID[:GID] and --additional-gids. Raises Error."""
    changed: "dict[str, Any]" = dict(user or {})
    if "user" in call.flags:
        uid, colon, gid = call.text("user").partition(":")
        changed["uid"] = number_of("uid", uid)
        if colon:
            changed["gid"] = number_of("gid", gid)
    more = [number_of("additional gid", text) for text in call.texts("additional-gids")]
    if more:
        changed["additionalGids"] = [*(changed.get("additionalGids") or []), *more]
    return changed


def number_of(what: str, text: str) -> int:
    """The id written in text: a plain decimal number from 0 to 2^32-2. Raises Error."""
    number = decimal(text, _LAST_ID)
    if number < 0:
        known = f"parsing {text} as int for {what} failed: "  # scripts know it from runc
        hint = f"use a decimal number from 0 to {_LAST_ID}; names are not looked up"
        raise Error(f'{known}bad {what}: "{text}"', hint=hint, kind="refused")
    return number


def check(process: "dict[str, Any]") -> "dict[str, Any]":
    """Returns the document if it can be run at all. Raises Error."""
    arguments = process.get("args")
    if not isinstance(arguments, list) or not arguments:
        raise Error("args must not be empty", location="process.args")
    if not all(isinstance(argument, str) for argument in arguments):
        raise Error("every argument must be a string", location="process.args")
    cwd = process.get("cwd")
    if not isinstance(cwd, str) or not cwd:
        raise Error("Cwd property must not be empty", location="process.cwd")
    if cwd[0] != "/":
        raise Error("Cwd must be an absolute path", location="process.cwd")
    from pyoci.validate.musts import variable_problem

    variables = process.get("env") or []
    if not isinstance(variables, list) or not all(isinstance(variable, str) for variable in variables):
        raise Error("every variable must be a string", location="process.env")
    for index, variable in enumerate(variables):
        problem = variable_problem(variable)
        if problem:
            raise Error(problem, location=f"process.env[{index}]")
    return process
