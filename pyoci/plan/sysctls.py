"""linux.sysctl → steps; what would reach the host is refused."""

from pyoci.errors import Error
from pyoci.linux.sysctl import namespace_of, path_of, refusal
from pyoci.plan import ops
from pyoci.plan.host_names import is_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request


def compile_sysctls(request: "Request", plan: "Plan") -> None:
    """Adds linux.sysctl."""
    for key, value in request.linux["sysctl"].items():
        where = f"linux.sysctl[{key}]"
        path = path_of(key)
        kind = namespace_of(path)
        if not kind:
            raise Error(f'sysctl "{key}" is not in a separate kernel namespace', location=where)
        if not is_own(request, kind):
            hint = f"add a namespace of type {kind} to linux.namespaces"
            raise Error(refusal(key, kind), location=where, hint=hint)
        plan.add(ops.sysctl(where, path=path, value=value))
