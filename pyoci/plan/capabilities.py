"""process.capabilities → masks; names this kernel lacks are left out with a warning (config.md, "capabilities")."""

from pyoci import kernel
from pyoci.errors import Error
from pyoci.plan.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def capability_masks(request: Request, asked: "dict[str, Any]", warnings: "list[str]") -> "dict[str, int]":
    """The five sets as bit masks.

    Ambient capabilities that are not permitted and inheritable too are left out with a warning: what cannot be
    granted shall not fail (config.md, "capabilities"). Errors: Error when a set holds what the runtime has not itself.
    """
    last = request.host.last_capability()
    unknown: "list[str]" = []
    masks = {name: _mask(asked.get(name) or [], last, unknown) for name in SETS}
    if unknown:
        names = " ".join(dict.fromkeys(unknown))
        warnings.append(f"process.capabilities: ignoring unknown or unavailable capabilities: [{names}]")
    # the kernel raises no other (capabilities(7)); buildah asks for an ambient set and names no inheritable one
    refused = masks["ambient"] & ~(masks["permitted"] & masks["inheritable"])
    if refused:
        names = " ".join(_names(refused))
        warnings.append(f"process.capabilities.ambient: left out, being not permitted and inheritable: [{names}]")
        masks["ambient"] &= ~refused
    if request.namespace("user") is None:
        _check_own(request, masks)
    return masks


def _mask(names: "list[str]", last: int, unknown: "list[str]") -> int:
    mask = 0
    for name in names:
        bit = kernel.CAPABILITIES.get(name)
        if bit is None or bit > last:
            unknown.append(name)
        else:
            mask |= 1 << bit
    return mask


def _names(mask: int) -> "list[str]":
    return [name for name, bit in kernel.CAPABILITIES.items() if mask >> bit & 1]


def _check_own(request: Request, masks: "dict[str, int]") -> None:
    """capset would answer no more than EPERM. The bounding set can only shrink: what is missing there is missing."""
    own = request.host.permitted()
    for name in ("effective", "permitted", "inheritable", "ambient"):
        missing = masks[name] & ~own
        if missing:
            raise Error(
                f"the runtime does not have {', '.join(_names(missing))} itself",
                location=f"process.capabilities.{name}",
                hint="give pyoci more capabilities, or leave these out",
            )
