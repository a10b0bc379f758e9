"""config.md, root and mounts: what the container's filesystem is made of."""

import os
from pathlib import Path
from typing import Any

import pytest

from conformance import host
from conformance.bundle import Bundle
from conformance.case import Case
from conformance.container import Container
from conformance.seen import Seen
from conformance.verdict import Refused

EROFS, EACCES = 30, 13
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_NODIRATIME = 1, 2, 4, 8, 1024, 2048
MS_NOSYMFOLLOW, MS_STRICTATIME, MS_REMOUNT, MS_BIND, MS_SHARED = 256, 1 << 24, 32, 4096, 1 << 20
TMPFS = {"destination": "/data", "type": "tmpfs", "source": "tmpfs"}


def with_mounts(case: Case, *mounts: dict[str, Any]) -> dict[str, Any]:
    return case.config(mounts=[*case.config()["mounts"], *mounts])


def observe_bundle(case: Case, bundle: Bundle, *verbs: str) -> Seen:
    """Runs the probe in this very bundle."""
    bundle.config["process"]["args"] = ["/probe", "report", *verbs]
    bundle.write()
    case.last_config = bundle.config
    container: Container = case.container(bundle.config, bundle)
    for name, operation in (("create", container.create), ("start", container.start)):
        result = operation()
        if not result.ok:
            raise Refused(name, str(result))
    return case.report_of(container)


@pytest.mark.judges("config.root.path-relative", "config.root.path-absolute")
def test_root_path(case: Case) -> None:
    bundle = case.bundle(case.config())
    (bundle.rootfs / "data" / "file").write_text("this root")
    seen = observe_bundle(case, bundle, "read:/data/file")
    case.equal("config.root.path-relative", "a file of rootfs", "this root", seen.did("read").get("text"))
    bundle.config["root"]["path"] = str(bundle.rootfs)
    seen = observe_bundle(case, bundle, "read:/data/file")
    case.equal("config.root.path-absolute", f"a file of {bundle.rootfs}", "this root", seen.did("read").get("text"))


@pytest.mark.judges("config.root.required", "config.root.path-required", "config.root.exists")
def test_bad_root(case: Case) -> None:
    case.refused("config.root.required", "a configuration without root", case.config(root=None))
    case.refused("config.root.path-required", "a root without path", case.config(root={"path": None}))
    case.refused("config.root.exists", "a root.path that does not exist", case.config(root={"path": "no-such"}))
    case.refused("config.root.exists", "a root.path that is a file", case.config(root={"path": "config.json"}))


@pytest.mark.judges("config.root.readonly", "config.root.readonly-default")
def test_readonly_root(case: Case) -> None:
    verbs = ("write:/new=x", "write:/data/file=x", "mkdir:/newdir", "unlink:/masked/secret")
    seen = case.observe(case.config(root={"readonly": True}), *verbs)
    errors = [attempt["errno"] for attempt in seen["did"]]
    case.equal("config.root.readonly", "errors of four ways to write", [EROFS] * 4, errors)
    seen = case.observe(case.config(), *verbs)
    errors = [attempt["errno"] for attempt in seen["did"]]
    case.equal("config.root.readonly-default", "errors of four ways to write", [0] * 4, errors)


@pytest.mark.judges("config.mounts.order")
def test_mounts_in_order(case: Case) -> None:
    below = {"destination": "/data/inner", "type": "tmpfs", "source": "inner"}
    seen = case.observe(with_mounts(case, {**TMPFS, "source": "outer"}, below), "mkdir:/data/inner/x")
    points = {mount.point: mount.source for mount in seen.mounts()}
    case.equal("config.mounts.order", "the mount below, listed last", "inner", points.get("/data/inner"))
    twice = [{**TMPFS, "source": "first"}, {**TMPFS, "source": "second"}]
    seen = case.observe(with_mounts(case, *twice))
    sources = [mount.source for mount in seen.mounts() if mount.point == "/data"]
    case.equal("config.mounts.order", "mounts on one place, in order", ["first", "second"], sources)
    seen = case.observe(with_mounts(case, {**below, "source": "hidden"}, {**TMPFS, "source": "outer"}), "list:/data")
    case.equal("config.mounts.order", "what is above a mount listed later", [], seen.did("list").get("names"))


@pytest.mark.judges("config.mounts.destination-relative", "config.mounts.destination-required")
def test_destination(case: Case) -> None:
    seen = case.observe(with_mounts(case, {**TMPFS, "destination": "data"}))
    found = seen.mount("/data")
    case.judge("config.mounts.destination-relative", found, "a tmpfs on /data, for the destination data", found)
    none = with_mounts(case, {"type": "tmpfs", "source": "tmpfs"})
    case.refused("config.mounts.destination-required", "a mount without destination", none)


@pytest.mark.judges("config.mounts.bind-source-relative", "config.mounts.bind-by-option", "config.mounts.bind-file")
def test_bind_sources(case: Case) -> None:
    bundle = case.bundle(case.config())
    (bundle.path / "source").mkdir()
    (bundle.path / "source" / "file").write_text("bound")
    for mount_type, source, option, destination in (
        ("none", "source", "bind", "/data"),
        ("tmpfs", str(bundle.path / "source"), "rbind", "/masked"),
        ("bind", str(bundle.path / "source" / "file"), "bind", "/etc/passwd"),
    ):
        entry = {"destination": destination, "type": mount_type, "source": source, "options": [option]}
        bundle.config["mounts"].append(entry)
    seen = observe_bundle(case, bundle, "read:/data/file", "read:/masked/file", "read:/etc/passwd")
    for name, path, asked in (
        ("bind-source-relative", "/data/file", "a file of the source that is relative to the bundle"),
        ("bind-by-option", "/masked/file", "a file of the source bound with type tmpfs and option rbind"),
        ("bind-file", "/etc/passwd", "a file bound over a file"),
    ):
        case.equal(f"config.mounts.{name}", asked, "bound", seen.did("read", path).get("text"))


@pytest.mark.judges("config.mounts.type", "config.mounts.type-unknown")
def test_type(case: Case) -> None:
    seen = case.observe(with_mounts(case, {"destination": "/data", "type": "ramfs", "source": "none"}))
    mount = seen.mount("/data")
    case.equal("config.mounts.type", "filesystem on /data", "ramfs", mount and mount.kind)
    unknown = with_mounts(case, {"destination": "/data", "type": "nosuchfs", "source": "none"})
    case.refused("config.mounts.type-unknown", "the type nosuchfs", unknown)


@pytest.mark.judges("config.mounts.option.unknown-as-data")
def test_options_of_the_filesystem(case: Case) -> None:
    uid, gid = (0, 0) if case.session.rootless else (12, 34)  # an id has to be mapped
    options = ["size=1024k", "nr_inodes=77", "mode=1710", "nosuid", f"uid={uid}", f"gid={gid}"]
    seen = case.observe(with_mounts(case, {**TMPFS, "options": options}), "stat:/data")
    stat = seen.did("stat")
    found = (stat.get("fs_blocks_bytes"), stat.get("fs_files"), oct(stat["mode"] & 0o7777), stat["uid"], stat["gid"])
    wanted = (1 << 20, 77, "0o1710", uid, gid)
    case.equal("config.mounts.option.unknown-as-data", "size, inodes, mode, uid, gid of a tmpfs", wanted, found)


# option: (all options given, what the mount's own options must have, and must not have, of the filesystem's)
ON_TMPFS: dict[str, Any] = {
    "async": (["sync", "async"], [], [], [], ["sync"]),
    "atime": (["noatime", "atime"], [], ["noatime"], [], []),
    "defaults": (["defaults"], ["rw"], ["nosuid"], [], []),
    "dev": (["nodev", "dev"], [], ["nodev"], [], []),
    "diratime": (["nodiratime", "diratime"], [], ["nodiratime"], [], []),
    "dirsync": (["dirsync"], [], [], ["dirsync"], []),
    "exec": (["noexec", "exec"], [], ["noexec"], [], []),
    "iversion": (["iversion"], [], [], [], []),
    "lazytime": (["lazytime"], [], [], ["lazytime"], []),
    "loud": (["silent", "loud"], [], [], [], []),
    "noatime": (["noatime"], ["noatime"], [], [], []),
    "nodev": (["nodev"], ["nodev"], [], [], []),
    "nodiratime": (["nodiratime"], ["nodiratime"], [], [], []),
    "noexec": (["noexec"], ["noexec"], [], [], []),
    "noiversion": (["noiversion"], [], [], [], []),
    "nolazytime": (["lazytime", "nolazytime"], [], [], [], ["lazytime"]),
    "norelatime": (["norelatime"], [], [], [], []),
    "nostrictatime": (["strictatime", "nostrictatime"], ["relatime"], [], [], []),
    "nosuid": (["nosuid"], ["nosuid"], [], [], []),
    "nosymfollow": (["nosymfollow"], ["nosymfollow"], [], [], []),
    "relatime": (["relatime"], ["relatime"], [], [], []),
    "ro": (["ro"], ["ro"], [], [], []),
    "rw": (["ro", "rw"], ["rw"], [], [], []),
    "silent": (["silent"], [], [], [], []),
    "strictatime": (["strictatime"], [], ["relatime", "noatime"], [], []),
    "suid": (["nosuid", "suid"], [], ["nosuid"], [], []),
    "symfollow": (["nosymfollow", "symfollow"], [], ["nosymfollow"], [], []),
    "sync": (["sync"], [], [], ["sync"], []),
}


@pytest.mark.parametrize(
    "option", [pytest.param(name, marks=pytest.mark.judges(f"config.mounts.option.{name}")) for name in ON_TMPFS]
)
def test_option_on_a_tmpfs(case: Case, option: str) -> None:
    options, has, lacks, super_has, super_lacks = ON_TMPFS[option]
    seen = case.observe(with_mounts(case, {**TMPFS, "options": options}))
    mount = seen.mount("/data")
    name = f"config.mounts.option.{option}"
    if mount is None:
        case.judge(name, False, f"a tmpfs with options {options}", "no mount on /data")
        return
    right = (
        set(has) <= mount.options
        and not set(lacks) & mount.options
        and set(super_has) <= mount.super_options
        and not set(super_lacks) & mount.super_options
    )
    wanted = "with " + " ".join(has + super_has) + (" without " + " ".join(lacks + super_lacks))
    found = f"{','.join(sorted(mount.options))} {','.join(sorted(mount.super_options))}"
    case.judge(name, right, f"options {options} on a tmpfs: {wanted}", found)


@pytest.mark.judges("config.mounts.option.remount")
def test_remount(case: Case) -> None:
    again = {**TMPFS, "options": ["remount", "ro", "nosuid"]}
    seen = case.observe(with_mounts(case, {**TMPFS, "options": ["rw"]}, again))
    mounts = [sorted(mount.options) for mount in seen.mounts() if mount.point == "/data"]
    right = len(mounts) == 1 and "ro" in mounts[0]
    case.judge("config.mounts.option.remount", right, "one mount, read-only after remount,ro of it", mounts)


def nested_source(bundle: Bundle, flags: int = 0) -> Path:
    """A mount of the suite's with another one inside, in a peer group, as the source of bind mounts."""
    source = bundle.path / "source"
    source.mkdir()
    host.mount("outer", str(source), "tmpfs", 0)
    host.mount("none", str(source), "none", MS_SHARED)
    (source / "inner").mkdir()
    (source / "file").write_text("outer")
    host.mount("inner", str(source / "inner"), "tmpfs", 0)
    (source / "inner" / "file").write_text("inner")
    for point in (source, source / "inner"):
        point.chmod(0o755)
        if flags:
            host.mount("none", str(point), "none", MS_REMOUNT | MS_BIND | flags)
    return source


def bound(case: Case, options: list[str], flags: int = 0, *verbs: str) -> Seen:
    """Binds such a source with these options to /data."""
    case.needs_root()
    bundle = case.bundle(case.config())
    source = nested_source(bundle, flags)
    entry = {"destination": "/data", "type": "none", "source": str(source), "options": options}
    bundle.config["mounts"].append(entry)
    return observe_bundle(case, bundle, *verbs)


@pytest.mark.judges("config.mounts.option.bind", "config.mounts.option.rbind")
def test_bind_and_rbind(case: Case) -> None:
    seen = bound(case, ["bind"], 0, "read:/data/file", "list:/data/inner")
    inside = (seen.did("read").get("text"), seen.did("list").get("names"))
    case.equal("config.mounts.option.bind", "the source, without the mount in it", ("outer", []), inside)
    seen = bound(case, ["rbind"], 0, "read:/data/inner/file")
    case.equal("config.mounts.option.rbind", "the mount inside", "inner", seen.did("read").get("text"))


# option: (words that mountinfo's optional fields begin with, for the mount and, when recursive, for the one inside)
PROPAGATION = {"private": set(), "shared": {"shared"}, "slave": {"master"}, "unbindable": {"unbindable"}}


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(name, marks=pytest.mark.judges(f"config.mounts.option.{name}"))
        for kind in PROPAGATION
        for name in (kind, f"r{kind}")
    ],
)
def test_propagation(case: Case, option: str) -> None:
    recursive = option not in PROPAGATION
    kind = option[1:] if recursive else option
    seen = bound(case, ["rbind", option])
    for point in ("/data", "/data/inner") if recursive else ("/data",):
        mount = seen.mount(point)
        words = {field.split(":")[0] for field in mount.peers} if mount else {"no mount"}
        if kind == "shared":
            words.discard("master")  # it may receive from the host as well
        name = f"config.mounts.option.{option}"
        case.equal(name, f"propagation of {point} with {option}", PROPAGATION[kind], words)


# option: (flags of the source, what both mounts must have, and must not have)
RECURSIVE: dict[str, Any] = {
    "ratime": (MS_NOATIME, [], ["noatime"]),
    "rdev": (MS_NODEV, [], ["nodev"]),
    "rdiratime": (MS_NODIRATIME, [], ["nodiratime"]),
    "rexec": (MS_NOEXEC, [], ["noexec"]),
    "rnoatime": (0, ["noatime"], []),
    "rnodiratime": (0, ["nodiratime"], []),
    "rnoexec": (0, ["noexec"], []),
    "rnorelatime": (0, [], []),
    "rnostrictatime": (MS_STRICTATIME, [], []),
    "rnosuid": (0, ["nosuid"], []),
    "rnosymfollow": (0, ["nosymfollow"], []),
    "rrelatime": (MS_NOATIME, ["relatime"], ["noatime"]),
    "rro": (0, ["ro"], []),
    "rrw": (MS_RDONLY, ["rw"], ["ro"]),
    "rstrictatime": (0, [], ["relatime", "noatime"]),
    "rsuid": (MS_NOSUID, [], ["nosuid"]),
    "rsymfollow": (MS_NOSYMFOLLOW, [], ["nosymfollow"]),
}


@pytest.mark.parametrize(
    "option", [pytest.param(name, marks=pytest.mark.judges(f"config.mounts.option.{name}")) for name in RECURSIVE]
)
def test_recursive_option(case: Case, option: str) -> None:
    flags, has, lacks = RECURSIVE[option]
    seen = bound(case, ["rbind", option], flags)
    for point in ("/data", "/data/inner"):
        mount = seen.mount(point)
        options = mount.options if mount else set()
        right = set(has) <= options and not set(lacks) & options and bool(mount)
        asked = f"{point} with {has} without {lacks}, for the option {option}"
        case.judge(f"config.mounts.option.{option}", right, asked, sorted(options))


MAPPING = {"containerID": 0, "hostID": 70000, "size": 10}


def idmapped(case: Case, option: str, **changes: Any) -> Bundle:
    """A bundle that binds a file of the host's root, and one of uid 5, gid 6 in a mount below, with an id mapping."""
    case.needs_root()
    bundle = case.bundle(case.config())
    source = nested_source(bundle)
    os.chown(source / "inner" / "file", 5, 6)
    mount = {"destination": "/data", "type": "none", "source": str(source), "options": ["rbind", option]}
    bundle.config["mounts"].append({**mount, "uidMappings": [MAPPING], "gidMappings": [MAPPING], **changes})
    return bundle


@pytest.mark.judges("config.mounts.option.idmap", "config.mounts.idmap.uses-mappings")
def test_idmap(case: Case) -> None:
    different = {**MAPPING, "hostID": 80000}
    bundle = idmapped(case, "idmap", gidMappings=[different])
    seen = observe_bundle(case, bundle, "stat:/data/file", "stat:/data/inner/file")
    outer, inner = seen.did("stat", "/data/file"), seen.did("stat", "/data/inner/file")
    owners = (outer.get("uid"), outer.get("gid"))
    for name in ("config.mounts.option.idmap", "config.mounts.idmap.uses-mappings"):
        case.equal(name, "owner of a file of 0:0", (70000, 80000), owners)
    below = (inner.get("uid"), inner.get("gid"))
    case.equal(
        "config.mounts.option.idmap", "owner of a file in the mount below, which idmap leaves alone", (5, 6), below
    )


@pytest.mark.judges("config.mounts.option.ridmap", "config.mounts.ridmap.uses-mappings")
def test_ridmap(case: Case) -> None:
    seen = observe_bundle(case, idmapped(case, "ridmap"), "stat:/data/file", "stat:/data/inner/file")
    outer, inner = seen.did("stat", "/data/file"), seen.did("stat", "/data/inner/file")
    owners = [outer.get("uid"), outer.get("gid"), inner.get("uid"), inner.get("gid")]
    for name in ("config.mounts.option.ridmap", "config.mounts.ridmap.uses-mappings"):
        case.equal(name, "owners of a file of 0:0, and of one of 5:6 below", [70000, 70000, 70005, 70006], owners)


@pytest.mark.judges(
    "config.mounts.idmap.no-mapping-error",
    "config.mounts.ridmap.no-mapping-error",
    "config.mounts.mappings-both",
    "config.mounts.idmap.not-data",
)
def test_bad_idmap(case: Case) -> None:
    case.needs_root()
    for option in ("idmap", "ridmap"):
        mount = {"destination": "/data", "type": "none", "source": "/tmp", "options": ["rbind", option]}
        asked = f"{option} without mappings and without user namespace"
        case.refused(f"config.mounts.{option}.no-mapping-error", asked, with_mounts(case, mount))
        as_data = {**TMPFS, "type": "ramfs", "options": [option]}  # ramfs takes any word for its own
        asked = f"{option} on a filesystem that accepts every option given to it"
        case.refused("config.mounts.idmap.not-data", asked, with_mounts(case, as_data))
    for given in ("uidMappings", "gidMappings"):
        mount = {"destination": "/data", "type": "none", "source": "/tmp", "options": ["bind", "idmap"]}
        mount[given] = [MAPPING]  # type: ignore[list-item]
        case.refused("config.mounts.mappings-both", f"{given} alone", with_mounts(case, mount))


@pytest.mark.judges(*(f"linux.default-filesystems.{name}" for name in ("proc", "sys", "devpts", "devshm")))
def test_default_filesystems(case: Case) -> None:
    seen = case.observe(case.config())
    for name, point, kind in (
        ("proc", "/proc", "proc"),
        ("sys", "/sys", "sysfs"),
        ("devpts", "/dev/pts", "devpts"),
        ("devshm", "/dev/shm", "tmpfs"),
    ):
        mount = seen.mount(point)
        case.equal(f"linux.default-filesystems.{name}", f"filesystem on {point}", kind, mount and mount.kind)
