"""The hooks that run in the runtime's namespaces: prestart, createRuntime, poststart, poststop."""

import posix

import pyoci
from pyoci import _shim
from pyoci.errors import Error
from pyoci.json.document import dump
from pyoci.plan.hooks import milliseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OWNER_ENDED = 2  # csrc/shared/hook.h


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


def run_hooks(config: "dict[str, Any]", kind: str, state: "dict[str, Any]", owner: int = -1) -> None:
    """Runs the hooks of a kind, in order, the state document on their standard input.

    owner: pidfd of the process that waits for them; a hook that still runs when that ends is killed
    Errors: Error of the first that fails.
    """
    for problem in _run_each(config, kind, state, owner):
        if problem is not None:
            raise problem


def run_all_hooks(config: "dict[str, Any]", kind: str, state: "dict[str, Any]") -> "list[Error]":
    """Runs all hooks of a kind whether they fail or not; what failed is returned."""
    return [problem for problem in _run_each(config, kind, state, -1) if problem is not None]


def _run_each(config: "dict[str, Any]", kind: str, state: "dict[str, Any]", owner: int) -> "Any":
    pyoci.mark("hooks")
    for index, hook in enumerate((config.get("hooks") or {}).get(kind) or []):
        try:
            _run(hook, state, owner)
        except Error as problem:
            problem.location = f"hooks.{kind}[{index}] ({hook['path']})"
            problem.step = f"error running {kind} hook #{index}"  # in runc's words, which scripts know
            problem.by_init = kind in ("prestart", "createRuntime")
            if problem.errno:
                from pyoci.init.failures import hook_hint

                problem.hint = hook_hint(kind, problem.errno)
            yield problem
        else:
            yield None


def _strings(values: "list[str]") -> "tuple[bytes, ...]":
    return tuple([value.encode("utf-8", "surrogateescape") for value in values])


def _run(hook: "dict[str, Any]", state: "dict[str, Any]", owner: int) -> None:
    env = hook.get("env")
    args = _strings(hook.get("args") or [hook["path"]])
    variables = _strings(environment() if env is None else env)
    document = dump(state).encode()
    timeout = milliseconds(hook)
    path, cwd = hook["path"].encode(), state["bundle"].encode()
    result, status, ending, output = _shim.hook(path, args, variables, cwd, document, timeout, owner)
    if result < 0:
        raise Error("start it", errno=-result, kind="hook")
    if not ending and status == 0:
        return
    if ending == _OWNER_ENDED:
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
