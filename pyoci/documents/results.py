"""What Runtime's methods return, as types: the documents are dictionaries still, and JSON as they are.

For type checkers and people; no command loads it. Times are nanoseconds, sizes bytes.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Status = Literal["creating", "created", "running", "stopped", "paused"]


class State(TypedDict):
    """The state document of runtime.md, "State", with what runc adds."""

    ociVersion: str
    id: str
    pid: int  # 0 when it has stopped
    status: Status
    bundle: str
    rootfs: str
    created: str  # RFC 3339, UTC
    annotations: NotRequired[dict[str, str]]
    owner: str


class Pressure(TypedDict, total=False):
    """A share of the time in which some process, or all of them, waited: percent over 10, 60, 300 seconds."""

    avg10: float
    avg60: float
    avg300: float
    total: int  # microseconds


class PressureStats(TypedDict, total=False):
    """Pressure, where the kernel counts it."""

    some: Pressure
    full: Pressure


class CpuUsage(TypedDict):
    """Processor time."""

    total: NotRequired[int]
    kernel: int
    user: int
    percpu: NotRequired[list[int]]
    percpu_kernel: NotRequired[list[int]]
    percpu_user: NotRequired[list[int]]


class Throttling(TypedDict, total=False):
    """How often, and how long, the quota was used up."""

    periods: int
    throttledPeriods: int
    throttledTime: int


class CpuStats(TypedDict):
    """Processors."""

    usage: CpuUsage
    throttling: Throttling
    psi: NotRequired[PressureStats]


class CpusetStats(TypedDict, total=False):
    """Which processors and memory nodes; the flags are those of cgroup v1."""

    cpus: list[int]
    mems: list[int]
    cpu_exclusive: int
    mem_exclusive: int
    mem_hardwall: int
    memory_migrate: int
    memory_pressure: int
    memory_spread_page: int
    memory_spread_slab: int
    sched_load_balance: int
    sched_relax_domain_level: int


class Amount(TypedDict, total=False):
    """So much of something, the most there was, and how often the limit was met."""

    limit: int
    usage: int
    max: int
    failcnt: int


class MemoryStats(TypedDict, total=False):
    """Memory; empty where nothing counts it."""

    cache: int
    usage: Amount
    swap: Amount  # memory and swap together
    kernel: Amount
    kernelTCP: Amount
    raw: dict[str, int]  # memory.stat, as the kernel writes it
    psi: PressureStats


class PidsStats(TypedDict, total=False):
    """Processes and threads; no limit where none is set."""

    current: int
    limit: int


class DeviceAmount(TypedDict):
    """One figure of one block device."""

    major: int
    minor: int
    op: str
    value: int


class BlkioStats(TypedDict, total=False):
    """Block devices."""

    ioServiceBytesRecursive: list[DeviceAmount]
    ioServicedRecursive: list[DeviceAmount]
    ioQueueRecursive: list[DeviceAmount]
    ioServiceTimeRecursive: list[DeviceAmount]
    ioWaitTimeRecursive: list[DeviceAmount]
    ioMergedRecursive: list[DeviceAmount]
    ioTimeRecursive: list[DeviceAmount]
    sectorsRecursive: list[DeviceAmount]
    psi: PressureStats


class Stats(TypedDict):
    """What a container has used, in the shape of runc's events."""

    cpu: CpuStats
    cpuset: CpusetStats
    memory: MemoryStats
    pids: PidsStats
    blkio: BlkioStats
    hugetlb: dict[str, Amount]
    intel_rdt: dict[str, Any]
    network_interfaces: None
