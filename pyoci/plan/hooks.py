"""config.json's hooks → steps (config.md, "POSIX-platform Hooks").

createContainer and startContainer are init's, which runs them inside the container, the others the runtime's.
"""

from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.plan.model import Plan
    from pyoci.plan.ops import RuntimeStep
    from pyoci.plan.request import Request

_STATUS = {"prestart": "creating", "createRuntime": "creating", "poststart": "running", "poststop": "stopped"}
_LONGEST = (2**31 - 1) // 1000


def milliseconds(hook: "dict[str, Any]") -> int:
    """A hook's timeout, 0 for none. poll(2) counts to an int's end: more than 24 days are 24 days."""
    seconds = int(hook.get("timeout") or 0)
    return min(seconds, _LONGEST) * 1000


def container_hooks(request: "Request", plan: "Plan", kind: str, status: str, cwd: str, env: "list[str]") -> None:
    """Adds the hooks of a kind.

    status: the container's at that moment (runtime.md, "State")
    cwd: where they start: the bundle while the host's files are in reach, / afterwards
    env: the environment of hooks that name none; never the container's, which the image can choose
    """
    hooks: "list[dict[str, Any]]" = request.config["hooks"][kind]
    head, tail = request.state(status)
    for index, hook in enumerate(hooks):
        where = f"hooks.{kind}[{index}] ({hook['path']})"
        own: "Optional[list[str]]" = hook.get("env")
        args = hook.get("args") or [hook["path"]]
        timeout = milliseconds(hook)
        environment = env if own is None else own
        plan.add(
            ops.hook(
                where,
                path=hook["path"],
                args=tuple(args),
                env=tuple(environment),
                cwd=cwd,
                timeout=timeout,
                state_head=head,
                state_tail=tail,
            )
        )


def runtime_hooks(config: "dict[str, Any]", kind: str) -> "list[RuntimeStep]":
    """The hooks of a kind that the runtime runs, in its own namespaces."""
    steps: "list[RuntimeStep]" = []
    for index, hook in enumerate((config.get("hooks") or {}).get(kind) or []):
        steps.append(
            ops.runtime_hook(
                f"hooks.{kind}[{index}] ({hook['path']})",
                kind=kind,
                index=index,
                path=hook["path"],
                args=tuple(hook.get("args") or [hook["path"]]),
                env=hook.get("env"),
                timeout=milliseconds(hook),
                status=_STATUS[kind],
            )
        )
    return steps
