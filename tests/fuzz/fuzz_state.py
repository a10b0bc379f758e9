"""state.json: whatever it holds a command answers or refuses; no signal goes to a process that is not the one named."""

import json
import os

from pyoci.container import kill, state
from pyoci.errors import Error
from pyoci.json.document import dump

JSON = True
_HOST = {"driver": "cgroupfs", "version": 1, "cgroup_paths": {"memory": "/sys/fs/cgroup/memory/x"}, "made": []}
_RECORD = {
    "oci_version": "1.2.0",
    "id": "c",
    "init_process_pid": 1,
    "init_process_start": 1,
    "created": "2026-01-01T00:00:00.000000000Z",
    "bundle": "/b",
    "rootfs": "/b/rootfs",
    "annotations": {"a": "b"},
    "owner": "",
    "no_pivot": False,
    "no_new_keyring": False,
    "notify": False,
    "hooks": ["poststop"],
    "own_pids": True,
    "started": True,
    "cgroup": _HOST,
}


def seeds() -> "list[bytes]":
    """States of each driver and version."""
    two = {**_HOST, "version": 2, "cgroup_paths": {"": "/sys/fs/cgroup/x"}}
    systemd = {**two, "driver": "systemd", "unit": "c.scope", "slice": "machine.slice", "user": False}
    cgroups = [_HOST, two, systemd, {"driver": "disabled"}, {**_HOST, "unified": "/sys/fs/cgroup/unified/x"}]
    own = {"init_process_pid": os.getpid(), "init_process_start": state.start_time(os.getpid())}
    return [json.dumps({**_RECORD, **more, "cgroup": one}).encode() for one in cgroups for more in ({}, own)]


class _Shim:
    """The shim, but signals are only noted."""

    def __init__(self, real: object) -> None:
        self.real = real
        self.sent = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    def pidfd_signal(self, pidfd: int, number: int) -> int:
        self.sent += 1
        return 0


_shim = kill._shim = _Shim(kill._shim)  # type: ignore[assignment]


def test(data: bytes) -> None:
    """One file: load, state, list's row, kill."""
    os.makedirs("state/c", exist_ok=True)
    with open("state/c/state.json", "wb") as file:
        file.write(data)
    store = state.Store(f"{os.getcwd()}/state")
    _shim.sent = 0
    try:
        with store.look("c") as entry:
            entry.load()
            record = entry.record
            mine = record.get("init_process_start") == state.start_time(record["init_process_pid"]) != 0
            dump(entry.document())
            kill.kill(entry, 15)
            assert mine or not _shim.sent
    except Error as refusal:
        assert str(refusal)
