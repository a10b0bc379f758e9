"""The command update: limits from the flags, or from a file, for a container that exists."""

import posix

from pyoci.errors import Error
from pyoci.ids import check_id
from pyoci.sizes import DIGITS
from pyoci.sizes import parse as parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.cli.call import Call

# flag: where its value belongs in linux.resources
_SIZES = {
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "kernel-memory": ("memory", "kernel"),
    "kernel-memory-tcp": ("memory", "kernelTCP"),
}
_NUMBERS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"),
    "pids-limit": ("pids", "limit"),
}
_TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
_SCHEMAS = {"l3-cache-schema": "l3CacheSchema", "mem-bw-schema": "memBwSchema"}


def main(call: "Call") -> int:
    """Changes what was given; a file given with --resources stands for all other flags."""
    name = check_id(call.arguments[0])
    schemas = {key: value for flag, key in _SCHEMAS.items() if (value := call.text(flag))}
    if "memBwSchema" in schemas and not schemas["memBwSchema"].startswith("MB:"):
        raise Error("a memory bandwidth schema starts with MB:", location="--mem-bw-schema")
    source = call.text("resources")
    resources = from_file(source) if source else from_flags(call)
    if schemas:  # first: most hosts refuse it
        call.runtime().update_classes(name, schemas)
    if resources or not schemas:
        call.runtime().update(name, resources)
    return 0


def from_flags(call: "Call") -> "dict[str, Any]":
    """linux.resources of the flags that were given. Raises Error for what is not a number or size."""
    resources: "dict[str, Any]" = {}
    for table, read in ((_SIZES, size), (_NUMBERS, number), (_TEXTS, text)):
        for flag, (section, key) in table.items():
            if value := call.text(flag):
                resources.setdefault(section, {})[key] = read(value, f"--{flag}")
    if resources.get("pids") == {"limit": 0}:
        resources["pids"] = {"limit": 1}  # as runc 1.4: no more processes; a 0 in a file can mean that nobody set it
    return resources


def number(value: str, flag: str) -> int:
    """A decimal number, perhaps negative."""
    digits = value[1:] if value[:1] == "-" else value
    if not (digits.isascii() and digits.isdigit()) or len(digits) > DIGITS:
        raise Error(f"invalid value {value!r}", location=flag, hint="a number is expected")
    return _fitting(int(value), value, flag, 2**64)


def text(value: str, flag: str) -> str:
    """The value as it is."""
    return value


def size(value: str, flag: str) -> int:
    """Bytes, as pyoci.sizes reads them; -1 is no limit."""
    found = -1 if value == "-1" else parse_size(value)
    if found is None:
        raise Error(f"invalid value {value!r}", location=flag, hint="a size is expected, such as 512m")
    return _fitting(found, value, flag, 2**63)


def _fitting(found: int, value: str, flag: str, bound: int) -> int:
    """The kernel would count on from zero."""
    if not -(2**63) <= found < bound:
        raise Error(f"invalid value {value!r}", location=flag, hint=f"it is to be below {bound}")
    return found


def from_file(source: str) -> "dict[str, Any]":
    """linux.resources from a JSON file, or from standard input for "-"."""
    from pyoci.fileio import read_all
    from pyoci.json.document import MAX_BYTES, parse

    try:
        fd = 0 if source == "-" else posix.open(source, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            data = read_all(fd, MAX_BYTES + 1)
        finally:
            if fd:
                posix.close(fd)
    except OSError as error:
        raise Error(f"read {source}", location="--resources", errno=error.errno or 0) from None
    value = parse(data, name="standard input" if source == "-" else source)
    if not isinstance(value, dict):
        raise Error("an object is expected, as linux.resources in config.json", location="--resources")
    return value
