"""process.scheduler, process.ioPriority, linux.personality → steps."""

from pyoci.errors import Error
from pyoci.linux import kernel
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

_SCHED_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": kernel.SCHED_FLAG_RESET_ON_FORK,
    "SCHED_FLAG_RECLAIM": kernel.SCHED_FLAG_RECLAIM,
    "SCHED_FLAG_DL_OVERRUN": kernel.SCHED_FLAG_DL_OVERRUN,
    "SCHED_FLAG_KEEP_POLICY": kernel.SCHED_FLAG_KEEP_POLICY,
    "SCHED_FLAG_KEEP_PARAMS": kernel.SCHED_FLAG_KEEP_PARAMS,
    "SCHED_FLAG_UTIL_CLAMP_MIN": kernel.SCHED_FLAG_UTIL_CLAMP_MIN,
    "SCHED_FLAG_UTIL_CLAMP_MAX": kernel.SCHED_FLAG_UTIL_CLAMP_MAX,
}
_IO_CLASSES = {
    "IOPRIO_CLASS_RT": kernel.IOPRIO_CLASS_RT,
    "IOPRIO_CLASS_BE": kernel.IOPRIO_CLASS_BE,
    "IOPRIO_CLASS_IDLE": kernel.IOPRIO_CLASS_IDLE,
}


def compile_scheduling(request: "Request", plan: "Plan") -> None:
    """Adds what the config has of the three.

    Errors: Error when a personality is unknown.
    """
    process = request.process
    if process.get("scheduler"):
        _scheduler(process["scheduler"], plan)
    if process.get("ioPriority"):
        io = process["ioPriority"]
        value = _IO_CLASSES[io["class"]] << kernel.IOPRIO_CLASS_SHIFT | (io.get("priority") or 0)
        plan.add(ops.io_priority("process.ioPriority", value))
    if request.linux.get("personality"):
        _personality(request.linux["personality"], plan)


def _scheduler(scheduler: "dict[str, Any]", plan: "Plan") -> None:
    flags = 0
    for name in scheduler.get("flags") or ():
        flags |= _SCHED_FLAGS[name]
    plan.add(
        ops.scheduler(
            "process.scheduler",
            policy=getattr(kernel, scheduler["policy"]),
            nice=scheduler.get("nice") or 0,
            priority=scheduler.get("priority") or 0,
            flags=flags,
            runtime=scheduler.get("runtime") or 0,
            deadline=scheduler.get("deadline") or 0,
            period=scheduler.get("period") or 0,
        )
    )


def _personality(personality: "dict[str, Any]", plan: "Plan") -> None:
    domain = {"LINUX": kernel.PER_LINUX, "LINUX32": kernel.PER_LINUX32}.get(personality["domain"])
    if domain is None:
        raise Error(f"unknown domain {personality['domain']!r}", location="linux.personality.domain")
    if personality.get("flags"):
        raise Error("no flag is defined for it yet", location="linux.personality.flags")
    plan.add(ops.personality("linux.personality", domain))
