"""Paths inside the rootfs: hostile links, devices, masks, streams."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from controls import Canary, Control

from tests.support.box import Box
from tests.support.bundle import Bundle

covers = pytest.mark.covers


@pytest.fixture
def canary(box: Box) -> Canary:
    return Canary(box.path / "outside")


def without_dev(bundle: Bundle) -> None:
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if not m["destination"].startswith("/dev")]


def link(bundle: Bundle, name: str, target: Any) -> None:
    path = bundle.rootfs / name.lstrip("/")
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif path.is_symlink() or path.exists():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


LINKS = {
    "last": ("/vol", "{}"),
    "middle": ("/a", "{}"),
    "relative": ("/vol", "../../../../../../../../../../{}"),
    "dangling": ("/vol", "{}/new"),
    "parents": ("/vol", "../..{}"),
}


@covers("CVE-2015-3629", "CVE-2015-1335", "CVE-2019-18837")
@pytest.mark.parametrize("kind", ["bind", "tmpfs", "file"])
@pytest.mark.parametrize("name", LINKS)
def test_a_mount_goes_where_a_link_leads_inside_the_rootfs(box: Box, canary: Canary, kind: str, name: str) -> None:
    bundle = box.bundle().shell("grep -c outside /proc/self/mountinfo")
    place, target = LINKS[name]
    link(bundle, place, target.format(canary.path))
    source = box.path / "source"
    source.mkdir()
    (source / "file").write_text("mounted")
    destination = f"{place}/x" if name == "middle" else place
    if kind == "tmpfs":
        bundle.mount(destination, type="tmpfs", source="tmpfs")
    else:
        bundle.bind(source if kind == "bind" else source / "file", destination)
    result = box.run(bundle)
    assert not canary.touched()
    assert result.out.strip() != "0", "it is mounted inside, below the path that the link names"


@covers("CVE-2015-3629", "CVE-2015-1335")
def test_a_runtime_that_follows_links_is_caught(box: Box, canary: Canary, mutant: Any) -> None:
    broken = mutant(
        "walk.c",
        "    return sys_openat2(c->root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve);",
        "    (void)resolve; path += *path == '/'; return openat(c->root, *path ? path : \".\", flags);",
    )
    bundle = box.bundle().args("true")
    link(bundle, "/vol", canary.path)
    bundle.linux["devices"] = [{"path": "/vol/device", "type": "c", "major": 1, "minor": 3}]
    assert box.run(bundle).ok
    assert not canary.touched()
    broken.run(bundle)
    broken.failed(canary.touched())


@covers("CVE-2015-1335")
def test_links_without_end(box: Box) -> None:
    bundle = box.bundle().args("true")
    link(bundle, "/loop", "/loop2")
    link(bundle, "/loop2", "/loop")
    bundle.mount("/loop/x", type="tmpfs", source="tmpfs")
    assert "(ELOOP)" in box.run(bundle).err


@covers("CVE-2026-41579", "CVE-2026-47766")
def test_devices_are_not_made_where_dev_leads(box: Box, canary: Canary, runc: Control, crun: Control) -> None:
    bundle = box.bundle().args("true")
    without_dev(bundle)
    link(bundle, "/dev", canary.path)
    box.run(bundle)
    assert not canary.touched()
    for control in (runc, crun):
        control.run(bundle)
        control.failed(canary.touched())
        canary.restore()


@covers("CVE-2026-88264")
def test_the_console_is_not_made_where_its_name_leads(box: Box, canary: Canary, crun: Control) -> None:
    bundle = box.bundle().args("true")
    bundle.process["terminal"] = True
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/dev"]
    (bundle.rootfs / "dev" / "pts").mkdir()
    link(bundle, "/dev/console", canary.path / "console")
    box.run(bundle)
    assert not canary.touched()
    crun.run(bundle)
    crun.failed(canary.touched())


@covers("CVE-2025-24965", "CVE-2026-87766")
def test_nothing_of_the_runtimes_own_is_written_into_the_rootfs(box: Box, canary: Canary) -> None:
    bundle = box.bundle().args("true")
    for name in ("oldroot", ".pivot_root", ".put_old", ".old_root", ".pyoci", ".krun_config.json"):
        link(bundle, name, canary.path / "new")
    for name in ("etc/hostname", "etc/resolv.conf", "etc/hosts"):
        link(bundle, name, canary.path / "file")
    before = sorted(str(path) for path in bundle.rootfs.rglob("*"))
    assert box.run(bundle).ok
    assert not canary.touched()
    made = set(map(str, bundle.rootfs.rglob("*"))) - set(before)
    assert made == set(), "mount points were all there"


PROC = {
    "link to a directory": lambda bundle, outside: link(bundle, "/proc", outside),
    "link inside": lambda bundle, outside: link(bundle, "/proc", "/tmp"),
    "relative link": lambda bundle, outside: link(bundle, "/proc", "tmp"),
}


@covers("CVE-2019-19921", "CVE-2023-27561", "CVE-2023-28642", "CVE-2025-54867")
@pytest.mark.parametrize("kind", ["proc", "sysfs"])
@pytest.mark.parametrize("name", PROC)
def test_proc_and_sys_are_mounted_on_directories_alone(box: Box, canary: Canary, name: str, kind: str) -> None:
    bundle = box.bundle().args("true")
    place = {"proc": "/proc", "sysfs": "/sys"}[kind]
    target = canary.path if name == "link to a directory" else "tmp" if name == "relative link" else "/tmp"
    link(bundle, place, target)
    result = box.run(bundle)
    assert result.status == 1
    assert f"({place})" in result.err
    assert "(ELOOP)" in result.err
    assert not canary.touched()


@covers("CVE-2019-19921", "CVE-2023-27561")
def test_a_runtime_that_mounts_proc_through_a_link_is_caught(box: Box, mutant: Any) -> None:
    bundle = box.bundle().args("true")
    link(bundle, "/proc", "/tmp")
    broken = mutant("steps_rootfs.c", "if (flags & PLAN_MOUNT_PLAIN_TARGET) {", "if (0) {")
    broken.failed(broken.run(bundle).ok)


@covers("CVE-2015-3630", "CVE-2015-3631")
@pytest.mark.parametrize("place", ["/proc/self/attr", "/proc/sys/kernel", "/proc/1", "/proc/net"])
def test_nothing_is_mounted_below_proc(box: Box, place: str) -> None:
    bundle = box.bundle().args("true")
    bundle.mount(place, type="tmpfs", source="tmpfs")
    assert "inside /proc" in box.run(bundle).err


@covers("CVE-2019-16884", "CVE-2025-52881", "CVE-2025-62596")
@pytest.mark.parametrize("target", ["/proc/sys/kernel", "/proc/self/attr", "/proc"])
def test_nothing_gets_below_proc_by_a_link(box: Box, target: str) -> None:
    """What lies on procfs would lie to whoever writes there: labels, sysctls."""
    bundle = box.bundle().args("true")
    link(bundle, "/vol", target)
    bundle.mount("/vol/x" if target == "/proc" else "/vol", type="tmpfs", source="tmpfs")
    result = box.run(bundle)
    assert result.status == 1, result


@covers("CVE-2015-3630", "CVE-2018-10892", "GHSA-jq35-85cj-fj4p")
def test_the_template_hides_what_is_the_hosts(box: Box) -> None:
    bundle = box.bundle()
    box.ok("spec", "--bundle", str(bundle.path))
    import json

    linux = json.loads((bundle.path / "config.json").read_text())["linux"]
    hidden = {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"}
    hidden |= {"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}
    assert hidden <= set(linux["maskedPaths"])
    fixed = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
    assert fixed <= set(linux["readonlyPaths"])


# Masks and streams


@covers("CVE-2025-31133", "CVE-2025-62161")
@pytest.mark.parametrize("null", ["link", "file", "missing", "zero"])
def test_a_mask_is_the_hosts_null_device(box: Box, null: str) -> None:
    bundle = box.bundle().shell("cd etc; stat -c '%F %t:%T' secret; cat secret; echo written > secret; cat target")
    without_dev(bundle)
    (bundle.rootfs / "etc" / "secret").write_text("secret")
    (bundle.rootfs / "etc" / "target").write_text("target\n")
    if null == "link":
        link(bundle, "/dev/null", "/etc/target")
    elif null == "file":
        (bundle.rootfs / "dev" / "null").write_text("")
    elif null == "zero":
        os.mknod(bundle.rootfs / "dev" / "null", 0o20666, os.makedev(1, 5))
    bundle.linux["maskedPaths"] = ["/etc/secret"]
    result = box.run(bundle)
    if result.ok:
        assert result.out == "character special file 1:3\ntarget\n"
    assert "secret" not in result.out
    assert (bundle.rootfs / "etc" / "target").read_text() == "target\n"


@covers("CVE-2025-31133")
def test_a_runtime_that_masks_with_the_images_null_is_caught(box: Box, runc: Control) -> None:
    bundle = box.bundle().shell("stat -c %F /etc/secret; exit 0")
    without_dev(bundle)
    (bundle.rootfs / "etc" / "secret").write_text("secret")
    (bundle.rootfs / "etc" / "target").write_text("target\n")
    link(bundle, "/dev/null", "/etc/target")
    bundle.linux["maskedPaths"] = ["/etc/secret"]
    result = runc.run(bundle)
    told = (bundle.rootfs / "etc" / "target").read_text()  # its streams go there, too
    runc.failed("regular file" in told + result.out, result)


def null_device(box: Box) -> Path:
    """A null device for the caller's streams: the host's own belongs to all tests that run at the time."""
    device = box.path / "null"
    os.mknod(device, 0o20666, os.makedev(1, 3))
    device.chmod(0o666)
    return device


def untouched(device: Path) -> bool:
    st = device.stat()
    return (st.st_uid, st.st_gid, st.st_mode) == (0, 0, 0o20666)


@covers("CVE-2026-88265", "CVE-2015-3627")
@pytest.mark.parametrize("null", ["link", "file"])
def test_streams_are_the_callers_null_device(box: Box, null: str) -> None:
    bundle = box.bundle().shell("stat -L -c '%F %t:%T' /proc/self/fd/0 > /tmp/seen")
    without_dev(bundle)
    (bundle.rootfs / "tmp" / "seen").touch()
    victim = bundle.rootfs / "etc" / "victim"
    victim.write_text("victim")
    os.chown(victim, 1234, 1234)
    if null == "link":
        link(bundle, "/dev/null", "/etc/victim")
    else:
        os.link(victim, bundle.rootfs / "dev" / "null")
    device = null_device(box)
    with device.open("r+") as nothing:
        box.run(bundle, stdin=nothing, stdout=nothing, stderr=nothing)
        seen = (bundle.rootfs / "tmp" / "seen").read_text()
        assert seen == "" or "character special file 1:3" in seen
        assert victim.stat().st_uid == 1234
    assert untouched(device)


@covers("CVE-2026-88265")
def test_streams_are_the_callers_file(box: Box, crun: Control) -> None:
    """A runtime that takes whatever has the device number of the image's /dev/null for a null device puts that in the
    place of streams: of a plain file the number is 0, as of any other."""
    bundle = box.bundle().args("echo", "told")
    without_dev(bundle)
    victim = bundle.rootfs / "etc" / "victim"
    victim.write_text("victim")
    link(bundle, "/dev/null", "/etc/victim")
    box.run(bundle)
    assert victim.read_text() == "victim"
    crun.run(bundle)
    crun.failed("told" in victim.read_text())


@covers("runc#3674")
def test_the_hosts_null_device_keeps_its_owner(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    device = null_device(box)
    with device.open("r+") as nothing:
        assert box.run(bundle, stdin=nothing, stdout=nothing, stderr=nothing).ok
    assert untouched(device)


@covers("CVE-2016-10124", "CVE-2017-5226", "CVE-2016-2779")
def test_the_callers_terminal_is_nobodys_in_the_container(box: Box) -> None:
    """Without a session of its own the program could type into the caller's terminal (TIOCSTI)."""
    import pty

    bundle = box.bundle().shell("cat /dev/tty 2>&1; cut -d' ' -f6,7 /proc/self/stat")
    near, far = pty.openpty()
    try:
        result = box.run(bundle, stdin=far)
    finally:
        os.close(near)
        os.close(far)
    lines = result.out.splitlines()
    assert "No such device or address" in lines[0]
    session, terminal = lines[-1].split()
    assert terminal == "0"
    assert session == "1"


# What the runtime reads there

PASSWD = ("link", "fifo", "directory", "sparse", "device")


@covers("CVE-2022-23648", "CVE-2024-9676", "CVE-2016-3697")
@pytest.mark.parametrize("kind", PASSWD)
def test_the_images_user_database_is_hostile(box: Box, kind: str) -> None:
    bundle = box.bundle().shell("echo HOME=$HOME")
    passwd = bundle.rootfs / "etc" / "passwd"
    secret = box.path / "secret"
    secret.write_text("root:x:0:0::/stolen:/bin/sh\n")
    if kind == "link":
        passwd.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(passwd)
    elif kind == "directory":
        passwd.mkdir()
    elif kind == "sparse":
        with passwd.open("wb") as file:
            file.truncate(1 << 30)
    else:
        os.mknod(passwd, 0o20666, os.makedev(1, 5))
    assert box.output(bundle) == "HOME=/\n"


@covers("CVE-2020-2024", "CVE-2020-2026")
def test_removal_follows_no_link(box: Box, canary: Canary) -> None:
    bundle = box.bundle().shell("sleep 100")
    box.started(bundle)
    for name in ("notify", "left"):
        os.symlink(canary.path, box.root / "c" / name)
    subprocess.run(["mount", "--bind", str(canary.path), str(canary.path)], check=True)
    try:
        box.ok("delete", "--force", "c")
        assert not canary.touched()
    finally:
        subprocess.run(["umount", str(canary.path)], check=True)


def test_canaries_sing(tmp_path: Path) -> None:
    canary = Canary(tmp_path / "c")
    assert not canary.touched()
    (canary.path / "new").touch()
    assert canary.touched()
    canary.restore()
    os.chown(canary.path / "file", 1, 1) if os.geteuid() == 0 else (canary.path / "file").chmod(0o600)
    assert canary.touched()
