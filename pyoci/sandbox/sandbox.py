"""A sandbox that lives: programs are run in it one after another, or beside each other."""

import _socket
import os
from _thread import allocate_lock

from pyoci.errors import Error
from pyoci.options import CreateOptions, ExecOptions
from pyoci.process.exchange import Exchange
from pyoci.process.streams import DEVNULL, PIPE
from pyoci.runtime import Runtime
from pyoci.sandbox.config import config, process, refuse_unlimited
from pyoci.sandbox.place import place
from pyoci.sandbox.wishes import Wishes, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal, Optional, Union

    from pyoci.process.process import Process
    from pyoci.process.streams import Stream
    from pyoci.sandbox.completed import CompletedProcess
    from pyoci.sandbox.wishes import Size

OUTPUT_LIMIT = "64M"
_LIMITS = {"memory": "memory is", "cpu": "cpus are", "pids": "pids are"}
_SWEPT: "set[str]" = set()


class Usage:
    """What a sandbox has used.

    cpu_time:    seconds, of all its processes
    peak_memory: bytes: of all together where a cgroup counts them (with a limit for memory, cpus or, as root, pids),
                 else of the largest process; None where it is not known
    oom_kills:   how often the kernel has killed for memory
    """

    __slots__ = ("cpu_time", "oom_kills", "peak_memory")

    def __init__(self, cpu_time: float, peak_memory: "Optional[int]", oom_kills: int) -> None:
        self.cpu_time = cpu_time
        self.peak_memory = peak_memory
        self.oom_kills = oom_kills

    def __repr__(self) -> str:
        return f"Usage(cpu_time={self.cpu_time}, peak_memory={self.peak_memory}, oom_kills={self.oom_kills})"


class Container:
    """A sandbox's container: made, limited as far as it can be, removed.

    supervised: "program" or "nobody", as in CreateOptions
    life:       while somebody has this end open the sandbox lives; its first process tells a program's end there
    """

    def __init__(self, wishes: Wishes, supervised: "Literal['program', 'nobody']") -> None:
        self.wishes = wishes
        self.supervised = supervised
        self.place = place()
        self.name = self.place.name()
        self.runtime = Runtime(self.place.state, cgroup_manager=wishes.cgroup_manager)
        self.process: "Optional[Process]" = None
        self.life: "Optional[_socket.socket]" = None
        self.final: "Optional[Usage]" = None
        self.used = 0.0
        self.largest = 0
        if self.place.me not in _SWEPT:
            _SWEPT.add(self.place.me)
            self.place.sweep(self.runtime)

    def open(self, args: "list[str]", **streams: "Any") -> "Process":
        """Makes it and starts its first process, and with it the program args."""
        wishes = self.wishes
        root = wishes.rootfs or self.place.root(wishes)
        document = config(wishes, root, args, self._cgroup())
        while True:
            try:
                return self._create(document, streams)
            except Error as problem:
                if "resources" not in document["linux"] or not _is_of_limits(problem):
                    raise
                if not wishes.best_effort:
                    raise refuse_unlimited(problem) from None
                self._give_up(document, problem)

    def _cgroup(self) -> str:
        """A user without privileges may at most make cgroups below those that are delegated to him."""
        if self.wishes.cgroup_manager == "systemd":
            return f":pyoci-sandbox:{self.name}"
        return f"pyoci-sandbox-{self.name}" if self.wishes.rootless else f"/pyoci-sandbox-{self.name}"

    def _create(self, document: "dict[str, Any]", streams: "dict[str, Any]") -> "Process":
        limited = "resources" in document["linux"]
        if not limited:
            self.runtime.cgroup_manager = "disabled"
        options = CreateOptions(self.place.directory, config=document, supervised=self.supervised, keep_owner=True)
        # Of C, without the module `socket` and its enumerations
        self.life, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            try:
                self.process = self.runtime.create(self.name, options, pass_fds=[theirs.fileno()], **streams)
            finally:
                theirs.close()
            self.runtime.start(self.name)
        except BaseException:
            self.close()
            raise
        return self.process

    def _give_up(self, document: "dict[str, Any]", problem: Error) -> None:
        """Takes the limit out that could not be had, or all where that was the cgroup itself."""
        wishes, resources = self.wishes, document["linux"]["resources"]
        found = [name for name in resources if problem.location.startswith(f"linux.resources.{name}")] or list(
            resources
        )
        for name in found:
            wishes.warnings.append(f"{_LIMITS[name]} not limited: {problem}")
            del resources[name]
        if not resources:
            del document["linux"]["resources"], document["linux"]["cgroupsPath"]
        if "memory" in found:
            wishes.data = wishes.memory
            wishes.warnings.append("memory is limited for each process, not for all together")
            document["process"] = process(wishes, document["process"]["args"])

    def usage(self) -> Usage:
        """Until now; after close() until then."""
        if self.final is not None:
            return self.final
        with self.runtime.store.look(self.name).load() as entry:
            if entry.record["cgroup"].get("driver") == "disabled":
                return self._usage_by_process()
            manager = entry.manager()
            found = manager.stats()
            cpu = found["cpu"]["usage"].get("total", 0) / 1e9
            memory = found.get("memory") or {}
            usage = memory.get("usage") or {}
            return Usage(cpu, usage.get("max") or usage.get("usage") or 0, manager.oom_kills() or 0)

    def _usage_by_process(self) -> Usage:
        first = self.process.rusage if self.process is not None else None
        used = self.used + (first.ru_utime + first.ru_stime if first is not None else 0)
        return Usage(used, self.largest * 1024 or None, 0)

    def note(self, ended: "Process") -> None:
        """Adds what a program that has ended has used: it was not the first process's child."""
        if ended.rusage is not None:
            self.used += ended.rusage.ru_utime + ended.rusage.ru_stime

    def close(self) -> None:
        """Ends all that runs in it and removes it."""
        if self.life is not None:
            self.life.close()
            self.life = None
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        try:
            self.final = self.usage()
        except Error:
            self.final = self._usage_by_process()
        self.runtime.delete(self.name, force=True)
        self.process.close()
        self.process = None


def _is_of_limits(problem: Error) -> bool:
    return problem.location.startswith(("linux.resources", "linux.cgroupsPath"))


class Sandbox:
    """A container for programs that nobody trusts. Made at `with`, `open()` or the first program; removed at the end.

    rootfs:      its root filesystem, read-only; None: the host's /usr and what belongs to it, read-only, a fresh home
                 and /tmp
    memory:      bytes, or as 256M, of all processes together
    cpus:        processors' worth of time, such as 0.5
    pids:        processes and threads
    network:     True: the host's network; False: none, but lo
    binds:       paths of the host: {"/data": "ro"}, or at another place {"/srv/x": ("/data", "rw")}
    tmpfs:       places for fresh files, 64M each, or with a size {"/scratch": "1G"}
    user:        uid, or uid:gid, in the sandbox. Without: root's sandboxes are of 65534, those of others of themselves
    env:         variables beside PATH, LANG, HOME, USER, LOGNAME; nothing of the caller's is handed on
    cwd:         where programs start
    best_effort: do without limits that this host cannot enforce (warnings says which); else they are refused
    terminal:    programs get a terminal
    """

    def __init__(self, **wishes: "Any") -> None:
        self.wishes = Wishes(**wishes)
        self._container: "Optional[Container]" = None
        self._lock = allocate_lock()

    @property
    def warnings(self) -> "list[str]":
        """Limits that best_effort has done without."""
        return self.wishes.warnings

    @property
    def pid(self) -> int:
        """Its first process, as the host sees it; 0 when it is not open."""
        container = self._container
        return container.process.pid if container is not None and container.process is not None else 0

    def open(self) -> "Sandbox":
        """Makes it, unless it is there."""
        with self._lock:
            if self._container is None:
                container = Container(self.wishes, "nobody")
                container.open(["/"])
                self._container = container
        return self

    def close(self) -> None:
        """Ends every program in it and removes it, with all files that lie in it."""
        with self._lock:
            container, self._container = self._container, None
            if container is not None:
                container.close()

    def __enter__(self) -> "Sandbox":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "Sandbox":
        import asyncio

        return await asyncio.to_thread(self.open)

    async def __aexit__(self, *_: object) -> None:
        import asyncio

        await asyncio.to_thread(self.close)

    def _opened(self) -> Container:
        self.open()
        container = self._container
        if container is None:
            raise Error("the sandbox is closed", kind="state")
        return container

    def usage(self) -> Usage:
        """What it has used until now."""
        return self._opened().usage()

    def popen(
        self,
        args: "Sequence[str]",
        *,
        env: "Mapping[str, str]" = {},  # noqa: B006 - never changed
        cwd: str = "",
        stdin: "Stream" = DEVNULL,
        stdout: "Stream" = None,
        stderr: "Stream" = None,
        text: bool = False,
        encoding: "Optional[str]" = None,
        errors: "Optional[str]" = None,
    ) -> "Process":
        """Starts a program in it; pyoci.Process has what subprocess.Popen has."""
        container = self._opened()
        document = process(self.wishes, _words(args), dict(env), cwd)
        if self.wishes.terminal:
            stdin = stdout = stderr = None
        found = container.runtime.popen(
            container.name,
            document,
            ExecOptions(keep_owner=True),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=text,
            encoding=encoding,
            errors=errors,
        )
        found.args = args
        return found

    def run(
        self,
        args: "Sequence[str]",
        *,
        input: "Union[str, bytes, None]" = None,
        capture_output: bool = False,
        timeout: "Optional[float]" = None,
        check: bool = False,
        output_limit: "Size" = OUTPUT_LIMIT,
        **more: "Any",
    ) -> "CompletedProcess":
        """Runs a program in it to its end, as subprocess.run does; what it leaves running goes on.

        more: as in popen
        """
        call = Call(args, input, capture_output, check, output_limit, more)
        before = self.usage().oom_kills
        with self.popen(args, **call.streams) as running:
            exchange = call.exchange(running)
            done = exchange.run(timeout)
            return self._finish(call, running, exchange, done, before)

    async def run_async(
        self,
        args: "Sequence[str]",
        *,
        input: "Union[str, bytes, None]" = None,
        capture_output: bool = False,
        timeout: "Optional[float]" = None,
        check: bool = False,
        output_limit: "Size" = OUTPUT_LIMIT,
        **more: "Any",
    ) -> "CompletedProcess":
        """run() in asyncio. Who is cancelled meanwhile has its program killed."""
        import asyncio

        call = Call(args, input, capture_output, check, output_limit, more)
        before = (await asyncio.to_thread(self.usage)).oom_kills
        running = await asyncio.to_thread(self.popen, args, **call.streams)
        try:
            exchange = call.exchange(running)
            done = await exchange.run_async(timeout)
            return self._finish(call, running, exchange, done, before)
        finally:
            running.kill()
            await running.wait_async()
            running.close()

    def _finish(
        self, call: "Call", running: "Process", exchange: Exchange, done: bool, before: int
    ) -> "CompletedProcess":
        if not done:
            running.kill()
            running.wait()
            exchange.finish()
        status = running.wait()
        self._opened().note(running)
        usage = self.usage()
        return call.result(status, exchange, not done, usage, usage.oom_kills > before, self.warnings)

    # Files

    def put(self, path: str, data: "Union[str, bytes]", mode: int = 0o644) -> None:
        """Writes a file in the sandbox, which is then its user's. No part of the path may be a symbolic link."""
        from pyoci.sandbox.files import put

        put(self._opened(), path, data.encode() if isinstance(data, str) else data, mode)

    def get(self, path: str, limit: "Size" = OUTPUT_LIMIT) -> bytes:
        """Reads a file of the sandbox. No part of the path may be a symbolic link; more than limit is refused."""
        from pyoci.sandbox.files import get

        return get(self._opened(), path, size(limit, "limit"))


def _words(args: "Sequence[str]") -> "list[str]":
    if isinstance(args, (str, bytes)) or not args:
        raise Error("args is a list of words", location="args", hint='["sh", "-c", "…"] runs a line of shell')
    return [os.fspath(word) for word in args]


class Call:
    """What `run` is asked for beside the program: the streams, and what to do at the end."""

    def __init__(
        self,
        args: "Sequence[str]",
        input: "Union[str, bytes, None]",
        capture_output: bool,
        check: bool,
        output_limit: "Size",
        more: "dict[str, Any]",
    ) -> None:
        self.args = args
        self.input = input
        self.check = check
        self.limit = size(output_limit, "output_limit")
        self.streams = dict(more)
        if capture_output:
            if more.get("stdout") is not None or more.get("stderr") is not None:
                raise ValueError("stdout and stderr are not to be used with capture_output")
            self.streams["stdout"] = self.streams["stderr"] = PIPE
        if input is not None:
            if "stdin" in more:
                raise ValueError("stdin is not to be used with input")
            self.streams["stdin"] = PIPE
        self.streams.setdefault("stdin", DEVNULL)

    def exchange(self, running: "Process") -> Exchange:
        """What is written to it and read from it. It ends with its process, even if others still have the pipes."""
        return Exchange(running, self.input, self.limit, whole=False)

    def result(
        self, status: int, exchange: Exchange, timed_out: bool, usage: Usage, oom: bool, warnings: "list[str]"
    ) -> "CompletedProcess":
        """Errors: subprocess.CalledProcessError, if `check` is wanted and it failed."""
        from pyoci.sandbox.completed import CompletedProcess, failed  # the command needs neither, and starts quicker

        output = exchange.results()
        if self.check and status:
            raise failed(status, self.args, output)
        return CompletedProcess(self.args, status, output, timed_out, exchange.was_cut, usage, oom, list(warnings))
