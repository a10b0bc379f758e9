"""The one error of pyoci: raised where the fact is known, printed in one place (cli), wrapped nowhere."""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, Optional

    # What an error is to a program: decisions are made by it, never by words. pyoci/kinds.py says what each means.
    Kind = Literal[
        "refused",
        "usage",
        "unknown_command",
        "missing",
        "host",
        "hook",
        "program",
        "state",
        "not_running",
        "not_found",
        "exists",
        "damaged",
        "version",
        "interrupted",
        "internal",
    ]


def errno_text(number: int) -> str:
    """The errno in the words callers look for: ``no such file or directory (ENOENT)``."""
    from errno import errorcode

    return f"{posix.strerror(number).lower()} ({errorcode.get(number, number)})"


class Error(Exception):
    """A refusal or a failure of a command.

    text:     one sentence that says what is wrong
    location: the place in config.json that asked for it, such as ``mounts[3] (/proc)``
    step:     what was being done, such as ``mount cgroup2``
    errno:    the kernel's answer, 0 where none was involved
    hint:     the likely cure, one sentence
    kind:     what it is to a program; when it is not given, "host" with an errno and "refused" without
    by_init:  whether the container's first process met it
    """

    def __init__(
        self,
        text: str = "",
        *,
        location: str = "",
        step: str = "",
        errno: int = 0,
        hint: str = "",
        kind: "Optional[Kind]" = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.location = location
        self.step = step
        self.errno = errno
        self.hint = hint
        self.kind: "Kind" = kind or ("host" if errno else "refused")
        self.by_init = False

    def __str__(self) -> str:
        parts = [part for part in (self.location, self.step, self.text) if part]
        if self.errno:
            parts.append(errno_text(self.errno))
        line = ": ".join(parts)
        return f"{line} ({self.hint})" if self.hint else line
