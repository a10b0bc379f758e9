"""null in the place of a property: programs written in Go produce it for what is not set, and read it as absent."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from pyoci.validate.musts import Path

# Objects whose members have names of the user's: there, null is a value, and a wrong one
MAPS = {"annotations", "netDevices", "rdma", "sysctl", "unified"}


def drop(document: "Any", places: "Optional[list[Path]]" = None) -> bool:
    """Takes away every property whose value is null, wherever it stands; tells whether there was one.

    places: gets the path of each
    """
    found = False
    rest: "list[tuple[Path, Any]]" = [((), document)]
    while rest:
        path, value = rest.pop()
        if isinstance(value, list):
            rest += [((*path, number), item) for number, item in enumerate(value) if isinstance(item, (dict, list))]
        if not isinstance(value, dict):
            continue
        for name in [name for name, item in value.items() if item is None and path[-1:] not in _OF_MAPS]:
            del value[name]
            found = True
            if places is not None:
                places.append((*path, name))
        rest += [((*path, name), item) for name, item in value.items() if isinstance(item, (dict, list))]
    return found


_OF_MAPS = {(name,) for name in MAPS}
