"""Cgroups of plain processes for the tests: a Manager, a sleeping process in it, and the kernel's files read back."""

import os
import subprocess
import uuid
from pathlib import Path

from pyoci.cgroups.host import Host
from tests.support import made_cgroups

ROOT = Path("/sys/fs/cgroup")
V2 = (ROOT / "cgroup.controllers").exists()
SYSTEMD = os.path.isdir("/run/systemd/system")


_OURS = f"pyoci-cg-{os.getpid()}-"


def tree():
    """Every cgroup of this test process's making: others may be at work on this machine."""
    return sorted(path for path, _, _ in os.walk(ROOT) if _OURS in path)


def hybrid():
    return not V2 and (ROOT / "unified" / "cgroup.controllers").exists()


class Group:
    """A container's cgroups, made as the lifecycle makes them; `with` it, so that nothing stays."""

    def __init__(self, driver="cgroupfs", resources=None, path=None, config=None):
        self.tag = _OURS + uuid.uuid4().hex[:10]
        default = f"system.slice:pyoci:{self.tag}" if driver == "systemd" else f"/{self.tag}/inner"
        self.config = {"linux": {"cgroupsPath": path or default, "resources": resources or {}}, **(config or {})}
        self.manager = made_cgroups.plan(self.config, self.tag, driver=driver)
        self.processes = []
        self.joined = False

    def __enter__(self):
        return self

    def make(self):
        """The cgroups and, as a scope needs a process, the first process: asleep."""
        self.manager.create_early()
        self.run(["sleep", "1000"])
        self.manager.apply()
        return self

    def run(self, words, **options):
        """A process that is in the cgroup before it does anything."""
        ready, go = os.pipe()
        # the shell waits for its standard input, then becomes the program
        process = subprocess.Popen(["sh", "-c", 'read _ && exec "$@"', "sh", *words], stdin=ready, **options)
        os.close(ready)
        if self.joined:
            self.manager.exec_join(process.pid, {}, self.processes[0].pid)
        else:
            self.manager.birth(process.pid)
            self.manager.join(process.pid)
            self.joined = True
        os.write(go, b"\n")
        os.close(go)
        self.processes.append(process)
        return process

    def place(self, file):
        """Where a file of the cgroup is: memory.… in the memory hierarchy of v1, in the one directory on v2."""
        paths = self.manager.record()["cgroup_paths"]
        if V2:
            return Path(paths[""]) / file
        controller = file.split(".")[0]
        if controller not in paths:
            return Path(self.manager.record()["unified"]) / file
        return Path(paths[controller]) / file

    def read(self, file):
        return self.place(file).read_text().strip()

    def __exit__(self, *_):
        try:
            if not self.manager.empty():
                self.manager.kill(9)
            for process in self.processes:
                process.wait()
        finally:
            self.manager.destroy()


def loaded(manager):
    """The manager that another command would have."""
    return made_cgroups.load(manager.record(), Host())
