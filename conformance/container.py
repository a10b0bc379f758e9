"""A container of a test: the spec's operations on it, what its program prints, and how it ends."""

import json
import os
import select
import time
from pathlib import Path
from typing import Any, Optional

from conformance.bundle import Bundle
from conformance.runtime import PATIENCE, Hang, Result, Runtime


class Output:
    """The read end of the pipe that is the program's standard output."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.bytes = b""
        self.ended = False

    def writer_given(self) -> None:
        """The runtime has the write end now; ours would keep the pipe open for ever."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def fill(self) -> None:
        """Takes what is there, without waiting."""
        while not self.ended:
            try:
                more = os.read(self.reader, 65536)
            except BlockingIOError:
                return
            self.bytes += more
            self.ended = not more

    def close(self) -> None:
        self.writer_given()
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1


class Container:
    """One container. Every operation returns the command's Result; nothing is asserted here."""

    def __init__(self, runtime: Runtime, container_id: str, bundle: Bundle) -> None:
        self.runtime = runtime
        self.id = container_id
        self.bundle = bundle
        self.pid_file = bundle.path / "pid"
        self.output = Output()
        self.pid = 0
        self.pidfd = -1
        self.exit_status: Optional[int] = None
        self.created = False
        self.others: list[int] = []  # further processes in its pid namespace that are children of ours

    def create(self, *options: str, **popen: Any) -> Result:
        """create, with the program's output going to self.output and its errors to the bundle's file stderr."""
        words = ["create", "--bundle", str(self.bundle.path), "--pid-file", str(self.pid_file), *options, self.id]
        with open(self.bundle.path / "stderr", "w+b") as errors:
            popen.setdefault("stdout", self.output.writer)
            result = self.runtime.call(*words, stderr=errors, **popen)
            errors.seek(0)
            result.err = errors.read().decode("utf-8", "replace")
        self.output.writer_given()
        if not result.ok:
            self.output.fill()
            result.out = self.output.bytes.decode("utf-8", "replace")
            return result
        self.created = True
        self.adopt()
        return result

    def adopt(self) -> None:
        """Learns the process's number and takes hold of it while it is surely alive."""
        try:
            self.pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            state = self.runtime.state(self.id)
            self.pid = int(state.get("pid", 0)) if state else 0
        if self.pid:
            try:
                self.pidfd = os.pidfd_open(self.pid)
            except ProcessLookupError:
                self.pidfd = -1

    def start(self) -> Result:
        return self.runtime.call("start", self.id)

    def kill(self, *words: str) -> Result:
        return self.runtime.call("kill", self.id, *words)

    def delete(self, *options: str) -> Result:
        result = self.runtime.call("delete", *options, self.id)
        if result.ok:
            self.created = False
        return result

    def state(self) -> Optional[dict[str, Any]]:
        return self.runtime.state(self.id)

    def status(self) -> str:
        """The status of the state, or "absent"."""
        state = self.state()
        return str(state.get("status")) if state else "absent"

    def alive(self) -> bool:
        """Whether the process has not ended yet. A zombie has."""
        return self.pidfd >= 0 and not select.select([self.pidfd], [], [], 0)[0]

    def ends_within(self, seconds: float) -> bool:
        """Does the process end in this time? For what a runtime may do a moment after its command has returned."""
        return self.pidfd < 0 or bool(select.select([self.pidfd], [], [], seconds)[0])

    def line(self) -> dict[str, Any]:
        """Waits for the next JSON line of the program and takes it. Raises Hang when none comes."""
        until = time.monotonic() + PATIENCE
        while True:
            self.output.fill()
            text, found, rest = self.output.bytes.partition(b"\n")
            if found:
                self.output.bytes = rest
                if text.startswith(b"{"):
                    parsed: dict[str, Any] = json.loads(text)
                    return parsed
                continue
            if self.output.ended or time.monotonic() > until:
                raise Hang(f"the program ended or hangs without a line more; its errors: {self.errors()}")
            select.select([self.output.reader], [], [], 1)

    def wait(self) -> Optional[int]:
        """Waits for the process's end; its status as a shell gives it, None when only its parent could know."""
        if self.pidfd < 0:
            return self.exit_status
        until = time.monotonic() + PATIENCE
        while not select.select([self.pidfd], [], [], 0.05 if self.others else PATIENCE)[0]:
            self.reap_others()
            if time.monotonic() > until:
                raise Hang(f"the container's process {self.pid} did not end")
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED)
        except ChildProcessError:
            ended = None
        if ended is not None:
            signalled = ended.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
            self.exit_status = 128 + ended.si_status if signalled else ended.si_status
        os.close(self.pidfd)
        self.pidfd = -1
        self.output.fill()
        return self.exit_status

    def reap_others(self) -> None:
        """A pid namespace's first process does not end before the zombies in it are waited for, by their parents."""
        for pid in list(self.others):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    self.others.remove(pid)
            except ChildProcessError:
                self.others.remove(pid)

    def find_others(self) -> None:
        """Learns of further processes in its pid namespace whose pid nobody told: while they run."""
        for entry in Path("/proc").iterdir():
            try:
                inside = entry.name.isdecimal() and os.path.samefile(entry / "ns/pid", f"/proc/{self.pid}/ns/pid")
                stat = (entry / "stat").read_text() if inside else ""
            except OSError:
                continue
            if inside and stat.rpartition(")")[2].split()[1] == str(os.getpid()) and int(entry.name) != self.pid:
                self.others.append(int(entry.name))

    def end_others(self) -> None:
        """Ends and reaps the further processes: delete --force waits for the first one, which waits for them."""
        for pid in self.others:
            try:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue
        self.others = []

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines printed so far and not yet taken."""
        self.output.fill()
        texts = self.output.bytes.decode("utf-8", "replace").splitlines()
        return [json.loads(text) for text in texts if text.startswith("{")]

    def errors(self) -> str:
        """What the program and the runtime wrote to standard error."""
        path = self.bundle.path / "stderr"
        return path.read_text(errors="replace").strip()[-600:] if path.exists() else ""

    def cgroup(self, controller: str, point: Path) -> Path:
        """The container's cgroup on the host, by what the kernel says of its process."""
        for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if controller in names.split(","):
                return point / path.lstrip("/")
        raise FileNotFoundError(f"{controller}: not among the cgroups of {self.pid}")

    def discard(self) -> None:
        """Whatever became of it: end it and take it away."""
        self.end_others()
        if self.created:
            self.runtime.call("delete", "--force", self.id)
        if self.pidfd >= 0:
            if self.alive():
                try:
                    os.kill(self.pid, 9)
                except ProcessLookupError:
                    pass
            self.wait()
        self.output.close()
