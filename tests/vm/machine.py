#!/usr/bin/env python3
"""The parts of vm.sh that are no matter of shell: QMP, the agent's port, the kernel's payload, a tiny initial ramdisk.

machine.py exec LIVE USER SECONDS COMMAND | resume LIVE | save LIVE FILE | await SOCKET PIDFILE | end PIDFILE
           vmlinux VMLINUZ OUT | initrd BUSYBOX OUT MODULE...
"""

import base64
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
    """End with what QEMU and the machine's console said last."""
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
    """Wait for the saved memory to be read, plug the shared directory in, go on."""
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
    """Write the machine's memory to a file and end it."""
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
    """End a process that we started, and wait for it."""
    pid = int(Path(pid_file).read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not alive(pid_file):
            return
        os.kill(pid, number)
        watch = os.pidfd_open(pid)
        select.select([watch], [], [], 5)
        os.close(watch)


def vmlinux(source, target):
    """The kernel without its decompressor, which takes seconds under emulation (boot protocol, payload_offset)."""
    image = Path(source).read_bytes()
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    packed = image[start : start + length]  # its size follows behind, which zstd calls an error at the end
    plain = subprocess.run(["zstd", "-qdc"], input=packed, stdout=subprocess.PIPE, check=False).stdout
    Path(target).write_bytes(plain if plain[:4] == b"\x7fELF" else image)


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
    actions["await"] = wait_for
    if command not in actions:
        sys.exit(__doc__)
    actions[command](*rest)
    return 0


def wait_for(path, pid_file):
    """Until a socket is there."""
    while not os.path.exists(path):
        if not alive(pid_file):
            sys.exit(f"vm: {path} was not made")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
