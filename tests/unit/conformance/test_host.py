"""What the suite does to the host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
BOUND = """
import sys
from conformance import host
place = sys.argv[1]
host.mount(place, place, "none", 4096)  # in the peer group of what it lies on
host.mount("one", place + "/data", "tmpfs")
assert len(host.mounts_below(place + "/data")) == 2
host.unmount_below(place)
assert host.mounts_below(place) == []
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_mounts_that_go_together_are_unmounted(tmp_path: Path) -> None:
    """In a mount namespace of its own, whose mounts are shared as on a machine with systemd."""
    (tmp_path / "data").mkdir()
    python = [sys.executable, "-c", BOUND, str(tmp_path)]
    done = subprocess.run(["unshare", "-m", "--propagation", "shared", *python], cwd=TOP, check=False)
    assert done.returncode == 0
