"""What a program calls and gets has subprocess's classes; the command, which starts for one program, does without."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyoci.sandbox.sandbox import Usage  # which makes these


class CompletedProcess(subprocess.CompletedProcess):  # type: ignore[type-arg]
    """subprocess.CompletedProcess, and what became of the program.

    timed_out: it was killed since its time was over; returncode is then -9
    oom:       the kernel has killed for memory in the sandbox meanwhile
    cut:       it said more than output_limit, which was thrown away
    usage:     of the sandbox until then
    warnings:  limits that best_effort has done without
    """

    def __init__(
        self,
        args: Sequence[str],
        returncode: int,
        output: tuple[Any, Any],
        timed_out: bool,
        cut: bool,
        usage: Usage,
        oom: bool,
        warnings: list[str],
    ) -> None:
        super().__init__(args, returncode, *output)
        self.timed_out = timed_out
        self.cut = cut
        self.usage = usage
        self.oom = oom
        self.warnings = warnings

    def __repr__(self) -> str:
        more = "".join(f", {name}=True" for name in ("timed_out", "oom", "cut") if getattr(self, name))
        return f"{super().__repr__()[:-1]}, usage={self.usage}{more})"


def failed(status: int, args: Sequence[str], output: tuple[Any, Any]) -> subprocess.CalledProcessError:
    """What `check` raises."""
    return subprocess.CalledProcessError(status, args, *output)
