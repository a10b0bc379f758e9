"""The mount options of config.json (the spec's table in config.md, "Linux mount options") → attributes of a mount."""

from pyoci.linux import kernel
from pyoci.linux.names import PROPAGATION

_RDONLY, _NOSUID, _NODEV = kernel.MOUNT_ATTR_RDONLY, kernel.MOUNT_ATTR_NOSUID, kernel.MOUNT_ATTR_NODEV
_NOEXEC, _NODIRATIME = kernel.MOUNT_ATTR_NOEXEC, kernel.MOUNT_ATTR_NODIRATIME
_NOSYMFOLLOW, _ATIME = kernel.MOUNT_ATTR_NOSYMFOLLOW, kernel.MOUNT_ATTR__ATIME

# option: (set, clear). The access time is not a bit but a field: to set it, all of it is cleared first.
ATTRIBUTES = {
    "ro": (_RDONLY, 0),
    "rw": (0, _RDONLY),
    "nosuid": (_NOSUID, 0),
    "suid": (0, _NOSUID),
    "nodev": (_NODEV, 0),
    "dev": (0, _NODEV),
    "noexec": (_NOEXEC, 0),
    "exec": (0, _NOEXEC),
    "nodiratime": (_NODIRATIME, 0),
    "diratime": (0, _NODIRATIME),
    "nosymfollow": (_NOSYMFOLLOW, 0),
    "symfollow": (0, _NOSYMFOLLOW),
    "noatime": (kernel.MOUNT_ATTR_NOATIME, _ATIME),
    "atime": (0, _ATIME),
    "strictatime": (kernel.MOUNT_ATTR_STRICTATIME, _ATIME),
    "nostrictatime": (0, _ATIME),
    "relatime": (0, _ATIME),
    "norelatime": (0, _ATIME),
}
# Of the filesystem as a whole: the kernel takes them by name when a filesystem is made, and a bind mount has no say
SUPERBLOCK = frozenset(("sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime"))
# Accepted, and nothing is to be done: defaults, and flags that only filesystem drivers ever looked at
IGNORED = frozenset(("defaults", "silent", "loud", "iversion", "noiversion", "acl", "noacl"))
ID_MAPPED = frozenset(("idmap", "ridmap"))


def all_options() -> "list[str]":
    """Every option that is understood, for `pyoci features`."""
    names = set(ATTRIBUTES) | set(PROPAGATION) | SUPERBLOCK | (IGNORED - {"acl", "noacl"})
    names |= {"r" + name for name in ATTRIBUTES} | {"r" + name for name in PROPAGATION}
    return sorted(names | ID_MAPPED | {"bind", "rbind", "remount", "tmpcopyup"})


class Options:
    """The options of one mount, sorted by what they concern.

    set, clear:                      attributes of the mount itself (mount_setattr(2))
    recursive_set, recursive_clear:  of it and all below
    propagation, spread_all:         one of MS_*, 0 for none; whether for all below too
    data:                            options of the filesystem, as they are
    id_map:                          None, 0 for it alone (idmap), 1 for all below too (ridmap)
    bind, recursive, remount, copy_up
    """

    __slots__ = (
        "bind",
        "clear",
        "copy_up",
        "data",
        "id_map",
        "propagation",
        "recursive",
        "recursive_clear",
        "recursive_set",
        "remount",
        "set",
        "spread_all",
    )

    def __init__(self, options: "list[str]", where: str) -> None:
        self.set = self.clear = self.recursive_set = self.recursive_clear = self.propagation = 0
        self.spread_all = self.bind = self.recursive = self.remount = self.copy_up = False
        self.data: "list[str]" = []
        self.id_map: "int | None" = None
        for option in options:
            if option:  # buildah writes an empty one for a volume without options
                self._take(option, where)

    def _take(self, option: str, where: str) -> None:
        if option in ATTRIBUTES:
            self.set, self.clear = _merge(self.set, self.clear, *ATTRIBUTES[option])
        elif option in PROPAGATION:
            self.propagation, self.spread_all = PROPAGATION[option], False
        elif option in ("bind", "rbind"):
            self.bind, self.recursive = True, option == "rbind"
        elif option == "remount":
            self.remount = True
        elif option == "tmpcopyup":
            self.copy_up = True
        elif option in IGNORED:
            pass
        elif option[:1] == "r" and option[1:] in ATTRIBUTES:
            change = _merge(self.recursive_set, self.recursive_clear, *ATTRIBUTES[option[1:]])
            self.recursive_set, self.recursive_clear = change
        elif option[:1] == "r" and option[1:] in PROPAGATION:
            self.propagation, self.spread_all = PROPAGATION[option[1:]], True
        elif option in ID_MAPPED:
            self.id_map = int(option == "ridmap")
        else:
            self.data.append(option)


def _merge(old_set: int, old_clear: int, new_set: int, new_clear: int) -> "tuple[int, int]":
    """Of options that contradict each other the last one counts."""
    return (old_set & ~new_clear) | new_set, (old_clear & ~new_set & ~_ATIME) | new_clear | (old_clear & _ATIME)
