"""The features document (runtime-spec features.md, features-linux.md): what this runtime can do.

Only what works is listed: engines decide by it whether to ask. What a later part of the work adds is switched on here.
Of the host only libseccomp and the kernel's flags for filters count, as the spec wants.
"""

import pyoci
from pyoci.kernel import CAPABILITIES
from pyoci.plan.options import all_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

NAMESPACES = ("cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts")

CGROUP = {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": False}

# Sections that need work which is not there yet say so, rather than being left out ("unknown").
APPARMOR = {"enabled": True}
SELINUX = {"enabled": True}
INTEL_RDT = {"enabled": False}
MOUNT_EXTENSIONS = {"idmap": {"enabled": True}}
NET_DEVICES = {"enabled": False}

# Annotations that change what the runtime does on the host; an engine must not take them from strangers.
UNSAFE_ANNOTATIONS = ("org.systemd.property.", "org.criu.config")


def document() -> "dict[str, Any]":
    """The features document, in the spec's order of properties."""
    seccomp, library = _seccomp()
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": pyoci.SPEC_VERSION,
        "hooks": list(HOOKS),
        "mountOptions": all_options(),
        "linux": {
            "namespaces": list(NAMESPACES),
            "capabilities": sorted(CAPABILITIES),
            "cgroup": CGROUP,
            "seccomp": seccomp,
            "apparmor": APPARMOR,
            "selinux": SELINUX,
            "intelRdt": INTEL_RDT,
            "mountExtensions": MOUNT_EXTENSIONS,
            "netDevices": NET_DEVICES,
        },
        "annotations": {
            "org.pyoci.version": pyoci.__version__,
            "org.opencontainers.runc.checkpoint.enabled": "false",
            **({"io.github.seccomp.libseccomp.version": library} if library else {}),
        },
        "potentiallyUnsafeConfigAnnotations": list(UNSAFE_ANNOTATIONS),
    }


def _seccomp() -> "tuple[dict[str, Any], str]":
    """The section seccomp, and the version of the library that does the work; it is not there without one."""
    from pyoci.errors import Error
    from pyoci.plan.seccomp import FLAGS, is_supported
    from pyoci.seccomp.compiler import ACTIONS, ARCHITECTURES, OPERATORS, Library

    try:
        library = Library()
    except Error:
        return {"enabled": False}, ""
    section = {
        "enabled": True,
        "actions": sorted(ACTIONS),
        "operators": list(OPERATORS),
        "archs": [name for name in ARCHITECTURES if library.knows(name)],
        "knownFlags": sorted(FLAGS),
        "supportedFlags": [name for name in sorted(FLAGS) if is_supported(name)],
    }
    return section, library.version
