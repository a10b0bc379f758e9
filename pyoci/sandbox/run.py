"""One program in a sandbox of its own."""

import os
import sys

from pyoci.process.exchange import Exchange
from pyoci.sandbox.sandbox import OUTPUT_LIMIT, Call, Container, Usage, _words
from pyoci.sandbox.wishes import Wishes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Optional, Union

    from pyoci.sandbox.completed import CompletedProcess
    from pyoci.sandbox.wishes import Size

_STREAMS = ("stdin", "stdout", "stderr", "text", "encoding", "errors")
_KILLED = -9


class _Run:
    def __init__(self, call: Call, wishes: Wishes) -> None:
        self.call = call
        self.container = Container(wishes, "program")
        self.exchange: "Optional[Exchange]" = None

    def open(self) -> Exchange:
        running = self.container.open(_words(self.call.args), **self.call.streams)
        running.args = self.call.args
        self.exchange = self.call.exchange(running)
        return self.exchange

    def finish(self, done: bool) -> "CompletedProcess":
        """Removes the sandbox, and says what became of the program."""
        status, usage = self.end(done)
        exchange = self.exchange
        assert exchange is not None
        return self.call.result(status, exchange, not done, usage, usage.oom_kills > 0, self.container.wishes.warnings)

    def end(self, done: bool) -> "tuple[int, Usage]":
        """Removes the sandbox; the program's status, and what was used."""
        exchange, container = self.exchange, self.container
        assert exchange is not None and container.process is not None
        if not done:
            container.process.kill()
            container.process.wait()
            exchange.finish()
        status = self._status() if done else _KILLED
        output = exchange.results()
        container.close()
        usage = container.usage()
        exchange.results = lambda: output  # type: ignore[method-assign]
        return status, usage

    def _status(self) -> int:
        """What the first process has told of the program; when nothing, that it was killed itself."""
        life = self.container.life
        assert life is not None
        life.setblocking(False)
        try:
            told = life.recv(12)
        except (BlockingIOError, ConnectionResetError):
            told = b""
        if len(told) < 12:
            return _KILLED
        code, status, self.container.largest = (
            int.from_bytes(told[at : at + 4], sys.byteorder, signed=True) for at in (0, 4, 8)
        )
        return int(status if code == os.CLD_EXITED else -status)


def run(
    args: "Sequence[str]",
    *,
    input: "Union[str, bytes, None]" = None,
    capture_output: bool = False,
    timeout: "Optional[float]" = None,
    check: bool = False,
    output_limit: "Size" = OUTPUT_LIMIT,
    **more: "Any",
) -> "CompletedProcess":
    """Runs a program in a sandbox made for it, as subprocess.run does, and removes the sandbox.

    stdin, stdout, stderr, text, encoding, errors: as in subprocess.run, but that stdin is /dev/null unless it is given
    output_limit: bytes kept of each output; what comes after them is thrown away
    more: as in Sandbox
    """
    one = _begin(args, input, capture_output, check, output_limit, more)
    try:
        done = one.open().run(timeout)
        return one.finish(done)
    finally:
        one.container.close()


def run_plainly(
    args: "Sequence[str]", timeout: "Optional[float]", **more: "Any"
) -> "tuple[int, bool, bool, list[str]]":
    """run() for the command, which does without subprocess's classes and what they load: the program's status, whether
    its time was over, whether the kernel has killed for memory, warnings."""
    one = _begin(args, None, False, False, OUTPUT_LIMIT, more)
    try:
        done = one.open().run(timeout)
        status, usage = one.end(done)
        return status, not done, usage.oom_kills > 0, one.container.wishes.warnings
    finally:
        one.container.close()


async def run_async(
    args: "Sequence[str]",
    *,
    input: "Union[str, bytes, None]" = None,
    capture_output: bool = False,
    timeout: "Optional[float]" = None,
    check: bool = False,
    output_limit: "Size" = OUTPUT_LIMIT,
    **more: "Any",
) -> "CompletedProcess":
    """run() in asyncio. When it is cancelled the sandbox is removed."""
    import asyncio

    one = _begin(args, input, capture_output, check, output_limit, more)
    making = asyncio.ensure_future(asyncio.to_thread(one.open))
    try:
        exchange = await asyncio.shield(making)
        done = await exchange.run_async(timeout)
        return await asyncio.shield(asyncio.to_thread(one.finish, done))
    finally:
        if not making.done():
            await asyncio.wait([making])
        await asyncio.to_thread(one.container.close)


def _begin(
    args: "Sequence[str]",
    input: "Union[str, bytes, None]",
    capture_output: bool,
    check: bool,
    output_limit: "Size",
    more: "dict[str, Any]",
) -> _Run:
    streams = {name: more.pop(name) for name in _STREAMS if name in more}
    call = Call(args, input, capture_output, check, output_limit, streams)
    return _Run(call, Wishes(**more))
