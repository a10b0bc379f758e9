"""Names of sysctls, and the namespace that each belongs to (ipc_namespaces(7) and the like)."""

# Those of the network namespace are all that begin with net, those of the user namespace all that begin with user
_IPC = frozenset(
    ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced", "msg_next_id",
     "sem_next_id", "shm_next_id", "auto_msgmni")
)  # fmt: skip


def path_of(key: str) -> str:
    """The file below /proc/sys; "" for what is no key. The first separator decides whether the other one is part of a
    name: `net.ipv4.conf.eth0/1.forwarding` and `net/ipv4/conf/eth0.1/forwarding` are one (sysctl.d(5))."""
    dot, slash = key.find("."), key.find("/")
    dotted = slash < 0 or 0 <= dot < slash
    parts = [part.replace("/", ".") for part in key.split(".")] if dotted else key.split("/")
    if len(parts) < 2 or any(part in ("", ".", "..") or "\n" in part or "\0" in part for part in parts):
        return ""
    return "/".join(parts)


def namespace_of(path: str) -> str:
    """The type of namespace that the file below /proc/sys belongs to, "" for the host's."""
    if path.startswith("net/"):
        return "network"
    if path.startswith("fs/mqueue/") or (path.startswith("kernel/") and path[7:] in _IPC):
        return "ipc"
    if path == "kernel/domainname":
        return "uts"
    return "user" if path.startswith("user/") else ""


def refusal(key: str, kind: str) -> str:
    """Why a sysctl cannot be set where a namespace is the host's, in words that scripts know from runc."""
    if kind in ("user", "uts"):
        return f'sysctl "{key}" is not in a separate kernel namespace: the container has no {kind} namespace'
    if kind == "network":
        return f'sysctl "{key}" not allowed in host network namespace'
    return f'sysctl "{key}" is not allowed in the hosts {kind} namespace'
