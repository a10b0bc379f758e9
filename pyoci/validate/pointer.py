"""How a place in a document is written: mounts[3].destination for people, /mounts/3/destination for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyoci.json.document import dump

if TYPE_CHECKING:
    from pyoci.validate.musts import Path


def dotted(path: Path) -> str:
    """mounts[3].destination, linux.sysctl["net.ipv4.ip_forward"]; nothing for the whole document."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and step.replace("_", "a").replace("-", "a").isalnum():
            text += f".{step}" if text else step
        else:
            text += f"[{dump(step)}]"
    return text


def json_pointer(path: Path) -> str:
    """RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
