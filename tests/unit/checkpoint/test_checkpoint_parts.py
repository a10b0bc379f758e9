"""The parts of checkpoint that need no CRIU: the bytes of its protocol, mounts, values, the first error of a log."""

import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.protobuf", reason="needs the Python library protobuf")

from pyoci.checkpoint import dump, messages, mounts
from pyoci.checkpoint.criu import Criu, Directories
from pyoci.checkpoint.request import CGROUP_MODES, CriuOptions, common, joined
from pyoci.container.criu_mounts import make_points
from pyoci.errors import Error
from pyoci.linux import mountinfo


def test_bytes_of_a_request() -> None:
    """As CRIU reads them (protobuf's wire format, by hand): tag = number << 3 | kind."""
    options = messages.Options(images_dir_fd=5, pid=300, leave_running=True, lsm_mount_context="x")
    options.ext_mnt.add(key="/a", val="/b")
    inner = b"\x08\x05" + b"\x10\xac\x02" + b"\x18\x01" + b"\xba\x01\x08\x0a\x02/a\x12\x02/b" + b"\xfa\x03\x01x"
    expected = b"\x08\x01" + b"\x12" + bytes([len(inner)]) + inner
    assert messages.Request(type=messages.DUMP, opts=options).SerializeToString() == expected
    chosen = messages.Options(cgroup_dump_controller=["", "cpu,cpuacct"])
    assert chosen.SerializeToString() == b"\xda\x02\x00\xda\x02\x0bcpu,cpuacct"  # field 43


def test_an_answer_with_fields_we_do_not_know() -> None:
    answer = messages.Response()
    answer.ParseFromString(b"\x08\x02\x10\x01\x22\x02\x08\x2a" + b"\x72\x01z")
    assert (answer.type, answer.success, answer.restore.pid) == (messages.RESTORE, True, 42)


def line(device: str, root: str, point: str, kind: str) -> str:
    return f"1 2 {device} {root} {point} rw - {kind} source rw"


def test_mounts_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    host = [line("8:1", "/", "/", "ext4"), line("0:5", "/", "/dev", "devtmpfs"), line("0:9", "/", "/sys", "sysfs")]
    host.append(line("0:30", "/", "/sys/fs/cgroup/pids", "cgroup"))
    inside = [
        line("8:1", "/bundle/rootfs", "/", "ext4"),
        line("8:1", "/bundle/rootfs/etc", "/etc", "ext4"),
        line("8:1", "/data\\040x", "/data\\040x", "ext4"),
        line("0:70", "/", "/proc", "proc"),
        line("0:9", "/", "/sys", "sysfs"),
        line("0:5", "/null", "/proc/keys", "devtmpfs"),
        line("0:30", "/box", "/sys/fs/cgroup/pids", "cgroup"),
        line("0:71", "/", "/tmp", "tmpfs"),
    ]
    lines = {"self": host, "7": inside}
    monkeypatch.setattr(mounts, "read", lambda pid: list(mountinfo.mounts("\n".join(lines[pid]))))
    assert mounts.external(7) == [
        ("/data x", "/data x"),
        ("/proc/keys", "/dev/null"),
        ("/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids"),
    ]


def test_binds_and_hierarchies() -> None:
    config = {
        "mounts": [
            {"destination": "/proc", "type": "proc"},
            {"destination": "/a/../b", "source": "here", "options": ["rbind"]},
            {"destination": "/c", "source": "/abs", "options": ["bind", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup"},
        ]
    }
    assert mounts.binds(config, "/bundle") == [("/dev/null", "/dev/null"), ("/b", "/bundle/here"), ("/c", "/abs")]
    parts = [{"name": "pids", "source": "/sys/fs/cgroup/pids/box", "filesystem": "cgroup"}]
    assert mounts.hierarchies(config, parts) == [("/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/box")]
    assert mounts.hierarchies(config, [{"name": "", "source": "/x", "filesystem": "cgroup2"}]) == []


def test_points_are_made_inside_the_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (tmp_path / "file").write_text("")
    (root / "link").symlink_to("/../outside")
    bind = {"destination": "/f/file", "source": str(tmp_path / "file"), "options": ["bind"]}
    config = {"mounts": [{"destination": "/a/b", "type": "tmpfs"}, {"destination": "/a/b/c", "type": "tmpfs"}, bind]}
    make_points(str(root), mounts.points(config, dict(mounts.binds(config, str(tmp_path)))))
    assert (root / "a/b").is_dir() and not (root / "a/b/c").exists()
    assert (root / "f/file").is_file()
    with pytest.raises(Error):  # a link that leads nowhere inside is no place to make something
        make_points(str(root), mounts.points({"mounts": [{"destination": "/link/x", "type": "tmpfs"}]}, {}))
    assert list(outside.iterdir()) == []


def test_values(tmp_path: Path) -> None:
    options = CriuOptions("/images")
    options.flags = {"tcp-established", "file-locks"}
    made = messages.Options(**common(options, {}))
    assert (made.tcp_established, made.file_locks, made.ext_unix_sk) == (True, True, False)
    assert made.manage_cgroups_mode == CGROUP_MODES["soft"]
    settings: "dict[str, Any]" = {"annotations": {"org.criu.config": str(tmp_path / "criu.conf")}}
    assert common(options, settings)["config_file"] == str(tmp_path / "criu.conf")
    assert "config_file" not in common(options, {"annotations": {"org.criu.config": ""}})
    options.empty_ns = ["network"]
    assert common(options, {})["empty_ns"] == 0x40000000
    for name, value in (("empty_ns", ["pid"]), ("manage_cgroups_mode", "some")):
        bad = CriuOptions("/images")
        setattr(bad, name, value)
        with pytest.raises(Error):
            common(bad, {})


def test_namespaces_by_path() -> None:
    spaces = [{"type": "network", "path": "/n"}, {"type": "pid"}, {"type": "ipc", "path": "/i"}]
    assert joined({"linux": {"namespaces": spaces}}) == [("net", "extRootNetNS", "/n")]


def test_first_error_of_a_log(tmp_path: Path) -> None:
    log = "(00.1) Error (criu/util.c:1): rlimit: Can't setup RLIMIT_NOFILE for self: x\n"
    log += "(00.2) Warn  (x)\n(00.3) Error (criu/files.c:2): the\x1b cause\n"
    log += "(00.4) Error (criu/cr.c:3): Dumping FAILED.\n"
    (tmp_path / "dump.log").write_text(log)
    directories = Directories(str(tmp_path), "")
    failure = Criu("", directories)._failure("dump", messages.Response(type=1, success=False, cr_errno=1))
    directories.close()
    told = "dump: criu failed: Error (criu/files.c:2): the cause: operation not permitted (EPERM)"
    assert str(failure).startswith(told)
    assert f"log: {tmp_path}/dump.log" in str(failure)


ALL = ["name=systemd", "cpu,cpuacct", ""]


@pytest.mark.parametrize(
    ("record", "own", "others"),
    [
        ({"cgroup_paths": {"": "/c"}}, [""], ["name=systemd", "cpu,cpuacct"]),
        ({"cgroup_paths": {"cpu": "/c", "cpuacct": "/c"}}, ["cpu,cpuacct"], ["name=systemd", ""]),
        ({"cgroup_paths": {"cpu": "/c", "name=systemd": "/c"}, "unified": "/c"}, ALL, []),
        ({"driver": "disabled"}, [], ALL),
    ],
)
def test_hierarchies_in_which_a_container_has_a_cgroup(
    monkeypatch: pytest.MonkeyPatch, record: "dict[str, Any]", own: "list[str]", others: "list[str]"
) -> None:
    listed = "2:name=systemd:/\n1:cpu,cpuacct:/a:b\n0::/c\n"
    monkeypatch.setattr("builtins.open", lambda *_, **__: io.StringIO(listed))
    assert dump.hierarchies(record, 1) == (own, others)
