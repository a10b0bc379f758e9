"""What a container is known by when state.json is damaged: for `delete --force`, which must lose no process."""

import posix

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.container.state import Entry


def recover(entry: "Entry", problem: Error) -> "dict[str, Any]":
    """The record in the copy of state.json; that it was needed is said on standard error.

    problem: why state.json itself cannot be read
    Errors: Error when the copy cannot be, either, or they are of another version.
    """
    if problem.kind == "version":  # it may say what this one cannot know
        raise problem
    try:
        record = entry.read_copy()
    except Error as refusal:
        record = None
        problem.text += f"; nor can its copy be read: {refusal}"
    if record is None:
        problem.hint = (
            f"its process may live, so nothing was removed; {entry.path}/config.json names its cgroup: end what is in "
            f"there, then remove {entry.path}"
        )
        raise problem
    text = f"warning: {problem}: going by its copy\n"
    posix.write(2, text.encode("utf-8", "replace"))
    return record


def undo_of(entry: "Entry") -> "list[list[Any]]":
    """What takes back a container of a pyoci that did not write it down: the same list."""
    cgroup = entry.record["cgroup"]
    own = [*cgroup["cgroup_paths"].values(), *([cgroup["unified"]] if cgroup.get("unified") else [])]
    made = [path for path in cgroup.get("made") or [] if path not in own]
    steps = _poststop(entry)
    for path in dict.fromkeys(own):
        parents = [above for above in made if path.startswith(above + "/")]
        steps.append(["remove_cgroup", "linux.cgroupsPath", [path, parents]])
    if cgroup["driver"] == "systemd":
        steps.append(["stop_unit", "linux.cgroupsPath", [cgroup["unit"], int(cgroup["user"])]])
    return [
        *steps,
        ["release_root", "root.path", []],
        ["leave_resctrl", "linux.intelRdt", []],
        ["return_devices", "linux.netDevices", []],
    ]


def poststart_of(entry: "Entry") -> "list[list[Any]]":
    """The poststart hooks of a container of a pyoci that did not write them down."""
    from pyoci.plan.hooks import runtime_hooks

    return [["runtime_hook", where, [*fields]] for _, where, fields in runtime_hooks(entry.config(), "poststart")]


def _poststop(entry: "Entry") -> "list[list[Any]]":
    if "poststop" not in entry.record["hooks"]:
        return []
    from pyoci.plan.hooks import runtime_hooks

    try:
        hooks = runtime_hooks(entry.config(), "poststop")
    except Error as lost:  # that is no reason to keep what the container made
        posix.write(2, f"warning: {lost}\n".encode("utf-8", "replace"))
        return []
    return [["runtime_hook", where, [*fields]] for _, where, fields in reversed(hooks)]
