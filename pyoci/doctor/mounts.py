"""Mounts with mapped ids, on the file systems where root filesystems and volumes are likely to be."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pyoci.doctor.check import Check, tried
from pyoci.doctor.trial import Trial
from pyoci.host import Host

_PLACES = ("/", "/home", "/tmp", "/var/lib")
_MAP = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def checks(host: Host, trial: Trial) -> Iterator[Check]:
    """What is asked about mounts."""
    seen = set()
    for place in _PLACES:
        if not os.path.isdir(place) or os.stat(place).st_dev in seen:
            continue
        seen.add(os.stat(place).st_dev)
        cure = "a kernel and a file system that have them (ext4, xfs, btrfs, tmpfs from 6.3 on)"
        if host.confined():
            cure = "only root makes them"
        yield tried("mounts", f"ids mapped on {place}", lambda place=place: _mapped(trial, place), cure=cure)  # type: ignore[misc]


def _mapped(trial: Trial, place: str) -> str:
    mount = {"destination": "/mapped", "type": "none", "source": place, "options": ["bind"]}
    trial.create(mounts=[{**mount, "uidMappings": _MAP, "gidMappings": _MAP}])
    return "mounted"
