"""pyoci: a low-level OCI container runtime. Python decides, a small C program acts."""

__version__ = "0.1.0"
SPEC_VERSION = "1.3.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from pyoci.runtime import Runtime as Runtime
    from pyoci.talk import Message


def mark(phase: str) -> None:
    """What the command does from here on. Nobody listens: `--trace` puts its own function here (pyoci/trace.py)."""


on_step: "Optional[Callable[[Message], None]]" = None  # likewise, for the times of init's steps


def __getattr__(name: str) -> object:
    """pyoci.Runtime, for programs; commands do not load it before they need it."""
    if name == "Runtime":
        from pyoci.runtime import Runtime

        return Runtime
    raise AttributeError(f"module 'pyoci' has no attribute {name!r}")
