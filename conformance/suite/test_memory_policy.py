"""config-linux.md: the NUMA memory policy."""

import os

import pytest

from conformance.case import Case

MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
FLAGS = {"MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14}
OPTIONAL = "config.md#valid-values lets a runtime choose what it supports"


def numa(case: Case) -> None:
    case.needs(os.path.isdir("/sys/devices/system/node/node0"), "the kernel has no NUMA nodes")


@pytest.mark.judges("linux.memory-policy.mode", "linux.memory-policy.nodes")
@pytest.mark.parametrize("mode", list(MODES))
def test_mode(case: Case, mode: str) -> None:
    numa(case)
    policy = {"mode": mode}
    if mode not in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        policy["nodes"] = "0"
    seen = case.observe(case.config(linux={"memoryPolicy": policy}), may_refuse=OPTIONAL).get("mempolicy") or {}
    case.equal("linux.memory-policy.mode", mode, MODES[mode], seen.get("mode", -1) & 0xFF)
    case.equal("linux.memory-policy.nodes", "nodes", int("nodes" in policy), seen.get("nodes"))


@pytest.mark.judges("linux.memory-policy.flags")
@pytest.mark.parametrize("flag", list(FLAGS))
def test_flag(case: Case, flag: str) -> None:
    numa(case)
    policy = {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}
    seen = case.observe(case.config(linux={"memoryPolicy": policy}), may_refuse=OPTIONAL).get("mempolicy") or {}
    case.equal("linux.memory-policy.flags", flag, FLAGS[flag], seen.get("mode", 0) & (3 << 14))


@pytest.mark.judges("linux.memory-policy.mode-error", "linux.memory-policy.flag-error")
def test_bad_policy(case: Case) -> None:
    mode = case.config(linux={"memoryPolicy": {"mode": "MPOL_NONSENSE"}})
    case.refused("linux.memory-policy.mode-error", "the mode MPOL_NONSENSE", mode)
    flag = case.config(linux={"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NONSENSE"]}})
    case.refused("linux.memory-policy.flag-error", "the flag MPOL_F_NONSENSE", flag)
