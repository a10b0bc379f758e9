"""pyoci: a low-level OCI container runtime. Python decides, a small C program acts."""

__version__ = "0.2.0"
SPEC_VERSION = "1.3.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional, Union
    from weakref import WeakValueDictionary

    from pyoci.documents.results import State as State
    from pyoci.documents.results import Stats as Stats
    from pyoci.errors import Error as Error
    from pyoci.errors import Kind as Kind
    from pyoci.init.talk import Message
    from pyoci.kinds import KINDS as KINDS
    from pyoci.kinds import exit_status as exit_status
    from pyoci.kinds import kind_of as kind_of
    from pyoci.options import CreateOptions as CreateOptions
    from pyoci.options import ExecOptions as ExecOptions
    from pyoci.process.process import Process as Process
    from pyoci.process.streams import DEVNULL as DEVNULL
    from pyoci.process.streams import PIPE as PIPE
    from pyoci.process.streams import STDOUT as STDOUT
    from pyoci.runtime import Runtime as Runtime
    from pyoci.sandbox.completed import CompletedProcess as CompletedProcess
    from pyoci.sandbox.run import run as run
    from pyoci.sandbox.run import run_async as run_async
    from pyoci.sandbox.sandbox import Sandbox as Sandbox
    from pyoci.sandbox.sandbox import Usage as Usage


def mark(phase: str) -> None:
    """What the command does from here on. Nobody listens: `--trace` puts its own function here (pyoci/cli/trace.py)."""


is_command = False  # whether this is the command `pyoci`, which ends when its work is done
children: "Union[dict[int, Process], WeakValueDictionary[int, Process]]" = {}  # that a program has in hand, by pid
on_step: "Optional[Callable[[Message], None]]" = None  # likewise, for the times of init's steps


# For programs (docs/api.md). Commands load none of it before they need it.
_PUBLIC = {
    "Runtime": "runtime",
    "CreateOptions": "options",
    "ExecOptions": "options",
    "Process": "process.process",
    "PIPE": "process.streams",
    "STDOUT": "process.streams",
    "DEVNULL": "process.streams",
    "run": "sandbox.run",
    "run_async": "sandbox.run",
    "Sandbox": "sandbox.sandbox",
    "CompletedProcess": "sandbox.completed",
    "Usage": "sandbox.sandbox",
    "Error": "errors",
    "State": "documents.results",
    "Stats": "documents.results",
    "KINDS": "kinds",
    "exit_status": "kinds",
    "kind_of": "kinds",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pyoci' has no attribute {name!r}")
    return getattr(__import__(f"pyoci.{_PUBLIC[name]}", None, None, [name]), name)


def __dir__() -> "list[str]":
    return sorted([*_PUBLIC, "SPEC_VERSION", "__version__"])
