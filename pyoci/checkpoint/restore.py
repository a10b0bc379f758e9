"""restore: makes a container of image files that checkpoint has written: bundle and images → a plan, which is done.

CRIU makes the processes; what create does beside init's work, the same steps do beside CRIU's.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from pyoci import _shim, cgroups
from pyoci.checkpoint import mounts
from pyoci.checkpoint.criu import Criu, Directories, load_messages
from pyoci.checkpoint.dump import DESCRIPTORS
from pyoci.checkpoint.request import CriuOptions, common, joined
from pyoci.container.bundle import read_bundle
from pyoci.container.create import Created, Creation
from pyoci.container.criu_mounts import ROOT
from pyoci.container.perform import perform
from pyoci.errors import Error
from pyoci.host import Host
from pyoci.init.launch import Process, check
from pyoci.plan import ops
from pyoci.plan.hooks import runtime_hooks
from pyoci.plan.intel_rdt import compile_intel_rdt
from pyoci.plan.model import Plan
from pyoci.plan.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyoci.container.state import Store
    from pyoci.options import CreateOptions


def restore(
    store: Store,
    container: str,
    options: CreateOptions,
    wanted: CriuOptions,
    driver: str,
    warn: Callable[[str], None] | None = None,
    streams: tuple[int, ...] = (0, 1, 2),
) -> Created:
    """Restores a container, which runs then.

    options: bundle, sockets and files, as for create; wanted: where the images are, and CRIU's options
    warn:    is told what was ignored
    streams: descriptors for its standard streams
    Errors: Error with CRIU's first error; then nothing is left.
    """
    store.refuse_taken(container)
    load_messages()
    data, config = read_bundle(options.bundle)
    manager, plan = compile_restore(config, container, options, wanted, driver)
    directories = Directories(wanted.images, wanted.work)
    try:
        creation = _Restoration(store.make(container), config, manager, plan, options, data)
        creation.directories, creation.given = directories, streams
        try:
            process = creation.make()
        except BaseException as problem:
            creation.undo(problem)
            raise
    finally:
        directories.close()
    plan.tell(warn)
    return Created(creation.entry, process, creation.master)


def compile_restore(
    config: dict[str, Any], container: str, options: CreateOptions, wanted: CriuOptions, driver: str
) -> tuple[cgroups.Manager, Plan]:
    """All decisions about a restore; changes nothing."""
    linux = config.get("linux") or {}
    if linux.get("netDevices"):
        text = "a container with devices of the host's network cannot be restored"
        raise Error(text, location="linux.netDevices", hint="give them to its network namespace by a hook")
    manager = cgroups.compile_cgroups(config, container, driver=driver)
    request = Request(config, Host(), options.bundle, container)
    work = wanted.work or wanted.images
    plan = Plan()
    plan.warnings += manager.warnings
    if "intelRdt" in linux:
        compile_intel_rdt(request, plan)
    sources = mounts.binds(config, options.bundle)
    plan.before = [
        ops.note("", request.rootfs),
        *manager.before,
        ops.make_points("mounts", root=request.rootfs, points=mounts.points(config, dict(sources))),
        ops.lend_root("root.path", request.rootfs),
        ops.restore(
            "--image-path",
            program=wanted.criu or "criu",
            images=wanted.images,
            work=work,
            inherited=[*_streams(wanted.images), *((name, path) for _, name, path in joined(config))],
            options=_options(config, wanted, [*sources, *mounts.hierarchies(config, manager.mounts([]))]),
        ),
    ]
    plan.birth = manager.birth
    plan.joined = [ops.enter_cgroups("linux.cgroupsPath", places=(), flags=ops.ENTER_MOVED), *manager.joined]
    plan.going = [ops.record("")]
    plan.last = [ops.release_root("root.path", work), ops.record("")]
    if options.pid_file:
        plan.last.append(ops.pid_file("--pid-file", options.pid_file))
    plan.undo[:0] = [*manager.undo, ops.release_root("root.path", work)]
    if config.get("hooks"):
        plan.hooks = runtime_hooks(config, "prestart") + runtime_hooks(config, "createRuntime")
        plan.undo[:0] = reversed(runtime_hooks(config, "poststop"))
    return manager, plan


def _streams(images: str) -> list[tuple[str, int]]:
    """Pipes and files of its callers, of which the container's standard streams were, become ours: CRIU's name of each,
    and its number."""
    path = f"{images}/{DESCRIPTORS}"
    try:
        with open(path, encoding="utf-8") as file:
            names = json.load(file)
    except (OSError, ValueError) as problem:
        raise Error(f"{path}: {problem}", location="--image-path", hint="is it a checkpoint?") from None
    return [(name, number) for number, name in enumerate(names) if name.startswith(("pipe:", "file["))]


def _options(config: dict[str, Any], wanted: CriuOptions, external: list[tuple[str, str]]) -> dict[str, Any]:
    """What CRIU is told, but for what depends on descriptors and cgroups that are there by then."""
    options = common(wanted, config)
    options.update(log_file="restore.log", rst_sibling=True)
    options["ext_mnt"] = [{"key": name, "val": source} for name, source in external]
    for key in ("lsm_profile", "lsm_mount_context"):
        if getattr(wanted, key):
            options[key] = getattr(wanted, key)
    return options


class _Restoration(Creation):
    """A container being restored. opened: descriptors that CRIU inherits, to be closed here afterwards."""

    directories: Directories
    given: tuple[int, ...]
    request: Any

    def make(self) -> Process:
        """Does it; the first process is our child then."""
        self.opened: list[int] = []
        perform(self.plan.before, self)
        perform(self.plan.last, self)
        return self.process

    def restore(self, fields: Any) -> None:
        """Does RESTORE: has CRIU make the processes. When CRIU asks for it, the rest of the plan is done."""
        program, _, _, inherited, options = fields
        self.entry.record["cgroup"] = self.manager.record()  # without privilege some, or all, could not be made
        self.entry.save()
        messages = load_messages()
        self.request = messages.Options(root=f"{self.entry.path}/{ROOT}", **options)
        criu = Criu(program, self.directories)
        criu.on_spawn, criu.on_notify = self._on_spawn, self._on_notify
        try:
            for name, source in inherited:
                source = self.given[source] if isinstance(source, int) else source
                if source != -1:
                    self._inherit(name, source)
            criu.descriptors = self.opened
            answer = criu.run(messages.RESTORE, "restore", self.request)
        finally:
            for fd in self.opened:
                os.close(fd)
        pid = answer.restore.pid
        self.process = Process(pid, check(_shim.pidfd_open(pid), "open a pidfd"))

    def remember(self) -> None:
        """Does RECORD: nobody has to start it."""
        self.entry.record["started"] = True
        super().remember()

    def _inherit(self, name: str, source: str | int) -> None:
        try:
            fd = os.dup(source) if isinstance(source, int) else os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as problem:
            raise Error(f"open {source}", location="linux.namespaces", errno=problem.errno or 0) from None
        self.opened.append(fd)
        self.request.inherit_fd.add(key=name, fd=fd)

    def _on_spawn(self, pid: int) -> None:
        """CRIU itself is in the container's cgroups and its class of service, so that the processes that it restores
        are; under all limits as well, as these processes do not wait for us."""
        self.process = Process(pid, -1)
        for steps in (self.plan.birth, self.plan.joined, self.plan.parent):
            perform(steps, self)
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            for line in file:
                number, controllers, path = line.rstrip("\n").split(":", 2)
                if controllers:
                    self.request.cg_root.add(ctrl=controllers, path=path)
                elif number == "0":
                    self.request.cg_root.add(path=path)

    def _on_notify(self, script: str, pid: int, fd: int) -> None:
        if script == "setup-namespaces":
            self.hooked = True
            self.process = Process(pid, -1)
            perform(self.plan.hooks, self)
        elif script == "post-restore":
            self.process = Process(pid, -1)
            perform(self.plan.going, self)
        elif script == "orphan-pts-master" and fd >= 0:
            self._on_console(fd)
            fd = -1
        if fd >= 0:
            os.close(fd)
