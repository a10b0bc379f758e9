"""The hooks that run in the runtime's namespaces: prestart, createRuntime, poststart, poststop."""

import posix

import pyoci
from pyoci import _shim
from pyoci.errors import Error
from pyoci.json.document import dump
from pyoci.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyoci.container.state import Entry


def environment() -> "list[str]":
    """What a hook inherits that names no environment: the caller's, of which the launcher let through what is harmless.
    Python itself adds LC_CTYPE (PEP 538)."""
    pairs = []
    for name, value in posix.environ.items():
        if name != b"LC_CTYPE":
            pairs.append((name + b"=" + value).decode("utf-8", "surrogateescape"))
    return pairs


def hook_state(config: "dict[str, Any]", container: str, bundle: str, status: str, pid: int) -> "dict[str, Any]":
    """The state document that hooks read (runtime.md, "State")."""
    return {
        "ociVersion": config["ociVersion"],
        "id": container,
        "status": status,
        "pid": pid,
        "bundle": bundle,
        "annotations": config.get("annotations") or {},
    }


def state_of(entry: "Entry", status: str, pid: int) -> "dict[str, Any]":
    """The same, by what state.json holds."""
    record = entry.record
    config = {"ociVersion": record["oci_version"], "annotations": record.get("annotations")}
    return hook_state(config, entry.container, record["bundle"], status, pid)


def run_hook(entry: "Entry", pid: int, owner: int, where: str, fields: "Any") -> None:
    """Does a step RUNTIME_HOOK: runs a hook, the state document on its standard input.

    pid:   of the container, for that
    owner: pidfd of the process that waits for it; a hook that still runs when that ends is killed. Or -1
    Errors: Error when it fails.
    """
    pyoci.mark("hooks")
    kind, index, path, args, env, timeout, status = fields
    state = state_of(entry, status, pid)
    try:
        _run(path, args, environment() if env is None else env, timeout, state, owner)
    except Error as problem:
        problem.location = where
        problem.step = f"error running {kind} hook #{index}"  # in runc's words, which scripts know
        problem.by_init = kind in ("prestart", "createRuntime")
        if problem.errno:
            from pyoci.init.failures import hook_hint

            problem.hint = hook_hint(kind, problem.errno)
        raise


def _strings(values: "Iterable[str]") -> "tuple[bytes, ...]":
    return tuple([value.encode("utf-8", "surrogateescape") for value in values])


def _run(
    path: str, args: "Iterable[str]", env: "Iterable[str]", timeout: int, state: "dict[str, Any]", owner: int
) -> None:
    document, cwd = dump(state).encode(), state["bundle"].encode()
    given = (path.encode(), _strings(args), _strings(env), cwd, document, timeout, owner)
    result, status, ending, output = _shim.hook(*given)
    if result < 0:
        raise Error("start it", errno=-result, kind="hook")
    if not ending and status == 0:
        return
    if ending == kernel.HOOK_OWNER_ENDED:
        text = "killed, since the container's first process has ended meanwhile"
    elif ending:
        text = f"hook ran past specified timeout of {timeout / 1000:.1f}s"
    elif status & 0x7F:
        text = f"killed by signal {status & 0x7F}"
    else:
        text = f"exit status {status >> 8}"
    said = output.decode("utf-8", "replace")
    said = "".join(c if c.isprintable() else " " for c in said).strip()
    raise Error(f"{text}, output: {said}" if said else text, kind="hook")
