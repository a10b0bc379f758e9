"""process.scheduler: each flag as the kernel keeps it, the same for exec, and the likely cure where it refuses."""

import ctypes
import json
import os
import struct

import pytest

from tests.support.box import Box
from tests.support.calls import numbers
from tests.support.command import run

pytestmark = pytest.mark.root
# flag: its bit in sched_getattr(2), which tells RESET_ON_FORK and those of SCHED_DEADLINE alone
TOLD = {"SCHED_FLAG_RESET_ON_FORK": 1, "SCHED_FLAG_RECLAIM": 2, "SCHED_FLAG_DL_OVERRUN": 4}
DEADLINE = {"policy": "SCHED_DEADLINE", "runtime": 10**7, "deadline": 10**8, "period": 2 * 10**8}


def attributes(pid: int) -> "tuple[int, int, int, int, int, int]":
    """policy, flags, nice, runtime, deadline, period of a process (sched_getattr(2))."""
    (number,) = numbers("sched_getattr")
    buffer = ctypes.create_string_buffer(48)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(number, pid, buffer, 48, 0) == 0, os.strerror(ctypes.get_errno())
    _, policy, flags, nice, _, *times = struct.unpack("=IIQiIQQQ", buffer.raw)
    return (policy, flags, nice, *times)


def scheduled(box: Box, scheduler: "dict[str, object]") -> int:
    bundle = box.bundle().args("sleep", "1000")
    bundle.process["scheduler"] = scheduler
    result = box.create(bundle, "c")
    if not result.ok and ("EPERM" in result.err or "EBUSY" in result.err or "ENOTSUP" in result.err):
        pytest.skip(f"this host refuses it: {result.err.strip()}")
    assert result.ok, result
    box.ok("start", "c")
    return int(box.state()["pid"])


@pytest.mark.parametrize("flag", sorted(TOLD))
def test_flag_of_deadline(box: Box, flag: str) -> None:
    pid = scheduled(box, {**DEADLINE, "flags": [flag]})
    assert attributes(pid)[1] & TOLD[flag]


def test_deadline_times(box: Box) -> None:
    assert attributes(scheduled(box, DEADLINE))[3:] == (10**7, 10**8, 2 * 10**8)


@pytest.mark.parametrize("flag", ["SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX", "SCHED_FLAG_RESET_ON_FORK"])
def test_flag_of_other(box: Box, flag: str) -> None:
    policy, flags, nice, *_ = attributes(scheduled(box, {"policy": "SCHED_OTHER", "nice": 4, "flags": [flag]}))
    assert (policy, nice) == (0, 4)
    assert flags & TOLD.get(flag, 0) == TOLD.get(flag, 0)


def test_keep_flags_change_nothing(box: Box) -> None:
    """KEEP_POLICY and KEEP_PARAMS leave what init was born with: policy and nice of the runtime."""
    scheduler = {"policy": "SCHED_BATCH", "nice": 9, "flags": ["SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS"]}
    policy, _, nice, *_ = attributes(scheduled(box, scheduler))
    assert (policy, nice) == (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))


def test_exec_has_its_own(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    box.started(bundle)
    process = {**bundle.process, "scheduler": {"policy": "SCHED_BATCH", "nice": 11}, "args": ["sleep", "1000"]}
    process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    (box.path / "process.json").write_text(json.dumps(process))
    pid_file = box.path / "pid"
    box.ok("exec", "--detach", "--pid-file", str(pid_file), "--process", str(box.path / "process.json"), "c")
    policy, _, nice, *_ = attributes(int(pid_file.read_text()))
    assert (policy, nice) == (os.SCHED_BATCH, 11)


def test_a_policy_the_kernel_has_not(box: Box) -> None:
    bundle = box.bundle()
    bundle.process["scheduler"] = {"policy": "SCHED_ISO"}
    failed = box.create(bundle, "c")
    assert "process.scheduler: set scheduler: sched_setattr: invalid argument (EINVAL) (a policy or flag" in failed.err
    assert box.left() == []


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
@pytest.mark.parametrize(
    ("cpus", "seen"),
    [({"initial": "0", "final": "1"}, "1"), ({"initial": "1"}, "1"), ({"final": "0-1"}, "0-1"), ({}, "")],
)
def test_exec_cpu_affinity(box: Box, cpus: "dict[str, str]", seen: str) -> None:
    """The caller is bound to one CPU meanwhile, which must not matter."""
    bundle = box.bundle().args("sleep", "1000")
    box.started(bundle)
    process = {**bundle.process, "execCPUAffinity": cpus, "args": ["grep", "Cpus_allowed_list", "/proc/self/status"]}
    (box.path / "process.json").write_text(json.dumps(process))
    words = box.words("exec", "--process", str(box.path / "process.json"), "c")
    told = run(["taskset", "-c", "0", *words]).out.split()[-1]
    everything = box.ok("exec", "c", "grep", "Cpus_allowed_list", "/proc/1/status").out.split()[-1]
    assert told == (seen or everything)
