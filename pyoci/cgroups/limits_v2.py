"""The limits of a container on cgroup v2: linux.resources → steps."""

import errno
import posix

from pyoci.cgroups import devices, tree
from pyoci.cgroups.compile import check_lists, check_pages, settings_for_v2
from pyoci.cgroups.host import Host, read_value
from pyoci.cgroups.settings import Section, Setting
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.plan.ops import RuntimeStep

_DEVICES = "linux.resources.devices"


class Limits:
    """What one linux.resources asks for.

    base: the tree's mount point; where: the place of the resources, for errors.
    settings and rules are set by steps() and rule_steps().
    """

    __slots__ = ("host", "rules", "settings", "warnings")

    def __init__(self, host: Host, base: str, resources: "dict[str, Any]", where: str) -> None:
        self.host = host
        controllers = set(read_value(base + "/cgroup.controllers").split())
        self.settings: "list[Setting]" = settings_for_v2(resources, where, controllers)
        check_pages(host, resources, where)
        section = Section(resources, where).section("cpu")
        if section.text("cpus") or section.text("mems"):
            effective = [read_value(f"{base}/cpuset.{name}.effective") for name in ("cpus", "mems")]
            check_lists(resources, where, *effective)
        self.warnings: "list[str]" = []
        memory = Section(resources, where).section("memory")
        if memory.integer("kernel") or memory.integer("kernelTCP"):
            self.warnings.append(f"{memory.at('kernel')} is ignored: kernels no longer limit kernel memory apart")
        self.rules = devices.parse(resources, where) + devices.default_rules()

    def steps(self, path: str) -> "list[RuntimeStep]":
        """The steps that set the limits, all but the device rules."""
        steps = [setting.step(path) for setting in self.settings]
        if steps:
            steps.append(ops.limit_again("linux.resources"))
        return steps

    def rule_steps(self, path: str) -> "list[RuntimeStep]":
        """The step that sets the device rules."""
        from pyoci.cgroups.bpf import program

        rules = self.rules
        flags = ops.DEVICES_TRY if self._may_do_without(rules) else 0
        return [ops.device_program(_DEVICES, path=path, program=program(devices.reduce(rules)), flags=flags)]

    def _may_do_without(self, rules: "list[devices.Rule]") -> bool:
        """Whether it is no error not to be permitted: never in a user namespace; there only nodes bound in exist."""
        return self.host.rootless() or devices.allows_everything(rules)


def attach(host: Host, path: str, program: bytes, tries: bool) -> None:
    """Attaches a device program in the place of those that are there. tries: it is no error not to be permitted."""
    from pyoci.cgroups.bpf_attach import replace

    fd = host.open_dir(path)
    try:
        replace(fd, program)
    except OSError as error:
        if error.errno == errno.EPERM and tries:
            return
        hint = "limiting devices with cgroup v2 needs bpf(2)"
        raise Error(location=_DEVICES, step="attach a device program", errno=error.errno or 0, hint=hint) from None
    finally:
        posix.close(fd)


def enable(host: Host, base: str, path: str, only: "Optional[set[str]]" = None) -> None:
    """Hands all controllers (or `only` these) down from `base` to the parent of `path`, which exists.

    What cannot be handed down is no error yet: only a limit that needs it is.
    """
    has = set(read_value(path + "/cgroup.controllers").split())
    for level in [base.rstrip("/"), *tree.levels(base, path)[:-1]]:
        wanted = set(read_value(level + "/cgroup.controllers").split())
        if only is not None:
            wanted &= only
        if wanted <= has:
            return  # all that is here arrives there: the levels in between hand it down already
        wanted -= set(read_value(level + "/cgroup.subtree_control").split())
        if wanted:
            _hand_down(host, level + "/cgroup.subtree_control", sorted(wanted))


def _hand_down(host: Host, file: str, wanted: "list[str]") -> None:
    try:
        host.write(None, file, " ".join("+" + name for name in wanted))
    except OSError:
        for name in wanted:  # all or none in one write: one that cannot be enabled spoils the others
            try:
                host.write(None, file, "+" + name)
            except OSError:
                pass


def delegate(host: Host, path: str, owner: int) -> None:
    """Gives a cgroup to a user, as far as the kernel says that is safe (man 7 cgroups, Cgroup delegation)."""
    try:
        names = read_value(host.sys + "/kernel/cgroup/delegate").split()
    except OSError:
        names = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
    try:
        posix.chown(path, owner, -1)
        for name in names:
            if tree.exists(f"{path}/{name}"):
                posix.chown(f"{path}/{name}", owner, -1)
    except OSError as error:
        raise Error(step=f"give cgroup {path} to uid {owner}", errno=error.errno or 0) from None
