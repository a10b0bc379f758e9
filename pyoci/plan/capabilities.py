"""process.capabilities → masks; names this kernel lacks are left out with a warning (config.md, "capabilities")."""

from pyoci.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.host import Host
    from pyoci.plan.request import Request

SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def capability_masks(request: "Request", asked: "dict[str, Any]", warnings: "list[str]") -> "dict[str, int]":
    """The five sets as bit masks.

    What cannot be granted is left out with a warning, and is no failure (config.md, "capabilities"): names this kernel
    lacks, what the runtime does not have itself; without one, ambient ones not permitted and inheritable, too.
    """
    own = request.host.permitted() if request.namespace("user") is None else 0
    unknown: "list[str]" = []
    masks = {name: _mask(asked.get(name) or [], own, request.host, unknown) for name in SETS}
    if unknown:
        names = " ".join(dict.fromkeys(unknown))
        what = f"ignoring unknown or unavailable capabilities: [{names}]"
        warnings.append(f"process.capabilities: {what}{_meant(unknown)}")
    if request.namespace("user") is None:
        _leave_out_missing(own, masks, warnings)
    # The kernel raises no other (capabilities(7)). Nothing is said of it, as by runc 1.1: buildah asks for an ambient
    # set without an inheritable one each time, and hands our warnings on to its user. `validate` tells it.
    masks["ambient"] &= masks["permitted"] & masks["inheritable"]
    return masks


def _meant(unknown: "list[str]") -> str:
    """What was probably meant by the first of the names of which that can be said, or nothing."""
    from pyoci.spelling import closest

    for name in unknown:
        whole = "CAP_" + name.upper().removeprefix("CAP_")
        meant = whole if whole in kernel.CAPABILITIES else closest(name, kernel.CAPABILITIES)
        if meant and name not in kernel.CAPABILITIES:
            return f' (did you mean "{meant}"?)'
    return ""


def _mask(names: "list[str]", own: int, host: "Host", unknown: "list[str]") -> int:
    """What the runtime has itself is known to the kernel, which need not be asked then."""
    mask = 0
    for name in names:
        bit = kernel.CAPABILITIES.get(name)
        if bit is None or not (own >> bit & 1 or bit <= host.last_capability()):
            unknown.append(name)
        else:
            mask |= 1 << bit
    return mask


def _names(mask: int) -> "list[str]":
    return [name for name, bit in kernel.CAPABILITIES.items() if mask >> bit & 1]


def _leave_out_missing(own: int, masks: "dict[str, int]", warnings: "list[str]") -> None:
    """What the runtime does not have itself it cannot give. The bounding set only shrinks: there is nothing to do."""
    missing = 0
    for name in ("effective", "permitted", "inheritable", "ambient"):
        missing |= masks[name] & ~own
        masks[name] &= own
    if missing:
        warnings.append(f"process.capabilities: the runtime does not have these itself: [{' '.join(_names(missing))}]")
