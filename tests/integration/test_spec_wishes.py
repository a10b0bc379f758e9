"""Every wish of `spec`, seen from inside a container that was made with it: root's, and a user's without privileges."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.command import Result
from tests.support.stranger import Stranger, open_box

pytestmark = pytest.mark.root

# wish: (options, what is run, what it prints). {file} is a file that everybody can read; {out} a directory for all.
WISHES = {
    "args": (["--args", "echo 'a  b'"], [], "a  b\n"),
    "command": ([], ["echo", "a  b"], "a  b\n"),
    "env": (["--env", "A=b c", "-e", "PATH=/bin"], ["sh", "-c", 'echo "$A $PATH"'], "b c /bin\n"),
    "cwd": (["--cwd", "/tmp"], ["pwd"], "/tmp\n"),
    "hostname": (["--hostname", "web"], ["hostname"], "web\n"),
    "user": (["--user", "7:8"], ["sh", "-c", "id -u; id -g"], "7\n8\n"),
    "cap": (["--cap", "CAP_CHOWN"], ["sh", "-c", "grep CapEff /proc/self/status"], "CapEff:\t0000000020000421\n"),
    "readonly": (["--readonly"], ["sh", "-c", "touch /x 2>/dev/null || echo refused"], "refused\n"),
    "writable": (["--writable"], ["sh", "-c", "touch /x && echo done"], "done\n"),
    "no-tty": ([], ["sh", "-c", "test -t 0 || echo none"], "none\n"),
    "bind": (["--bind", "{file}:/etc/lent"],
             ["sh", "-c", "cat /etc/lent; { echo > /etc/lent; } 2>/dev/null || echo ro"], "lent\nro\n"),
    "bind rw": (["--bind", "{out}:/out:rw"], ["sh", "-c", "echo it > /out/made && cat /out/made"], "it\n"),
    "tmpfs": (["--tmpfs", "/tmp:1M"],
              ["sh", "-c", "df -k /tmp | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2; touch /tmp/x && echo done"],
              "1024\ndone\n"),
    "net none": (["--net", "none"], ["sh", "-c", "tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d ' '"], "lo\n"),
}  # fmt: skip


@pytest.fixture
def stranger(box: Box) -> Iterator[Stranger]:
    with open_box(box) as made:
        yield Stranger(made, 54324)


def filled(words: list[str], path: Path) -> list[str]:
    (path / "file").write_text("lent\n")
    (path / "out").mkdir(exist_ok=True)
    os.chmod(path / "out", 0o777)
    return [word.format(file=path / "file", out=path / "out") for word in words]


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_of_root(box: Box, wish: str) -> None:
    options, command, printed = WISHES[wish]
    bundle = box.bundle().path
    box.ok("spec", "--bundle", str(bundle), "--no-tty", *filled(options, bundle), *command)
    ran = box.call("run", "--bundle", str(bundle), box.tag)
    assert (ran.status, ran.out, ran.err) == (0, printed, "")


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_of_a_user_without_privileges(stranger: Stranger, wish: str) -> None:
    options, command, printed = WISHES[wish]
    bundle = stranger.bundle().path
    (bundle / "config.json").unlink()
    stranger.ok("spec", "--rootless", "--bundle", str(bundle), "--no-tty", *filled(options, bundle), *command)
    ran = stranger.call("run", "--bundle", str(bundle), "c")
    assert (ran.status, ran.out, ran.err) == (0, printed, "")


def wished(box: Box, *words: str) -> Result:
    bundle = box.bundle().path
    box.ok("spec", "--bundle", str(bundle), "--no-tty", *words)
    return box.call("run", "--bundle", str(bundle), box.tag)


def test_spec_with_a_terminal(box: Box) -> None:
    bundle = box.bundle().path
    box.ok("spec", "--bundle", str(bundle), "--tty", "tty")
    ran = box.call("run", "--bundle", str(bundle), box.tag, stdin=os.open("/dev/null", os.O_RDONLY))
    assert ran.out.split() == ["/dev/pts/0"] or "terminal" in ran.err, ran


def test_spec_with_the_hosts_network(box: Box) -> None:
    ran = wished(box, "--net", "host", "readlink", "/proc/self/ns/net")
    assert ran.out == os.readlink("/proc/self/ns/net") + "\n", ran


def test_a_network_by_its_path(box: Box) -> None:
    ran = wished(box, "--net", f"/proc/{os.getpid()}/ns/net", "readlink", "/proc/self/ns/net")
    assert ran.out == os.readlink("/proc/self/ns/net") + "\n", ran


def test_a_rootfs_elsewhere(box: Box, tmp_path: Path) -> None:
    elsewhere = box.bundle()
    box.ok("spec", "--bundle", str(tmp_path), "--no-tty", "--rootfs", str(elsewhere.rootfs), "echo", "here")
    assert box.ok("run", "--bundle", str(tmp_path), box.tag).out == "here\n"


def test_a_bundle_that_is_moved(box: Box) -> None:
    bundle = box.bundle()
    box.ok("spec", "--bundle", str(bundle.path), "--no-tty", "--rootfs", str(bundle.rootfs), "echo", "here")
    moved = shutil.move(bundle.path, box.path / "moved")
    assert box.ok("run", "--bundle", str(moved), box.tag).out == "here\n"


LIMITS = {
    "memory": (["--memory", "32M"], "memory", "memory.limit_in_bytes", "33554432"),
    "cpus": (["--cpus", "0.5"], "cpu", "cpu.cfs_quota_us", "50000"),
    "pids": (["--pids", "9"], "pids", "pids.max", "9"),
}


@pytest.mark.cgroup_v1
@pytest.mark.parametrize("wish", LIMITS)
def test_spec_with_a_limit(box: Box, wish: str) -> None:
    words, controller, file, value = LIMITS[wish]
    bundle = box.bundle().path
    box.ok("spec", "--bundle", str(bundle), "--no-tty", *words, "sleep", "1000")
    box.ok("create", "--bundle", str(bundle), box.tag)
    (below,) = [
        line.split(":")[2]
        for line in Path(f"/proc/{box.state(box.tag)['pid']}/cgroup").read_text().splitlines()
        if controller in line.split(":")[1].split(",")
    ]
    assert Path(f"/sys/fs/cgroup/{controller}{below}/{file}").read_text().strip() == value


@pytest.mark.cgroup_v1
def test_a_limit_that_a_user_cannot_have_is_not_forgotten(stranger: Stranger) -> None:
    bundle = stranger.bundle().path
    (bundle / "config.json").unlink()
    stranger.ok("spec", "--rootless", "--bundle", str(bundle), "--no-tty", "--memory", "32M", "true")
    ran = stranger.call("run", "--bundle", str(bundle), "c")
    assert not ran.ok and "cannot set memory limit" in ran.err, ran
