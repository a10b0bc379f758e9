"""linux.namespaces: new, joined by path, refused; time offsets; sysctls."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.command import run

pytestmark = pytest.mark.root
FILES = {
    "pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup", "time": "time",
    "user": "user",
}  # fmt: skip
ORDER = ("pid", "network", "ipc", "uts", "mount", "cgroup", "time", "user")
LIST = "for n in pid net ipc uts mnt cgroup time user; do readlink /proc/self/ns/$n; done"


def own(kind: str) -> str:
    return os.readlink(f"/proc/self/ns/{FILES[kind]}")


def seen(box: Box, bundle: Bundle) -> dict[str, str]:
    """The namespaces of a container's process, as its own procfs shows them."""
    lines = box.output(bundle.shell(LIST)).split()
    return dict(zip(ORDER, lines))


@pytest.fixture
def holder() -> Iterator["dict[str, str]"]:
    """A process in namespaces of its own: their paths, by type. pid and time are those of its children."""
    flags = ["--pid", "--net", "--ipc", "--uts", "--mount", "--cgroup", "--time", "--fork"]
    process = subprocess.Popen(
        ["unshare", *flags, "--mount-proc", "sh", "-c", "hostname held; echo ready; exec sleep 1000"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    yield {kind: f"/proc/{children[0]}/ns/{file}" for kind, file in FILES.items()}
    os.kill(int(children[0]), 9)
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("kind", sorted(set(FILES) - {"user"}))
def test_new_namespace(box: Box, kind: str) -> None:
    bundle = box.bundle()
    bundle.namespace(kind)
    assert seen(box, bundle)[kind] != own(kind)


@pytest.mark.parametrize(
    ("kind", "file", "place"),
    [
        ("network", "net", "linux.namespaces: make namespaces: "),
        ("mount", "mnt", "linux.namespaces: make namespaces: "),
        ("cgroup", "cgroup", "(cgroup): make namespaces: "),
        ("pid", "pid", "start init in new namespaces: "),
    ],
)
def test_too_many_namespaces(box: Box, kind: str, file: str, place: str) -> None:
    """In a user namespace of ours: the numbers in /proc/sys/user are each namespace's own."""
    bundle = box.bundle().args("true")
    bundle.write()
    script = f'echo 0 > /proc/sys/user/max_{file}_namespaces && exec "$@"'
    words = box.words("run", "--bundle", str(bundle.path), "c")
    result = run(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *words])
    assert result.status == 1, result
    assert place in result.err and "(ENOSPC)" in result.err and "a limit in /proc/sys/user" in result.err, result
    assert box.left() == []


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "cgroup", "time"])
def test_absent_namespace_is_the_hosts(box: Box, kind: str) -> None:
    bundle = box.bundle()
    bundle.without(kind)
    if kind == "network":  # sysfs shows the network namespace: mounting it takes owning that
        bundle.config["mounts"] = [mount for mount in bundle.config["mounts"] if mount["type"] != "sysfs"]
    assert seen(box, bundle)[kind] == own(kind)


def test_without_uts_namespace(box: Box) -> None:
    bundle = box.bundle()
    bundle.without("uts")
    del bundle.config["hostname"]
    assert seen(box, bundle)["uts"] == own("uts")


def test_without_mount_namespace(box: Box) -> None:
    bundle = box.bundle()
    bundle.without("mount")
    del bundle.config["mounts"]
    assert box.output(bundle.shell("ls / | grep -c busybox; ls /bin/busybox")) == "0\n/bin/busybox\n"


@pytest.mark.parametrize("kind", sorted(set(FILES) - {"user", "mount"}))
def test_namespace_by_path(box: Box, holder: dict[str, str], kind: str) -> None:
    bundle = box.bundle()
    bundle.namespace(kind, holder[kind])
    del bundle.config["hostname"]
    assert seen(box, bundle)[kind] == os.readlink(holder[kind])


def test_mount_namespace_by_path(box: Box, holder: dict[str, str]) -> None:
    """Its mounts are there; the rootfs becomes its root all the same."""
    bundle = box.bundle()
    bundle.namespace("mount", holder["mount"])
    assert seen(box, bundle)["mount"] == os.readlink(holder["mount"])


def test_user_namespace_by_path(box: Box) -> None:
    process = subprocess.Popen(
        ["unshare", "--user", "sh", "-c", "echo ready; exec sleep 1000"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for file in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{file}").write_text("0 0 65536\n")
        bundle = box.bundle()
        path = f"/proc/{process.pid}/ns/user"
        bundle.namespace("user", path)
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["type"] != "devpts"]
        assert seen(box, bundle)["user"] == os.readlink(path)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def test_all_by_path_at_once(box: Box, holder: dict[str, str]) -> None:
    bundle = box.bundle()
    kinds = ["pid", "network", "ipc", "uts", "cgroup", "time"]
    for kind in kinds:
        bundle.namespace(kind, holder[kind])
    del bundle.config["hostname"]
    there = seen(box, bundle)
    assert {kind: there[kind] for kind in kinds} == {kind: os.readlink(holder[kind]) for kind in kinds}


def test_hostname_of_a_joined_namespace_is_changed(box: Box, holder: dict[str, str]) -> None:
    bundle = box.bundle().args("hostname")
    bundle.namespace("uts", holder["uts"])
    assert box.output(bundle) == "box\n"


@pytest.mark.parametrize("key", ["hostname", "domainname"])
def test_names_of_the_host_are_not_changed(box: Box, key: str) -> None:
    """By a path that is the host's own namespace under another name, neither."""
    before = os.uname().nodename
    bundle = box.bundle().args("true")
    bundle.config.pop("hostname")
    bundle.config[key] = "stolen"
    bundle.namespace("uts", f"/proc/{os.getpid()}/ns/uts")
    result = box.run(bundle)
    assert os.uname().nodename == before
    assert result.status == 1, result
    assert f"unable to set {key} without a private UTS namespace" in result.err


def test_domainname(box: Box) -> None:
    bundle = box.bundle().args("cat", "/proc/sys/kernel/domainname")
    bundle.config["domainname"] = "example.org"
    assert box.output(bundle) == "example.org\n"


@pytest.mark.parametrize("kind", sorted(FILES))
def test_path_of_another_type_is_refused(box: Box, kind: str) -> None:
    other = "net" if kind != "network" else "uts"
    bundle = box.bundle().args("true")
    if kind == "uts":
        del bundle.config["hostname"]
    path = f"/proc/self/ns/{other}"
    bundle.namespace(kind, path)
    result = box.run(bundle)
    assert result.status == 1, result
    assert "linux.namespaces[" in result.err and path in result.err, result
    said = f"failed to setns into {kind} namespace: {path} is of type {other.replace('net', 'network')}"
    assert said in result.err, result
    assert box.left() == []


@pytest.mark.parametrize("path", ["/proc/self/ns/nosuch", "/etc/passwd", "/dev/null", "/", "/tmp"])
def test_path_that_is_no_namespace(box: Box, path: str) -> None:
    bundle = box.bundle().args("true")
    bundle.namespace("network", path)
    result = box.run(bundle)
    assert result.status == 1, result
    assert "linux.namespaces" in result.err and path in result.err, result
    assert box.left() == []


def test_path_that_is_a_pipe_does_not_hang(box: Box) -> None:
    os.mkfifo(box.path / "pipe")
    bundle = box.bundle().args("true")
    bundle.namespace("network", str(box.path / "pipe"))
    result = box.run(bundle)
    assert result.status == 1, result
    assert box.left() == []


def test_time_offsets(box: Box) -> None:
    bundle = box.bundle().args("cat", "/proc/uptime")
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {"monotonic": {"secs": 100}, "boottime": {"secs": 1000000, "nanosecs": 5}}
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    uptime = float(box.output(bundle).split()[0])
    assert 1000000 - 1 <= uptime - before <= time.clock_gettime(time.CLOCK_BOOTTIME) - before + 1000001


@pytest.mark.parametrize("pid", [True, False])
def test_time_offsets_in_a_new_user_namespace(box: Box, pid: bool) -> None:
    """Nobody there may mount a procfs before the pid namespace has its first process."""
    bundle = box.bundle().args("cat", "/proc/uptime")
    bundle.namespace("time")
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1000}]
    if not pid:
        bundle.without("pid")
        bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] != "/proc"]
        bundle.bind("/proc", "/proc", "rbind")
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 1000000}}
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert float(box.output(bundle).split()[0]) >= before + 1000000 - 1


def test_time_namespace_starts_with_the_first_process(box: Box) -> None:
    """/proc/<pid>/ns/time and time_for_children agree: the program is inside, not only its children."""
    bundle = box.bundle().shell("readlink /proc/1/ns/time; readlink /proc/1/ns/time_for_children")
    bundle.namespace("time")
    first, second = box.output(bundle).split()
    assert first == second.replace("_for_children", "")


def test_bad_time_offset_names_its_place(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {"boottime": {"secs": -(2**40)}}
    result = box.run(bundle)
    assert result.status == 1, result
    assert "linux.timeOffsets" in result.err
    assert box.left() == []


def test_joined_pid_namespace_as_first_process_has_another_number(box: Box, holder: dict[str, str]) -> None:
    bundle = box.bundle().shell("echo $$")
    bundle.namespace("pid", holder["pid"])
    assert int(box.output(bundle)) > 1


def test_kill_reaches_a_container_in_a_joined_pid_namespace(box: Box, holder: dict[str, str]) -> None:
    bundle = box.bundle().shell("setsid sleep 2000 & exec sleep 2000")
    bundle.namespace("pid", holder["pid"])
    box.started(bundle)
    box.ok("delete", "--force", "c")
    assert [what for what in box.left() if "sleep 1000" not in what] == [], "more than the holder of the namespace"


# Sysctls

ALLOWED = {
    "net.ipv4.ip_forward": ("/proc/sys/net/ipv4/ip_forward", "1"),
    "net/ipv4/ip_default_ttl": ("/proc/sys/net/ipv4/ip_default_ttl", "33"),
    "net.ipv4.conf.lo.forwarding": ("/proc/sys/net/ipv4/conf/lo/forwarding", "1"),
    "kernel.msgmax": ("/proc/sys/kernel/msgmax", "4096"),
    "kernel.shm_rmid_forced": ("/proc/sys/kernel/shm_rmid_forced", "1"),
    "fs.mqueue.msg_max": ("/proc/sys/fs/mqueue/msg_max", "7"),
    "kernel.domainname": ("/proc/sys/kernel/domainname", "sysctl.example"),
}


@pytest.mark.parametrize("key", sorted(ALLOWED))
def test_sysctl(box: Box, key: str) -> None:
    path, value = ALLOWED[key]
    if not os.path.exists(path):
        pytest.skip(f"this kernel has no {path}")
    before = Path(path).read_text()
    bundle = box.bundle().args("cat", path)
    bundle.linux["sysctl"] = {key: value}
    assert box.output(bundle).strip() == value
    assert Path(path).read_text() == before, "the host's was changed"


REFUSED = [
    ("kernel.panic", ""), ("vm.swappiness", ""), ("fs.file-max", ""), ("kernel.hostname", ""), ("net", ""), ("", ""),
    ("net.ipv4.ip_forward", "network"), ("kernel.msgmax", "ipc"), ("net..x", ""), ("net/../kernel/panic", ""),
    ("kernel.domainname", "uts"), ("kernel/../net/ipv4/ip_forward", ""), ("fs.mqueue/../file-max", ""),
]  # fmt: skip


@pytest.mark.parametrize("key, without", REFUSED)
def test_sysctl_that_would_reach_the_host(box: Box, key: str, without: str) -> None:
    bundle = box.bundle().args("true")
    if without:
        bundle.without(without)
        if without == "uts":
            del bundle.config["hostname"]
    bundle.linux["sysctl"] = {key: "1"}
    result = box.run(bundle)
    assert result.status == 1, result
    assert "linux.sysctl" in result.err, result
    assert box.left() == []


def test_sysctl_of_the_host_by_a_path(box: Box) -> None:
    bundle = box.bundle().args("true")
    bundle.namespace("network", f"/proc/{os.getpid()}/ns/net")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    result = box.run(bundle)
    assert result.status == 1, result
    assert "linux.sysctl[net.ipv4.ip_forward]" in result.err


def test_sysctl_that_the_kernel_refuses_names_its_place(box: Box) -> None:
    for key, value, word in (("net.ipv4.nosuch", "1", "ENOENT"), ("net.ipv4.ip_forward", "many", "EINVAL")):
        bundle = box.bundle().args("true")
        bundle.linux["sysctl"] = {key: value}
        result = box.run(bundle)
        assert result.status == 1, result
        assert f"linux.sysctl[{key}]" in result.err and word in result.err, result
    assert box.left() == []


def test_image_cannot_divert_a_sysctl(box: Box) -> None:
    """A file of the image's, or a mount of the config's, at /proc/sys must not be what is written to."""
    bundle = box.bundle().args("cat", "/proc/sys/net/ipv4/ip_forward")
    (bundle.rootfs / "proc" / "sys" / "net" / "ipv4").mkdir(parents=True)
    decoy = bundle.rootfs / "proc" / "sys" / "net" / "ipv4" / "ip_forward"
    decoy.write_text("decoy")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    assert box.output(bundle) == "1\n"
    assert decoy.read_text() == "decoy"
