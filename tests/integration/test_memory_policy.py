"""linux.memoryPolicy, seen from inside: what /proc/self/numa_maps says of the process, and what is refused."""

import os

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not os.path.isdir("/sys/devices/system/node/node0"), reason="the kernel has no NUMA nodes"),
]
# A policy as numa_maps writes it (mpol_to_str in the kernel)
SHOWN = {
    "MPOL_DEFAULT": ("", "default"),
    "MPOL_LOCAL": ("", "local"),
    "MPOL_PREFERRED": ("0", "prefer:0"),
    "MPOL_BIND": ("0", "bind:0"),
    "MPOL_INTERLEAVE": ("0", "interleave:0"),
    "MPOL_PREFERRED_MANY": ("0", "prefer (many):0"),
    "MPOL_WEIGHTED_INTERLEAVE": ("0", "weighted interleave:0"),
}
LINE = "sed -n 1p /proc/self/numa_maps"


def with_policy(bundle: Bundle, mode: str, nodes: str = "", *flags: str) -> Bundle:
    bundle.linux["memoryPolicy"] = {"mode": mode, "nodes": nodes, "flags": list(flags)}
    return bundle


@pytest.mark.parametrize("mode", sorted(SHOWN))
def test_mode_of_the_process_and_of_exec(box: Box, mode: str) -> None:
    nodes, shown = SHOWN[mode]
    bundle = with_policy(box.bundle().shell("sleep 1000"), mode, nodes)
    box.started(bundle)
    seen = box.ok("exec", "c", "sh", "-c", LINE).out
    assert seen.split(" ", 1)[1].startswith(shown), seen
    box.ok("delete", "--force", "c")
    assert box.output(bundle.shell(LINE)).split(" ", 1)[1].startswith(shown)


@pytest.mark.parametrize(("flag", "shown"), [("STATIC_NODES", "bind=static:0"), ("RELATIVE_NODES", "bind=relative:0")])
def test_flag(box: Box, flag: str, shown: str) -> None:
    bundle = with_policy(box.bundle().shell(LINE), "MPOL_BIND", "0", f"MPOL_F_{flag}")
    assert shown in box.output(bundle)


def test_numa_balancing_is_taken(box: Box) -> None:
    """numa_maps has no word for it: that the program runs at all means that the kernel took it."""
    bundle = with_policy(box.bundle().shell(LINE), "MPOL_BIND", "0", "MPOL_F_NUMA_BALANCING")
    assert "bind" in box.output(bundle)


def test_nodes_that_the_host_has_not_are_refused_before_anything_is_made(box: Box) -> None:
    failed = box.create(with_policy(box.bundle(), "MPOL_BIND", "1000-1001"), "c")
    assert failed.status == 1
    assert "linux.memoryPolicy.nodes: this host has none of the memory nodes 1000-1001" in failed.err
    assert box.left() == []


def test_nodes_beyond_the_host_are_left_out_with_a_warning(box: Box) -> None:
    bundle = with_policy(box.bundle().shell(LINE), "MPOL_INTERLEAVE", "0,1000")
    bundle.write()
    done = box.call("run", "--bundle", str(bundle.path), "c")
    assert "interleave:0" in done.out
    assert "of 0,1000 this host has no more than" in done.err


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"mode": "MPOL_NONE"}, "linux.memoryPolicy.mode"),
        ({"mode": "MPOL_BIND", "nodes": "0-"}, "linux.memoryPolicy.nodes"),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NONE"]}, "linux.memoryPolicy.flags[0]"),
        ({"mode": "MPOL_PREFERRED", "flags": ["MPOL_F_STATIC_NODES"]}, "linux.memoryPolicy.flags"),
        ({"mode": "MPOL_BIND"}, "linux.memoryPolicy"),
    ],
)
def test_bad_policy_is_refused_by_its_place(box: Box, policy: "dict[str, object]", words: str) -> None:
    bundle = box.bundle()
    bundle.linux["memoryPolicy"] = policy
    failed = box.create(bundle, "c")
    assert (failed.status, box.left()) == (1, [])
    assert words in failed.err
