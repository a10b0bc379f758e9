"""process → the steps that turn init into the user's process: one piece of code for `create` and for `exec`."""

import sys

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.plan import ops
from pyoci.plan.capabilities import capability_masks
from pyoci.validate.musts import variable_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

_MOST_CPUS = 8192  # what kernels are configured for at most
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOTIFY_DIRECTORY = "/run/notify"


def limits(request: "Request", plan: "Plan", files: int) -> None:
    """What the runtime sets from outside while init waits: in a user namespace init could not raise it any more. Limits
    come last, since they are the user's and must not hinder the setup.

    files: how many init needs for what comes after that
    """
    process = request.process
    adjust = process.get("oomScoreAdj")
    if adjust is not None:
        plan.parent.append(ops.oom_score_adj("process.oomScoreAdj", adjust))
    for index, limit in enumerate(process.get("rlimits") or []):
        name = limit["type"]
        where = f"process.rlimits[{index}] ({name})"
        number = getattr(kernel, name, None)
        if number is None:
            raise Error(f"wrong rlimit value: {name}", location=where)
        if name == "RLIMIT_NOFILE" and limit["soft"] < files:
            text = f"with {limit['soft']} files the program cannot be started"
            raise Error(text, location=where, hint=f"it takes {files}")
        plan.last.append(ops.rlimit(where, number=number, soft=limit["soft"], hard=limit["hard"]))


def affinity(plan: "Plan", cpus: str, where: str) -> None:
    """Adds the CPUs to run on; "" for all that the cgroup allows, whatever the caller was bound to.

    cpus: a list such as `0-3,7`
    Errors: Error when it is no such list.
    """
    mask = 0
    if cpus:
        from pyoci.linux.number_list import parse

        mask = parse(cpus, where, "CPUs") & (1 << _MOST_CPUS) - 1
        if not mask:
            raise Error(f"no kernel has CPUs {cpus}", location=where, kind="missing")
    plan.add(ops.affinity(where, (mask or (1 << _MOST_CPUS) - 1).to_bytes(_MOST_CPUS // 8, "little")))


def keyring(request: "Request", plan: "Plan") -> None:
    """Adds the session keyring."""
    if request.no_new_keyring:
        return
    if request.process.get("selinuxLabel"):
        from pyoci.plan.labels import compile_labelled_keyring

        compile_labelled_keyring(request, plan, keyring_name(request))
    else:
        plan.add(ops.keyring("", keyring_name(request)))


def keyring_name(request: "Request") -> str:
    """What runc calls it."""
    return f"_ses.{request.container}"


def attributes(request: "Request", plan: "Plan") -> None:
    """Adds no_new_privs, scheduler, I/O priority, personality and memory policy: kept through hooks and exec."""
    process = request.process
    if process.get("noNewPrivileges"):
        plan.add(ops.no_new_privileges("process.noNewPrivileges"))
    if process.get("scheduler") or process.get("ioPriority") or request.linux.get("personality"):
        from pyoci.plan.scheduling import compile_scheduling

        compile_scheduling(request, plan)
    if request.linux.get("memoryPolicy"):
        from pyoci.plan.memory_policy import compile_memory_policy

        compile_memory_policy(request, plan)


def streams(request: "Request", plan: "Plan", flags: int) -> None:
    """Adds the terminal, or hands the caller's streams to the user. flags: ops.CONSOLE_DEVICE or 0."""
    process = request.process
    uid = _user(request)["uid"]
    if process.get("terminal"):
        size = process.get("consoleSize") or {}
        plan.add(
            ops.console(
                "process.terminal", columns=size.get("width") or 0, rows=size.get("height") or 0, uid=uid, flags=flags
            )
        )
    else:
        plan.add(ops.stdio("process.user", -1 if request.keep_owner else uid))


def find(request: "Request", plan: "Plan") -> "dict[str, int]":
    """Adds the working directory and the look-up of the program, as the user it will run as, with the capabilities that
    it will be executed with. Returns the capability sets."""
    process, user = request.process, _user(request)
    plan.add(ops.enter_cwd("process.cwd", path=process["cwd"], flags=ops.CWD_TRY))
    names = _environment(process)
    if not names.get("HOME"):
        plan.add(ops.find_home("process.user", user["uid"]))
    path = tuple(names.get("PATH", DEFAULT_PATH).split(":"))
    groups = _groups(user)
    masks = capability_masks(request, process.get("capabilities") or {}, plan.warnings)  # what nobody asked for: none
    if request.supervised == "nobody":
        return masks
    plan.add(
        ops.find_executable(
            "process.args[0]",
            name=process["args"][0],
            search=path,
            uid=user["uid"],
            gid=user["gid"],
            groups=groups,
            capabilities=masks["effective"],
        )
    )
    return masks


def become(request: "Request", plan: "Plan", masks: "dict[str, int]") -> None:
    """Adds label, identity, capabilities, filter: what makes init the user. The order is the kernel's: a step takes
    away what the next ones no longer need (credentials(7), capabilities(7)).

    masks: the capability sets, as find() has returned them
    """
    process, user = request.process, _user(request)
    _check_ids(user)
    if process.get("apparmorProfile") or process.get("selinuxLabel"):
        from pyoci.plan.labels import compile_labels

        compile_labels(request, plan)
    umask = user.get("umask")
    plan.add(ops.umask("process.user.umask", 0o022 if umask is None else umask))
    hooks = plan.has(ops.AWAIT_START) and (request.config.get("hooks") or {}).get("startContainer")
    plan.add(ops.close_files("", keep=plan.keep, listener=1 if hooks else 0))
    # Without no_new_privs only root may load a filter, so before it stops being root; with it, as late as can be:
    # then the filter has to allow the least of what we do ourselves
    late = bool(process.get("noNewPrivileges"))
    if not late:
        _seccomp(request, plan)
    plan.add(ops.bounding("process.capabilities.bounding", masks["bounding"]))
    plan.add(
        ops.identity(
            "process.user", uid=user["uid"], gid=user["gid"], groups=_groups(user), flags=_identity_flags(request, user)
        )
    )
    plan.add(ops.enter_cwd("process.cwd", path=process["cwd"], flags=0))
    plan.add(
        ops.capabilities(
            "process.capabilities",
            effective=masks["effective"],
            permitted=masks["permitted"],
            inheritable=masks["inheritable"],
            ambient=masks["ambient"],
        )
    )
    if late:
        _seccomp(request, plan)


def execute(request: "Request", plan: "Plan") -> None:
    """Adds the end: the program."""
    process = request.process
    if request.supervised:
        if not (request.has_new("pid") and plan.keep):
            raise Error("a supervised process takes a new pid namespace, and a descriptor", location="linux.namespaces")
        plan.add(ops.supervise("", fd=2 + plan.keep, program=1 if request.supervised == "program" else 0))
    if request.supervised != "nobody":
        plan.add(ops.execute("process.args", args=tuple(process["args"]), env=tuple(environment(request))))


def _seccomp(request: "Request", plan: "Plan") -> None:
    if request.linux.get("seccomp"):
        from pyoci.plan.seccomp import compile_seccomp

        compile_seccomp(request, plan)


def environment(request: "Request") -> "list[str]":
    """The process's environment: the config's, the last of equal names, and what descriptors handed on are announced
    with. HOME is added by init, which alone may read the image."""
    names = _environment(request.process)
    if not names.get("HOME"):
        names.pop("HOME", None)
    if request.listen_fds:
        names["LISTEN_FDS"], names["LISTEN_PID"] = str(request.listen_fds), "1"
        if request.listen_fdnames:
            names["LISTEN_FDNAMES"] = request.listen_fdnames
    if request.notify:
        names["NOTIFY_SOCKET"] = f"{NOTIFY_DIRECTORY}/notify.sock"
    return [f"{name}={value}" for name, value in names.items()]


def _environment(process: "dict[str, Any]") -> "dict[str, str]":
    names: "dict[str, str]" = {}
    for index, entry in enumerate(process.get("env") or []):
        problem = variable_problem(entry)
        if problem:
            raise Error(problem, location=f"process.env[{index}]")
        name, _, value = entry.partition("=")
        names[name] = value
    return names


def _user(request: "Request") -> "dict[str, Any]":
    user = request.process.get("user") or {}
    return {"uid": user.get("uid") or 0, "gid": user.get("gid") or 0, **user}


def _check_ids(user: "dict[str, Any]") -> None:
    """(uid_t)-1 is how one says `unchanged` to the kernel: asked for, it would leave root."""
    for key in ("uid", "gid", "additionalGids"):
        value = user.get(key) or 0
        if 2**32 - 1 in (value if type(value) is list else (value,)):
            raise Error(f"{2**32 - 1} is not an id", location=f"process.user.{key}", hint=f"the highest is {2**32 - 2}")


def _identity_flags(request: "Request", user: "dict[str, Any]") -> int:
    """A user namespace that somebody made for his own id alone has no supplementary groups but those he brought."""
    if not _lacks_groups(request):
        return 0
    if user.get("additionalGids"):
        raise Error(
            "supplementary groups cannot be set where only one's own group is mapped",
            location="process.user.additionalGids",
            hint="map the groups with newgidmap (/etc/subgid), or leave them out",
        )
    return ops.IDENTITY_NO_GROUPS


def _lacks_groups(request: "Request") -> bool:
    """Whether setgroups(2) is given up for good in the container's user namespace."""
    if request.host.euid == 0:
        return request.host.read("/proc/self/setgroups") == "deny"
    from pyoci.plan.id_maps import is_own

    return request.has_new("user") and is_own(request, "gidMappings")


def _groups(user: "dict[str, Any]") -> bytes:
    return b"".join([group.to_bytes(4, sys.byteorder) for group in user.get("additionalGids") or ()])
