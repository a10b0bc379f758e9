"""What a failed step of init's means to people."""

import errno

from pyoci.errors import Error, errno_text
from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.words import OPERATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from pyoci.host import Host
    from pyoci.init.talk import Message
    from pyoci.plan.model import Plan


_FILTERED = (
    "linux.seccomp has to allow what comes after it; with process.noNewPrivileges it comes last, and that is execve"
    " alone"
)


def error(message: "Message", plan: "Optional[Plan]" = None) -> Error:
    """The error for a report of kind REPORT_FAILED; plan: what init was doing, where that is at hand."""
    problem = _error(message, plan)
    problem.by_init = True
    return problem


def _error(message: "Message", plan: "Optional[Plan]") -> Error:
    if message.operation == ops.HOOK:
        return _hook_error(message)
    if message.operation in (ops.FIND_EXECUTABLE, ops.EXECUTE):
        return _program_error(message)
    plain = message.call == ops.CALL_DESTINATION and message.number in (errno.ELOOP, errno.ENOTDIR)
    if plain and message.detail in ("proc", "sysfs"):  # in runc's words, which scripts know: no symbolic link, no file
        target = message.where.partition(" (")[2][:-1]
        step = mounting(message.detail, _quiet(target))
        text = f'filesystem "{message.detail}" must be mounted on ordinary directory'
        return Error(text, location=message.where, step=step, errno=message.number, hint=_PLAIN)
    # what fails before the first step has the number after the last
    words = OPERATIONS[message.operation][1] if message.operation < len(OPERATIONS) else ""
    step, text = _known(message)
    if not step and plan is not None:
        step, text = _known_by_plan(message, plan)
    if not step:
        step, text = words, message.text
    if _by_filter(message):
        text += ", under the seccomp filter" if text else "under the seccomp filter"
    return Error(
        _quiet(text), location=message.where, step=_quiet(step), errno=message.number, hint=_hint(message), kind="host"
    )


def _by_filter(message: "Message") -> bool:
    """Whether the container's seccomp filter may have forbidden the call."""
    return message.filtered and message.number in (errno.EPERM, errno.ENOSYS)


def _hook_error(message: "Message") -> Error:
    kind, _, rest = message.where[len("hooks.") :].partition("[")  # KIND[N] (PATH), in words that scripts know
    words = f"error running {kind} hook #{rest.partition(']')[0]}"
    number = message.number if message.call == ops.CALL_HOOK_START else 0
    hint = hook_hint(kind, number)
    return Error(_quiet(message.text), location=message.where, step=words, errno=number, hint=hint, kind="hook")


_WRONG_PROGRAM = "a program of another architecture, or a script without #!"


def hook_hint(kind: str, number: int) -> str:
    """Why a hook's program could not be started, by the errno of execve."""
    if number == errno.ENOENT:
        whose = "the container's" if kind == "startContainer" else "the host's"
        return f"the path is {whose}; if the file is there, its interpreter (#!) or dynamic loader is missing"
    if number == errno.EACCES:
        return "it is no file that may be executed (chmod +x), or its mount is noexec"
    return _WRONG_PROGRAM if number == errno.ENOEXEC else ""


_PLAIN = "the image has a symbolic link or a file there: name the directory itself as destination, or repair the image"


def _quiet(text: str) -> str:
    """One line: hooks and images choose parts of it."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _program_error(message: "Message") -> Error:
    """The wording of these is what engines read an exit status of 126 or 127 out of."""
    name = message.detail
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    reason = errno_text(message.number)
    hint = ""
    if message.number == errno.ENOENT and message.operation == ops.FIND_EXECUTABLE:
        reason = f"stat {name}: {reason}" if "/" in name else "executable file not found in $PATH"
        hint = "each word is an entry of its own in process.args" if " " in name else ""
    elif message.number == errno.EISDIR:
        reason += ": permission denied"  # execve's own answer, out of which docker reads its status 126
    elif message.number == errno.ENOENT:
        hint = "the file is there: its interpreter (#!) or dynamic loader is missing; a script whose lines end in"
        hint += " CR LF asks for one whose name ends in CR"
    elif message.number == errno.EACCES:
        hint = (
            "process.user may not execute the file or enter a directory on the way (chmod +x), or its mount is noexec"
        )
    elif message.number == errno.ENOEXEC:
        hint = _WRONG_PROGRAM
    elif _by_filter(message):
        hint = "linux.seccomp forbids execve"
    return Error(f'exec: "{_quiet(quoted)}": {reason}', location=message.where, hint=hint, kind="program")


def namespaces_hint(number: int) -> str:
    """Why the kernel may have refused to make namespaces, by its errno (clone(2), unshare(2)); or nothing."""
    if number == errno.EPERM:
        return "new namespaces need root, or a user namespace among them"
    if number in (errno.ENOSPC, errno.EUSERS):
        return "a limit in /proc/sys/user, or the nesting of namespaces"
    return ""


_SYSCTL = {
    errno.ENOENT: "the kernel has no such sysctl, or what brings it (a module, a network device) is not there",
    errno.EINVAL: "the kernel does not take the value",
    errno.ERANGE: "the kernel does not take the value",
    errno.EACCES: "the kernel lets the container's user namespace read it alone",
    errno.EPERM: "the kernel lets the container's user namespace read it alone",
}
_SCHEDULER = {
    errno.EPERM: "real-time policies take CAP_SYS_NICE, on cgroup v1 also resources.cpu.realtimeRuntime; SCHED_DEADLINE"
    " takes all CPUs, so it cannot be used together with resources.cpu.cpus",
    errno.EINVAL: "a policy or flag that this kernel does not have, or values that do not fit together (sched(7))",
    errno.EOPNOTSUPP: "this kernel was built without clamping of utilization (CONFIG_UCLAMP_TASK)",
    errno.EBUSY: "the CPUs have no such bandwidth left for SCHED_DEADLINE",
}


def limit(where: str, resource: int, hard: int, number: int) -> Error:
    """The error for a limit that the kernel does not take."""
    step = f"error setting rlimits for ready process: error setting rlimit type {resource}"
    hint = ""
    if number == errno.EPERM:
        from pyoci.host import Host

        hint = limit_cause(Host(), resource, hard)
    problem = Error(step=step, location=where, errno=number, hint=hint)
    problem.by_init = True  # as runc has it, whose init sets them
    return problem


def limit_cause(host: "Host", resource: int, hard: int) -> str:
    """Why the kernel permits no such hard limit (setrlimit(2)), where it permits none."""
    most = open_files_most(host)
    if resource == kernel.RLIMIT_NOFILE and hard > most:
        return f"fs.nr_open is {most}"
    return "raising a hard limit takes CAP_SYS_RESOURCE"


def open_files_most(host: "Host") -> int:
    """fs.nr_open: above it nobody may raise RLIMIT_NOFILE."""
    most = host.read("/proc/sys/fs/nr_open") or ""
    return int(most) if most.isdigit() else 2**64


def _known(message: "Message") -> "tuple[str, str]":
    """Step and text in words that scripts know from runc; two empty ones where there are none."""
    if message.operation == ops.OPEN_NAMESPACE:  # linux.namespaces[N] (KIND).path (PATH)
        kind, _, path = message.where.partition(" (")[2].rpartition(")")[0].partition(").path (")
        if message.call == ops.CALL_OPEN:
            return f"namespace path: lstat {path}", ""
        return f"failed to setns into {kind} namespace", message.text
    if message.operation == ops.SYSCTL and message.call in (ops.CALL_OPEN, ops.CALL_WRITE):  # linux.sysctl[KEY]
        from pyoci.linux.sysctl import path_of

        doing = "open" if message.call == ops.CALL_OPEN else "write"
        return f"{doing} /proc/sys/{path_of(message.where[len('linux.sysctl[') : -1])}", ""
    if message.call == ops.CALL_CHDIR:
        return f"chdir to cwd ({message.detail}) set in config.json failed", ""
    return "", ""


def _known_by_plan(message: "Message", plan: "Plan") -> "tuple[str, str]":
    """The same, where the plan alone knows of what a step was."""
    own = [f for operation, where, f in plan.made if operation == message.operation and where == message.where]
    if len(own) != 1:  # a place of several such steps does not say which of them failed
        return "", ""
    if message.where == "process.cwd" and message.operation == ops.MAKE_DIRECTORY:
        return f"mkdir {own[0][0]!s}", "" if message.call == ops.CALL_MAKE else message.text
    if not message.where.startswith("mounts[") or message.operation not in (ops.MOUNT_NEW, ops.MOUNT_BIND):
        return "", ""
    text = message.text.replace("open source: ", "stat ", 1)
    if message.number == errno.EISDIR:
        text += ": not a directory"  # out of which docker reads that a file is to be on a directory
    return mounting(str(own[0][2 if message.operation == ops.MOUNT_NEW else 1]), str(own[0][0])), text


def mounting(source: str, destination: str) -> str:
    """What a mount is called in words that scripts know from runc."""
    return f'error mounting "{source}" to rootfs at "{destination}"'


_UNMAPPED = "the user namespace has no such id: linux.uidMappings and gidMappings say which it has"
_LOCKED = (
    "in a user namespace a mount keeps the flags that it has on the host: repeat those of its source (nosuid, nodev,"
    " noexec, ro, noatime), and clear none"
)


def _hint(message: "Message") -> str:
    if _by_filter(message):
        return _FILTERED
    if message.operation == ops.IDENTITY and message.number == errno.EINVAL:
        return _UNMAPPED
    if message.call == ops.CALL_MOUNT_FLAGS and message.number == errno.EPERM:
        return _LOCKED
    if message.operation == ops.UNSHARE:
        return namespaces_hint(message.number)
    if message.operation == ops.MAKE_DIRECTORY and message.number == errno.ENOTDIR:
        return "a file is in its place, or on the way to it"
    if message.operation == ops.MOUNT_NEW and message.detail in ("bind", "rbind", "none"):
        return 'for a bind mount "bind" or "rbind" must be among its options'
    if message.operation in (ops.MOUNT_NEW, ops.MOUNT_BIND) and message.number == errno.ENODEV:
        return "the kernel has no such filesystem, or its module is not loaded"
    if message.operation == ops.MEMORY_POLICY and message.number == errno.EINVAL:
        return "a mode or flag that this kernel does not have, or nodes outside of the cpuset's"
    if message.operation == ops.SYSCTL:
        return _SYSCTL.get(message.number, "")
    if message.operation == ops.SCHEDULER:
        return _SCHEDULER.get(message.number, "")
    return ""
