"""Shims that live here, found by their names, and what each says of itself, for `pyoci shim list`."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyoci.containerd import messages
from pyoci.containerd.codec import Malformed, decode, encode
from pyoci.containerd.command import SOCKETS
from pyoci.containerd.service import OWN_SERVICE
from pyoci.containerd.template import NAME as TEMPLATE
from pyoci.containerd.ttrpc import REQUEST, Frames, frame
from pyoci.fileio import read_file

_PROGRAM = b"containerd-shim-pyoci-v1"
_PATIENCE = 2.0  # seconds for an answer: a shim's own thread never does what may take long
_LISTENING = "00010000"  # __SO_ACCEPTCON
_STATUS = ("creating", "created", "running", "stopped", "paused")


def shims() -> list[dict[str, Any]]:
    """What is known of each: pid, address, kind ("shim" or "template"), age in seconds, memory in bytes, its measure,
    and, unless `problem` says why not, namespace, containers, requests, and how many events wait. Other users' are not
    seen."""
    return [found for pid in _pids() if (found := _about(pid))]


def _pids() -> Iterator[int]:
    for name in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == _PROGRAM:
            yield int(name)


def _about(pid: int) -> dict[str, Any] | None:
    try:
        if _owner(pid) != os.geteuid():
            return None  # anybody may call a process so, and would have us connect to a socket of theirs
        fields = _read(pid, "stat").rpartition(")")[2].split()
        address = _address(pid)
        is_template = _read(pid, "comm").strip() == TEMPLATE
        memory, measure = _memory(pid)
    except OSError:
        return None  # it has ended, or is another user's
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    found: dict[str, Any] = {"pid": pid, "kind": "template" if is_template else "shim", "address": address}
    found.update(age=round(age, 1), memory=memory, measure=measure)
    if not is_template:
        try:
            found.update(_ask(address))
        except (OSError, Malformed) as problem:
            found["problem"] = f"no answer: {problem}" if address else "no socket"
    return found


def _owner(pid: int) -> int:
    """The user that it acts as; its directory in /proc is root's."""
    (line,) = [one for one in _read(pid, "status").split("\n") if one.startswith("Uid:")]
    return int(line.split()[2])


def _read(pid: int, name: str) -> str:
    """A file of /proc; names in it have whatever bytes somebody has chosen."""
    return read_file(f"/proc/{pid}/{name}")


def _memory(pid: int) -> tuple[int, str]:
    """Its share of what it has in common with others counted in parts, where the kernel tells (proc_pid_smaps(5))."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10, "pss"
    return int(_read(pid, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE"), "rss"


def _address(pid: int) -> str:
    """The path of the socket that it listens on."""
    sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    for line in _read(pid, "net/unix").split("\n")[1:]:
        words = line.split()
        is_listening = len(words) > 7 and words[3] == _LISTENING
        # Others are those of containers that wait for their start
        if is_listening and f"socket:[{words[6]}]" in sockets and words[7].rpartition("/")[0] == SOCKETS:
            return words[7]
    return ""


def _ask(address: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(_PATIENCE)
        peer.connect(address)
        request = encode(messages.REQUEST, {"service": OWN_SERVICE, "method": "Status"})
        peer.sendall(frame(1, REQUEST, request))
        frames = Frames()
        while True:
            data = peer.recv(1 << 16)
            if not data:
                raise OSError("it has closed the connection")
            for _, _, _, body in frames.feed(data):
                return _answered(decode(messages.RESPONSE, body or b""))


def _answered(response: dict[str, Any]) -> dict[str, Any]:
    if response["status"] and response["status"]["code"]:
        raise OSError(response["status"]["message"])  # another version's
    found = decode(messages.SHIM_STATUS, response["payload"])
    for container in found["containers"]:
        container["status"] = dict(enumerate(_STATUS)).get(container["status"], "unknown")
    for request in found["requests"]:
        request["age"] = round(request["age"] / 1e9, 3)
    return found
