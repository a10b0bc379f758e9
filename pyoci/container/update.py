"""update: new limits for a container that exists."""

from pyoci.container.memory import limits_memory, update_and_watch
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.container.state import Entry


def update(entry: "Entry", resources: "dict[str, Any]") -> "list[str]":
    """Changes limits and notes them in the kept config. What is absent or null stays as it is; gives what was ignored.

    resources: as linux.resources in config.json
    Errors: Error "container not running", or with the property that the kernel refused; then the limits are as before.
        And Error when the kernel has killed the container, to get its memory below the new limit.
    """
    if entry.status() == "stopped":
        raise Error("container not running", kind="not_running")
    from pyoci.json.document import dump

    config = entry.config()
    manager = entry.manager()
    if resources.get("pids"):
        from pyoci.cgroups.convert import by_version

        resources = by_version(config, resources, None)
    if limits_memory(resources):
        update_and_watch(entry, manager, resources)
    else:
        manager.update(resources)
    linux = config.setdefault("linux", {})
    linux["resources"] = merged(linux.get("resources") or {}, resources)
    entry.save_config(dump(config).encode())
    return manager.warnings


def update_classes(entry: "Entry", schemas: "dict[str, str]") -> None:
    """Changes the container's class in resctrl, and notes it in the kept config.

    schemas: l3CacheSchema and memBwSchema, as in linux.intelRdt
    Errors: Error "container not running", or in runc's words when the host has no such thing.
    """
    if entry.status() == "stopped":
        raise Error("container not running", kind="not_running")
    from pyoci.container import resctrl
    from pyoci.host import Host
    from pyoci.json.document import dump

    resctrl.change(entry, Host().resctrl(), schemas, entry.pids())
    config = entry.config()
    linux = config.setdefault("linux", {})
    linux["intelRdt"] = merged(linux.get("intelRdt") or {}, schemas)
    entry.save_config(dump(config).encode())


def merged(old: "dict[str, Any]", new: "dict[str, Any]") -> "dict[str, Any]":
    """The old object with the new one's values; arrays are replaced, null changes nothing."""
    result = dict(old)
    for key, value in new.items():
        if isinstance(value, dict):
            result[key] = merged(old.get(key) or {}, value)
        elif value is not None:
            result[key] = value
    return result
