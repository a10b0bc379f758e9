"""sd_notify(3) through the commands: what the caller hears when a container says that it is ready."""

import os
import socket
from collections.abc import Iterator

import pytest

from tests.support.box import Box
from tests.support.bundle import Bundle

pytestmark = pytest.mark.root
READY = (
    "import os, socket; "
    "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'STATUS=x\\nREADY=1', os.environ['NOTIFY_SOCKET'])"
)


@pytest.fixture
def manager(box: Box) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(box.path / "manager"))
        listener.settimeout(60)
        yield listener


def speaking(box: Box, then: str = "") -> Bundle:
    """A bundle whose program says that it is ready: with the host's Python, as busybox sends no datagrams."""
    bundle = box.bundle().args("/usr/bin/python3", "-I", "-S", "-c", READY + then)
    bundle.bind("/usr", "/usr")
    for name in ("lib", "lib64"):
        if os.path.lexists(f"/{name}"):
            os.symlink(f"usr/{name}", bundle.rootfs / name)
    bundle.write()
    return bundle


def surroundings(box: Box) -> "dict[str, str]":
    return {**os.environ, "NOTIFY_SOCKET": str(box.path / "manager")}


def test_run_in_the_foreground_stays_the_main_process(box: Box, manager: socket.socket) -> None:
    """systemd would not notice the end of the container's, which is no child of its own."""
    done = box.call("run", "--bundle", str(speaking(box, "; raise SystemExit(7)").path), "c", env=surroundings(box))
    assert done.status == 7, done
    assert manager.recv(100) == b"READY=1\n"
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)


@pytest.mark.parametrize("detached", [True, False])
def test_who_goes_away_names_the_container(box: Box, manager: socket.socket, detached: bool) -> None:
    bundle = speaking(box, "; import signal; signal.pause()")
    words = ["run", "--detach"] if detached else ["create"]
    done = box.call(*words, "--bundle", str(bundle.path), "c", env=surroundings(box))
    assert done.ok, done
    if not detached:
        assert box.call("start", "c", env=surroundings(box)).ok
    said = [manager.recv(100), manager.recv(100)]
    assert said == [b"READY=1\n", f"MAINPID={box.state()['pid']}\n".encode()]
