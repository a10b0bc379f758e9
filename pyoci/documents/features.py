"""The features document (runtime-spec features.md, features-linux.md): what this runtime can do.

Only what works is listed: engines decide by it whether to ask. What this runtime can do is said whatever the host, as
the spec wants; of the host only libseccomp and the kernel's flags for filters count.
"""

from __future__ import annotations

from typing import Any

import pyoci
from pyoci.errors import Error
from pyoci.linux.kernel import CAPABILITIES
from pyoci.linux.mount_options import all_options
from pyoci.linux.names import HOOKS, NAMESPACES
from pyoci.plan.memory_policy import FLAGS, MODES
from pyoci.plan.seccomp import FLAGS as FILTER_FLAGS
from pyoci.plan.seccomp import is_supported
from pyoci.seccomp.compiler import ACTIONS, ARCHITECTURES, OPERATORS, Library

CGROUP = {"v1": True, "v2": True, "systemd": True, "systemdUser": True, "rdma": True}

APPARMOR = {"enabled": True}
SELINUX = {"enabled": True}
INTEL_RDT = {"enabled": True, "schemata": True, "monitoring": True}
MOUNT_EXTENSIONS = {"idmap": {"enabled": True}}
NET_DEVICES = {"enabled": True}

# Annotations that change what the runtime does on the host; an engine must not take them from strangers.
UNSAFE_ANNOTATIONS = ("org.systemd.property.", "org.criu.config", "org.pyoci.netDevices.return")


def document() -> dict[str, Any]:
    """The features document, in the spec's order of properties."""
    seccomp, library = _seccomp()
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": pyoci.SPEC_VERSION,
        "hooks": list(HOOKS),
        "mountOptions": all_options(),
        "linux": {
            "namespaces": sorted(NAMESPACES),
            "capabilities": sorted(CAPABILITIES),
            "cgroup": CGROUP,
            "seccomp": seccomp,
            "apparmor": APPARMOR,
            "selinux": SELINUX,
            "intelRdt": INTEL_RDT,
            "memoryPolicy": {"modes": sorted(MODES), "flags": sorted(FLAGS)},
            "mountExtensions": MOUNT_EXTENSIONS,
            "netDevices": NET_DEVICES,
        },
        "annotations": {
            "org.pyoci.version": pyoci.__version__,
            "org.opencontainers.runc.checkpoint.enabled": "true",
            **({"io.github.seccomp.libseccomp.version": library} if library else {}),
        },
        "potentiallyUnsafeConfigAnnotations": list(UNSAFE_ANNOTATIONS),
    }


def _seccomp() -> tuple[dict[str, Any], str]:
    """The section seccomp, and the version of the library that does the work; it is not there without one."""
    try:
        library = Library()
    except Error:
        return {"enabled": False}, ""
    section = {
        "enabled": True,
        "actions": sorted(ACTIONS),
        "operators": list(OPERATORS),
        "archs": [name for name in ARCHITECTURES if library.knows(name)],
        "knownFlags": sorted(FILTER_FLAGS),
        "supportedFlags": [name for name in sorted(FILTER_FLAGS) if is_supported(name)],
    }
    return section, library.version
