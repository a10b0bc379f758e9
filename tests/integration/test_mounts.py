"""mounts[]: every option of the spec's table, where mounts land, and that none leaves the rootfs."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle

pytestmark = pytest.mark.root


class Seen:
    """A line of /proc/self/mountinfo."""

    def __init__(self, line: str) -> None:
        words = line.split(" ")
        dash = words.index("-")
        self.root, self.point = words[3], words[4]
        self.options = set(words[5].split(","))
        self.propagation = words[6:dash]
        self.type, self.source = words[dash + 1], words[dash + 2]
        self.superblock = set(words[dash + 3].split(","))


def mounts_in(box: Box, bundle: Bundle) -> "dict[str, Seen]":
    """The mounts of a container, by their place; the last wins where there are several."""
    bundle.args("cat", "/proc/self/mountinfo")
    return {seen.point: seen for seen in map(Seen, box.output(bundle).strip().split("\n"))}


class Source:
    """A directory of the host to bind: `plain`, or a tree of two mounts with every restriction set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mounted: list[str] = []

    def mount(self, place: str, options: str) -> Path:
        path = self.path / place if place else self.path
        path.mkdir(exist_ok=True, parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
        self.mounted.append(str(path))
        return path

    def close(self) -> None:
        for path in reversed(self.mounted):
            subprocess.run(["umount", path], check=True)


@pytest.fixture
def source(box: Box) -> Iterator[Source]:
    made = Source(box.path / "source")
    made.path.mkdir()
    yield made
    made.close()


# Option by option. The words on the right are those of mountinfo, which shows an absent restriction by its absence.

SETS = {
    "ro": "ro",
    "nosuid": "nosuid",
    "nodev": "nodev",
    "noexec": "noexec",
    "nodiratime": "nodiratime",
    "nosymfollow": "nosymfollow",
    "noatime": "noatime",
    "relatime": "relatime",
}
# Options that take away; strictatime and its like leave no word at all
CLEARS = {
    "rw": "ro",
    "suid": "nosuid",
    "dev": "nodev",
    "exec": "noexec",
    "diratime": "nodiratime",
    "symfollow": "nosymfollow",
    "atime": "noatime",
    "strictatime": "noatime",
    "relatime": "noatime",
    "norelatime": "noatime",
    "nostrictatime": "noatime",
}
RESTRICTED = "ro,nosuid,nodev,noexec,nodiratime,nosymfollow,noatime"


@pytest.mark.parametrize("option", sorted(SETS))
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_option_that_restricts(box: Box, source: Source, option: str, kind: str) -> None:
    bundle = box.bundle()
    if kind == "bind":
        bundle.bind(source.path, "/target", "bind", option)
    else:
        bundle.mount("/target", type="tmpfs", source="tmpfs", options=[option])
    seen = mounts_in(box, bundle)["/target"]
    assert SETS[option] in seen.options
    if option != "relatime":
        assert not set(SETS.values()) - {SETS[option], "relatime"} & seen.options, "more than was asked for"


@pytest.mark.parametrize("option", sorted(CLEARS))
def test_option_that_frees_a_bind_mount(box: Box, source: Source, option: str) -> None:
    source.mount("", RESTRICTED)
    bundle = box.bundle()
    bundle.bind(source.path, "/target", "bind", option)
    seen = mounts_in(box, bundle)["/target"]
    assert CLEARS[option] not in seen.options
    assert set(RESTRICTED.split(",")) - {CLEARS[option]} <= seen.options, "another restriction went with it"


def test_bind_without_options_keeps_the_sources(box: Box, source: Source) -> None:
    source.mount("", RESTRICTED)
    bundle = box.bundle()
    bundle.bind(source.path, "/target")
    assert set(RESTRICTED.split(",")) <= mounts_in(box, bundle)["/target"].options


@pytest.mark.parametrize("option", sorted(SETS))
def test_recursive_option_that_restricts(box: Box, source: Source, option: str) -> None:
    source.mount("", "strictatime")
    source.mount("sub", "strictatime")
    bundle = box.bundle()
    bundle.bind(source.path, "/target", "rbind", f"r{option}")
    seen = mounts_in(box, bundle)
    assert SETS[option] in seen["/target"].options
    assert SETS[option] in seen["/target/sub"].options


@pytest.mark.parametrize("option", sorted(CLEARS))
def test_recursive_option_that_frees(box: Box, source: Source, option: str) -> None:
    source.mount("", RESTRICTED.replace("ro,", ""))
    source.mount("sub", RESTRICTED)
    bundle = box.bundle()
    bundle.bind(source.path, "/target", "rbind", f"r{option}")
    seen = mounts_in(box, bundle)
    assert CLEARS[option] not in seen["/target/sub"].options
    assert set(RESTRICTED.split(",")) - {CLEARS[option]} <= seen["/target/sub"].options


def test_plain_option_leaves_what_is_below(box: Box, source: Source) -> None:
    source.mount("", "rw")
    source.mount("sub", "rw")
    bundle = box.bundle()
    bundle.bind(source.path, "/target", "rbind", "ro")
    seen = mounts_in(box, bundle)
    assert "ro" in seen["/target"].options and "rw" in seen["/target/sub"].options


def test_bind_takes_one_mount_and_rbind_all(box: Box, source: Source) -> None:
    source.mount("", "rw")
    source.mount("sub", "rw")
    bundle = box.bundle()
    bundle.bind(source.path, "/one", "bind")
    bundle.bind(source.path, "/all", "rbind")
    seen = mounts_in(box, bundle)
    assert "/one" in seen and "/one/sub" not in seen
    assert "/all" in seen and "/all/sub" in seen


@pytest.mark.parametrize(
    "options, ro",
    [
        (["ro", "rw"], False),
        (["rw", "ro"], True),
        (["rro", "rrw"], False),
        (["ro", "rw", "ro"], True),
    ],
)
def test_the_last_of_contradicting_options_counts(box: Box, source: Source, options: list[str], ro: bool) -> None:
    bundle = box.bundle()
    bundle.bind(source.path, "/target", "bind", *options)
    assert ("ro" in mounts_in(box, bundle)["/target"].options) == ro


@pytest.mark.parametrize("option", ["sync", "dirsync", "lazytime", "mand"])
def test_superblock_option(box: Box, option: str) -> None:
    bundle = box.bundle()
    bundle.mount("/target", type="tmpfs", source="tmpfs", options=[option])
    seen = mounts_in(box, bundle)["/target"]
    assert option in seen.superblock or option == "mand", seen.superblock


@pytest.mark.parametrize(
    "option", ["async", "nolazytime", "nomand", "defaults", "silent", "loud", "iversion", "noiversion", "acl", "noacl"]
)
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_option_that_changes_nothing(box: Box, source: Source, option: str, kind: str) -> None:
    if kind == "bind" and option in ("async", "nolazytime", "nomand"):
        pytest.skip("of filesystems alone")
    bundle = box.bundle()
    if kind == "bind":
        bundle.bind(source.path, "/target", "bind", option)
    else:
        bundle.mount("/target", type="tmpfs", source="tmpfs", options=[option])
    seen = mounts_in(box, bundle)["/target"]
    assert seen.options == {"rw", "relatime"}


PROPAGATION: dict[str, Optional[str]] = {
    "private": None,
    "slave": "master:",
    "shared": "shared:",
    "unbindable": "unbindable",
}


@pytest.mark.parametrize("option", sorted(PROPAGATION))
@pytest.mark.parametrize("deep", ["", "r"])
def test_propagation(box: Box, source: Source, option: str, deep: str) -> None:
    source.mount("", "rw")
    source.mount("sub", "rw")
    for path in source.mounted:
        subprocess.run(["mount", "--make-shared", path], check=True)
    bundle = box.bundle()
    bundle.bind(source.path, "/target", "rbind", deep + option)
    seen = mounts_in(box, bundle)
    word = PROPAGATION[option]
    top = seen["/target"].propagation
    assert top == [] if word is None else any(tag.startswith(word) for tag in top), top
    below = seen["/target/sub"].propagation
    if deep:
        assert below == [] if word is None else any(tag.startswith(word) for tag in below), below


def test_mounts_of_a_container_do_not_reach_the_host(box: Box, source: Source) -> None:
    source.mount("", "rw")
    subprocess.run(["mount", "--make-shared", str(source.path)], check=True)
    (source.path / "in").mkdir()
    bundle = box.bundle()
    bundle.bind(source.path, "/target", "rbind")
    bundle.mount("/target/in", type="tmpfs", source="tmpfs")
    assert "/target/in" in mounts_in(box, bundle)
    text = Path("/proc/self/mountinfo").read_text()
    assert str(source.path / "in") not in text


def test_remount_changes_an_earlier_mount(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("/target", type="tmpfs", source="tmpfs", options=["nosuid"])
    bundle.mount("/target", type="tmpfs", source="tmpfs", options=["remount", "ro", "noexec"])
    seen = mounts_in(box, bundle)["/target"]
    assert {"ro", "noexec"} <= seen.options


def test_options_of_the_filesystem(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("/target", type="tmpfs", source="mine", options=["size=64k", "mode=710", "uid=5", "gid=6"])
    seen = mounts_in(box, bundle)["/target"]
    assert {"size=64k", "mode=710", "uid=5", "gid=6"} <= seen.superblock
    assert (seen.type, seen.source) == ("tmpfs", "mine")


# Read-only tmpfs are filled before they close


def test_read_only_tmpfs_takes_mount_points_first(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("/target", type="tmpfs", source="tmpfs", options=["ro"])
    bundle.mount("/target/a/b", type="tmpfs", source="tmpfs")
    seen = mounts_in(box, bundle)
    assert "ro" in seen["/target"].options and "/target/a/b" in seen


def test_read_only_dev_still_gets_its_devices(box: Box) -> None:
    bundle = box.bundle().shell("echo x > /dev/null; touch /dev/x || echo refused")
    for mount in bundle.config["mounts"]:
        if mount["destination"] == "/dev":
            mount["options"].append("ro")
    result = box.run(bundle)
    assert result.out == "refused\n", result


# tmpfs and what it covers


def test_tmpcopyup_copies_what_is_covered(box: Box) -> None:
    bundle = box.bundle()
    place = bundle.rootfs / "data"
    (place / "deep" / "er").mkdir(parents=True)
    (place / "file").write_text("contents\n")
    (place / "big").write_bytes(os.urandom(100000))
    os.chown(place / "file", 12, 34)
    os.chmod(place / "file", 0o4755)
    (place / "deep" / "link").symlink_to("/etc/elsewhere")
    os.mkfifo(place / "fifo", 0o640)
    os.chmod(place / "deep", 0o2770)
    for n in range(300):
        (place / "deep" / "er" / f"a-long-name-to-need-more-than-one-read-{n}").touch()
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["tmpcopyup"])
    bundle.shell(
        "cd /data; cat file; stat -c '%a %u %g' file; readlink deep/link; stat -c '%F %a' fifo; stat -c %a deep;"
        "ls deep/er | wc -l; md5sum < big; echo new > file; stat -f -c %T ."
    )
    lines = box.output(bundle).split("\n")
    assert lines[:6] == ["contents", "4755 12 34", "/etc/elsewhere", "fifo 640", "2770", "300"]
    digest = subprocess.run(["md5sum", str(place / "big")], check=True, capture_output=True, text=True).stdout
    assert lines[6].split()[0] == digest.split()[0]
    assert lines[7] == "tmpfs"
    assert (place / "file").read_text() == "contents\n", "the image was written to"


def test_tmpcopyup_of_a_missing_directory_is_empty(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["tmpcopyup"])
    assert box.output(bundle.shell("ls -A /data | wc -l")) == "0\n"


def test_tmpfs_takes_the_mode_of_the_directory_it_covers(box: Box) -> None:
    bundle = box.bundle()
    (bundle.rootfs / "data").mkdir()
    os.chmod(bundle.rootfs / "data", 0o1735)
    bundle.mount("/data", type="tmpfs", source="tmpfs")
    bundle.mount("/fresh", type="tmpfs", source="tmpfs")
    assert box.output(bundle.args("stat", "-c", "%a", "/data", "/fresh")) == "1735\n1777\n"


# Where mounts land


def test_missing_targets_are_made(box: Box) -> None:
    bundle = box.bundle()
    file = box.path / "file"
    file.write_text("bound\n")
    bundle.bind(file, "/a/b/c/file")
    bundle.bind(box.path, "/x/y/dir")
    assert box.output(bundle.shell("cat /a/b/c/file /x/y/dir/file")) == "bound\nbound\n"
    assert (bundle.rootfs / "a/b/c/file").is_file()
    assert (bundle.rootfs / "x/y/dir").is_dir()


def test_file_over_a_dangling_link(box: Box) -> None:
    """Images link /etc/resolv.conf to a file that only systemd makes."""
    bundle = box.bundle()
    file = box.path / "resolv.conf"
    file.write_text("nameserver 192.0.2.1\n")
    (bundle.rootfs / "etc" / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    bundle.bind(file, "/etc/resolv.conf")
    assert box.output(bundle.args("cat", "/etc/resolv.conf")) == "nameserver 192.0.2.1\n"
    assert (bundle.rootfs / "run/systemd/resolve/stub-resolv.conf").exists()


ESCAPES = {
    "absolute": "/{host}",
    "dots": "../../../../../../../../{host}",
    "twice": "/first",
    "to-root": "/",
    "up": "..",
}


@pytest.mark.parametrize("kind", sorted(ESCAPES))
@pytest.mark.parametrize("what", ["directory", "file"])
def test_links_of_the_image_do_not_lead_out(box: Box, kind: str, what: str) -> None:
    """`victim` lies on the host and, by the same path, may come to be in the rootfs: only there may anything happen."""
    bundle = box.bundle()
    victim = box.path / "victim"
    victim.mkdir()
    (bundle.rootfs / "link").symlink_to(ESCAPES[kind].format(host=str(victim).strip("/")))
    (bundle.rootfs / "first").symlink_to(f"/{'../' * 12}{victim}")
    thing = box.path / "thing"
    thing.mkdir() if what == "directory" else thing.write_text("here\n")
    bundle.bind(thing, "/link/deep/target")
    bundle.shell("grep -c deep/target /proc/self/mountinfo")
    assert box.output(bundle) == "1\n"
    assert list(victim.iterdir()) == [], "the host was written to"


def test_destination_with_dots_stays_inside(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("/a/../../../../b", type="tmpfs", source="tmpfs")
    assert "/b" in mounts_in(box, bundle)


def test_relative_destination_starts_at_the_root(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("rel/ative", type="tmpfs", source="tmpfs")
    assert "/rel/ative" in mounts_in(box, bundle)


def test_loop_of_links_is_an_error(box: Box) -> None:
    bundle = box.bundle()
    (bundle.rootfs / "a").symlink_to("b")
    (bundle.rootfs / "b").symlink_to("a")
    bundle.mount("/a/x", type="tmpfs", source="tmpfs")
    result = box.run(bundle)
    assert result.status == 1
    assert "mounts[4] (/a/x)" in result.err and "ELOOP" in result.err
    assert box.left() == []


def test_later_mounts_land_in_earlier_ones(box: Box, source: Source) -> None:
    bundle = box.bundle()
    bundle.bind(source.path, "/vol", "bind")
    bundle.mount("/vol/inner", type="tmpfs", source="tmpfs")
    assert "/vol/inner" in mounts_in(box, bundle)
    assert (source.path / "inner").is_dir()
    assert not (bundle.rootfs / "vol" / "inner").exists()


@pytest.mark.parametrize("over", ["/a", "/link", "/x/../a"])
def test_what_covers_a_mount_counts(box: Box, over: str) -> None:
    """Later mounts are found below earlier ones by descriptor, unless these are covered, be it by another name."""
    bundle = box.bundle()
    (bundle.rootfs / "a").mkdir()
    (bundle.rootfs / "link").symlink_to("a")
    for target in ("/a", "/a/one", "/a/one/two", over, "/a/three", "/a/three/four"):
        bundle.mount(target, type="tmpfs", source=target, options=[])
    assert box.output(bundle.args("find", "/a")).split() == ["/a", "/a/three", "/a/three/four"]
    assert list((bundle.rootfs / "a").iterdir()) == []


def test_links_in_a_mount_lead_where_they_lead(box: Box, source: Source) -> None:
    """Below a volume, names are looked up from its descriptor; absolute and climbing links still mean the rootfs."""
    bundle = box.bundle()
    links = {"absolute": "/tmp/of-absolute", "climbing": "../tmp/of-climbing", "inside": "new/of-inside"}
    for name, target in links.items():
        (source.path / name).symlink_to(target)
    bundle.bind(source.path, "/vol", "bind")
    for name in links:
        bundle.mount(f"/vol/{name}/mount", type="tmpfs", source="tmpfs")
    points = set(mounts_in(box, bundle))
    assert {"/tmp/of-absolute/mount", "/tmp/of-climbing/mount", "/vol/new/of-inside/mount"} <= points


def test_a_file_is_mounted_on_twice_and_changed(box: Box, source: Source) -> None:
    bundle = box.bundle()
    for name in ("one", "two"):
        (source.path / name).write_text(name)
        bundle.bind(source.path / name, "/file", "bind")
    bundle.mount("/file", type="none", source="none", options=["remount", "bind", "ro", "nosuid"])
    assert box.output(bundle.args("cat", "/file")) == "two"
    assert mounts_in(box, bundle)["/file"].options >= {"ro", "nosuid"}


@pytest.mark.parametrize("over", ["/a", "/link", "/a/b/../../a", "/a/one"])
def test_a_directory_is_looked_up_again_once_it_may_be_covered(box: Box, over: str) -> None:
    """Init keeps the directory open in which it made the last mount point."""
    bundle = box.bundle()
    (bundle.rootfs / "a" / "b").mkdir(parents=True)
    (bundle.rootfs / "link").symlink_to("a")
    for target in ("/a/one", "/a/two", over, "/a/three"):
        bundle.mount(target, type="tmpfs", source=target, options=[])
    shown = box.output(bundle.args("ls", "/a")).split()
    assert shown == (["b", "one", "three", "two"] if over == "/a/one" else ["three"])
    on_host = sorted(path.name for path in (bundle.rootfs / "a").iterdir())
    assert on_host == (["b", "one", "three", "two"] if over == "/a/one" else ["b", "one", "two"])


@pytest.mark.parametrize("users", ["", "reached", "not reached"])
def test_source_inside_an_earlier_mount(box: Box, users: str) -> None:
    """Mounts are made in the order listed: a source is looked up with those before it in their places."""
    bundle = box.bundle().shell("cat /dst/file /file && echo t > /made/t && cat /again/t; echo . > /ro/x")
    volume = box.path / "volume"
    (volume / "inner").mkdir(parents=True)
    (volume / "inner" / "file").write_text("inner\n")
    (volume / "leads").symlink_to("/etc/mine")
    (bundle.rootfs / "etc" / "mine").write_text("mine\n")
    (bundle.rootfs / "made").mkdir()
    bundle.bind(volume, "/mnt", "rbind", "ro")
    bundle.bind(bundle.rootfs / "mnt" / "inner", "/dst", "rbind")
    bundle.bind(bundle.rootfs / "mnt" / "leads", "/file", "bind")
    bundle.mount("/made", type="tmpfs", source="tmpfs")
    bundle.bind("rootfs/made", "/again", "bind")
    bundle.bind("rootfs/mnt/inner", "/ro", "bind")
    if users:
        bundle.namespace("user")
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1000}]
    if users == "not reached":
        other = [{"containerID": 0, "hostID": 100000, "size": 1000}]
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = other
        for path in (bundle.rootfs, *bundle.rootfs.iterdir()):
            os.chown(path, 100000, 100000, follow_symlinks=False)
        bundle.path.chmod(0o700)
        os.chmod(box.path, 0o711)
    result = box.run(bundle)
    assert result.out.splitlines()[:3] == ["inner", "mine", "t"], result
    assert "Read-only file system" in result.err, "as what it lies in"


def test_mapped_source_inside_an_earlier_mount(box: Box) -> None:
    """The runtime gives the map, which does not see the earlier mount: it knows where that comes from."""
    bundle = box.bundle().shell("stat -c %u /dst/file; touch /dst/new")
    volume = box.path / "volume"
    (volume / "inner").mkdir(parents=True)
    (volume / "inner" / "file").write_text("")
    bundle.bind(volume, "/mnt", "rbind", "ro")
    ids = [{"containerID": 0, "hostID": 7, "size": 1000}]
    bundle.bind(bundle.rootfs / "mnt" / "inner", "/dst", "rbind").update(uidMappings=ids, gidMappings=ids)
    result = box.run(bundle)
    assert result.out == "7\n" and "Read-only file system" in result.err, result
    bundle.config["mounts"][-2].update(type="tmpfs", options=[])
    refused = box.run(bundle)
    assert not refused.ok and "(/dst).source: its source lies in mounts[" in refused.err, refused
    assert box.left() == []


def test_relative_source_starts_at_the_bundle(box: Box) -> None:
    bundle = box.bundle()
    (bundle.path / "data").mkdir()
    (bundle.path / "data" / "file").write_text("of the bundle\n")
    bundle.bind("data", "/data")
    assert box.output(bundle.args("cat", "/data/file")) == "of the bundle\n"


@pytest.mark.parametrize("kind", ["proc", "sysfs"])
def test_proc_and_sys_are_not_mounted_through_links(box: Box, kind: str) -> None:
    """A link would put the files that we later read and mask elsewhere."""
    bundle = box.bundle()
    place = {"proc": "proc", "sysfs": "sys"}[kind]
    (bundle.rootfs / place).rmdir()
    (bundle.rootfs / place).symlink_to("/tmp")
    result = box.run(bundle)
    assert result.status == 1, result
    assert "ELOOP" in result.err
    assert box.left() == []


def test_bind_into_proc_through_a_link_is_refused(box: Box) -> None:
    bundle = box.bundle()
    (bundle.rootfs / "innocent").symlink_to("/proc/sys/kernel/hostname")
    (box.path / "file").write_text("")
    bundle.bind(box.path / "file", "/innocent")
    result = box.run(bundle)
    assert result.status == 1, result
    assert "mounts[4] (/innocent)" in result.err and "inside /proc" in result.err
    assert box.left() == []


def test_numbers_in_proc_can_be_replaced(box: Box) -> None:
    """What lxcfs does."""
    bundle = box.bundle()
    (box.path / "uptime").write_text("1.00 1.00\n")
    bundle.bind(box.path / "uptime", "/proc/uptime")
    assert box.output(bundle.args("cat", "/proc/uptime")) == "1.00 1.00\n"


# Errors


@pytest.mark.parametrize(
    "entry, words",
    [
        ({"type": "nosuchfs", "source": "x"}, ["nosuchfs", "ENODEV", "the kernel has no such filesystem"]),
        ({"type": "tmpfs", "source": "x", "options": ["size=many"]}, ["size", "EINVAL"]),
        ({"type": "tmpfs", "source": "x", "options": ["colour=red"]}, ["colour", "EINVAL"]),
        ({"source": "/no/such/source", "options": ["bind"]}, ["/no/such/source", "ENOENT"]),
        ({"type": "tmpfs", "source": "x", "options": ["bind", "tmpcopyup"]}, ["tmpcopyup"]),
        ({"type": "tmpfs", "source": "x", "options": ["remount"]}, ["ENOENT"]),
    ],
)
def test_mount_that_fails_names_its_place(box: Box, entry: dict[str, Any], words: list[str]) -> None:
    bundle = box.bundle()
    bundle.mount("/target", **entry)
    result = box.run(bundle)
    assert result.status == 1, result
    for word in ("mounts[4] (/target)", *words):
        assert word in result.err, result
    assert result.err.count("\n") == 1
    assert box.left() == []


def test_directory_over_a_file_and_file_over_a_directory(box: Box) -> None:
    for what in ("file", "directory"):
        bundle = box.bundle()
        thing = box.path / f"thing-{what}"
        thing.write_text("") if what == "file" else thing.mkdir()
        bundle.bind(thing, "/etc" if what == "file" else "/bin/busybox")
        result = box.run(bundle)
        assert result.status == 1, result
        assert "mounts[4]" in result.err, result
        words = "a file on a directory: not a directory" if what == "file" else "a directory on a file"
        assert words in result.err, result
    assert box.left() == []


# cgroup


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("option", ["ro", "rw"])
def test_cgroup_mount_shows_the_containers_own(box: Box, private: bool, option: str) -> None:
    bundle = box.bundle()
    if not private:
        bundle.without("cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["nosuid", "noexec", "nodev", option])
    seen = mounts_in(box, bundle)
    host = [line for line in Path("/proc/self/cgroup").read_text().split() if line]
    hierarchies = [line.split(":")[1] for line in host if line.split(":")[1]]
    if not hierarchies:
        assert seen["/sys/fs/cgroup"].type == "cgroup2"
        return
    assert seen["/sys/fs/cgroup"].type == "tmpfs"
    assert option in seen["/sys/fs/cgroup"].options
    below = [mount for point, mount in seen.items() if point.startswith("/sys/fs/cgroup/")]
    assert len(below) >= len(hierarchies)
    for mount in below:
        assert mount.type in ("cgroup", "cgroup2") and option in mount.options, mount.point
    # our own process is in it, under its number here, and no cgroup of the host's is within reach
    if "memory" in hierarchies:
        again = box.bundle().shell("cat /sys/fs/cgroup/memory/cgroup.procs; ls -d /sys/fs/cgroup/memory/*/ | wc -l")
        if not private:
            again.without("cgroup")
        again.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=[option])
        assert box.output(again).split()[0] == "1"
        assert box.output(again).split()[-1] == "0"
