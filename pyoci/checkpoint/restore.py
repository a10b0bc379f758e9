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
from pyoci.container.files import write_pid_file
from pyoci.container.state import start_time
from pyoci.errors import Error
from pyoci.hooks import hook_state, run_hooks
from pyoci.host import Host
from pyoci.init.launch import Process, check
from pyoci.plan.model import Plan
from pyoci.plan.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.container.state import Entry, Store
    from pyoci.options import CreateOptions

ROOT = "criu-root"
_OWN_MOUNTS = ".criu."  # what the names of its directories begin with


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
    plan = _class_of_service(config, container, options.bundle)
    directories = Directories(wanted.images, wanted.work)
    try:
        entry = store.make(container)
        creation = Creation(entry, config, manager, plan, options)
        try:
            creation.note(data)
            process = _Restoration(creation, wanted, directories).run()
        except BaseException as problem:
            if entry.record.get("criu_work"):
                unmount(entry)
            creation.undo(problem)
            raise
    finally:
        directories.close()
    for warning in manager.warnings if warn is not None else ():
        warn(warning)  # type: ignore[misc]
    return Created(entry, process, creation.master)


def _class_of_service(config: "dict[str, Any]", container: str, bundle: str) -> Plan:
    """A plan of linux.intelRdt alone: the class is compared, or made, as create would do it."""
    plan = Plan()
    if "intelRdt" in (config.get("linux") or {}):
        from pyoci.plan.intel_rdt import compile_intel_rdt

        compile_intel_rdt(Request(config, Host(), bundle, container), plan)
    return plan


def unmount(entry: "Entry") -> None:
    """Takes away what CRIU was given as a root, and what it mounts for itself where it works and leaves when killed."""
    _shim.unpin(entry.fd, ROOT.encode())
    try:
        os.rmdir(ROOT, dir_fd=entry.fd)
    except FileNotFoundError:
        pass
    work = os.path.realpath(entry.record.pop("criu_work"))
    own = f"{work}/{_OWN_MOUNTS}"
    for mount in reversed(mounts.read("self")):
        if mount.point.startswith(own):
            directory, _, name = mount.point.rpartition("/")
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _shim.unpin(fd, os.fsencode(name))
            if directory == work:
                os.rmdir(name, dir_fd=fd)
            os.close(fd)


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
        rootfs: str = creation.entry.record["rootfs"]
        creation.manager.create()
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
        self.creation.manager.join(pid)
        self.creation.manager.apply()
        for _, _, (tree,) in self.creation.plan.parent:  # no more than what compile_intel_rdt adds
            self.creation.enter_class(tree, pid)
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
            state = hook_state(creation.config, creation.entry.container, creation.options.bundle, "creating", pid)
            for kind in ("prestart", "createRuntime"):
                run_hooks(creation.config, kind, state)
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
