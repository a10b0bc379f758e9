"""`exec --cgroup`: a path below the container's own cgroup, walked name by name so that it cannot leave it."""

import posix

from pyoci.cgroups.host import Host
from pyoci.errors import Error


def parse(values: "list[str]") -> "dict[str, str]":
    """The option's values, each ``path`` or ``controller[,controller]:path``, as controller ("" for all) to path."""
    found: "dict[str, str]" = {}
    for value in values:
        controllers, colon, path = value.rpartition(":")
        if colon and not controllers:
            raise Error(f"invalid value {value!r}, expected [controllers:]path", step="--cgroup", kind="refused")
        for controller in controllers.split(","):
            if controller in found:
                raise Error(
                    f"more than one path for {controller or 'all controllers'!r}", step="--cgroup", kind="refused"
                )
            found[controller] = path
    return found


def leaf_in(host: Host, path: str, below: str) -> int:
    """A descriptor of the cgroup `below` `path`; the caller closes it. Refuses what leads out of `path`."""
    fd = host.open_dir(path)
    for name in below.split("/"):
        if name in ("", "."):
            continue
        if name == "..":
            posix.close(fd)
            raise Error(
                f"{below} is not a sub cgroup path: it leaves the container's cgroup", step="--cgroup", kind="refused"
            )
        try:
            inner = host.open_dir(name, fd)
        except OSError as error:
            hint = "--cgroup names one below the container's own, which must be there"
            place = f"{path}/{below.strip('/')}/cgroup.procs"  # as runc says it, though no file was tried
            raise Error(f"open {place}", step="can't open cgroup", errno=error.errno or 0, hint=hint) from None
        finally:
            posix.close(fd)
        fd = inner
    return fd
