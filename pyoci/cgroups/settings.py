"""Setting: one value of linux.resources on its way to one file; Section: linux.resources, read with a check."""

from pyoci.cgroups.host import read_value
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.plan.ops import RuntimeStep


PARTITION = "cpuset.cpus.partition"


def check_partition(text: str, wanted: str, location: str) -> None:
    """The kernel takes any kind of partition, and may say in the file that it is none. Errors: Error for that."""
    if "invalid" in text:
        hint = (
            "its CPUs must be no other cgroup's, its parent a partition, too: write cpuset.cpus, and the parents' first"
        )
        raise Error(
            f"the kernel made it {text.strip()!r}",
            location=location,
            step=f"write {wanted!r} to {PARTITION}",
            hint=hint,
        )


class Setting:
    """One write.

    controller: whose hierarchy (v1) or availability (v2) it needs; "" for a file that every cgroup has
    location:   the place in the configuration that asked
    choices:    (file, value) pairs; the first whose file exists is written
    idle:       the value means «no limit», so that a machine without the file already does what is asked
    unified:    the configuration names the file itself
    """

    __slots__ = ("choices", "controller", "idle", "location", "unified")

    def __init__(
        self,
        controller: str,
        location: str,
        *choices: "tuple[str, str]",
        idle: "Optional[str]" = None,
        unified: bool = False,
    ) -> None:
        self.controller = controller
        self.location = location
        self.choices = choices
        self.idle = idle is not None and choices[0][1] == idle
        self.unified = unified

    def step(self, path: str) -> "RuntimeStep":
        """The step that writes it in a cgroup; "" for one that the container has not."""
        choices = tuple([text for pair in self.choices for text in pair])
        flags = ops.LIMIT_IDLE if self.idle else 0
        return ops.limit(self.location, path=path, choices=choices, controller=self.controller, flags=flags)

    def __repr__(self) -> str:
        return f"Setting({self.controller}, {self.location}, {self.choices})"


class Section:
    """One object of linux.resources with the place it stands at, read with a check of the types.

    The schema has checked config.json by now, but nobody has checked the JSON given to `update`.
    """

    __slots__ = ("_values", "where")

    def __init__(self, values: "Any", where: str) -> None:
        self.where = where
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise Error(f"must be an object, not {values!r}", location=where)
        self._values: "dict[str, Any]" = values

    def at(self, key: str) -> str:
        """The place of one of its keys."""
        return f"{self.where}.{key}" if self.where else key

    def section(self, key: str) -> "Section":
        """The object below a key; an empty one where it is absent or null."""
        return Section(self._values.get(key), self.at(key))

    def integer(self, key: str) -> "Optional[int]":
        """A number, None where it is absent or null."""
        value = self._values.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise Error(f"must be an integer, not {value!r}", location=self.at(key))
        return value

    def text(self, key: str) -> str:
        """A string, empty where it is absent or null."""
        value = self._values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Error(f"must be a string, not {value!r}", location=self.at(key))
        return value

    def flag(self, key: str) -> bool:
        """A boolean, False where it is absent or null."""
        return self._values.get(key) is True

    def items(self, key: str) -> "list[Section]":
        """The objects of an array."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise Error(f"must be an array, not {value!r}", location=self.at(key))
        return [Section(entry, f"{self.at(key)}[{i}]") for i, entry in enumerate(value)]

    def pairs(self) -> "list[tuple[str, Any]]":
        """Key and value of an object used as a map."""
        return list(self._values.items())


_TO_BE_READ = (".current", ".events", ".events.local", ".stat", ".effective", ".controllers")


def explain(path: str, choices: "tuple[str, ...]", where: str, number: int) -> Error:
    """The error for a write that the kernel refused. path: of the cgroup; choices, where: as in a step LIMIT."""
    import errno

    file, value = choices[:2]
    text = hint = ""
    if number == errno.ENOENT and file in ("io.cost.qos", "io.cost.model"):
        hint = "only the root of the tree has it: it is the device's, for all cgroups; write io.weight here"
    elif number == errno.ENOENT:
        hint = f"this kernel has no {' or '.join(choices[::2])} here"
    elif file in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes") and number == errno.EBUSY:
        text = _memory_in_use(path, value)
    elif file.startswith("cpuset."):
        hint = "the machine, or the parent cgroup, does not have all of these"
    elif number == errno.ENODEV and file.startswith(("io.", "blkio.")):
        hint = "there is no such block device, or it is a partition"
    elif number in (errno.EACCES, errno.EPERM):
        hint = "the parent cgroup's own limit does not allow it, or this user may not write it"
    elif number in (errno.EINVAL, errno.ERANGE) and file.endswith(_TO_BE_READ):
        hint = "this file is there to be read"
    elif number in (errno.EINVAL, errno.ERANGE):
        hint = "the kernel does not accept this value here"
    return Error(text, location=where, step=f"write {value!r} to {file}", errno=number, hint=hint)


def _memory_in_use(path: str, value: str) -> str:
    def read(name: str) -> str:
        try:
            return read_value(f"{path}/{name}").strip()
        except OSError:
            return "unknown"

    usage, peak = read("memory.usage_in_bytes"), read("memory.max_usage_in_bytes")
    return f"unable to set memory limit to {value} (current usage: {usage}, peak usage: {peak})"
