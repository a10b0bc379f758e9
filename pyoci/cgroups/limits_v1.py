"""The limits of a container on cgroup v1: linux.resources → steps."""

from pyoci.cgroups import devices
from pyoci.cgroups.host import UNIFIED, Host, read_value
from pyoci.cgroups.settings import Section, Setting
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.ops import RuntimeStep

_DEVICES = "linux.resources.devices"


class Limits:
    """What one linux.resources asks for.

    bases: controller to mount point, "" for the v2 tree's; where: the place of the resources, for errors.
    settings and rules (those asked for) are set by steps() and rule_steps().
    """

    __slots__ = ("_devices", "_v2", "bases", "host", "rules", "settings", "warnings")

    def __init__(self, host: Host, bases: "dict[str, str]", resources: "dict[str, Any]", where: str) -> None:
        self.host = host
        self.bases = bases
        self._v2: "set[str]" = set()
        self.settings: "list[Setting]" = []
        self.warnings: "list[str]" = []
        if any(value for key, value in resources.items() if key != "devices"):  # device rules alone are the usual case
            self._compile(resources, where)
        self.rules = devices.parse(resources, where)
        self._devices = devices.state_with_defaults(self.rules)

    def _compile(self, resources: "dict[str, Any]", where: str) -> None:
        from pyoci.cgroups.compile import check_pages, settings_for_v1
        from pyoci.cgroups.settings_v1 import obsolete

        if resources.get("hugepageLimits") or resources.get("rdma"):
            self._v2 = self._controllers_of_v2()
        self.settings = settings_for_v1(resources, where, set(self.bases) - {UNIFIED}, self._v2)
        check_pages(self.host, resources, where)
        self._check_lists(resources, where)
        self.warnings = obsolete(Section(resources, where))

    def _controllers_of_v2(self) -> "set[str]":
        if UNIFIED not in self.bases:
            return set()
        return set(read_value(self.bases[UNIFIED] + "/cgroup.controllers").split())

    def _check_lists(self, resources: "dict[str, Any]", where: str) -> None:
        section = Section(resources, where).section("cpu")
        if "cpuset" in self.bases and (section.text("cpus") or section.text("mems")):
            from pyoci.cgroups.compile import check_lists

            base = self.bases["cpuset"]
            check_lists(resources, where, read_value(base + "/cpuset.cpus"), read_value(base + "/cpuset.mems"))

    def steps(self, paths: "dict[str, str]") -> "list[RuntimeStep]":
        """The steps that set the limits, all but the device rules, in the cgroups at `paths`, by controller."""
        steps: "list[RuntimeStep]" = []
        if any(setting.controller in self._v2 for setting in self.settings):
            path, base = paths[UNIFIED], self.bases[UNIFIED]
            only = tuple(sorted(self._v2))
            steps.append(ops.hand_down("linux.resources", path=path, base=base, controllers=only))
        for setting in self.settings:
            path = paths.get(self._place(setting.controller, paths), "")
            if path or not setting.idle:
                steps.append(setting.step(path))
        if steps:
            steps.append(ops.limit_again("linux.resources"))
        return steps

    def rule_steps(self, paths: "dict[str, str]", in_use: bool = False) -> "list[RuntimeStep]":
        """The steps that set the device rules, those that every container has included. They are many writes and limit
        no process that waits: they need not be there before it joins, as other limits must, only before it goes on.

        in_use: the cgroup has rules and processes that go on: no device that stays allowed is ever missing
        """
        path, rules, wanted = paths.get("devices", ""), self.rules, self._devices
        if not path:
            if not devices.allows_everything(rules + devices.default_rules()) and not self.host.rootless():
                raise Error("no devices hierarchy is mounted", location="linux.resources.devices", kind="missing")
            return []
        places = {(rule.kind, rule.major, rule.minor, rule.access): rule.location for rule in rules}
        if in_use:
            now = devices.state_from_list(read_value(path + "/devices.list"))
            texts = {rule.text(): rule.location for rule in rules + devices.default_rules()}
            writes = devices.transition(now, wanted)
            return [
                ops.device_rules(texts.get(value) or _DEVICES, path=path, writes=(file, value))
                for file, value in writes
            ]
        first, other = ("devices.allow", "devices.deny") if wanted.allow else ("devices.deny", "devices.allow")
        where = places.get(("a", devices.ANY, devices.ANY, devices.EVERY), _DEVICES)
        groups = {where: [first, "a"]}  # from what it is born with, whatever that is
        for key, access in wanted.exceptions.items():
            place = places.get((*key, access)) or devices.place_of_default(key, access) or _DEVICES
            groups.setdefault(place, []).extend((other, devices.rule_text(key, access)))
        return [ops.device_rules(where, path=path, writes=tuple(writes)) for where, writes in groups.items()]

    def steps_back(self, path: str, old: "dict[str, Any]") -> "tuple[list[RuntimeStep], list[RuntimeStep]]":
        """The steps that put back the device rules that the cgroup has now, from half way to the new ones; and those
        that do from whatever there is by then.

        old: the resources so far: the kernel does not show what is denied to a container that may use all others
        """
        now = devices.state_from_list(read_value(path + "/devices.list"))
        if now.allow:
            now.exceptions = devices.state_with_defaults(devices.parse(old, "")).exceptions
        anything = devices.State()
        anything.allow = True
        part, whole = devices.transition(self._devices, now), devices.transition(anything, now)

        def steps(writes: "list[tuple[str, str]]") -> "list[RuntimeStep]":
            return [ops.device_rules(_DEVICES, path=path, writes=write) for write in reversed(writes)]

        return steps(part), steps(whole)

    def _place(self, controller: str, paths: "dict[str, str]") -> str:
        return UNIFIED if controller in self._v2 and controller not in paths else controller
