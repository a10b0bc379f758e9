"""restore: makes a container of image files that checkpoint has written."""

import json
import os

from pyoci import _shim, cgroups
from pyoci.checkpoint import mounts
from pyoci.checkpoint.criu import Criu, Directories, load_messages
from pyoci.checkpoint.dump import DESCRIPTORS
from pyoci.checkpoint.options import CriuOptions, common, joined
from pyoci.container.bundle import read_bundle
from pyoci.container.create import Created, Creation
from pyoci.container.criu_mounts import ROOT, unmount
from pyoci.container.files import write_pid_file
from pyoci.container.perform import perform
from pyoci.container.state import start_time
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.init.launch import Process, check
from pyoci.plan import ops
from pyoci.plan.hooks import runtime_hooks
from pyoci.plan.model import Plan
from pyoci.plan.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.container.state import Store
    from pyoci.options import CreateOptions


def restore(
    store: "Store",
    container: str,
    options: "CreateOptions",
    wanted: CriuOptions,
    driver: str,
    warn: "Optional[Callable[[str], None]]" = None,
) -> Created:
    """Restores a container, which runs then.

    options: bundle, sockets and files, as for create; wanted: where the images are, and CRIU's options
    warn:    is told what was ignored
    Errors: Error with CRIU's first error; then nothing is left.
    """
    store.refuse_taken(container)
    load_messages()
    data, config = read_bundle(options.bundle)
    if (config.get("linux") or {}).get("netDevices"):
        text = "a container with devices of the host's network cannot be restored"
        raise Error(text, location="linux.netDevices", hint="give them to its network namespace by a hook")
    manager = cgroups.plan(config, container, driver=driver)
    plan = _compile(config, container, options.bundle, manager)
    directories = Directories(wanted.images, wanted.work)
    try:
        entry = store.make(container)
        creation = Creation(entry, config, manager, plan, options, data)
        try:
            process = _Restoration(creation, wanted, directories).run()
        except BaseException as problem:
            creation.undo(problem)
            raise
    finally:
        directories.close()
    for warning in manager.warnings if warn is not None else ():
        warn(warning)  # type: ignore[misc]
    return Created(entry, process, creation.master)


def _compile(config: "dict[str, Any]", container: str, bundle: str, manager: "cgroups.Manager") -> Plan:
    """The plan of what is made beside the process, as create would do it: CRIU makes that."""
    plan = Plan()
    plan.before = [ops.note(""), *manager.before]
    plan.birth, plan.joined = manager.birth, manager.joined
    plan.undo += [*manager.undo, ops.release_root("root.path")]
    if config.get("hooks"):
        plan.hooks = runtime_hooks(config, "prestart") + runtime_hooks(config, "createRuntime")
        plan.undo[:0] = reversed(runtime_hooks(config, "poststop"))
    if "intelRdt" in (config.get("linux") or {}):
        from pyoci.plan.intel_rdt import compile_intel_rdt

        compile_intel_rdt(Request(config, Host(), bundle, container), plan)
    return plan


class _Restoration:
    """One restore. opened: descriptors that CRIU inherits, to be closed here afterwards."""

    def __init__(self, creation: Creation, wanted: CriuOptions, directories: Directories) -> None:
        self.creation = creation
        self.wanted = wanted
        self.directories = directories
        self.messages = load_messages()
        self.request = common(self.messages, wanted, creation.config)
        self.opened: "list[int]" = []

    def run(self) -> Process:
        """Does it; the first process is our child then."""
        creation = self.creation
        perform(creation.plan.before, creation)
        rootfs: str = creation.entry.record["rootfs"]
        creation.entry.record["cgroup"] = creation.manager.record()
        creation.entry.save()
        mounts.make_points(creation.config, rootfs, creation.options.bundle)
        self._mount(rootfs)
        self._fill(f"{creation.entry.path}/{ROOT}")
        criu = Criu(self.wanted.criu, self.directories)
        criu.on_spawn, criu.on_notify = self._on_spawn, self._on_notify
        try:
            self._streams()
            self._namespaces()
            criu.descriptors = self.opened
            answer = criu.run(self.messages.RESTORE, "restore", self.request)
        finally:
            for fd in self.opened:
                os.close(fd)
        unmount(creation.entry)
        return self._finish(answer.restore.pid)

    def _mount(self, rootfs: str) -> None:
        """CRIU wants a mount point as the container's root. Noted first, with where CRIU works, for delete to find."""
        entry = self.creation.entry
        entry.record["criu_work"] = self.directories.work_path
        entry.save()
        os.mkdir(ROOT, 0o700, dir_fd=entry.fd)
        fd = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            check(_shim.pin(fd, entry.fd, ROOT.encode()), f"bind {rootfs}", "root.path")
        finally:
            os.close(fd)

    def _fill(self, place: str) -> None:
        request = self.request
        request.log_file, request.root, request.rst_sibling = "restore.log", place, True
        config = self.creation.config
        sources = mounts.binds(config, self.creation.options.bundle)
        sources += mounts.hierarchies(config, self.creation.manager.mounts([]))
        for name, source in sources:
            request.ext_mnt.add(key=name, val=source)
        for key in ("lsm_profile", "lsm_mount_context"):
            if getattr(self.wanted, key):
                setattr(request, key, getattr(self.wanted, key))

    def _streams(self) -> None:
        """Pipes of the container's standard streams become ours."""
        try:
            with open(f"{self.directories.images_path}/{DESCRIPTORS}", encoding="utf-8") as file:
                names = json.load(file)
        except (OSError, ValueError) as problem:
            text = f"{self.directories.images_path}/{DESCRIPTORS}: {problem}"
            raise Error(text, location="--image-path", hint="is it a checkpoint?") from None
        for number, name in enumerate(names):
            if name.startswith("pipe:"):
                self._inherit(name, number)

    def _namespaces(self) -> None:
        for _, name, path in joined(self.creation.config):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as problem:
                raise Error(f"open {path}", location="linux.namespaces", errno=problem.errno or 0) from None
            self._inherit(name, fd)
            os.close(fd)

    def _inherit(self, key: str, fd: int) -> None:
        fd = os.dup(fd)
        self.opened.append(fd)
        self.request.inherit_fd.add(key=key, fd=fd)

    def _on_spawn(self, pid: int) -> None:
        """What CRIU starts is in its cgroups and its class of service: the container's. Under all limits, too: whom it
        restores does not wait for us."""
        creation = self.creation
        creation.process = Process(pid, -1)
        perform(creation.plan.birth, creation)
        creation.manager.join(pid)
        perform(creation.plan.joined, creation)
        perform(creation.plan.parent, creation)
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            for line in file:
                number, controllers, path = line.rstrip("\n").split(":", 2)
                if controllers:
                    self.request.cg_root.add(ctrl=controllers, path=path)
                elif number == "0":
                    self.request.cg_root.add(path=path)

    def _on_notify(self, script: str, pid: int, fd: int) -> None:
        creation = self.creation
        if script == "setup-namespaces":
            creation.hooked = True
            creation.process = Process(pid, -1)
            perform(creation.plan.hooks, creation)
        elif script == "post-restore":
            self._remember(pid)
        elif script == "orphan-pts-master" and fd >= 0:
            creation._on_console(fd)
            fd = -1
        if fd >= 0:
            os.close(fd)

    def _remember(self, pid: int) -> None:
        record = self.creation.entry.record
        record["init_process_pid"], record["init_process_start"] = pid, start_time(pid)
        record["started"] = True
        self.creation.entry.save()

    def _finish(self, pid: int) -> Process:
        process = Process(pid, check(_shim.pidfd_open(pid), "open a pidfd"))
        self._remember(pid)
        if self.creation.options.pid_file:
            write_pid_file(self.creation.options.pid_file, pid)
        return process
