"""Does the steps on cgroups: the deeds that v1.py, v2.py and systemd/manager.py have compiled.

A cgroup that a rootless container has to do without is forgotten by its manager; steps on it do nothing then.
"""

import posix

from pyoci.cgroups import tree
from pyoci.cgroups.settings import PARTITION, check_partition
from pyoci.errors import Error
from pyoci.fileio import read_file
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyoci.cgroups.host import Host

    Work = Any  # pyoci.container.perform's, or a stand-in of its shape


def _files(work: "Work") -> "Any":
    """The manager of files: systemd's has one inside."""
    return getattr(work.manager, "inner", work.manager)


def _make_cgroup(work: "Work", where: str, fields: "Any") -> None:
    """Makes a cgroup, and its parents. Refuses one that somebody uses."""
    path, base, parents, flags = fields
    files = _files(work)
    fresh: "list[str]" = []
    try:
        tree.make(files.host, base, path, fresh)
    except OSError as error:
        _do_without(files, work.entry.record, path, base, error.errno or 0, flags)
        return
    finally:
        work.fresh += fresh
        _note_parents(work.entry.record, path, [level for level in fresh if level != path and level not in parents])
    if path in fresh or flags & ops.CGROUP_OF_SYSTEMD:
        return
    try:
        tree.refuse_if_used(files.host, path)
    except Error:
        forget(work)
        raise


def _do_without(files: "Any", record: "dict[str, Any]", path: str, base: str, number: int, flags: int) -> None:
    """Rootless without delegation: fine for a container that asked for nothing."""
    import errno

    denied = number in (errno.EACCES, errno.EPERM, errno.EROFS) and files.host.rootless()
    if denied and flags & ops.CGROUP_OPTIONAL and not flags & ops.CGROUP_LIMITED:
        files.without(path)
        _leave_alone(record, [path], [])
        return
    from pyoci.cgroups.refusals import of_making

    hint = files.DENIED if denied else of_making(base, path, number)
    raise Error(step=f"make cgroup {path}", errno=number, location="linux.cgroupsPath", hint=hint) from None


def _note_parents(record: "dict[str, Any]", path: str, parents: "list[str]") -> None:
    """Others removed them since the plan was compiled: they are ours now."""
    for step in record.get("undo", ()) if parents else ():
        if step[0] == "remove_cgroup" and step[2][0] == path:
            step[2][1] = [*step[2][1], *parents]


def _leave_alone(record: "dict[str, Any]", paths: "list[str]", fresh: "list[str]") -> None:
    """Cgroups that are not ours are not to be removed; parents of them that we made are."""
    for step in record["undo"]:
        if step[0] == "remove_cgroup" and step[2][0] in paths:
            step[2][:] = "", [level for level in fresh if step[2][0].startswith(level + "/")]


def forget(work: "Work") -> None:
    """Cgroups turned out to be somebody else's: from now on, leave alone what we did not make ourselves."""
    files = _files(work)
    foreign = [path for path, _ in files.directories() if path not in work.fresh]
    files.forget(foreign)
    _leave_alone(work.entry.record, foreign, work.fresh)


def _fill_cpuset(work: "Work", where: str, fields: "Any") -> None:
    from pyoci.cgroups.v1 import fill_cpuset

    path, base = fields
    files = _files(work)
    if files.has(path):
        fill_cpuset(files.host, base, path, work.fresh)


def _hand_down(work: "Work", where: str, fields: "Any") -> None:
    from pyoci.cgroups.limits_v2 import enable

    path, base, controllers = fields
    files = _files(work)
    if files.has(path):
        enable(files.host, base, path, set(controllers) if controllers else None)
        work.enabled = None  # may have changed


def _cgroup_type(work: "Work", where: str, fields: "Any") -> None:
    """Below a threaded cgroup ours has to be threaded as well, where only some controllers can be."""
    from pyoci.cgroups.host import read_value

    path, flags = fields
    files = _files(work)
    if not files.has(path) or read_value(path + "/cgroup.type").strip() != "domain invalid":
        return
    if flags & ops.CGROUP_LIMITED:
        from pyoci.cgroups.refusals import threaded

        text = f'cannot enter cgroupv2 "{path}" with domain controllers -- it is in an invalid state'
        hint = f"{threaded(files.base, path) or 'a parent of it'} is threaded: only pids can be limited below it"
        raise Error(text, location="linux.cgroupsPath", hint=hint, kind="host")
    files.write("cgroup.type", "threaded")


def _limit(work: "Work", where: str, fields: "Any") -> None:
    """Writes the first of some files that is there.

    The kernel holds neighbours against each other (memory limit and memory+swap limit, quota and burst, quota and
    period), and which of the two must go first depends on the values before. What it refuses with EINVAL or EBUSY is
    therefore tried once more when the others are written (LIMIT_AGAIN).
    """
    path, choices, controller, flags = fields
    files = _files(work)
    if not files.has(path):
        if flags:
            return
        raise files.no_cgroup(controller)
    if files.VERSION == 2 and controller and not flags and not _is_enabled(work, path, controller):
        from pyoci.cgroups.refusals import not_enabled

        raise not_enabled(files.host, files.base, path, choices[0], controller, where)
    if choices[0] == PARTITION:  # whether it holds depends on its neighbours
        work.refused.append((where, path, choices, flags))
        return
    try:
        _write_first(files.host, path, choices, flags)
    except OSError as error:
        import errno

        if error.errno in (errno.EINVAL, errno.EBUSY):
            work.refused.append((where, path, choices, flags))
        elif not flags & ops.LIMIT_TRY:
            raise _refused(path, choices, where, error.errno or 0) from None


def _is_enabled(work: "Work", path: str, controller: str) -> bool:
    """Whether the cgroup of v2 has a controller."""
    if work.enabled is None:
        from pyoci.cgroups.host import read_value

        work.enabled = set(read_value(path + "/cgroup.controllers").split())
    return controller in work.enabled


def _limit_again(work: "Work", where: str, fields: "Any") -> None:
    host = _files(work).host
    for place, path, choices, flags in work.refused:
        try:
            _write_first(host, path, choices, flags)
        except OSError as error:
            if not flags & ops.LIMIT_TRY:
                raise _refused(path, choices, place, error.errno or 0) from None
        if choices[0] == PARTITION and not flags & ops.LIMIT_TRY:
            check_partition(read_file(f"{path}/{PARTITION}"), choices[1], place)
    work.refused = []


def _write_first(host: "Host", path: str, choices: "tuple[str, ...]", flags: int) -> None:
    """choices: a file's name and a value, the next one's name and value, and so on."""
    for at in range(0, len(choices), 2):
        try:
            host.write(None, f"{path}/{choices[at]}", choices[at + 1])
        except FileNotFoundError:
            continue
        return
    if not flags & ops.LIMIT_IDLE:
        import errno

        raise FileNotFoundError(errno.ENOENT, "")


def _refused(path: str, choices: "tuple[str, ...]", where: str, number: int) -> Error:
    from pyoci.cgroups.settings import explain

    return explain(path, choices, where, number)


def _delegate(work: "Work", where: str, fields: "Any") -> None:
    from pyoci.cgroups.limits_v2 import delegate

    path, uid = fields
    files = _files(work)
    if files.has(path):
        delegate(files.host, path, uid)


def _device_rules(work: "Work", where: str, fields: "Any") -> None:
    """Writes device rules of v1: a file's name and a value, and so on."""
    path, writes = fields
    files = _files(work)
    if not files.has(path):
        return
    host, opened = files.host, {}
    try:
        for at in range(0, len(writes), 2):
            file = writes[at]
            try:
                if file not in opened:
                    opened[file] = host.open_file(f"{path}/{file}")
                host.put(opened[file], writes[at + 1])
            except OSError as error:
                raise_unless_confined(host, file, writes[at + 1], where, error.errno or 0)
                return
    finally:
        for fd in opened.values():
            posix.close(fd)


def raise_unless_confined(host: "Host", file: str, value: str, where: str, number: int) -> None:
    """Device rules are never permitted in a user namespace: there the outer container's hold."""
    import errno

    if number == errno.EPERM and host.in_user_namespace():
        return
    hint = "the parent cgroup does not allow it" if number == errno.EPERM else ""
    raise Error(location=where, step=f"write {value!r} to {file}", errno=number, hint=hint) from None


def _device_program(work: "Work", where: str, fields: "Any") -> None:
    from pyoci.cgroups.limits_v2 import attach

    path, program, flags = fields
    files = _files(work)
    if files.has(path):
        attach(files.host, path, program, bool(flags & ops.DEVICES_TRY))


def _start_unit(work: "Work", where: str, fields: "Any") -> None:
    _, _, _, properties = fields
    work.manager.start(work, properties)


def _change_unit(work: "Work", where: str, fields: "Any") -> None:
    _, _, properties = fields
    work.manager.set_properties(properties)


def _freeze(work: "Work", where: str, fields: "Any") -> None:
    work.manager.freeze()


def _thaw(work: "Work", where: str, fields: "Any") -> None:
    work.manager.thaw()


DOES = {
    ops.MAKE_CGROUP: _make_cgroup,
    ops.FILL_CPUSET: _fill_cpuset,
    ops.HAND_DOWN: _hand_down,
    ops.CGROUP_TYPE: _cgroup_type,
    ops.LIMIT: _limit,
    ops.LIMIT_AGAIN: _limit_again,
    ops.DELEGATE_CGROUP: _delegate,
    ops.DEVICE_RULES: _device_rules,
    ops.DEVICE_PROGRAM: _device_program,
    ops.START_UNIT: _start_unit,
    ops.CHANGE_UNIT: _change_unit,
    ops.FREEZE: _freeze,
    ops.THAW: _thaw,
}
