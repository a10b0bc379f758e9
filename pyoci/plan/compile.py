"""config → plan: the order of everything that is done to make a container's first process.

Looks at the host, changes nothing. The order is explained in docs/design.md, "The order of steps".
"""

from pyoci.linux import kernel
from pyoci.plan import ops, process, rootfs
from pyoci.plan.devices import compile_devices
from pyoci.plan.host_names import compile_names
from pyoci.plan.model import Plan
from pyoci.plan.mount_sources import insert_step, take
from pyoci.plan.mounts import compile_mounts, finish_mounts, make_unbindable
from pyoci.plan.namespaces import begin_namespaces, enter_at_birth, enter_own_cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.request import Request


def compile_create(request: "Request", hook_env: "list[str]") -> Plan:
    """The plan of a container's first process.

    hook_env: environment of container hooks that bring none
    Errors: Error when the config asks for what this host or pyoci cannot do.
    """
    plan = Plan()
    plan.keep = request.listen_fds + request.keep
    process.limits(request, plan, 4 + plan.keep)  # one for the call of `start`
    _namespaces(request, plan)
    _network(request, plan)
    if request.linux.get("intelRdt") is not None:
        from pyoci.plan.intel_rdt import compile_intel_rdt

        compile_intel_rdt(request, plan)
    process.affinity(plan, "", "")
    process.keyring(request, plan)
    begin = len(plan.made)
    rootfs.open_root(request, plan)
    mounts = compile_mounts(request, plan)
    _notify(request, plan)
    insert_step(plan, begin)
    compile_devices(request, mounts, plan)
    hooks = request.config.get("hooks") or {}
    if hooks.get("prestart") or hooks.get("createRuntime"):
        plan.add(ops.sync("hooks", ops.SYNC_HOOKS))
    if hooks.get("createContainer"):
        _hooks(request, plan, "createContainer", "creating", request.bundle, hook_env)
    plan.add(ops.make_directory("process.cwd", path=request.process["cwd"], mode=0o755))
    device = ops.CONSOLE_DEVICE if request.namespace("mount") else 0
    process.streams(request, plan, device)
    finish_mounts(mounts, plan)
    compile_names(request, plan)
    if request.linux.get("sysctl"):
        from pyoci.plan.sysctls import compile_sysctls

        compile_sysctls(request, plan)
    rootfs.protect(request, plan)
    make_unbindable(mounts, plan)
    rootfs.hold_mounts(plan)
    rootfs.switch_root(request, plan)
    process.attributes(request, plan)
    masks = process.find(request, plan)
    plan.add(ops.await_start(""))
    process.become(request, plan, masks)
    if hooks.get("startContainer"):  # the image's programs: with what its own has, and no more
        _hooks(request, plan, "startContainer", "created", "/", hook_env)
    process.execute(request, plan)
    return plan


def _namespaces(request: "Request", plan: Plan) -> None:
    """From birth to the point where init is in all its namespaces."""
    spaces = begin_namespaces(request, plan)
    if spaces.needs_stages():
        from pyoci.plan.stages import enter_by_stages

        enter_by_stages(request, spaces, plan)
    else:
        enter_at_birth(request, spaces, plan)
    enter_own_cgroup(spaces, plan)


def _network(request: "Request", plan: Plan) -> None:
    if request.linux.get("netDevices"):
        from pyoci.plan.net_devices import compile_net_devices

        compile_net_devices(request, plan)


def _hooks(request: "Request", plan: Plan, kind: str, status: str, cwd: str, env: "list[str]") -> None:
    from pyoci.plan.hooks import container_hooks

    container_hooks(request, plan, kind, status, cwd, env)


def _notify(request: "Request", plan: Plan) -> None:
    """The directory of the socket that stands in for the caller's NOTIFY_SOCKET."""
    if request.notify:
        attributes = kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID
        plan.add(
            ops.mount_bind(
                "NOTIFY_SOCKET",
                destination=process.NOTIFY_DIRECTORY,
                source=request.notify,
                set=attributes,
                clear=0,
                recursive_set=0,
                recursive_clear=0,
                propagation=kernel.MS_PRIVATE,
                flags=0,
                taken=take(request, plan, request.notify, "NOTIFY_SOCKET", 0),
            )
        )
