"""The root: devices, links in /dev, masked and read-only paths, propagation, read-only root, --no-pivot."""

import os
import stat
import subprocess

import pytest

from tests.support import leftovers
from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.pty import Interactive

pytestmark = pytest.mark.root

DEFAULT_DEVICES = {"null": "1 3", "zero": "1 5", "full": "1 7", "random": "1 8", "urandom": "1 9", "tty": "5 0"}


def mountinfo(box: Box, bundle: Bundle, *options: str) -> dict[str, list[str]]:
    """Place to fields of mountinfo."""
    text = box.output(bundle.args("cat", "/proc/self/mountinfo"), *options)
    return {line.split(" ")[4]: line.split(" ") for line in text.strip().split("\n")}


# Devices


def test_default_devices(box: Box) -> None:
    bundle = box.bundle().shell(
        "cd /dev; for d in null zero full random urandom tty; do stat -c '%n %F %a %u %g %t %T' $d; done"
    )
    lines = box.output(bundle).strip().split("\n")
    for line, (name, numbers) in zip(lines, DEFAULT_DEVICES.items()):
        major, minor = (f"{int(number):x}" for number in numbers.split())
        assert line == f"{name} character special file 666 0 0 {major} {minor}"
    assert len(lines) == len(DEFAULT_DEVICES)


def test_default_devices_work(box: Box) -> None:
    """The cgroup's device rules let them through."""
    bundle = box.bundle().shell(
        "echo x > /dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 9 /dev/urandom | wc -c;"
        "echo x > /dev/full || echo full"
    )
    assert box.output(bundle).split("\n")[:3] == [" 00 00 00", "9", "full"]


def test_links_of_dev(box: Box) -> None:
    bundle = box.bundle().shell("cd /dev; for l in fd stdin stdout stderr ptmx core; do readlink $l; done; echo > ptmx")
    lines = box.output(bundle).strip().split("\n")
    assert lines[:5] == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]
    assert lines[5:] == (["/proc/kcore"] if os.path.exists("/proc/kcore") else [])


def test_dev_bound_from_the_host_is_left_alone(box: Box) -> None:
    (box.path / "dev").mkdir()
    bundle = box.bundle().shell("ls -A /dev | wc -l")
    bundle.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}]
    bundle.bind(box.path / "dev", "/dev")
    assert box.output(bundle) == "0\n"
    assert list((box.path / "dev").iterdir()) == []


def test_without_a_mount_on_dev_the_images_is_filled(box: Box) -> None:
    bundle = box.bundle().shell("echo x > /dev/null; stat -c %t /dev/null")
    bundle.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}]
    assert box.output(bundle) == "1\n"


LISTED = [
    ({"type": "c", "path": "/dev/mine", "major": 10, "minor": 200, "fileMode": 0o640, "uid": 5, "gid": 6},
     "character special file 640 5 6 a c8"),
    ({"type": "u", "path": "/dev/mine", "major": 1, "minor": 3}, "character special file 666 0 0 1 3"),
    ({"type": "b", "path": "/dev/sub/mine", "major": 7, "minor": 9, "fileMode": 0o60600},
     "block special file 600 0 0 7 9"),
    ({"type": "p", "path": "/dev/pipe", "fileMode": 0o622}, "fifo 622 0 0 0 0"),
    ({"type": "c", "path": "/elsewhere/null", "major": 1, "minor": 3}, "character special file 666 0 0 1 3"),
    ({"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 7},
     "character special file 600 7 0 1 3"),
    ({"type": "c", "path": "/dev/mine", "major": 4095, "minor": 1048575, "fileMode": 0o0},
     "character special file 0 0 0 fff fffff"),
]  # fmt: skip


@pytest.mark.parametrize("device, expected", LISTED)
def test_listed_device(box: Box, device: dict[str, object], expected: str) -> None:
    bundle = box.bundle().args("stat", "-c", "%F %a %u %g %t %T", str(device["path"]))
    bundle.linux["devices"] = [device]
    assert box.output(bundle).strip() == expected


@pytest.mark.parametrize("kind", ["file", "directory", "link", "other-device"])
def test_device_whose_place_is_taken(box: Box, kind: str) -> None:
    """config-linux.md, "Devices": a file there that is not the device asked for is an error."""
    bundle = box.bundle().args("true")
    place = bundle.rootfs / "mine"
    if kind == "file":
        place.write_text("")
    elif kind == "directory":
        place.mkdir()
    elif kind == "link":
        place.symlink_to("/dev/null")
    else:
        os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    bundle.linux["devices"] = [{"type": "c", "path": "/mine", "major": 1, "minor": 3}]
    result = box.run(bundle)
    assert result.status == 1, result
    assert "linux.devices[0] (/mine)" in result.err and "another file is there" in result.err, result
    assert box.left() == []


def test_device_through_a_link_of_the_image_stays_inside(box: Box) -> None:
    bundle = box.bundle().args("true")
    outside = box.path / "outside"
    outside.mkdir()
    (bundle.rootfs / "way").symlink_to(f"{'../' * 12}{outside}")
    bundle.linux["devices"] = [{"type": "p", "path": "/way/pipe"}]
    assert box.run(bundle).ok
    assert list(outside.iterdir()) == []


# Masked and read-only paths


def test_masked_paths(box: Box) -> None:
    bundle = box.bundle()
    secret = bundle.rootfs / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    (bundle.rootfs / "plain").write_text("secret")
    (bundle.rootfs / "link").symlink_to("/plain")
    there = ["/secret", "/plain", "/proc/kcore", "/sys/firmware", "/plain"]
    bundle.linux["maskedPaths"] = [*there, "/not/there", "/plain/below"]
    bundle.shell(
        "ls -A /secret | wc -l; cat /plain /link | wc -c; touch /secret/x 2>/dev/null || echo refused;"
        "stat -c %F /plain;"
        "cat /secret/file 2>/dev/null || echo gone"
    )
    assert box.output(bundle).strip().split("\n") == ["0", "0", "refused", "character special file", "gone"]
    assert (secret / "file").read_text() == "secret"


def test_mask_cannot_be_lifted_by_its_own_process(box: Box) -> None:
    tries = ("umount /secret", "mount -o remount,rw /secret")
    bundle = box.bundle().shell("; ".join(f"{words} 2>/dev/null || echo refused" for words in tries))
    (bundle.rootfs / "secret").mkdir()
    bundle.linux["maskedPaths"] = ["/secret"]
    assert box.output(bundle).split() == ["refused", "refused"]


def test_mask_with_an_image_whose_dev_null_is_no_device(box: Box) -> None:
    """The mask is the host's null device: the image's could say what it likes."""
    bundle = box.bundle().args("cat", "/plain")
    bundle.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}]
    (bundle.rootfs / "plain").write_text("secret")
    (bundle.rootfs / "dev" / "null").write_text("of the image\n")
    bundle.linux["maskedPaths"] = ["/plain"]
    result = box.run(bundle)
    assert (result.ok and result.out == "") or "another file is there" in result.err, result


def test_readonly_paths(box: Box) -> None:
    bundle = box.bundle()
    (bundle.rootfs / "data").mkdir()
    (bundle.rootfs / "data" / "file").write_text("")
    (bundle.rootfs / "single").write_text("")
    bundle.mount("/data/sub", type="tmpfs", source="tmpfs")
    bundle.linux["readonlyPaths"] = ["/data", "/single", "/proc/sys", "/not/there"]
    bundle.shell(
        "for f in /data/file /data/new /data/sub/new /single /proc/sys/net/ipv4/ip_forward;"
        "do { echo 1 > $f; } 2>/dev/null && echo $f written; done; echo 1 > /free; cat /free"
    )
    assert box.output(bundle).split() == ["1"]


def test_readonly_keeps_what_else_restricts_the_mount(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["nosuid", "noexec", "nodev"])
    bundle.linux["readonlyPaths"] = ["/data"]
    assert set(mountinfo(box, bundle)["/data"][5].split(",")) >= {"ro", "nosuid", "noexec", "nodev"}


@pytest.mark.parametrize("key", ["maskedPaths", "readonlyPaths"])
def test_protection_through_a_link_stays_inside(box: Box, key: str) -> None:
    outside = box.path / "outside"
    outside.mkdir()
    bundle = box.bundle().args("true")
    (bundle.rootfs / "way").symlink_to(f"{'../' * 12}{outside}")
    bundle.linux[key] = ["/way"]
    result = box.run(bundle)
    assert result.ok, result
    (outside / "x").touch()


# The root itself


def test_readonly_root(box: Box) -> None:
    bundle = box.bundle().shell(
        "touch /x 2>/dev/null || echo no; touch /dev/x && echo dev; echo > /dev/null && echo null"
    )
    bundle.config["root"]["readonly"] = True
    assert box.output(bundle).split() == ["no", "dev", "null"]


def test_absolute_root(box: Box) -> None:
    bundle = box.bundle().args("echo", "here")
    bundle.config["root"]["path"] = str(bundle.rootfs)
    assert box.output(bundle) == "here\n"


def test_root_by_a_link(box: Box) -> None:
    bundle = box.bundle().args("echo", "here")
    (bundle.path / "link").symlink_to("rootfs")
    bundle.config["root"]["path"] = "link"
    assert box.output(bundle) == "here\n"


def test_one_rootfs_for_two_containers(box: Box) -> None:
    bundle = box.bundle().args("sleep", "1000")
    box.started(bundle, "one")
    bundle.linux["cgroupsPath"] += "-two"
    box.started(bundle, "two")
    assert box.state("one")["status"] == box.state("two")["status"] == "running"


def test_mounts_of_the_host_are_out_of_reach(box: Box) -> None:
    lines = mountinfo(box, box.bundle())
    assert set(lines) == {"/", "/proc", "/dev", "/dev/pts", "/sys"}
    for fields in lines.values():
        assert not any(word.startswith(("shared:", "unbindable")) for word in fields[6 : fields.index("-")]), fields


WORDS = {"shared": "shared:", "slave": "", "private": "", "unbindable": "unbindable"}


@pytest.mark.parametrize("name", [deep + name for deep in ("", "r") for name in WORDS])
def test_rootfs_propagation(box: Box, name: str) -> None:
    bundle = box.bundle()
    bundle.linux["rootfsPropagation"] = name
    lines = mountinfo(box, bundle)
    word = WORDS[name.lstrip("r") if name[1:] in WORDS else name]
    tags = lines["/"][6 : lines["/"].index("-")]
    assert any(tag.startswith(word) for tag in tags) if word else not [t for t in tags if t.startswith("shared:")], tags
    if name[1:] in WORDS and word:
        below = lines["/dev"][6 : lines["/dev"].index("-")]
        assert any(tag.startswith(word) for tag in below), below


LOOKS = """
exec > /out 2>&1
ls /sys/fs/cgroup | wc -l; wc -c < /masked/file; echo x > /closed/file; tty; cat /bound/file
awk '/ unbindable / { print "unbindable", $5 }' /proc/self/mountinfo
"""


def bound_everywhere(box: Box, bundle: Bundle) -> "list[str]":
    """What a container sees in which there are masks, read-only paths, cgroups, a bind and a terminal: each of them is
    the copy of a mount. The last lines are the mounts that are unbindable in the end."""
    for name in ("masked", "closed", "source"):
        (bundle.rootfs / name).mkdir()
        (bundle.rootfs / name / "file").write_text("text\n")
    bundle.linux["maskedPaths"] = ["/masked/file", "/proc/scsi", "/proc/kcore"]
    bundle.linux["readonlyPaths"] = ["/closed", "/proc/sys", "/dev/pts"]
    bundle.bind(bundle.rootfs / "source", "/bound", "bind", "ro")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro"])
    bundle.process["terminal"] = True
    bundle.shell(LOOKS).write()
    window = Interactive(box.words("run", "--bundle", str(bundle.path), "c"))
    status = window.wait()
    text = window.screen.rest() if status else ""
    window.close()
    assert status == 0, text
    cgroups, masked, refused, tty, bound, *unbindable = (bundle.rootfs / "out").read_text().splitlines()
    assert int(cgroups) > 0
    assert masked == "0"
    assert "Read-only file system" in refused
    assert tty.startswith("/dev/")
    assert bound == "text"
    return unbindable


@pytest.mark.parametrize("name", [*WORDS, "runbindable"])
def test_rootfs_propagation_with_all_that_is_bound(box: Box, name: str) -> None:
    bundle = box.bundle()
    bundle.linux["rootfsPropagation"] = name
    unbindable = bound_everywhere(box, bundle)
    if name == "unbindable":
        assert unbindable == ["unbindable /"]
    elif name == "runbindable":
        assert {"unbindable /", "unbindable /proc", "unbindable /bound"} <= set(unbindable)
    else:
        assert unbindable == []


def test_mounts_that_are_unbindable_with_all_that_is_bound(box: Box) -> None:
    bundle = box.bundle()
    for mount in bundle.config["mounts"]:
        mount["options"] = [*mount.get("options", []), "unbindable"]
    places = {f"unbindable {mount['destination']}" for mount in bundle.config["mounts"]}
    assert set(bound_everywhere(box, bundle)) == places


@pytest.mark.parametrize("name", ["", "shared", "rshared", "private", "slave"])
def test_nothing_of_the_container_appears_on_the_host(box: Box, name: str) -> None:
    """Even where the rootfs lies on a shared mount and the container's mounts are shared."""
    shared = box.path / "shared"
    shared.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(shared)], check=True)
    subprocess.run(["mount", "--make-shared", str(shared)], check=True)
    try:
        bundle = box.bundle()
        moved = shared / "rootfs"
        subprocess.run(["cp", "-a", str(bundle.rootfs), str(moved)], check=True)
        bundle.config["root"]["path"] = str(moved)
        bundle.mount("/tmp", type="tmpfs", source="tmpfs")
        if name:
            bundle.linux["rootfsPropagation"] = name
        before = leftovers.mounts_below(str(box.path))
        box.started(bundle.args("sleep", "1000"))
        assert leftovers.mounts_below(str(box.path)) == before
        box.ok("delete", "--force", "c")
        assert leftovers.mounts_below(str(box.path)) == before
    finally:
        subprocess.run(["umount", str(shared)], check=True)


@pytest.mark.parametrize("name, arrives", [("rslave", True), ("rshared", True), ("rprivate", False)])
def test_mounts_of_the_host_arrive_when_asked_for(box: Box, name: str, arrives: bool) -> None:
    shared = box.path / "shared"
    shared.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(shared)], check=True)
    subprocess.run(["mount", "--make-shared", str(shared)], check=True)
    (shared / "later").mkdir()
    try:
        bundle = box.bundle().args("sleep", "1000")
        bundle.linux["rootfsPropagation"] = name
        bundle.bind(shared, "/vol", "rbind", name)
        box.started(bundle)
        subprocess.run(["mount", "-t", "tmpfs", "late", str(shared / "later")], check=True)
        try:
            text = box.ok("exec", "c", "cat", "/proc/self/mountinfo").out
            assert ("/vol/later" in text) == arrives
        finally:
            subprocess.run(["umount", str(shared / "later")], check=True)
        box.ok("delete", "--force", "c")
    finally:
        subprocess.run(["umount", "-l", str(shared)], check=True)


# --no-pivot


def test_no_pivot(box: Box) -> None:
    bundle = box.bundle().shell("ls -d /bin /nosuch 2>/dev/null; pwd; cat /proc/self/mountinfo | wc -l; hostname")
    lines = box.output(bundle, "--no-pivot").split("\n")
    assert lines[:2] == ["/bin", "/"]
    assert lines[3] == "box"


def test_exec_in_a_container_without_pivot(box: Box) -> None:
    box.started(box.bundle().args("sleep", "1000"), "c", "--no-pivot")
    assert box.ok("exec", "c", "ls", "/").out.split()[0] == "bin"
    assert "rootfs" not in box.ok("exec", "c", "pwd").out
