"""linux.resources, compiled for the controllers that this machine has; what it has not is refused here."""

from pyoci.cgroups.settings import Section, Setting
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.cgroups.host import Host


def settings_for_v1(resources: "dict[str, Any]", where: str, v1: "set[str]", v2: "set[str]") -> "list[Setting]":
    """Settings on a machine with v1 hierarchies, and perhaps a v2 tree beside them (hybrid).

    A controller that the v2 tree holds, such as hugetlb on some machines, is set there, in v2's words.
    """
    from pyoci.cgroups.settings_v1 import PARTS

    section = Section(resources, where)
    settings: "list[Setting]" = []
    for controller, key, compile_part in PARTS:
        if not resources.get(key):
            continue
        if controller in v2 and controller not in v1:
            from pyoci.cgroups.settings_v2 import PARTS as parts_of_v2

            compile_part = next(part for name, _, part in parts_of_v2 if name == controller)
        settings += compile_part(section)
    return _available(settings, v1 | v2, "no cgroup hierarchy with it is mounted")


def settings_for_v2(resources: "dict[str, Any]", where: str, controllers: "set[str]") -> "list[Setting]":
    """Settings on a machine with cgroup v2 alone."""
    from pyoci.cgroups.settings_v2 import PARTS

    section = Section(resources, where)
    settings: "list[Setting]" = []
    for _, key, compile_part in PARTS:
        if resources.get(key):
            settings += compile_part(section)
    return _available(settings, controllers, f"it has: {' '.join(sorted(controllers))}")


def _available(settings: "list[Setting]", controllers: "set[str]", hint: str) -> "list[Setting]":
    kept = []
    for setting in settings:
        if not setting.controller or setting.controller in controllers:
            kept.append(setting)
        elif not setting.idle:
            file = setting.choices[0][0]
            text = f"cannot set {file}: controller {setting.controller!r} not available on this machine"
            if setting.unified:
                text = f"unified resource {file!r} can't be set: controller {setting.controller!r} not available"
            raise Error(text, location=setting.location, hint=hint, kind="missing")
    return kept


def check_pages(host: "Host", resources: "dict[str, Any]", where: str) -> None:
    """Refuses page sizes that the kernel does not have."""
    if not resources.get("hugepageLimits"):
        return
    import posix

    from pyoci.cgroups.convert import huge_page_name, huge_page_names

    try:
        available = huge_page_names(posix.listdir(host.sys + "/kernel/mm/hugepages"))
    except OSError:
        available = []
    for entry in Section(resources, where).items("hugepageLimits"):
        huge_page_name(entry.text("pageSize"), entry.at("pageSize"), available)


def check_lists(resources: "dict[str, Any]", where: str, cpus: str, mems: str) -> None:
    """Refuses CPUs or memory nodes outside of `cpus` and `mems`, the lists of the machine."""
    from pyoci.linux.number_list import parse, ranges

    section = Section(resources, where).section("cpu")
    for key, have in (("cpus", cpus), ("mems", mems)):
        if not section.text(key):
            continue
        what = "CPUs" if key == "cpus" else "memory nodes"
        outside = parse(section.text(key), section.at(key), what) & ~parse(have, section.at(key), what)
        if outside:
            text = f"{what} {ranges(outside)} are not there: this machine has {have.strip()}"
            raise Error(text, location=section.at(key), kind="missing")


def check_room(resources: "dict[str, Any]", where: str, usage: int) -> None:
    """memory.checkBeforeUpdate: refuse a limit at or below what is used (bytes), before the kernel starts to kill."""
    section = Section(resources, where).section("memory")
    limit = section.integer("limit") or 0
    if section.flag("checkBeforeUpdate") and 0 < limit <= usage:
        raise Error(f"rejecting memory limit {limit} <= usage {usage}", location=section.at("limit"))
