"""Containers for the asking: created by `create` itself, removed before they start. Nothing stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import Any

import pyoci
from pyoci.errors import Error
from pyoci.options import CreateOptions
from pyoci.runtime import Runtime

Json = dict[str, Any]


class Trial:
    """A place for trials, in TMPDIR; a context manager."""

    def __init__(self) -> None:
        self.euid, self.egid = os.geteuid(), os.getegid()
        self._count = 0
        self._directory = ""

    def __enter__(self) -> Trial:
        """Makes the place. Raises Error where none can be made."""
        try:
            self._directory = tempfile.mkdtemp(prefix="pyoci-doctor-")
        except OSError as problem:
            hint = "set TMPDIR to a directory that can be written to"
            raise Error("make a directory for trials", errno=problem.errno or 0, hint=hint) from None
        os.mkdir(f"{self._directory}/rootfs")
        program = os.open(f"{self._directory}/rootfs/program", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o755)
        os.close(program)
        return self

    def __exit__(self, *problem: object) -> None:
        """Removes the place."""
        shutil.rmtree(self._directory, ignore_errors=True)

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
            "root": {"path": f"{self._directory}/rootfs"},
            "process": {"args": ["/program"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "mounts": mounts or [],
            "linux": section,
        }
        self._count += 1
        name = f"pyoci-doctor-{os.getpid()}-{self._count}"
        if driver != "disabled" and "cgroupsPath" not in section:
            section["cgroupsPath"] = _cgroups_path(driver, name, self.euid)
        runtime = Runtime(f"{self._directory}/state", cgroup_manager=driver)
        options = CreateOptions(self._directory, config=document, keep_owner=True)
        try:
            process = runtime.create(name, options, stdin=subprocess.DEVNULL)
            process.kill()
            process.wait()  # our child: nobody else reaps it
        finally:
            runtime.delete(name, force=True)


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
