"""Terminals: what stands in their place in the image, and who takes them."""

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from controls import Canary

from tests.support.box import Box
from tests.support.bundle import Bundle
from tests.support.pty import ConsoleSocket

covers = pytest.mark.covers
LOOK = "stat -c '%F %t' /dev/console; echo hostile > /dev/console; stat -L -c '%F %t' /proc/self/fd/0 > /tmp/seen"


def without(bundle: Bundle, *places: str) -> Bundle:
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] not in places]
    return bundle


def terminal(box: Box) -> Bundle:
    bundle = box.bundle().shell(LOOK)
    bundle.process["terminal"] = True
    return bundle


PTS = {
    "0 leads to a sysctl": lambda pts: (pts / "0").symlink_to("/proc/sys/kernel/hostname"),
    "0 leads out": lambda pts: (pts / "0").symlink_to("../../../../../../../../etc/hostname"),
    "a multiplexer of its own": lambda pts: os.mknod(pts / "ptmx", 0o20666, os.makedev(5, 2)),
    "a multiplexer that is null": lambda pts: os.mknod(pts / "ptmx", 0o20666, os.makedev(1, 3)),
    "a multiplexer that is a link": lambda pts: (pts / "ptmx").symlink_to("/dev/ptmx"),
    "a multiplexer that waits": lambda pts: os.mkfifo(pts / "ptmx"),
}


@covers("CVE-2025-52565")
@pytest.mark.parametrize("name", PTS)
def test_a_volume_in_the_place_of_devpts(box: Box, name: str) -> None:
    """The pty is asked of the multiplexer itself, never looked up by its name: a volume's /dev/pts/0 is nobody's."""
    volume = box.path / "pts"
    volume.mkdir()
    PTS[name](volume)
    if not (volume / "ptmx").exists() and not (volume / "ptmx").is_symlink():
        (volume / "ptmx").symlink_to("/dev/ptmx")
    before = Path("/etc/hostname").read_bytes(), Path("/proc/sys/kernel/hostname").read_bytes()
    bundle = without(terminal(box), "/dev/pts")
    bundle.bind(volume, "/dev/pts", "bind")
    listener = ConsoleSocket(box.path / "console")
    result = box.create(bundle, "c", "--console-socket", str(listener.path))
    assert result.status == 1, result
    assert "/dev/pts/ptmx" in result.err
    assert (Path("/etc/hostname").read_bytes(), Path("/proc/sys/kernel/hostname").read_bytes()) == before
    listener.close()


CONSOLE = {
    "link to the pty": lambda dev, outside: (dev / "console").symlink_to("pts/0"),
    "link out": lambda dev, outside: (dev / "console").symlink_to(outside / "console"),
    "link to a sysctl": lambda dev, outside: (dev / "console").symlink_to("/proc/sys/kernel/hostname"),
    "pipe": lambda dev, outside: os.mkfifo(dev / "console"),
    "directory": lambda dev, outside: (dev / "console").mkdir(),
    "device": lambda dev, outside: os.mknod(dev / "console", 0o20600, os.makedev(5, 1)),
    "missing": lambda dev, outside: None,
}


@covers("CVE-2026-88264", "CVE-2025-52565")
@pytest.mark.parametrize("readonly", [False, True], ids=["writable", "readonly"])
@pytest.mark.parametrize("name", CONSOLE)
def test_what_the_image_has_for_a_console(box: Box, name: str, readonly: bool) -> None:
    """/dev/console is the pty, or create fails; nothing is made or changed where a link leads."""
    canary = Canary(box.path / "outside")
    bundle = without(terminal(box), "/dev")
    bundle.config["root"]["readonly"] = readonly
    (bundle.rootfs / "dev" / "pts").mkdir()
    (bundle.rootfs / "tmp" / "seen").touch()
    bundle.mount("/tmp/rw", type="tmpfs", source="tmpfs")
    CONSOLE[name](bundle.rootfs / "dev", canary.path)
    listener = ConsoleSocket(box.path / "console")
    bundle.shell(LOOK.replace("/tmp/seen", "/tmp/rw/seen"))
    result = box.create(bundle, "c", "--console-socket", str(listener.path))
    assert not canary.touched()
    if not result.ok:
        assert "console" in result.err, result
        assert "link" in name or name == "directory", "these can be mounted on"
        return
    screen, _ = listener.receive()
    box.ok("start", "c")
    assert screen.expect(r"(.+)\r\n")[1] == "character special file 88", "major 136: a pty"
    screen.expect("hostile\r\n")
    screen.close()
    listener.close()


@covers("CVE-2026-88264")
def test_a_runtime_that_follows_the_consoles_link_is_caught(box: Box, mutant: Any) -> None:
    canary = Canary(box.path / "outside")
    careful = "O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600"
    broken = mutant("steps_rootfs.c", careful, "O_CREAT | O_WRONLY, 0600")
    bundle = without(terminal(box), "/dev")
    (bundle.rootfs / "dev" / "pts").mkdir()
    CONSOLE["link out"](bundle.rootfs / "dev", canary.path)
    bundle.write()
    listener = ConsoleSocket(box.path / "console")
    result = broken.call("create", "--bundle", str(bundle.path), "--console-socket", str(listener.path), "control")
    broken.failed(canary.touched(), result)
    listener.close()


# Who takes them


def close_at_once(peer: socket.socket) -> None:
    peer.close()


def send_back(peer: socket.socket) -> None:
    """As many descriptors as one message takes."""
    with contextlib.suppress(BrokenPipeError):  # who sent the terminal may have gone
        socket.send_fds(peer, [b"take these"], [0] * 253)


def reset(peer: socket.socket) -> None:
    peer.shutdown(socket.SHUT_RDWR)


@covers("console-peers")
@pytest.mark.parametrize("behave", [close_at_once, send_back, reset], ids=lambda function: function.__name__)
def test_whoever_takes_the_terminal_and_misbehaves(box: Box, behave: "object") -> None:
    """create ends, well or with an Error; whatever it says, no process and no descriptor of the peer's is kept."""
    import threading

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(box.path / "console"))
    listener.listen(1)

    def serve() -> None:
        peer, _ = listener.accept()
        behave(peer)  # type: ignore[operator]
        peer.close()

    thread = threading.Thread(target=serve)
    thread.start()
    result = box.create(terminal(box), "c", "--console-socket", str(box.path / "console"))
    thread.join()
    listener.close()
    assert "internal error" not in result.err
    if result.ok:
        pid = box.state()["pid"]
        assert len(os.listdir(f"/proc/{pid}/fd")) < 20
    else:
        assert "--console-socket" in result.err, result


@covers("console-peers")
def test_nobody_takes_the_terminal(box: Box) -> None:
    """A queue that is full is no reason to wait."""
    path = box.path / "console"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(0)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for peer in waiting:
        peer.setblocking(False)
        try:
            peer.connect(str(path))
        except BlockingIOError:
            break
    result = box.create(terminal(box), "c", "--console-socket", str(path))
    assert result.status == 1
    assert "(EAGAIN)" in result.err
    assert "--console-socket" in result.err
    assert box.names() == []
    for one in (listener, *waiting):
        one.close()


@covers("console-peers")
def test_a_socket_that_is_exchanged_for_a_link(box: Box) -> None:
    """The caller chose the path: a link is followed to a socket of its choice, to anything else the answer is no."""
    (box.path / "console").symlink_to("/etc/hostname")
    before = os.stat("/etc/hostname")
    result = box.create(terminal(box), "c", "--console-socket", str(box.path / "console"))
    assert result.status == 1
    assert "--console-socket" in result.err
    assert os.stat("/etc/hostname").st_mtime == before.st_mtime
