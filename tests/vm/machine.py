#!/usr/bin/env python3
"""The parts of vm.sh that are no matter of shell: QMP, the agent's port, the kernel's payload, a tiny initial ramdisk.

machine.py exec LIVE USER SECONDS COMMAND | resume LIVE | save LIVE FILE | await SOCKET PIDFILE | end PIDFILE
           emulate QEMU COMMAND... | vmlinux VMLINUZ OUT | initrd BUSYBOX OUT MODULE...
"""

import base64
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 120.0  # seconds until QEMU's sockets have to be there


def alive(pid_file):
    """Whether a process we started still runs (not as a zombie)."""
    try:
        stat = Path(f"/proc/{int(Path(pid_file).read_text())}/stat").read_text()
    except (OSError, ValueError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def complain(live, text):
    """Ends with what QEMU and the machine's console said last."""
    for name in ("qemu.log", "console.log"):
        path = Path(live) / name
        if path.exists():
            sys.stderr.write(path.read_text(errors="replace")[-2000:])
    sys.exit(f"vm: {text}")


def connect(path, pid_file):
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if not alive(pid_file) or time.monotonic() > deadline:
                complain(Path(path).parent, f"nobody listens at {path}")
            time.sleep(0.05)


class Monitor:
    """QEMU's control socket (QMP)."""

    def __init__(self, live):
        self.live = live
        self.stream = connect(f"{live}/qmp.sock", f"{live}/qemu.pid").makefile("rw")
        self.stream.readline()
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            line = self.stream.readline()
            if not line:
                complain(self.live, f"QEMU went away at {command}")
            answer = json.loads(line)
            if "error" in answer:
                complain(self.live, f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def resume(live):
    """Waits for the saved memory to be read, plugs the shared directory in, goes on."""
    monitor = Monitor(live)
    while monitor.do("query-status")["status"] == "inmigrate":
        time.sleep(0.05)
    backend = {
        "type": "socket",
        "data": {"addr": {"type": "unix", "data": {"path": f"{live}/share.sock"}}, "server": False},
    }
    monitor.do("chardev-add", id="share", backend=backend)
    monitor.do("device_add", driver="vhost-user-fs-pci", id="share0", chardev="share", tag="host")
    if monitor.do("query-status")["status"] != "running":
        monitor.do("cont")


def save(live, file):
    """Writes the machine's memory to a file and ends it."""
    monitor = Monitor(live)
    monitor.do("stop")
    monitor.do("migrate-set-parameters", **{"max-bandwidth": 1 << 34})
    monitor.do("migrate", uri=f"file:{file}")
    while (state := monitor.do("query-migrate"))["status"] not in ("completed", "failed"):
        time.sleep(0.1)
    monitor.do("quit")
    if state["status"] == "failed":
        sys.exit(f"vm: {state.get('error-desc')}")


class Agent:
    """The machine's agent; see guest/agent.py."""

    def __init__(self, live, seconds):
        self.live = live
        self.deadline = time.monotonic() + seconds
        self.port = connect(f"{live}/agent.sock", f"{live}/qemu.pid")
        self.pending = b""

    def line(self):
        while b"\n" not in self.pending:
            if time.monotonic() > self.deadline:
                sys.stderr.write("vm: out of time\n")
                sys.exit(124)
            if not select.select([self.port], [], [], 1)[0]:
                if not alive(f"{self.live}/qemu.pid"):
                    complain(self.live, "the machine ended")
                continue
            data = self.port.recv(65536)
            if not data:
                complain(self.live, "the machine ended")
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode()

    def run(self, user, command):
        """The status of a command, whose output becomes ours."""
        self.port.sendall(b"\n")
        while self.line() != "here":
            pass
        self.port.sendall(json.dumps({"command": command, "user": user}).encode() + b"\n")
        while True:
            kind, _, rest = self.line().partition(" ")
            if kind == "out":
                sys.stdout.buffer.write(base64.b64decode(rest))
                sys.stdout.buffer.flush()
            elif kind == "status":
                return int(rest)


def end(pid_file):
    """Ends a process that we started, and waits for it."""
    pid = int(Path(pid_file).read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not alive(pid_file):
            return
        os.kill(pid, number)
        watch = os.pidfd_open(pid)
        select.select([watch], [], [], 5)
        os.close(watch)


# How a program for each processor begins, and which bytes of that matter (binfmt_misc): ELF of 64 bits, its machine
BEGINNINGS = {
    "qemu-aarch64": (b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xb7\0", b"\xff" * 7 + bytes(9) + b"\xfe\xff\xff\xff"),
    "qemu-x86_64": (b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0", b"\xff" * 7 + bytes(9) + b"\xfe\xff\xff\xff"),
}
ARM64 = b"ARM\x64"  # near the beginning of a kernel for it
NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000
FORMATS = "/proc/sys/fs/binfmt_misc"


def called(function, *arguments):
    """A function of the C library's, with a failure as OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")


def emulate(qemu, *command):
    """Runs a command where programs of QEMU's processor run by it. The kernel is told so in a user namespace of our own
    (Linux 6.7), so that nothing changes for the host; in it every id is what it was, and root is root of files."""
    made, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        in_namespaces(made, mapped, qemu, command)
    os.close(mapped[0])
    os.close(made[1])
    if os.read(made[0], 1):
        for kind in ("uid", "gid"):
            Path(f"/proc/{child}/{kind}_map").write_text("0 0 4294967295")
        os.write(mapped[1], b"x")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF


def in_namespaces(made, mapped, qemu, command):
    """The child's part; it does not come back."""
    os.close(made[0])
    os.close(mapped[1])
    called("unshare", NEWUSER | NEWNS | NEWPID)
    os.write(made[1], b"x")
    if not os.read(mapped[0], 1):
        os._exit(125)
    inner = os.fork()
    if inner:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) & 0xFF)
    # what was mounted belongs to the host; a new /proc shows our processes and takes the list of formats
    called("mount", b"proc", b"/proc", b"proc", 0, None)
    try:
        called("mount", b"binfmt_misc", FORMATS.encode(), b"binfmt_misc", 0, None)
    except OSError as problem:
        sys.exit(f"vm: {problem}; programs of another processor need Linux 6.7 (binfmt_misc in a user namespace)")
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in part) for part in BEGINNINGS[Path(qemu).name])
    Path(f"{FORMATS}/register").write_text(f":emulated:M::{magic}:{mask}:{qemu}:F")
    os.execvp(command[0], command)


def vmlinux(source, target):
    """The kernel without its decompressor, which takes seconds under emulation. x86: boot protocol, payload_offset;
    arm64: as it is, packed whole, or an EFI program that says at its beginning where the kernel lies."""
    image = Path(source).read_bytes()
    if image[0x38:0x3C] == ARM64 and image[4:8] != b"zimg":
        packed, unpack = image, "cat"
    elif image[:2] == b"\x1f\x8b":
        packed, unpack = image, "gzip"
    elif image[4:8] == b"zimg":
        offset, length = struct.unpack_from("<II", image, 8)
        packed, unpack = image[offset : offset + length], image[24:56].partition(b"\0")[0].decode()
    else:
        offset, length = struct.unpack_from("<II", image, 0x248)
        start = ((image[0x1F1] or 4) + 1) * 512 + offset
        packed, unpack = image[start : start + length], "zstd"
    # of x86 the size follows behind, which zstd calls an error at the end
    command = [unpack] if unpack == "cat" else [unpack, "-qdc"]
    plain = subprocess.run(command, input=packed, stdout=subprocess.PIPE, check=False).stdout
    Path(target).write_bytes(plain if plain[:4] == b"\x7fELF" or plain[0x38:0x3C] == ARM64 else image)


INIT = """#!/bin/busybox sh
for name in {modules}; do /bin/busybox insmod /$name; done
/bin/busybox mount -t devtmpfs dev /dev
while [ ! -b /dev/vda ]; do /bin/busybox usleep 20000; done
/bin/busybox mount -t ext4 /dev/vda /new
/bin/busybox mount -o move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/init
"""


def initrd(busybox, target, *modules):
    """An archive (cpio, newc) that loads the modules and goes on to the disk."""
    entries = [(name, 0o40755, b"", 0, 0) for name in ("bin", "dev", "new")]
    entries.append(("dev/console", 0o20600, b"", 5, 1))
    entries.append(("bin/busybox", 0o100755, Path(busybox).read_bytes(), 0, 0))
    names = []
    for module in map(Path, modules):
        names.append(module.name)
        entries.append((module.name, 0o100644, module.read_bytes(), 0, 0))
    entries.append(("init", 0o100755, INIT.format(modules=" ".join(names)).encode(), 0, 0))
    entries.append(("TRAILER!!!", 0, b"", 0, 0))
    archive = bytearray()
    for inode, (name, mode, data, major, minor) in enumerate(entries, 1):
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name) + 1, 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    Path(target).write_bytes(archive)


def main(words):
    command, *rest = words or [""]
    if command == "exec":
        live, user, seconds, text = rest
        prologue = f"NOW={int(time.time())}\n" if user == "root" else ""
        return Agent(live, float(seconds)).run(user, prologue + text)
    actions = {"resume": resume, "save": save, "end": end, "vmlinux": vmlinux, "initrd": initrd}
    actions.update({"await": wait_for, "emulate": emulate})
    if command not in actions:
        sys.exit(__doc__)
    return actions[command](*rest) or 0


def wait_for(path, pid_file):
    """Until a socket is there."""
    while not os.path.exists(path):
        if not alive(pid_file):
            sys.exit(f"vm: {path} was not made")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
