"""Processes of containers: adopted, awaited, and what they hold of the memory."""

import os
import select
from pathlib import Path
from typing import NamedTuple


class Resident(NamedTuple):
    """What a process holds, in KiB: all that is mapped, and its share of it (proc_pid_smaps(5))."""

    rss: int
    pss: int


def await_end(pid: int) -> None:
    """Waits for the end of a process, a child of ours or not, and takes its status if it is."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([fd], [], [])
    os.close(fd)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def resident(pid: int) -> Resident:
    """What a process holds now."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n")[1:-1]:
        name, size, _ = line.split()
        sizes[name] = int(size)
    return Resident(sizes["Rss:"], sizes["Pss:"])


def command(pid: int) -> str:
    """The program's name and first argument, as it was started."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    return " ".join([os.path.basename(words[0]), *words[1:2]]).strip()


def available() -> int:
    """KiB of the machine's memory that are free for use (proc_meminfo(5))."""
    for line in Path("/proc/meminfo").read_text().split("\n"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    raise OSError("no MemAvailable in /proc/meminfo")
