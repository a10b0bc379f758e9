"""linux.intelRdt → the class of service that the runtime puts the process into; pyoci/resctrl.py does it."""

from pyoci import resctrl
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request


def compile_intel_rdt(request: "Request", plan: "Plan") -> None:
    """Adds it. Errors: Error when there is no resctrl, or it has not what is asked for."""
    path = request.host.resctrl()
    if not path:
        hint = "mount -t resctrl resctrl /sys/fs/resctrl, on a machine that has Intel RDT"
        raise Error("Intel RDT: no resctrl filesystem is mounted", location="linux.intelRdt", hint=hint, kind="missing")
    wish = resctrl.Wish(request.linux["intelRdt"], request.container)
    resctrl.check(resctrl.Tree(path), wish)
    plan.parent.append(
        ops.resctrl(
            "linux.intelRdt", tree=path, group=wish.group, named=int(wish.named), monitor=wish.monitor, lines=wish.lines
        )
    )
    plan.undo.append(ops.leave_resctrl("linux.intelRdt"))
