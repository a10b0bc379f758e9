"""The features document (runtime-spec features.md, features-linux.md): what this runtime can do, on any host.

Only what works is listed: engines decide by it whether to ask. What a later part of the work adds is switched on here.
"""

import pyoci

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

NAMESPACES = ("cgroup", "ipc", "mount", "network", "pid", "time", "uts")

# One row a pair of options that set and clear the same thing; each also exists for a whole tree with a leading r.
_RECURSIVE = (
    "ro rw suid nosuid dev nodev exec noexec diratime nodiratime relatime norelatime atime noatime"
    " strictatime nostrictatime symfollow nosymfollow"
)
_OTHER = (
    "async bind defaults dirsync iversion noiversion lazytime nolazytime loud silent mand nomand rbind remount sync"
    " private rprivate slave rslave shared rshared unbindable runbindable tmpcopyup"
)

CAPABILITIES = (
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH"
    " FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN"
    " NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT"
    " SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM"
)

CGROUP = {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": False}

# Sections that need work which is not there yet say so, rather than being left out ("unknown").
SECCOMP: "dict[str, Any]" = {"enabled": False}
APPARMOR = {"enabled": True}
SELINUX = {"enabled": True}
INTEL_RDT = {"enabled": False}
MOUNT_EXTENSIONS = {"idmap": {"enabled": False}}
NET_DEVICES = {"enabled": False}

# Annotations that change what the runtime does on the host; an engine must not take them from strangers.
UNSAFE_ANNOTATIONS = ("bundle", "org.systemd.property.", "org.criu.config")


def document() -> "dict[str, Any]":
    """The features document, in the spec's order of properties."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": pyoci.SPEC_VERSION,
        "hooks": list(HOOKS),
        "mountOptions": mount_options(),
        "linux": {
            "namespaces": list(NAMESPACES),
            "capabilities": [f"CAP_{name}" for name in CAPABILITIES.split()],
            "cgroup": CGROUP,
            "seccomp": SECCOMP,
            "apparmor": APPARMOR,
            "selinux": SELINUX,
            "intelRdt": INTEL_RDT,
            "mountExtensions": MOUNT_EXTENSIONS,
            "netDevices": NET_DEVICES,
        },
        "annotations": {
            "org.pyoci.version": pyoci.__version__,
            "org.opencontainers.runc.checkpoint.enabled": "false",
        },
        "potentiallyUnsafeConfigAnnotations": list(UNSAFE_ANNOTATIONS),
    }


def mount_options() -> "list[str]":
    """Every mount option this runtime knows by name, sorted; others go to the filesystem as its own."""
    plain = _RECURSIVE.split()
    return sorted({*plain, *(f"r{option}" for option in plain), *_OTHER.split()})
