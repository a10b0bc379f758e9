"""Every flag of checkpoint and restore: what CRIU is told, and what it makes CRIU do."""

import fcntl
import os
import re
import select
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_checkpoint import COUNTER, CRIU, Saved, good, needs_tcp, number, until, version, why_not

from tests.support import leftovers
from tests.support.box import Box
from tests.support.command import Started

pytestmark = [pytest.mark.root]
WHY_NOT = why_not()


def needs_criu(test: Any) -> Any:
    """A test with a real CRIU."""
    return pytest.mark.slow(pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)(test))


# A program that is told what CRIU is told, notes it, and cannot do it. 08 01 10 00 4a: type, success, and the message
STAND_IN = """#!{python} -IS
import os, socket, sys
with socket.socket(fileno=int(sys.argv[2])) as peer:
    with open({note!r}, "wb") as note:
        note.write(peer.recv(1 << 16))
    peer.send(b"\\x08\\x01\\x10\\x00\\x4a\\x05noted")
"""


def decode(data: bytes) -> "dict[int, list[Any]]":
    """A message of protobuf's wire format: number of a field → its values, as numbers or bytes."""
    found: "dict[int, list[Any]]" = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        value: Any = varint()
        if tag & 7 == 2:
            at += value
            value = data[at - value : at]
        found.setdefault(tag >> 3, []).append(value)
    return found


class Asked:
    """A container, and a CRIU that only notes what it is asked."""

    def __init__(self, box: Box) -> None:
        self.saved = Saved(box)
        self.saved.images.mkdir()
        self.other = box.bundle()
        self.other.write()
        self.note = box.path / "note"
        self.program = box.path / "criu"
        self.program.write_text(STAND_IN.format(python=sys.executable, note=str(self.note)))
        self.program.chmod(0o755)

    def ask(self, command: str, *flags: str, **popen: Any) -> "dict[int, list[Any]]":
        """The options (criu_opts of CRIU's rpc.proto) that a command sends."""
        box, images = self.saved.box, str(self.saved.images)
        if command == "checkpoint":
            words = ["checkpoint", "--image-path", images, *flags, "c"]
        else:
            (self.saved.images / "descriptors.json").write_text("[]")
            bundle = ["--bundle", str(self.other.path), "--detach"]
            words = ["restore", "--image-path", images, *bundle, *flags, "r"]
        failed = box.call("--criu", str(self.program), *words, **popen)
        assert failed.status == 1
        assert "criu failed: noted" in failed.err, failed
        request = decode(self.note.read_bytes())
        self.note.unlink()
        self.kind = request[1][0]
        return decode(request[2][0])


@pytest.fixture
def asked(box: Box) -> Asked:
    made = Asked(box)
    made.saved.start()
    return made


@pytest.fixture
def saved(box: Box) -> Saved:
    return Saved(box)


SWITCHES = {
    "leave-running": 3,
    "ext-unix-sk": 4,
    "tcp-established": 5,
    "shell-job": 7,
    "file-locks": 8,
    "auto-dedup": 16,
    "link-remap": 18,
    "tcp-skip-in-flight": 46,
    "lazy-pages": 48,
}
OF_BOTH = ("ext-unix-sk", "tcp-established", "shell-job", "file-locks", "auto-dedup", "lazy-pages")


def test_what_criu_is_told_by_switches(asked: Asked) -> None:
    """Alone, each sets its own field and no other."""
    for command, names in (("checkpoint", tuple(SWITCHES)), ("restore", OF_BOTH)):
        plain = asked.ask(command)
        assert asked.kind == (1 if command == "checkpoint" else 2)
        assert not any(plain.get(field) == [1] for field in SWITCHES.values())
        for name in names:
            options = asked.ask(command, f"--{name}")
            assert {field for field in SWITCHES.values() if options.get(field) == [1]} == {SWITCHES[name]}, name
        assert asked.saved.box.state()["status"] == "running"
        assert asked.saved.box.names() == ["c"]


def test_what_criu_is_told_by_values(asked: Asked) -> None:
    for command in ("checkpoint", "restore"):
        for mode, told in (("", 3), ("soft", 3), ("full", 4), ("strict", 5), ("ignore", 0)):
            options = asked.ask(command, *(["--manage-cgroups-mode", mode] if mode else []))
            assert (options[24], options[34]) == ([1], [told])
        assert asked.ask(command, "--empty-ns", "network")[38] == [0x40000000]  # CLONE_NEWNET
    options = asked.ask("checkpoint", "--page-server", "127.0.0.1:4321")
    assert decode(options[11][0]) == {1: [b"127.0.0.1"], 2: [4321]}
    assert decode(asked.ask("checkpoint", "--page-server", "[::1]:1")[11][0]) == {1: [b"::1"], 2: [1]}
    options = asked.ask("checkpoint", "--parent-path", "../parent")
    assert (options[14], options[15]) == ([b"../parent"], [1])
    options = asked.ask("checkpoint", "--pre-dump")
    assert (asked.kind, options[15]) == (4, [1])
    inner, outer = os.pipe()
    try:
        assert asked.ask("checkpoint", "--status-fd", str(outer), pass_fds=[outer])[49] == [outer]
    finally:
        os.close(inner)
        os.close(outer)
    options = asked.ask("restore", "--lsm-profile", "apparmor:other", "--lsm-mount-context", "system_u:object_r:x_t:s0")
    assert (options[53], options[63]) == ([b"apparmor:other"], [b"system_u:object_r:x_t:s0"])
    plain = asked.ask("restore")
    assert not {11, 14, 38, 49, 53, 63} & set(plain)


# --- with a real CRIU


@needs_criu
@pytest.mark.parametrize("mode", ["soft", "full", "ignore"])
def test_manage_cgroups_mode(saved: Saved, mode: str) -> None:
    """Whatever CRIU does with cgroups, the processes are in the container's own, and limits hold."""
    saved.bundle.linux["resources"] = {"pids": {"limit": 77}}
    saved.start()
    good(saved.checkpoint("--manage-cgroups-mode", mode))
    good(saved.restore("--manage-cgroups-mode", mode))
    at = number(saved.count)
    until(lambda: number(saved.count) > at)
    groups = Path(f"/proc/{saved.box.state()['pid']}/cgroup").read_text()
    assert saved.bundle.linux["cgroupsPath"] in groups
    found = [Path(path, "pids.max") for path in leftovers.cgroups_named(saved.box.tag)]
    assert [path.read_text() for path in found if path.exists()] == ["77\n"]


@needs_criu
def test_manage_cgroups_strictly(saved: Saved) -> None:
    """It means to fail where the cgroups are there already; and a container's are, before CRIU begins. As with runc."""
    saved.start()
    good(saved.checkpoint("--manage-cgroups-mode", "strict"))
    failed = saved.restore("--manage-cgroups-mode", "strict")
    assert (failed.status, "restore of existing cgroups" in failed.err) == (1, True), failed
    assert saved.box.left() == []


@needs_criu
def test_empty_network_namespace(saved: Saved) -> None:
    """The namespace is new and empty: what was in the old one is not asked for."""
    saved.start()
    words = ["nsenter", f"--net=/proc/{saved.box.state()['pid']}/ns/net", "ip", "link", "add", "d0", "type", "ifb"]
    made = subprocess.run(words, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no device to make: {made.stderr.decode().strip()}")
    assert not saved.checkpoint().ok, "CRIU can save an ifb"
    good(saved.checkpoint("--empty-ns", "network"))
    good(saved.restore("--empty-ns", "network"))
    names = saved.box.ok("exec", "c", "ls", "/sys/class/net").out.split()
    assert (names.count("lo"), names.count("d0")) == (1, 0)


# What CRIU is asked about, in a process that then counts: holder MODE PATH
HOLDER = """
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int lock(const char *path) { return flock(open(path, O_RDWR | O_CREAT, 0600), LOCK_EX); }

static int flight(const char *unused) { /* connected to ourselves, and never accepted */
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(99), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    (void)unused;
    return bind(server, (void *)&to, sizeof to) || listen(server, 5) || connect(client, (void *)&to, sizeof to);
}

static int outside(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, path);
    return connect(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&to, sizeof to);
}

int main(int count, char **words) {
    int (*mode)(const char *) = *words[1] == 'l' ? lock : *words[1] == 'f' ? flight : outside;
    if (mode(words[2])) { perror(words[1]); return 1; }
    for (count = 0;; count++) {
        FILE *file = fopen("/tmp/count", "w");
        fprintf(file, "%d", count);
        fclose(file);
        usleep(50000);
    }
}
"""


def holding(saved: Saved, mode: str, path: str = "") -> None:
    """Starts a container of the program above."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    source = saved.box.path / "holder.c"
    source.write_text(HOLDER)
    subprocess.run(["gcc", "-static", "-o", str(saved.bundle.rootfs / "holder"), str(source)], check=True)
    saved.bundle.args("/holder", mode, path)
    saved.start()


def only_with(saved: Saved, flag: str, *more: str) -> None:
    """checkpoint is refused without a flag, and the container goes on; with it the container is saved."""
    refused = saved.checkpoint(*more)
    assert (refused.status, "dump: criu failed: Error (" in refused.err) == (1, True), refused
    assert saved.box.state()["status"] == "running"
    good(saved.checkpoint(flag, *more))


@needs_criu
def test_file_locks(saved: Saved) -> None:
    holding(saved, "lock", "/tmp/lock")
    only_with(saved, "--file-locks")
    good(saved.restore("--file-locks"))
    with open(saved.bundle.rootfs / "tmp" / "lock") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@needs_criu
def test_connection_that_nobody_has_accepted(saved: Saved) -> None:
    needs_tcp()
    holding(saved, "flight")
    only_with(saved, "--tcp-skip-in-flight", "--tcp-established")
    good(saved.restore("--tcp-established"))
    at = number(saved.count)
    until(lambda: number(saved.count) > at)


@needs_criu
def test_unix_socket_of_somebody_else(saved: Saved) -> None:
    """restore connects to the name that the other end was bound to: it must be the same inside."""
    shared = tempfile.mkdtemp(prefix="pyoci-")  # short: a name of a socket has at most 107 bytes
    saved.bundle.bind(shared, shared, "bind")
    saved.bundle.without("network")  # CRIU must see the other end
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(f"{shared}/s")
            holding(saved, "outside", f"{shared}/s")
            only_with(saved, "--ext-unix-sk")
            good(saved.restore("--ext-unix-sk"))
            at = number(saved.count)
            until(lambda: number(saved.count) > at)
    finally:
        shutil.rmtree(shared)


@needs_criu
def test_link_remap(saved: Saved) -> None:
    """A file that is open, and whose name is gone while another one leads to it."""
    saved.bundle.shell(f"exec 9> /tmp/a; ln /tmp/a /tmp/b; rm /tmp/a; echo before >&9; {COUNTER}")
    saved.start()
    assert not saved.checkpoint().ok
    good(saved.checkpoint("--link-remap"))
    good(saved.restore())
    saved.box.ok("exec", "c", "sh", "-c", "echo after > /proc/1/fd/9")
    assert "after" in (saved.bundle.rootfs / "tmp" / "b").read_text()


@needs_criu
def test_auto_dedup(saved: Saved) -> None:
    """Pages that restore has read are taken out of the images."""
    saved.start()
    good(saved.checkpoint())
    pages = list(saved.images.glob("pages-*.img"))
    assert sum(page.stat().st_blocks for page in pages) > 0
    good(saved.restore("--auto-dedup"))
    assert sum(page.stat().st_blocks for page in pages) == 0


@pytest.fixture
def server(saved: Saved) -> "Iterator[PageServer]":
    made = PageServer(saved)
    yield made
    made.end()


class PageServer:
    """A free port of the loopback, and CRIU's own programs at it."""

    def __init__(self, saved: Saved) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.work = saved.box.path / "work"
        self.work.mkdir()
        saved.images.mkdir()
        self.images = saved.images
        self.running: "Started | None" = None

    def begin(self, *words: str) -> None:
        where = ["--address", "127.0.0.1", "--port", str(self.port), "-D", str(self.images), "-W", str(self.work)]
        self.running = Started([CRIU, *words, *where, "-o", f"{words[0]}.log", "-v4"])

    def finish(self) -> None:
        assert self.running is not None
        result = self.running.finish()
        self.running = None
        assert result.ok, result

    def end(self) -> None:
        if self.running is not None:
            self.running.process.kill()
            self.running.finish()


def listens(port: int) -> bool:
    """Whether somebody listens at a port (proc_net_tcp(5))."""
    text = Path("/proc/net/tcp").read_text()
    return re.search(rf":{port:04X} 00000000:0000 0A ", text) is not None


@needs_criu
def test_page_server(saved: Saved, server: "PageServer") -> None:
    """Memory goes over the network; what checkpoint writes itself has none."""
    saved.start()
    server.begin("page-server")
    until(lambda: listens(server.port))
    own = saved.box.path / "own"
    good(saved.box.call("--criu", CRIU, "checkpoint", "--image-path", str(own), "--page-server", server.address, "c"))
    server.finish()
    assert list(own.glob("pages-*.img")) == []
    assert list(server.images.glob("pages-*.img")) != []
    for image in own.iterdir():
        if not (server.images / image.name).exists():
            image.rename(server.images / image.name)
    at = number(saved.count)
    good(saved.restore())
    until(lambda: number(saved.count) > at)


def has_lazy_pages() -> bool:
    words = [CRIU, "check", "--feature", "uffd-noncoop"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@needs_criu
def test_lazy_restore(saved: Saved, server: "PageServer") -> None:
    """The container runs before its memory is there: CRIU hands it out of the images."""
    if not has_lazy_pages():
        pytest.skip("needs userfaultfd with events: criu check --feature uffd-noncoop")
    saved.start()
    good(saved.checkpoint())
    at = number(saved.count)
    server.begin("lazy-pages")
    until(lambda: is_socket(server.work / "lazy-pages.socket"))
    good(saved.restore("--lazy-pages", "--work-path", str(server.work)))
    until(lambda: number(saved.count) > at)
    server.finish()


class LazyDump:
    """A checkpoint that hands out memory when it is asked, and has said so on its status descriptor."""

    def __init__(self, saved: Saved, server: PageServer) -> None:
        told, tell = os.pipe()
        words = ["--criu", CRIU, "checkpoint", "--image-path", str(saved.images), "--lazy-pages"]
        words += ["--status-fd", str(tell), "--page-server", server.address, "c"]
        self.command = saved.box.begin(*words, pass_fds=[tell])
        os.close(tell)
        try:
            select.select([told], [], [], 60)
            assert os.read(told, 1) == b"\0", self.command.finish()
        finally:
            os.close(told)


@needs_criu
def test_lazy_checkpoint(saved: Saved, server: "PageServer") -> None:
    """It has ended when the session of whoever fetches the memory has, however much that took."""
    saved.start()
    dump = LazyDump(saved, server)
    at = number(saved.count)
    socket.create_connection(("127.0.0.1", server.port)).close()
    good(dump.command.finish())
    assert number(saved.count) == at
    assert saved.box.left() == []


@needs_criu
def test_lazy_migration(saved: Saved, server: "PageServer") -> None:
    """The container runs elsewhere before its memory is there, which `checkpoint` hands out until all of it is."""
    if not has_lazy_pages():
        pytest.skip("needs userfaultfd with events: criu check --feature uffd-noncoop")
    if version() >= (4,):
        pytest.skip("CRIU 4.2 closes the pipe of the pages that it is to hand out; with runc, too")
    saved.start()
    other = saved.box.bundle()
    other.config = {**saved.bundle.config, "linux": {**saved.bundle.linux, "cgroupsPath": other.linux["cgroupsPath"]}}
    other.write()
    dump = LazyDump(saved, server)
    os.mkfifo(other.rootfs / "wait")
    shutil.copytree(saved.bundle.rootfs / "tmp", other.rootfs / "tmp", dirs_exist_ok=True)
    at = number(saved.count)
    server.begin("lazy-pages", "--page-server")
    until(lambda: is_socket(server.work / "lazy-pages.socket"))
    good(saved.restore("--lazy-pages", "--work-path", str(server.work), name="r", bundle=other))
    until(lambda: number(other.rootfs / "tmp" / "count") > at)
    server.finish()
    good(dump.command.finish())
    assert saved.box.names() == ["r"]


def is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return False


def test_network_devices_are_not_saved_and_not_restored(asked: Asked) -> None:
    asked.other.linux["netDevices"] = {"nobody0": {}}
    asked.other.write()
    words = ["restore", "--image-path", str(asked.saved.images), "--bundle", str(asked.other.path), "--detach", "r"]
    failed = asked.saved.box.call(*words)
    assert "linux.netDevices: a container with devices of the host's network cannot be restored" in failed.err
    assert asked.saved.box.names() == ["c"]
