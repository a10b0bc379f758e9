"""checkpoint: saves the processes of a running container to image files."""

from __future__ import annotations

import json
import os
from typing import Any

from pyoci.checkpoint import mounts
from pyoci.checkpoint.criu import Criu, Directories, load_messages, make_directory
from pyoci.checkpoint.request import CGROUP_MODES, CriuOptions, common, joined
from pyoci.container.state import Entry
from pyoci.errors import Error

DESCRIPTORS = "descriptors.json"


def checkpoint(entry: Entry, options: CriuOptions) -> None:
    """Saves a container; it has ended then, unless it was asked to go on, or this was a pre-dump.

    Errors: Error with CRIU's first error; then the container goes on.
    """
    status = entry.status()
    if status not in ("running", "paused"):
        raise Error(f"Container cannot be checkpointed in {status} state", kind="state")
    if entry.record.get("network_devices"):
        text = "a container with devices of the host's network cannot be checkpointed"
        raise Error(text, location="linux.netDevices", hint="they would be lost: CRIU cannot bring them back")
    messages = load_messages()
    config = entry.config()
    pid = entry.pid()
    make_directory(options.images, "--image-path")
    directories = Directories(options.images, options.work)
    try:
        request = _request(messages, options, config, entry, pid)
        criu = Criu(options.criu, directories)
        if options.status_fd >= 0:
            criu.descriptors.append(options.status_fd)
        if options.has("pre-dump"):
            criu.run(messages.PRE_DUMP, "dump", request)
            return
        request.external.extend(_note_streams(options.images, pid))
        criu.run(messages.DUMP, "dump", request)
    finally:
        directories.close()


def _request(messages: Any, options: CriuOptions, config: dict[str, Any], entry: Entry, pid: int) -> Any:
    request = messages.Options(**common(options, config))
    request.pid, request.root, request.log_file = pid, entry.record["rootfs"], "dump.log"
    paths = entry.record["cgroup"]["cgroup_paths"]
    freezer = paths.get("freezer") or paths.get("")  # v1, v2
    if freezer:  # one stop for all processes; and of a paused container CRIU could not stop any one by itself
        request.freeze_cgroup = freezer
    own, others = hierarchies(entry.record["cgroup"], pid)
    if not own:
        request.manage_cgroups_mode = CGROUP_MODES["ignore"]
    elif others:
        request.cgroup_dump_controller.extend(own)
    request.leave_running = options.has("leave-running")
    request.link_remap = options.has("link-remap")
    request.tcp_skip_in_flight = options.has("tcp-skip-in-flight")
    request.track_mem = options.has("pre-dump")
    if options.parent_path:
        if os.path.isabs(options.parent_path):
            raise Error("it is relative to the image path", location="--parent-path")
        request.parent_img = options.parent_path
        request.track_mem = True
    if options.status_fd >= 0:
        request.status_fd = options.status_fd
    if options.page_server:
        request.ps.address, request.ps.port = _page_server(options.page_server)
    for point, name in mounts.external(pid):
        request.ext_mnt.add(key=point, val=name)
    for word, name, path in joined(config):
        request.external.append(f"{word}[{os.stat(path).st_ino}]:{name}")
    return request


def hierarchies(record: dict[str, Any], pid: int) -> tuple[list[str], list[str]]:
    """Those in which the container has a cgroup of its own, and the others, as /proc/PID/cgroup names them.

    In the others it is in somebody else's cgroup or at the top, as where v2 alone is mounted on a machine that has v1.
    CRIU would save all that is below, and `restore` would make anew whatever has gone since.
    """
    known = {*record.get("cgroup_paths", ()), *([""] if record.get("unified") else [])}
    own: list[str] = []
    others: list[str] = []
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file.read().split("\n"):
            fields = line.split(":", 2)
            if len(fields) == 3:
                (own if known & set(fields[1].split(",")) else others).append(fields[1])
    return own, others


def _page_server(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if not address or not port.isdecimal() or len(port) > 5:
        raise Error(f"Use --page-server ADDRESS:PORT, not {text!r}", location="--page-server")
    return address.strip("[]"), int(port)


def _note_streams(images: str, pid: int) -> list[str]:
    """Writes down what the standard streams are: restore gives the container its own in their place. Returns those
    that are files of another mount namespace, a caller's FIFO or log, in CRIU's words."""
    inside = mounts.ids(pid)
    names, foreign = [], []
    for number in range(3):
        try:
            name = os.readlink(f"/proc/{pid}/fd/{number}")
            mount = _mount_of(pid, number)
            if name.startswith("/") and mount not in inside:
                name = f"file[{mount:x}:{os.stat(f'/proc/{pid}/fd/{number}').st_ino:x}]"
                foreign.append(name)
            names.append(name)
        except OSError:
            names.append("")
    with open(f"{images}/{DESCRIPTORS}", "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(names, file)
    return sorted(set(foreign))


def _mount_of(pid: int, number: int) -> int:
    """The mount, by its id, through which a descriptor was opened; 0 where the kernel does not say."""
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
        for line in file:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    return 0
