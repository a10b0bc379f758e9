"""The kernel's notices of kills for memory."""

import os
from pathlib import Path

import pytest

from pyoci.container import notices


@pytest.mark.parametrize("target", ["/nowhere", "/dev/full"])
def test_nothing_stays_open_where_there_are_no_notices(tmp_path: Path, target: str) -> None:
    """A shim asks for each of its containers."""
    (tmp_path / "memory.oom_control").touch()
    (tmp_path / "cgroup.event_control").symlink_to(target)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError):
        notices._eventfd_for(str(tmp_path))
    assert os.listdir("/proc/self/fd") == before
