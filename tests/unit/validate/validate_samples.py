"""A config without a fault, and how to put one in."""

import copy
import json
from pathlib import Path
from typing import Any

from pyoci import validate
from pyoci.hostcheck.anyhost import everywhere

DATA = Path(__file__).resolve().parents[2] / "data"

CONFIG: "dict[str, Any]" = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "process": {"cwd": "/", "args": ["sh"], "user": {"uid": 0, "gid": 0}},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
    "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "uts", "ipc", "network")]},
}
STATE: "dict[str, Any]" = {"ociVersion": "1.3.0", "id": "c1", "status": "running", "pid": 7, "bundle": "/b"}
FEATURES: "dict[str, Any]" = {"ociVersionMin": "1.0.0", "ociVersionMax": "1.3.0"}
GONE = object()


def changed(document: "dict[str, Any]", changes: "dict[str, Any]") -> "dict[str, Any]":
    """A copy with some places set, each named as a/b/0/c; GONE removes a place, a new index appends."""
    result = copy.deepcopy(document)
    for place, value in changes.items():
        holder: Any = result
        *steps, last = place.split("/")
        for step in steps:
            holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
        value = value if value is GONE else copy.deepcopy(value)
        if value is GONE:
            del holder[int(last) if isinstance(holder, list) else last]
        elif isinstance(holder, list) and int(last) == len(holder):
            holder.append(value)
        else:
            holder[int(last) if isinstance(holder, list) else last] = value
    return result


def found(document: object, kind: str = "config") -> "list[tuple[str, str]]":
    """Code and place of every problem of a document, sorted."""
    problems = validate.report(json.dumps(document).encode(), kind, everywhere)
    return sorted((problem.code, problem.place) for problem in problems)
