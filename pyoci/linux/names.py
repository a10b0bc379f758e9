"""Words of the specification that several parts need. What the kernel's headers name as well is in kernel.py."""

from pyoci.linux import kernel

# In the order in which they are run (config.md, "POSIX-platform Hooks")
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

# Types of namespaces, and their files in /proc/PID/ns
NAMESPACES = {
    "user": "user",
    "pid": "pid",
    "network": "net",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup": "cgroup",
    "time": "time",
    "mount": "mnt",
}

# Of mounts; each also with an r before it, for all mounts below as well
PROPAGATION = {
    "private": kernel.MS_PRIVATE,
    "slave": kernel.MS_SLAVE,
    "shared": kernel.MS_SHARED,
    "unbindable": kernel.MS_UNBINDABLE,
}


def namespace_of(file: str) -> str:
    """The type of namespace that a file of /proc/PID/ns is of, "" for none."""
    name = file.removesuffix("_for_children")
    return next((kind for kind, own in NAMESPACES.items() if own == name), "")


def rlimits() -> "list[str]":
    """The names of resources that this kernel's headers know (getrlimit(2))."""
    return [name for name in dir(kernel) if name.startswith("RLIMIT_")]
