"""Engines that are here, and whether each knows of pyoci."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

from pyoci.doctor.check import Check
from pyoci.host import Host

# Program, its files, and what to add, as docs/engines.md has it
_ENGINES = (
    ("podman", ("/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*.conf",
                "~/.config/containers/containers.conf", "~/.config/containers/containers.conf.d/*.conf"),
     '{podman}: [engine.runtimes] pyoci = ["{path}"]'),
    ("dockerd", ("/etc/docker/daemon.json",),
     '/etc/docker/daemon.json: {{"runtimes": {{"pyoci": {{"path": "{path}"}}}}}}'),
    ("containerd", ("/etc/containerd/config.toml",), "/etc/containerd/config.toml: BinaryName = \"{path}\""),
    ("crio", ("/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*.conf"),
     '/etc/crio/crio.conf.d/10-pyoci.conf: [crio.runtime.runtimes.pyoci] runtime_path = "{path}"'),
)  # fmt: skip


def checks(host: Host) -> Iterator[Check]:
    """Each engine that is installed."""
    ours = host.helper("pyoci") or "/usr/local/bin/pyoci"
    podman = (
        "/etc/containers/containers.conf.d/50-pyoci.conf" if host.euid == 0 else "~/.config/containers/containers.conf"
    )
    for program, patterns, line in _ENGINES:
        if host.helper(program) is None:
            continue
        places = [place for pattern in patterns for place in sorted(glob.glob(os.path.expanduser(pattern)))]
        knowing = [place for place in places if _names_us(host.read(place) or "")]
        detail = knowing[0] if knowing else "it does not know pyoci"
        yield Check("engines", program, bool(knowing), detail, cure=f"add to {line.format(path=ours, podman=podman)}")


def _names_us(text: str) -> bool:
    """Whether a setting names pyoci, comments left out."""
    return any("pyoci" in line.partition("#")[0] for line in text.split("\n"))
