"""AppArmor profile, SELinux labels of process, keyring and mounts → steps. What this host does not have is refused."""

from pyoci.errors import Error
from pyoci.plan import ops
from pyoci.plan.namespaces import open_procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.plan.model import Plan
    from pyoci.plan.request import Request

_UNLABELED = ("proc", "sysfs", "cgroup", "cgroup2")  # these take no label but those of their files


def compile_labels(request: "Request", plan: "Plan") -> None:
    """Adds the labels that the program gets as it starts."""
    profile, label = request.process.get("apparmorProfile"), request.process.get("selinuxLabel")
    if profile:
        if not request.host.has_apparmor():
            raise Error(
                "AppArmor is not enabled on this host",
                location="process.apparmorProfile",
                hint="leave the profile out, or enable AppArmor",
                kind="missing",
            )
        # attr/exec belongs to the first of several security modules; AppArmor's own came with Linux 5.8
        file = "attr/apparmor/exec" if request.host.exists("/proc/self/attr/apparmor/exec") else "attr/exec"
        # A name with a namespace or a stack is read back in another form
        expected = "" if ":" in profile or "//" in profile else profile
        plan.add(ops.label("process.apparmorProfile", attribute=file, value=f"exec {profile}", expected=expected))
    if label:
        _check_selinux(request, "process.selinuxLabel")
        plan.add(ops.label("process.selinuxLabel", attribute="attr/exec", value=label, expected=label))


def compile_labelled_keyring(request: "Request", plan: "Plan", name: str) -> None:
    """Adds the session keyring with the process's label, which keys made in it carry."""
    label = request.process["selinuxLabel"]
    _check_selinux(request, "process.selinuxLabel")
    if not plan.has(ops.USE_ROOT):
        open_procfs(plan, "process.selinuxLabel")
    plan.add(ops.label("process.selinuxLabel", attribute="attr/keycreate", value=label, expected=label))
    plan.add(ops.keyring("", name))
    plan.add(ops.label("process.selinuxLabel", attribute="attr/keycreate", value="", expected=""))


def mount_label(request: "Request", type: str) -> "list[str]":
    """The option that gives a new filesystem's files the container's label."""
    if type in _UNLABELED:
        return []
    _check_selinux(request, "linux.mountLabel")
    return [f"context={request.linux['mountLabel']}"]


def _check_selinux(request: "Request", where: str) -> None:
    if not request.host.has_selinux():
        raise Error(
            "SELinux is not enabled on this host",
            location=where,
            hint="leave the label out, or enable SELinux",
            kind="missing",
        )
