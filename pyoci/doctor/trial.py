"""Containers for the asking: created by `create` itself, removed before they start. Nothing stays."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import stat
import subprocess
import tempfile
from typing import Any

import pyoci
from pyoci.errors import Error
from pyoci.options import CreateOptions
from pyoci.runtime import Runtime

Json = dict[str, Any]

_PREFIX = "pyoci-doctor-"
_OWNER = "owner"  # locked as long as its owner lives: the kernel lets go for one that is killed


class Trial:
    """A place for trials, in /tmp or /var/tmp (the launcher drops TMPDIR); a context manager."""

    def __init__(self) -> None:
        self.euid, self.egid = os.geteuid(), os.getegid()
        self._count = 0
        self.directory = ""
        self._lock = -1

    def __enter__(self) -> Trial:
        """Makes the place, and removes those of doctors that were killed. Raises Error where none can be made."""
        _sweep(self.euid)
        try:
            self.directory = tempfile.mkdtemp(prefix=_PREFIX)
        except OSError as problem:
            hint = "let this user write to /tmp or /var/tmp"
            raise Error("make a directory for trials", errno=problem.errno or 0, hint=hint) from None
        owner = f"{self.directory}/{_OWNER}"
        self._lock = os.open(f"{owner}.new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(f"{owner}.new", owner)  # nobody finds it before it is locked
        os.mkdir(f"{self.directory}/rootfs")
        program = os.open(f"{self.directory}/rootfs/program", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o755)
        os.close(program)
        return self

    def __exit__(self, *problem: object) -> None:
        """Removes the place."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock)

    def create(
        self, namespaces: tuple[str, ...] = (), linux: Json | None = None, *, driver: str = "disabled",
        mounts: list[Json] | None = None, ids: Json | None = None,
    ) -> None:  # fmt: skip
        """Creates and removes a container.

        namespaces: beside mount, and user of another user than root
        linux:      what else the section has
        ids:        the section's mappings; without them the user's own id alone
        Errors: those of create.
        """
        spaces = {"mount", *namespaces, *(() if self.euid == 0 else ("user",))}
        section: Json = {"namespaces": [{"type": kind} for kind in sorted(spaces)], **(linux or {})}
        if "user" in spaces:
            section.update(ids or own_ids(self.euid, self.egid))
        document = {
            "ociVersion": pyoci.SPEC_VERSION,
            "root": {"path": f"{self.directory}/rootfs"},
            "process": {"args": ["/program"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "mounts": mounts or [],
            "linux": section,
        }
        self._count += 1
        name = f"{_PREFIX}{os.getpid()}-{self._count}"
        if driver != "disabled" and "cgroupsPath" not in section:
            section["cgroupsPath"] = _cgroups_path(driver, name, self.euid)
        runtime = Runtime(f"{self.directory}/state", cgroup_manager=driver)
        options = CreateOptions(self.directory, config=document, keep_owner=True)
        try:
            process = runtime.create(name, options, stdin=subprocess.DEVNULL)
            process.kill()
            process.wait()  # our child: nobody else reaps it
        finally:
            runtime.delete(name, force=True)


def _sweep(euid: int) -> None:
    """Removes places whose owner is gone, with their containers. Only ours: what a state directory says is done."""
    for place in glob.glob(f"{glob.escape(tempfile.gettempdir())}/{_PREFIX}*"):
        try:
            known = os.lstat(place)
            if not stat.S_ISDIR(known.st_mode) or known.st_uid != euid:
                continue
            lock = os.open(f"{place}/{_OWNER}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # gone meanwhile
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(place)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _remove(place: str) -> None:
    """Ends what a killed doctor's trial has left, by `delete --force`. A place whose container stays is kept."""
    runtime = Runtime(f"{place}/state")
    try:
        for name in os.listdir(f"{place}/state"):
            if name.startswith(_PREFIX):
                runtime.delete(name, force=True)
    except FileNotFoundError:
        pass
    except Error:
        return
    shutil.rmtree(place, ignore_errors=True)


def own_ids(euid: int, egid: int) -> Json:
    """The mappings that need nobody's grant."""
    return {
        "uidMappings": [{"containerID": 0, "hostID": euid, "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": egid, "size": 1}],
    }


def _cgroups_path(driver: str, name: str, euid: int) -> str:
    if driver == "systemd":
        return f":pyoci:{name}"
    return f"/{name}" if euid == 0 else name
