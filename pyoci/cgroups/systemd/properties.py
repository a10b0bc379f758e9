"""linux.resources and annotations as properties of a systemd unit (man 5 systemd.resource-control).

systemd writes a unit's files anew at a daemon-reload, so what we write to them must be known to it as well.
"""

from pyoci.cgroups import devices
from pyoci.cgroups.convert import io_weight, swap_only, weight_from_shares
from pyoci.cgroups.settings import Section
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Version = Callable[[], int]  # asks systemd for its own, as older ones lack some properties

INFINITY = 2**64 - 1
PREFIX = "org.systemd.property."

_LIMIT_NAMES = {  # unified key: property
    "memory.high": "MemoryHigh",
    "memory.low": "MemoryLow",
    "memory.min": "MemoryMin",
    "memory.max": "MemoryMax",
    "memory.swap.max": "MemorySwapMax",
    "pids.max": "TasksMax",
    "cpu.weight": "CPUWeight",
}


def _bytes(value: int) -> "tuple[str, int]":
    return "t", INFINITY if value == -1 else value


def quota_per_second(quota: int, period: int) -> int:
    """Microseconds a second, rounded up to the 10 ms that systemd counts in: a container gets no less than asked."""
    if quota <= 0:
        return INFINITY
    exact = -(-quota * 1_000_000 // (period or 100_000))
    return -(-exact // 10_000) * 10_000


def bit_mask(listed: str, where: str) -> bytes:
    """A list of CPUs or memory nodes as systemd takes it: a bit each, lowest first."""
    from pyoci.linux.number_list import parse

    mask = parse(listed, where)
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def for_v2(resources: "dict[str, Any]", where: str, version: "Version") -> "list[tuple[str, tuple[str, Any]]]":
    """The properties of a v2 unit."""
    section = Section(resources, where)
    found = _memory(section.section("memory")) + _cpu(section.section("cpu"), version)
    found += _tasks(section.section("pids"))
    if weight := section.section("blockIO").integer("weight"):
        found.append(("IOWeight", ("t", io_weight(weight))))
    for key, value in section.section("unified").pairs():
        found += _unified(key, str(value), f"{section.at('unified')}[{key}]", version)
    return found


def _memory(memory: Section) -> "list[tuple[str, tuple[str, Any]]]":
    limit, swap = memory.integer("limit") or 0, memory.integer("swap") or 0
    found = []
    if limit:
        found.append(("MemoryMax", _bytes(limit)))
    if reservation := memory.integer("reservation"):
        found.append(("MemoryLow", _bytes(reservation)))
    alone = swap_only(limit, swap, memory.where)
    if alone is not None:
        found.append(("MemorySwapMax", _bytes(alone)))
    return found


def _tasks(pids: Section) -> "list[tuple[str, tuple[str, Any]]]":
    limit = pids.integer("limit")
    return [] if limit is None else [("TasksMax", _bytes(max(limit, -1) or 1))]


def _cpu(cpu: Section, version: "Version") -> "list[tuple[str, tuple[str, Any]]]":
    found: "list[tuple[str, tuple[str, Any]]]" = []
    if cpu.integer("idle") == 1 and version() >= 252:
        found.append(("CPUWeight", ("t", 0)))
    elif shares := cpu.integer("shares"):
        found.append(("CPUWeight", ("t", weight_from_shares(shares))))
    found += _quota(cpu.integer("quota") or 0, cpu.integer("period") or 0, version)
    for key, name in (("cpus", "AllowedCPUs"), ("mems", "AllowedMemoryNodes")):
        if cpu.text(key) and version() >= 244:
            found.append((name, ("ay", bit_mask(cpu.text(key), cpu.at(key)))))
    return found


def _quota(quota: int, period: int, version: "Version") -> "list[tuple[str, tuple[str, Any]]]":
    found: "list[tuple[str, tuple[str, Any]]]" = []
    if period and version() >= 242:
        found.append(("CPUQuotaPeriodUSec", ("t", period)))
    if quota or period:
        found.append(("CPUQuotaPerSecUSec", ("t", quota_per_second(quota, period))))
    return found


def _unified(key: str, value: str, location: str, version: "Version") -> "list[tuple[str, tuple[str, Any]]]":
    """What has a property; the rest is written to its file alone."""
    if key in _LIMIT_NAMES:
        return [(_LIMIT_NAMES[key], ("t", INFINITY if value == "max" else _number(value, location)))]
    if key == "cpu.idle" and value == "1" and version() >= 252:
        return [("CPUWeight", ("t", 0))]
    if key == "cpu.max":
        words = value.split()
        quota = -1 if not words or words[0] == "max" else _number(words[0], location)
        return _quota(quota, _number(words[1], location) if len(words) > 1 else 0, version)
    if key in ("cpuset.cpus", "cpuset.mems") and version() >= 244:
        name = "AllowedCPUs" if key == "cpuset.cpus" else "AllowedMemoryNodes"
        return [(name, ("ay", bit_mask(value, location)))]
    return []


def _number(text: str, location: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        raise Error(f"{text!r} is not a number", location=location)
    return int(text)


def for_v1(resources: "dict[str, Any]", where: str, version: "Version") -> "list[tuple[str, tuple[str, Any]]]":
    """The properties of a v1 unit."""
    section = Section(resources, where)
    memory, cpu = section.section("memory"), section.section("cpu")
    found: "list[tuple[str, tuple[str, Any]]]" = []
    if limit := memory.integer("limit"):
        found.append(("MemoryLimit", _bytes(limit)))
    if shares := cpu.integer("shares"):
        found.append(("CPUShares", ("t", shares)))
    found += _quota(cpu.integer("quota") or 0, cpu.integer("period") or 0, version)
    if weight := section.section("blockIO").integer("weight"):
        found.append(("BlockIOWeight", ("t", weight)))
    return found + _tasks(section.section("pids"))


def for_devices(rules: "list[devices.Rule]", proc: str) -> "list[tuple[str, tuple[str, Any]]]":
    """DevicePolicy and DeviceAllow; they must allow at least what our own device program allows, for both decide.

    What systemd cannot name (a wildcard major with a minor, everything but …) leaves the decision to ours alone.
    """
    allowed = [rule for rule in devices.reduce(rules) if rule.allow]
    if any(rule.kind == "a" or (rule.major == devices.ANY and rule.minor != devices.ANY) for rule in allowed):
        return [("DevicePolicy", ("s", "auto")), ("DeviceAllow", ("a(ss)", []))]
    groups = device_groups(proc) if any(rule.major != devices.ANY for rule in allowed) else {}
    named = [(_device_name(rule, groups), devices.access_text(rule.access)) for rule in allowed]
    return [("DevicePolicy", ("s", "strict")), ("DeviceAllow", ("a(ss)", [entry for entry in named if entry[0]]))]


def _device_name(rule: "devices.Rule", groups: "dict[str, str]") -> str:
    """As systemd names devices (since version 240 no such node has to exist); "" for a major nobody has."""
    kind = {"c": "char", "b": "block"}[rule.kind]
    if rule.major == devices.ANY:
        return f"{kind}-*"
    if rule.minor == devices.ANY:
        name = groups.get(f"{kind} {rule.major}")
        return f"{kind}-{name}" if name else ""
    return f"/dev/{kind}/{rule.major}:{rule.minor}"


def device_groups(proc: str) -> "dict[str, str]":
    """``char 136`` to ``pts``, from /proc/devices."""
    from pyoci.fileio import read_file

    groups: "dict[str, str]" = {}
    kind = ""
    for line in read_file(proc + "/devices").splitlines():
        if line.endswith("devices:"):
            kind = "char" if line.startswith("Character") else "block"
        elif line.strip():
            number, name = line.split(None, 1)
            groups.setdefault(f"{kind} {number}", name)
    return groups


def from_annotations(annotations: "dict[str, str]") -> "list[tuple[str, tuple[str, Any]]]":
    """The annotations org.systemd.property.NAME; a name in …Sec becomes …USec, in microseconds."""
    found = []
    for key, text in annotations.items():
        if not key.startswith(PREFIX):
            continue
        from pyoci.cgroups.systemd import gvariant

        location = f"annotations[{key}]"
        name = key[len(PREFIX) :]
        if len(name) < 3 or not (name.isascii() and name.isalpha()):
            raise Error(f"invalid name of a systemd property: {name!r}", location=location)
        signature, value = gvariant.parse(text, location)
        if name.endswith("Sec") and not name.endswith("USec"):
            if signature not in "ynqiuxtd" or not 0 <= value < INFINITY / 1_000_000:
                raise Error(f"{text!r} is not a number of seconds", location=location)
            name, signature, value = name[:-3] + "USec", "t", int(value * 1_000_000)
        found.append((name, (signature, value)))
    return found
