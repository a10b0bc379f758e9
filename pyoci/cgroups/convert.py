"""Conversions of limits between what the spec says and what the two cgroup versions count in."""

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

SHARES_MIN, SHARES_MAX = 2, 262144  # kernel: kernel/sched/sched.h, MIN_SHARES and MAX_SHARES


def by_version(config: "dict[str, Any]", resources: "dict[str, Any]", zero: "Optional[int]") -> "dict[str, Any]":
    """linux.resources in the words of today, as they stand in a config or are given to `update` for its container.

    Until runtime-spec 1.3.0 `pids.limit` was a number that Go writes even when nobody set it, and 0 no limit: podman
    3.4 to 5.4 say "none" with it. zero: what such a 0 becomes; None to leave out pids.
    """
    if (resources.get("pids") or {}).get("limit") != 0 or not _before_1_3(config.get("ociVersion")):
        return resources
    others = {key: value for key, value in resources.items() if key != "pids"}
    return others if zero is None else {**others, "pids": {"limit": zero}}


def _before_1_3(version: object) -> bool:
    if not isinstance(version, str):
        return False
    core, dash, _ = version.partition("+")[0].partition("-")
    numbers = [decimal(part) for part in core.split(".")]
    return numbers < [1, 3, 0] or (bool(dash) and numbers == [1, 3, 0])


def check_shares(shares: int, location: str) -> None:
    """Refuses what the v1 kernel would silently replace by its bounds."""
    if shares < SHARES_MIN:
        raise Error(f"the minimum allowed cpu-shares is {SHARES_MIN}, not {shares}", location=location)
    if shares > SHARES_MAX:
        raise Error(f"the maximum allowed cpu-shares is {SHARES_MAX}, not {shares}", location=location)


def weight_from_shares(shares: int) -> int:
    """cpu.shares (2 to 262144, 1024 by default) as cpu.weight (1 to 10000, 100 by default).

    A quadratic through (2, 1), (1024, 100) and (262144, 10000) on logarithmic scales: both defaults meet, which the
    older straight line missed by far (1024 became 39). The same curve as runc and crun draw.
    """
    if shares <= SHARES_MIN:
        return 1
    if shares >= SHARES_MAX:
        return 10000
    from math import ceil, log2

    power = log2(shares)
    return ceil(10 ** ((power * power + 125 * power) / 612.0 - 7.0 / 34.0))


def io_weight(weight: int) -> int:
    """blkio weight (10 to 1000) as io.weight (1 to 10000)."""
    return max(1, 1 + (weight - 10) * 9999 // 990)


def swap_only(limit: int, swap: int, where: str) -> "Optional[int]":
    """The spec's memory+swap as v2's swap alone: bytes, -1 for no limit, None to leave it."""
    if limit == -1 and swap == 0:
        return -1
    if swap in (0, -1):
        return swap or None
    if limit == -1:
        return swap
    if limit == 0:
        raise Error("unable to set swap limit without memory limit", location=f"{where}.swap")
    if swap < limit:
        raise Error(
            f"memory+swap limit should be >= memory limit: {swap} is less than {limit}", location=f"{where}.swap"
        )
    return swap - limit


def decimal(text: str) -> int:
    """The value of ASCII digits, -1 for anything else; also where int() would refuse, for there are thousands."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1


def huge_page_name(text: str, location: str, available: "list[str]") -> str:
    """A page size as the file names say it (``2MB``), checked against those of the kernel."""
    if text not in available:
        have = ", ".join(available) or "none"
        raise Error(
            f"there are no huge pages of {text!r} on this machine",
            location=location,
            hint=f"it has: {have}",
            kind="missing",
        )
    return text


def huge_page_names(entries: "list[str]") -> "list[str]":
    """/sys/kernel/mm/hugepages/hugepages-2048kB as ``2MB``."""
    names = []
    for entry in sorted(entries):
        if not (entry.startswith("hugepages-") and entry.endswith("kB")):
            continue
        kilobytes = int(entry[len("hugepages-") : -2])
        for unit, size in (("GB", 1 << 20), ("MB", 1 << 10), ("KB", 1)):
            if kilobytes >= size:
                names.append(f"{kilobytes // size}{unit}")
                break
    return names
