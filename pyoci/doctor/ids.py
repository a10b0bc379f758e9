"""Ranges of ids: who may map more than one's own."""

from __future__ import annotations

import pwd
from collections.abc import Iterator

from pyoci.doctor.check import Check, tried
from pyoci.doctor.kernel import userns_cure
from pyoci.doctor.trial import Json, Trial, own_ids
from pyoci.errors import Error
from pyoci.host import Host

_SIZE = 65536  # of a range, as useradd(8) grants it


def checks(host: Host, trial: Trial) -> Iterator[Check]:
    """What is asked about mappings."""
    if not host.confined():
        yield Check("ids", "ranges", True, "root maps any ids")
        return
    name = _name(host.euid)
    for helper, file in (("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid")):
        path = host.helper(helper)
        yield Check("ids", helper, path is not None, path or "not installed", cure="install it (Debian: uidmap)")
        found = _range(host, file, name, host.euid)
        detail = f"{found[1]} ids from {found[0]}" if found else f"{file} grants {name} nothing"
        flag = "uids" if helper == "newuidmap" else "gids"
        first = _free(host, file)
        cure = f"usermod --add-sub{flag} {first}-{first + _SIZE - 1} {name}"
        yield Check("ids", file, found is not None, detail, cure=cure)
    cure = userns_cure(host) or "see the lines above"
    yield tried("ids", "a container with ranges", lambda: _mapped(host, trial, name), cure=cure)


def _mapped(host: Host, trial: Trial, name: str) -> str:
    ids = own_ids(host.euid, host.egid)
    for key, file in (("uidMappings", "/etc/subuid"), ("gidMappings", "/etc/subgid")):
        found = _range(host, file, name, host.euid)
        if found is None:
            raise Error(f"{file} grants {name} nothing", kind="missing")
        mappings: list[Json] = ids[key]
        mappings.append({"containerID": 1, "hostID": found[0], "size": found[1]})
    trial.create(ids=ids)
    return "created"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _granted(host: Host, file: str) -> Iterator[tuple[str, int, int]]:
    """Owner, first id and number of each range (subuid(5))."""
    for line in (host.read(file) or "").split("\n"):
        fields = line.split(":")
        if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
            yield fields[0], int(fields[1]), int(fields[2])


def _range(host: Host, file: str, name: str, uid: int) -> tuple[int, int] | None:
    """First id and number of the first range that a user is granted."""
    return next(((first, size) for who, first, size in _granted(host, file) if who in (name, str(uid))), None)


def _free(host: Host, file: str) -> int:
    """Where a range may begin that nobody has any id of, as useradd(8) chooses it."""
    return max([100000, *(first + size for _, first, size in _granted(host, file))])
