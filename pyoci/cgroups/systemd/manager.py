"""The manager for --systemd-cgroup: systemd owns the cgroup as a transient unit, and knows its limits.

A scope cannot exist without a process, so it is started with the process in it and with what systemd has properties
for; then everything is written to the files as well, which has the last word.
"""

import posix

from pyoci.cgroups import devices, tree
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from pyoci.cgroups.change import Change
    from pyoci.cgroups.host import Host
    from pyoci.cgroups.systemd.bus import Bus
    from pyoci.cgroups.v1 import Manager as ManagerV1
    from pyoci.cgroups.v2 import Manager as ManagerV2
    from pyoci.plan.ops import RuntimeStep


def compile_unit(
    host: "Host",
    config: "dict[str, Any]",
    cgroups_path: str,
    container_id: str,
    resources: "dict[str, Any]",
    compile_files: "Callable[..., ManagerV1 | ManagerV2]",
) -> "Manager":
    """Decides unit, slice and paths; nothing is changed. `cgroupsPath` is slice:prefix:name.

    compile_files: pyoci.cgroups.compile_files, for the files in the unit's cgroup
    """
    user = host.rootless()
    slice_name, unit = names(cgroups_path, container_id, "user.slice" if user else "system.slice")
    if not tree.exists(host.run + "/systemd/system"):
        raise Error("systemd not running on this host, cannot use systemd cgroups manager", kind="missing")
    manager = Manager(host, unit, slice_name, user)
    above = manager.own_group() if user else ""
    manager.inner = compile_files(host, config, above + expand(slice_name) + "/" + unit, container_id, resources, True)
    if user and not host.is_v2():
        raise Error("systemd's user manager does not control cgroup v1", hint="use the cgroupfs driver", kind="missing")
    manager.compile(config, container_id, resources)
    return manager


def load(host: "Host", record: "dict[str, Any]", inner: "ManagerV1 | ManagerV2") -> "Manager":
    """From what record() gave, and the manager of its files."""
    manager = Manager(host, record["unit"], record["slice"], record["user"])
    manager.inner = inner
    return manager


def names(cgroups_path: str, container_id: str, default_slice: str) -> "tuple[str, str]":
    """Slice and unit for a cgroupsPath (slice:prefix:name), as runc names them."""
    if not cgroups_path:
        return default_slice, f"runc-{container_id}.scope"
    parts = cgroups_path.split(":")
    if len(parts) != 3:
        expected = 'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups'
        raise Error(f'{expected}, got "{cgroups_path}" instead', location="linux.cgroupsPath")
    slice_name, prefix, name = parts
    if "/" in name or "/" in prefix or not name:
        raise Error(f"{cgroups_path!r} does not name a unit", location="linux.cgroupsPath")
    if name.endswith(".slice"):
        return slice_name or default_slice, name
    return slice_name or default_slice, f"{prefix}-{name}.scope" if prefix else f"{name}.scope"


def expand(slice_name: str) -> str:
    """The path of a slice, whose name lists its parents: a-b.slice is /a.slice/a-b.slice (man 5 systemd.slice)."""
    if slice_name == "-.slice":
        return ""
    stem = slice_name[: -len(".slice")]
    bad = "/" in slice_name or "--" in stem or stem.startswith("-") or stem.endswith("-") or not stem
    if bad or not slice_name.endswith(".slice"):
        raise Error(f"invalid slice name: {slice_name}", location="linux.cgroupsPath")
    path, so_far = "", ""
    for part in stem.split("-"):
        so_far = f"{so_far}-{part}" if so_far else part
        path += f"/{so_far}.slice"
    return path


class Manager:
    """A container's unit. `inner` is the manager of the files in the cgroup that systemd makes."""

    __slots__ = ("before", "birth", "host", "inner", "slice", "undo", "unit", "user")

    inner: "ManagerV1 | ManagerV2"

    def __init__(self, host: "Host", unit: str, slice_name: str, user: bool) -> None:
        self.host = host
        self.unit = unit
        self.slice = slice_name
        self.user = user
        self.before: "list[RuntimeStep]" = []
        self.birth: "list[RuntimeStep]" = []
        self.undo: "list[RuntimeStep]" = []

    @property
    def joined(self) -> "list[RuntimeStep]":
        """Every limit is written to its file as well."""
        return self.inner.joined

    @property
    def warnings(self) -> "list[str]":
        """What the files' manager has to say."""
        return self.inner.warnings

    def compile(self, config: "dict[str, Any]", container_id: str, resources: "dict[str, Any]") -> None:
        """Adds the steps. A scope cannot exist without a process: it is started when init lives."""
        from pyoci.cgroups.systemd.properties import from_annotations
        from pyoci.plan import ops

        own = from_annotations(config.get("annotations") or {})
        found = [*self._unit_properties(f"libcontainer container {container_id}", resources), *own]
        user = int(self.user)
        start = ops.start_unit("linux.cgroupsPath", unit=self.unit, slice=self.slice, user=user, properties=found)
        (self.before if self._is_slice() else self.birth).append(start)
        self.birth += self.inner.birth  # of v1's hierarchies that systemd does not use
        self.undo += [*self.inner.undo, ops.stop_unit("linux.cgroupsPath", unit=self.unit, user=user)]

    def record(self) -> "dict[str, Any]":
        """For state.json; complete before anything is made."""
        own = {"driver": "systemd", "unit": self.unit, "slice": self.slice, "user": self.user}
        return {**self.inner.record(), **own}

    # talking to systemd

    def _bus(self) -> "Bus":
        from pyoci.cgroups.systemd.bus import SYSTEM_SOCKETS, Bus, user_sockets

        sockets = user_sockets(posix.environ) if self.user else SYSTEM_SOCKETS
        if not sockets:
            uid = self.host.euid
            hint = f"log in with a session, or set XDG_RUNTIME_DIR=/run/user/{uid} after `loginctl enable-linger {uid}`"
            raise Error(
                "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set", step="systemd", hint=hint, kind="missing"
            )
        return Bus(sockets)

    def own_group(self) -> str:
        """The cgroup of the user's manager, below which its units are."""
        return str(self._property("ControlGroup")).rstrip("/")

    def _property(self, name: str, bus: "Optional[Bus]" = None) -> "Any":
        """One of systemd's properties, over a connection of its own where there is none."""
        if bus is not None:
            return bus.property(name)
        bus = self._bus()
        try:
            return bus.property(name)
        finally:
            bus.close()

    def _is_slice(self) -> bool:
        return self.unit.endswith(".slice")

    def start(self, work: "Any", properties: "list[tuple[str, tuple[str, Any]]]") -> None:
        """Does START_UNIT: starts the scope with the process in it, or a slice, which needs none."""
        found = [(name, tuple(value)) for name, value in properties]
        if not self._is_slice():
            found.append(("PIDs", ("au", [work.process.pid])))
        bus = self._bus()
        try:
            self._start_unit(bus, found, work)
        finally:
            bus.close()

    def _unit_properties(self, description: str, resources: "dict[str, Any]") -> "list[tuple[str, tuple[str, Any]]]":
        v2 = self.host.is_v2()
        found: "list[tuple[str, tuple[str, Any]]]" = [("Description", ("s", description))]
        if self._is_slice():
            found.append(("Wants", ("as", [self.slice])))
        else:
            found += [("Slice", ("s", self.slice)), ("Delegate", ("b", True))]
        for name in ("Memory", "CPU", "IO" if v2 else "BlockIO", "Tasks"):
            found.append((name + "Accounting", ("b", True)))
        found.append(("DefaultDependencies", ("b", False)))
        return found + self._resource_properties(resources, "linux.resources", [*devices.default_rules()])

    def _resource_properties(
        self,
        resources: "dict[str, Any]",
        where: str,
        defaults: "list[devices.Rule]",
        bus: "Optional[Bus]" = None,
    ) -> "list[tuple[str, tuple[str, Any]]]":
        """`defaults` are the device rules to add; none, and no rules given, leave the devices alone."""
        from pyoci.cgroups.systemd import properties as properties

        known: "list[int]" = []

        def version() -> int:
            if not known:
                known.append(_version(str(self._property("Version", bus))))
            return known[0]

        compile_for = properties.for_v2 if self.host.is_v2() else properties.for_v1
        found = compile_for(resources, where, version)
        if (defaults or resources.get("devices")) and not self.user:
            rules = devices.parse(resources, where) + devices.default_rules()
            found += properties.for_devices(rules, self.host.proc)
        return found

    def _start_unit(self, bus: "Bus", properties: "list[tuple[str, tuple[Any, ...]]]", work: "Any") -> None:
        from pyoci.cgroups.systemd.bus import Refused

        name, slices = self.unit, self._new_slices(bus)
        for attempt in (1, 2, 3):
            try:
                (job,) = bus.manager("StartTransientUnit", "ssa(sv)a(sa(sv))", self.unit, "replace", properties, slices)
                break
            except Refused as refused:
                if refused.name != "UnitExists":
                    raise Error(refused.text, step=f"start unit {self.unit}", kind="host") from None
                if self._is_slice():
                    return
                if slices:  # another container was quicker to make one
                    slices = []
                elif attempt == 3 or not _reset_failed(bus, self.unit):
                    self.unit = ""  # somebody else's: from now on, leave it alone
                    self.inner.forget([path for path, _ in self.inner.directories()])
                    work.entry.record["undo"] = []
                    raise Error(f"unit {name} already exists", location="linux.cgroupsPath", kind="exists") from None
        result = bus.wait(job, self.unit, active=True)
        if result != "done":
            _reset_failed(bus, self.unit)
            raise Error(f"error creating systemd unit {self.unit}: got {result}", step="systemd", kind="host")

    def _new_slices(self, bus: "Bus") -> "list[tuple[str, list[tuple[str, tuple[str, Any]]]]]":
        """The slices that nobody has so far, which are to go when the last unit in them has gone: systemd keeps others
        for ever. Only on v2, whose directories show which there are."""
        from pyoci.cgroups.v2 import Manager as ManagerV2

        if not isinstance(self.inner, ManagerV2):
            return []
        above = tree.levels(self.inner.base, self.inner.path)[:-1]
        missing = [path.rpartition("/")[2] for path in above if not tree.exists(path)]
        return [(name, [("StopWhenUnneeded", ("b", True))]) for name in missing if _is_unheard_of(bus, name)]

    # life

    def places(self, sub: "dict[str, str]", init_pid: int) -> "tuple[str, ...]":
        """As of the files' manager."""
        return self.inner.places(sub, init_pid)

    def born_in(self, places: "tuple[str, ...]") -> "tuple[str, ...]":
        """As of the files' manager."""
        return self.inner.born_in(places)

    def birthplace(self, places: "tuple[str, ...]") -> int:
        """For `exec`, as of the files' manager; a new container is moved by systemd."""
        return self.inner.birthplace(places) if places else -1

    def tasks(self, places: "tuple[str, ...]", born: bool) -> "Optional[list[int]]":
        """As birthplace()."""
        return self.inner.tasks(places, born) if places else None

    def join(self, pid: int, places: "tuple[str, ...]" = ()) -> None:
        """On v1, join the hierarchies that systemd does not use; a slice, which was started without a process."""
        if places or self.inner.VERSION == 1 or self._is_slice():
            self.inner.join(pid, places)

    def change(self, resources: "dict[str, Any]", old: "dict[str, Any]") -> "Change":
        """Files first: what the kernel refuses, systemd must not remember; what systemd refuses is put back. systemd
        writes files as well, rounded, so they are written again. On v1 it denies all devices for a moment, or allows
        them all: the container is stopped meanwhile, and its rules are written whole."""
        from pyoci.plan import ops

        change = self.inner.change(resources, old)
        bus = self._bus()
        try:
            found = self._resource_properties(self.inner.with_quota_and_period(resources), "", [], bus)
        finally:
            bus.close()
        if found:
            user = int(self.user)
            change.between = [ops.change_unit("linux.resources", unit=self.unit, user=user, properties=found)]
            if change.whole_back:
                change.undo = [step for step in change.undo if step[0] != ops.DEVICE_RULES] + change.whole_back
        if not self.host.is_v2() and resources.get("devices") and not self.frozen():
            change.before, change.after = [ops.freeze("linux.resources.devices")], [ops.thaw("linux.resources.devices")]
            change.undo.insert(0, ops.thaw("linux.resources.devices"))
        return change

    def set_properties(self, properties: "list[tuple[str, tuple[str, Any]]]") -> None:
        """Does CHANGE_UNIT: has systemd know of new limits."""
        from pyoci.cgroups.systemd.bus import Refused

        bus = self._bus()
        try:
            bus.manager("SetUnitProperties", "sba(sv)", self.unit, True, properties)
            bus.property("Version")  # it answers before it writes the files, but nobody else before that
        except Refused as refused:
            raise Error(refused.text, step=f"change unit {self.unit}", kind="host") from None
        finally:
            bus.close()

    def stop(self) -> None:
        """Does STOP_UNIT: stops the unit and forgets its failure. When systemd cannot be asked, the cgroup goes by our
        own hand, and systemd takes notice of it later."""
        if not self.unit or not self._is_known():
            return
        try:
            self._stop()
        except Error as problem:
            self.warnings.append(f"unit {self.unit} is left to systemd, which was not told to stop it: {problem}")

    def _is_known(self) -> bool:
        """Whether systemd may know the unit: it has its cgroup, or failed and is remembered, as its file shows."""
        if any(tree.exists(path) for path in self.inner.record()["cgroup_paths"].values()):
            return True
        runtime = self.host.run
        if self.user:
            runtime = posix.environ.get(b"XDG_RUNTIME_DIR", b"").decode("utf-8", "surrogateescape")
        units = runtime + "/systemd/transient"
        return not tree.exists(units) or tree.exists(f"{units}/{self.unit}")

    def _stop(self) -> None:
        bus = self._bus()
        try:
            _stop(bus, self.unit)
        finally:
            bus.close()

    # the rest is a matter of files

    def pids(self) -> "list[int]":
        """As of the files' manager."""
        return self.inner.pids()

    def empty(self) -> bool:
        """As of the files' manager."""
        return self.inner.empty()

    def frozen(self) -> bool:
        """As of the files' manager."""
        return self.inner.frozen()

    def freeze(self) -> None:
        """As of the files' manager."""
        self.inner.freeze()

    def thaw(self) -> None:
        """As of the files' manager."""
        self.inner.thaw()

    def release(self) -> None:
        """As of the files' manager."""
        self.inner.release()

    def vacate(self) -> None:
        """As of the files' manager."""
        self.inner.vacate()

    def frozen_above(self) -> str:
        """As of the files' manager."""
        return self.inner.frozen_above()

    def kill(self, number: int) -> None:
        """As of the files' manager."""
        self.inner.kill(number)

    def oom_kills(self) -> "Optional[int]":
        """As of the files' manager."""
        return self.inner.oom_kills()

    def stats(self) -> "dict[str, Any]":
        """As of the files' manager."""
        return self.inner.stats()

    def mounts(self, options: "list[str]") -> "list[dict[str, Any]]":
        """As of the files' manager."""
        return self.inner.mounts(options)


def _is_unheard_of(bus: "Bus", unit: str) -> bool:
    """Whether no file says anything of a unit, and it is not active: only such a one may be given properties."""
    from pyoci.cgroups.systemd.bus import Refused

    try:
        (path,) = bus.manager("LoadUnit", "s", unit)
        told = [bus.unit_property(path, name) for name in ("FragmentPath", "DropInPaths", "ActiveState")]
    except Refused:
        return False
    return told == ["", [], "inactive"]


def _reset_failed(bus: "Bus", unit: str) -> bool:
    """Forgets a unit that failed; whether there was such a one."""
    from pyoci.cgroups.systemd.bus import Refused

    try:
        bus.manager("ResetFailedUnit", "s", unit)
    except Refused:
        return False
    return True


def _stop(bus: "Bus", unit: str) -> None:
    from pyoci.cgroups.systemd.bus import Refused

    try:
        (job,) = bus.manager("StopUnit", "ss", unit, "replace")
        bus.wait(job, unit, active=False)
    except Refused as refused:
        if refused.name != "NoSuchUnit":
            raise Error(refused.text, step=f"stop unit {unit}", kind="host") from None
    _reset_failed(bus, unit)


def _version(text: str) -> int:
    """252 from ``252.39-1~deb12u1`` or ``v252``."""
    digits = ""
    for character in text.lstrip("v"):
        if character not in "0123456789":
            break
        digits += character
    return int(digits or 0)
