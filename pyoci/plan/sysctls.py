"""linux.sysctl → steps; what would reach the host is refused."""

from pyoci.errors import Error
from pyoci.plan import ops
from pyoci.plan.host_names import is_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

# Sysctls of the IPC namespace (ipc_namespaces(7)); those of the network namespace are all that begin with net.
_IPC = frozenset(
    ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced", "msg_next_id",
     "sem_next_id", "shm_next_id", "auto_msgmni")
)  # fmt: skip


def compile_sysctls(request: "Request", plan: "Plan") -> None:
    """Adds linux.sysctl."""
    for key, value in request.linux["sysctl"].items():
        where = f"linux.sysctl[{key}]"
        path = sysctl_path(key)
        kind = _namespace_of(path)
        if not path or kind is None:
            raise Error(f'sysctl "{key}" is not in a separate kernel namespace', location=where)
        if not is_own(request, kind):
            from pyoci.validate.musts_linux import of_the_host

            hint = f"add a namespace of type {kind} to linux.namespaces"
            raise Error(of_the_host(key, kind), location=where, hint=hint)
        plan.add(ops.sysctl(where, path=path, value=value))


def sysctl_path(key: str) -> str:
    """The file below /proc/sys; "" for what is no key. The first separator decides whether the other one is part of a
    name: `net.ipv4.conf.eth0/1.forwarding` and `net/ipv4/conf/eth0.1/forwarding` are one (sysctl.d(5))."""
    dot, slash = key.find("."), key.find("/")
    dotted = slash < 0 or 0 <= dot < slash
    parts = [part.replace("/", ".") for part in key.split(".")] if dotted else key.split("/")
    if any(part in ("", ".", "..") or "\n" in part or "\0" in part for part in parts):
        return ""
    return "/".join(parts)


def _namespace_of(path: str) -> "str | None":
    """The type of namespace that a sysctl belongs to, None for the host's."""
    if path.startswith("net/"):
        return "network"
    if path.startswith("fs/mqueue/") or (path.startswith("kernel/") and path[7:] in _IPC):
        return "ipc"
    if path == "kernel/domainname":
        return "uts"
    if path.startswith("user/"):
        return "user"
    return None
