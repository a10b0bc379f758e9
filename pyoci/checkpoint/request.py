"""What a caller asks of checkpoint and of restore, and what of it goes to CRIU in both directions."""

from __future__ import annotations

import os
from typing import Any

from pyoci.errors import Error
from pyoci.linux.kernel import CLONE_NEWNET

CGROUP_MODES = {"soft": 3, "full": 4, "strict": 5, "ignore": 0}  # numbers of CRIU's messages
EMPTY = ("network",)  # namespaces of --empty-ns
# Options of CRIU's that are flags of ours
_SAME = ("tcp_established", "ext_unix_sk", "shell_job", "file_locks", "auto_dedup", "lazy_pages")


class CriuOptions:
    """Options of checkpoint and restore; the names are those of the command's flags.

    images: directory of the image files; work: of the log, "" for that of the images
    flags:  names of those flags without a value that were given
    """

    __slots__ = (
        "criu",
        "empty_ns",
        "flags",
        "images",
        "lsm_mount_context",
        "lsm_profile",
        "manage_cgroups_mode",
        "page_server",
        "parent_path",
        "status_fd",
        "work",
    )

    def __init__(self, images: str, work: str = "", criu: str = "") -> None:
        self.images = images
        self.work = work
        self.criu = criu
        self.flags: set[str] = set()
        self.manage_cgroups_mode = ""
        self.empty_ns: list[str] = []
        self.page_server = ""
        self.parent_path = ""
        self.status_fd = -1
        self.lsm_profile = ""
        self.lsm_mount_context = ""

    def has(self, flag: str) -> bool:
        """Whether the caller gave a flag."""
        return flag in self.flags


def common(options: CriuOptions, config: dict[str, Any]) -> dict[str, Any]:
    """CRIU's options that mean the same in both directions, by the names of the fields of its message."""
    result: dict[str, Any] = {"log_level": 4, "notify_scripts": True, "orphan_pts_master": True}
    result.update({name: options.has(name.replace("_", "-")) for name in _SAME})
    mode = options.manage_cgroups_mode or "soft"
    if mode not in CGROUP_MODES:
        hint = f"it is one of {', '.join(CGROUP_MODES)}"
        raise Error(f"Invalid manage cgroups mode {mode!r}", location="--manage-cgroups-mode", hint=hint)
    result.update(manage_cgroups=True, manage_cgroups_mode=CGROUP_MODES[mode])
    for name in options.empty_ns:
        if name not in EMPTY:
            hint = f"only {', '.join(EMPTY)} is"
            raise Error(f"namespace {name} is not supported", location="--empty-ns", hint=hint)
        result["empty_ns"] = CLONE_NEWNET
    settings = (config.get("annotations") or {}).get("org.criu.config", "/etc/criu/runc.conf")
    if settings and (settings != "/etc/criu/runc.conf" or _is_file(settings)):
        result["config_file"] = settings
    return result


def _is_file(path: str) -> bool:
    return os.path.isfile(path)


def joined(config: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(CRIU's word for the type, name for CRIU, path) of namespaces by path that CRIU leaves alone."""
    words = {"network": ("net", "extRootNetNS"), "pid": ("pid", "extRootPidNS")}
    found = []
    for space in (config.get("linux") or {}).get("namespaces") or ():
        if space.get("path") and space["type"] in words:
            found.append((*words[space["type"]], space["path"]))
    return found
