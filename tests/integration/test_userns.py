"""Containers in user namespaces: identity, devices, what their root cannot reach, id-mapped mounts."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle

pytestmark = pytest.mark.root
UIDS, GIDS = 200000, 300000
SLEEP = "while :; do sleep 0.1; done"


def mappings(first: int, size: int = 65536) -> "list[dict[str, int]]":
    return [{"containerID": 0, "hostID": first, "size": size}]


def in_user_namespace(bundle: Bundle, path: str = "") -> Bundle:
    bundle.namespace("user", path)
    if not path:
        bundle.linux.update(uidMappings=mappings(UIDS), gidMappings=mappings(GIDS))
    for root, _, _files in os.walk(bundle.rootfs):
        os.chown(root, UIDS, GIDS)
    return bundle


@pytest.fixture
def bundle(box: Box) -> Bundle:
    return in_user_namespace(box.bundle())


@pytest.fixture
def volume(box: Box) -> Path:
    path = box.path / "volume"
    path.mkdir()
    (path / "file").write_text("text")
    os.chown(path, UIDS, GIDS)
    os.chown(path / "file", 1000, 1001)
    return path


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory of some mode, below /tmp itself, with a volume in it."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, request.param)
        (Path(path) / "volume").mkdir()
        yield Path(path)


def words(text: str) -> "list[list[str]]":
    return [line.split() for line in text.splitlines()]


# Who one is


def test_the_maps_and_the_user(box: Box, bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 7, "gid": 8, "additionalGids": [9, 10]}
    bundle.shell("cat /proc/self/uid_map /proc/self/gid_map; grep -E '^(Uid|Gid|Groups):' /proc/self/status")
    assert words(box.output(bundle)) == [
        ["0", str(UIDS), "65536"],
        ["0", str(GIDS), "65536"],
        ["Uid:", *["7"] * 4],
        ["Gid:", *["8"] * 4],
        ["Groups:", "9", "10"],
    ]


def test_seen_from_the_host(box: Box, bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 7, "gid": 8}
    pid = box.started(bundle.shell(SLEEP))["pid"]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["Uid"].split() == [str(UIDS + 7)] * 4
    assert status["Gid"].split() == [str(GIDS + 8)] * 4
    assert status["Groups"].strip() == ""


def test_what_the_kernel_makes_for_its_namespaces_is_its_own(box: Box, bundle: Bundle) -> None:
    """Files of a network or ipc namespace belong to whoever was root when it was made: with maps, the container's."""
    bundle.mount("/dev/mqueue", type="mqueue", source="mqueue")
    files = ["/dev/mqueue", "/proc/net/dev", "/sys/class/net/lo/mtu"]
    bundle.shell("touch /dev/mqueue/queue && stat -c '%u %g' " + " ".join([*files, "/dev/mqueue/queue"]))
    assert words(box.output(bundle)) == [["0", "0"]] * 4


@pytest.mark.parametrize("uid", [0, 7])
def test_capabilities_are_the_configs_and_no_more(box: Box, bundle: Bundle, uid: int) -> None:
    """What carried init through its own start must be gone: inheritable and ambient sets are empty."""
    bundle.process["user"] = {"uid": uid, "gid": 0}
    bundle.process["capabilities"] = {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}
    bundle.shell("grep ^Cap /proc/self/status")
    mask = 1 if uid == 0 else 0
    found = {name: int(value, 16) for name, value in words(box.output(bundle))}
    assert found == {"CapInh:": 0, "CapPrm:": mask, "CapEff:": mask, "CapBnd:": 1, "CapAmb:": 0}


@pytest.mark.parametrize("uid", [0, 7])
def test_without_capabilities_in_the_config_there_are_none(box: Box, bundle: Bundle, uid: int) -> None:
    del bundle.process["capabilities"]
    bundle.process["user"] = {"uid": uid, "gid": 0}
    found = {name: int(value, 16) for name, value in words(box.output(bundle.shell("grep ^Cap /proc/self/status")))}
    assert set(found.values()) == {0}


def test_exec_joins_the_user_namespace(box: Box, bundle: Bundle) -> None:
    box.started(bundle.shell(SLEEP))
    out = box.ok("exec", "-u", "7:8", "c", "sh", "-c", "cat /proc/self/uid_map; id; grep CapEff /proc/self/status").out
    assert words(out)[0] == ["0", str(UIDS), "65536"]
    assert "uid=7 gid=8" in out
    assert words(out)[-1] == ["CapEff:", "0" * 16]


@pytest.fixture(params=["allow", "deny"])
def others_namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """A user namespace that somebody else made; what it says of setgroups(2) holds for good."""
    waits = ["unshare", "-U", "sh", "-c", "echo; read x"]
    process = subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    Path(f"/proc/{process.pid}/setgroups").write_text(request.param)
    for name, first in (("uid_map", UIDS), ("gid_map", GIDS)):
        Path(f"/proc/{process.pid}/{name}").write_text(f"0 {first} 65536")
    yield f"/proc/{process.pid}/ns/user"
    process.kill()
    process.communicate()


def test_a_user_namespace_by_path(box: Box, others_namespace: str) -> None:
    bundle = in_user_namespace(box.bundle(), others_namespace)
    bundle.shell("readlink /proc/self/ns/user; cat /proc/self/uid_map; id -G; touch /tmp/x; ls -ln /tmp/x")
    lines = words(box.output(bundle, preexec_fn=lambda: os.setgroups([7, 8])))
    assert lines[0] == [os.readlink(others_namespace)]
    assert lines[1] == ["0", str(UIDS), "65536"]
    assert lines[2] == ["0"], "the caller's groups came along"
    assert (bundle.rootfs / "tmp" / "x").stat().st_uid == UIDS


def test_exec_in_a_user_namespace_by_path(box: Box, others_namespace: str) -> None:
    box.started(in_user_namespace(box.bundle(), others_namespace).shell(SLEEP))
    words = ["exec", "-u", "7:8", "c", "id", "-G"]
    assert box.ok(*words, preexec_fn=lambda: os.setgroups([7, 8])).out == "8\n"


@pytest.mark.parametrize("others_namespace", ["deny"], indirect=True)
def test_groups_that_a_user_namespace_denies(box: Box, others_namespace: str) -> None:
    bundle = in_user_namespace(box.bundle(), others_namespace).args("true")
    bundle.process["user"]["additionalGids"] = [7]
    result = box.run(bundle)
    assert result.status == 1, result
    assert "process.user" in result.err and "setgroups, which the user namespace may deny" in result.err, result


# What its root can have


def test_devices_are_the_hosts(box: Box, bundle: Bundle) -> None:
    bundle.shell("cd /dev; stat -c '%n %F %t:%T' null zero full random urandom tty; echo x > /dev/null")
    lines = box.output(bundle).splitlines()
    assert [line.split()[-1] for line in lines] == ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"]
    assert all("character special file" in line for line in lines)


def test_a_device_that_the_host_has_elsewhere(box: Box, bundle: Bundle) -> None:
    bundle.linux["devices"] = [{"path": "/dev/zero", "type": "c", "major": 1, "minor": 3}]
    result = box.create(bundle, "c")
    assert result.status == 1
    assert "linux.devices[0] (/dev/zero)" in result.err
    assert "c 1:5, not 1:3" in result.err


def test_a_device_that_the_host_lacks(box: Box, bundle: Bundle) -> None:
    bundle.linux["devices"] = [{"path": "/dev/nothing", "type": "c", "major": 1, "minor": 3}]
    assert "the host has none" in box.create(bundle, "c").err


def test_a_fifo_needs_no_host(box: Box, bundle: Bundle) -> None:
    bundle.linux["devices"] = [{"path": "/dev/fifo", "type": "p"}]
    assert box.output(bundle.shell("test -p /dev/fifo && echo yes")) == "yes\n"


def test_standard_streams_belong_to_the_user(box: Box, bundle: Bundle) -> None:
    """A stream of an owner whom the namespace knows is given to the user; others stay as they are."""
    bundle.process["user"] = {"uid": 7, "gid": 8}
    known, foreign = box.path / "known", box.path / "foreign"
    for path in (known, foreign):
        path.touch(0o600)
    os.chown(known, UIDS, GIDS)
    before = os.stat("/dev/null").st_uid
    bundle.shell("echo more > /proc/self/fd/1")
    with known.open("w") as out, foreign.open("w") as err:
        assert box.run(bundle, stdout=out, stderr=err).ok
    assert known.read_text() == "more\n"
    assert known.stat().st_uid == UIDS + 7
    assert foreign.stat().st_uid == 0
    assert os.stat("/dev/null").st_uid == before


@pytest.mark.parametrize("name", ["shared", "rshared", "slave", "private"])
def test_shared_root_that_its_user_cannot_reach(box: Box, bundle: Bundle, name: str) -> None:
    """pivot_root(2) takes no shared mount, and the runtime's copy was made one before init had it."""
    os.chmod(bundle.path, 0o700)
    bundle.linux["rootfsPropagation"] = name
    lines = box.output(bundle.shell("cat /proc/self/mountinfo")).splitlines()
    root = next(line for line in lines if line.split()[4] == "/")
    assert ("shared:" in root) == name.endswith("shared"), root


def test_what_its_root_cannot_reach(box: Box, bundle: Bundle) -> None:
    """Rootfs, volume and a file, all below directories of mode 700 that belong to others."""
    hidden = box.path / "hidden"
    (hidden / "inner").mkdir(parents=True)
    (hidden / "inner" / "file").write_text("reached\n")
    os.chown(hidden / "inner", 1234, 1234)
    os.chmod(hidden / "inner", 0o700)
    os.chmod(hidden, 0o700)
    os.chmod(bundle.path, 0o700)
    bundle.bind(hidden / "inner" / "file", "/etc/file", "bind", "ro")
    bundle.bind(hidden / "inner", "/inner", "rbind")
    assert box.output(bundle.shell("cat /etc/file; ls -d /inner")) == "reached\n/inner\n"


@pytest.mark.parametrize("way", [0o711, 0o700], indirect=True)
def test_what_the_host_forbids_of_a_mount_stays_forbidden(box: Box, bundle: Bundle, way: Path) -> None:
    """With CAP_SYS_ADMIN in its user namespace the container's root may not take nosuid off a mount that it could reach
    by itself. Of one that it could not reach, runc gives it a copy, too, that is the container's own."""
    volume, hidden = way / "volume", not way.stat().st_mode & 1
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev", "tmpfs", str(volume)], check=True)
    try:
        capabilities = ["CAP_SYS_ADMIN"]
        bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), capabilities)
        bundle.bind(volume, "/v", "bind")
        result = box.run(bundle.shell("mount -o remount,bind,suid,dev /v; grep ' /v ' /proc/self/mountinfo"))
        assert ("nosuid,nodev" in result.out) is not hidden, result
    finally:
        subprocess.run(["umount", str(volume)], check=True)


@pytest.mark.parametrize("way", [0o711, 0o700], indirect=True)
@pytest.mark.parametrize(("propagation", "expected"), [("", "master"), ("private", ""), ("rslave", "master")])
def test_what_the_runtime_opens_is_separated_from_the_host(
    box: Box, bundle: Bundle, way: Path, propagation: str, expected: str
) -> None:
    """A copy of a shared mount would be the host's peer: what the container mounts there would appear outside."""
    volume = way / "volume"
    subprocess.run(["mount", "--bind", str(volume), str(volume)], check=True)
    subprocess.run(["mount", "--make-shared", str(volume)], check=True)
    try:
        bundle.bind(volume, "/v", "rbind")
        if propagation:
            bundle.linux["rootfsPropagation"] = propagation
        line = box.output(bundle.shell("grep ' /v ' /proc/self/mountinfo"))
        fields = line.split(" - ")[0].split()[6:]
        assert [field.partition(":")[0] for field in fields] == ([expected] if expected else [])
    finally:
        subprocess.run(["umount", str(volume)], check=True)


def test_the_hosts_network_has_the_hosts_sysfs(box: Box, bundle: Bundle) -> None:
    """Only who owns the network namespace can mount a sysfs of it."""
    bundle.without("network")
    result = box.run(bundle.shell("ls /sys/class/net; touch /sys/x"))
    assert "lo" in result.out.split()
    assert "Read-only file system" in result.err


def test_masks_and_sysctls(box: Box, bundle: Bundle) -> None:
    bundle.linux.update(
        sysctl={"net.ipv4.ip_forward": "1"}, maskedPaths=["/proc/keys", "/proc/acpi"], readonlyPaths=["/proc/sys"]
    )
    bundle.shell("cd /proc/sys/net/ipv4; cat ip_forward /proc/keys; echo 0 > ip_forward")
    result = box.run(bundle)
    assert result.out == "1\n"
    assert "Read-only file system" in result.err


def test_a_group_of_terminals_that_is_not_mapped_is_left_out(box: Box, bundle: Bundle) -> None:
    bundle.linux["gidMappings"] = mappings(GIDS, 1)
    out = box.output(bundle.shell("grep devpts /proc/mounts"))
    assert "gid=" not in out


def test_no_mappings(box: Box) -> None:
    bundle = box.bundle()
    bundle.namespace("user")
    assert "mapping" in box.create(bundle, "c").err


# Id-mapped mounts


def owners(box: Box, bundle: Bundle, *files: str) -> "list[str]":
    return box.output(bundle.args("stat", "-c", "%u:%g", *files)).split()


@pytest.mark.parametrize("option", ["", "idmap", "ridmap"])
def test_mappings_of_a_mount(box: Box, volume: Path, option: str) -> None:
    bundle = box.bundle()
    options = ["bind", option] if option else ["bind"]
    entry: Any = bundle.bind(volume, "/v", *options)
    entry.update(uidMappings=mappings(5000), gidMappings=mappings(6000))
    assert owners(box, bundle, "/v/file") == ["6000:7001"]
    assert (volume / "file").stat().st_uid == 1000


@pytest.mark.parametrize(("option", "below"), [("idmap", "1000:1001"), ("ridmap", "6000:7001"), ("", "1000:1001")])
def test_how_deep_a_map_goes(box: Box, volume: Path, option: str, below: str) -> None:
    inner = volume / "inner"
    inner.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inner)], check=True)
    try:
        (inner / "file").write_text("")
        os.chown(inner / "file", 1000, 1001)
        bundle = box.bundle()
        options = ["rbind", option] if option else ["rbind"]
        bundle.bind(volume, "/v", *options).update(uidMappings=mappings(5000), gidMappings=mappings(6000))
        assert owners(box, bundle, "/v/file", "/v/inner/file") == ["6000:7001", below]
    finally:
        subprocess.run(["umount", str(inner)], check=True)


def test_the_containers_mappings_serve_a_mount(box: Box, bundle: Bundle, volume: Path) -> None:
    bundle.bind(volume, "/v", "bind", "idmap")
    os.chown(volume, 0, 0)
    assert owners(box, bundle, "/v/file") == ["1000:1001"]
    assert box.output(bundle.shell("touch /v/new; stat -c %u:%g /v/new")) == "0:0\n"
    assert (volume / "new").stat().st_uid == 0


def test_the_mappings_of_a_namespace_by_path_serve_a_mount(box: Box, others_namespace: str, volume: Path) -> None:
    bundle = in_user_namespace(box.bundle(), others_namespace)
    bundle.bind(volume, "/v", "bind", "idmap")
    assert owners(box, bundle, "/v/file") == ["1000:1001"]


def test_id_maps_are_for_binds(box: Box) -> None:
    bundle = box.bundle()
    bundle.mount("/t", type="tmpfs", source="tmpfs", uidMappings=mappings(1), gidMappings=mappings(1))
    assert "mounts[4]" in box.create(bundle, "c").err


def test_a_filesystem_without_id_maps(box: Box) -> None:
    bundle = box.bundle()
    bundle.bind("/proc", "/v", "bind", "idmap").update(uidMappings=mappings(1), gidMappings=mappings(1))
    result = box.create(bundle, "c")
    assert "mounts[4] (/v)" in result.err
    assert "cannot have id maps" in result.err
