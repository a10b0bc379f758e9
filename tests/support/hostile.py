"""Programs that nobody should run outside of a sandbox, and what is to become of each.

Run as a program this does all of them and prints the results as JSON: so they are run as another user, too.
"""

import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple


class Snippet(NamedTuple):
    """code: Python; options: of pyoci.run; rootless: others for who has no cgroups; wanted: what it prints."""

    code: str
    wanted: str = "held\n"
    options: "dict[str, Any]" = {}
    rootless: "dict[str, Any]" = {}
    status: int = 0
    timed_out: bool = False
    oom: bool = False
    cut: bool = False


HEAD = """
import ctypes, errno, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def tried(work, *codes):
    try:
        work()
    except OSError as problem:
        if problem.errno in codes:
            return
        print("another error:", problem)
    else:
        print("it was let through, in line", work.__code__.co_firstlineno)
def call(number, *args):
    result = libc.syscall(number, *[ctypes.c_long(a) for a in args])
    return ctypes.get_errno() if result < 0 else 0
"""
DENIED = "errno.EPERM, errno.EACCES, errno.EROFS"
SNIPPETS = {
    "fork bomb": Snippet(
        "while True:\n try: os.fork() or time.sleep(100)\n except OSError: print('held', flush=True); time.sleep(100)",
        "", {"pids": 32, "timeout": 1.5}, status=-9, timed_out=True,
    ),
    "fork bomb that counts": Snippet(
        """
n = 0
try:
    while n < 500:
        if os.fork() == 0: time.sleep(100)
        n += 1
except OSError as problem:
    print("held" if problem.errno == errno.EAGAIN and n == 9 else (n, problem))
""", options={"pids": 10},
    ),
    "threads": Snippet(
        """
import threading
try:
    for n in range(500): threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
except RuntimeError:
    print("held", flush=True); os._exit(0)
""", options={"pids": 10},
    ),
    "memory hog": Snippet("x = bytearray(300 << 20)\nprint('had it')", "", {"memory": "64M"}, status=-9, oom=True),
    "memory hog by children": Snippet(
        """
for n in range(8):
    if os.fork() == 0:
        x = bytearray(b"1" * (30 << 20)); time.sleep(100)
ends = [os.wait()[1] for n in range(1)]
print("held" if ends == [9] else ends, flush=True)
os._exit(0)
""", options={"memory": "100M"}, oom=True,
    ),
    "disk filler": Snippet(
        "f = open('/tmp/x', 'wb')\ntried(lambda: [f.write(b'x' * (1 << 20)) for n in range(200)], errno.ENOSPC)\n"
        "print('held' if os.stat('/tmp/x').st_size <= 64 << 20 else 'too much', flush=True)\nos._exit(0)"
    ),
    "disk filler at home": Snippet(
        "path = os.path.expanduser('~/x')\n"
        "tried(lambda: [os.posix_fallocate(os.open(path, 65), n << 20, 1 << 20) for n in range(200)], errno.ENOSPC)\n"
        "print('held')"
    ),
    "inode filler": Snippet(
        "tried(lambda: [os.mkdir(f'/tmp/{n}') for n in range(70000)], errno.ENOSPC)\nprint('held')"
    ),
    "shared memory filler": Snippet(
        "fd = os.open('/dev/shm/x', 65)\n"
        "tried(lambda: [os.posix_fallocate(fd, n << 20, 1 << 20) for n in range(200)], errno.ENOSPC)\n"
        "print('held')"
    ),
    "writes to the system": Snippet(
        f"""
for path in "/x /usr/x /usr/bin/python3 /etc/passwd /etc/x /bin/sh /lib/x /dev/x /home/x /var/x /run/x /proc/x".split():
    tried(lambda: open(path, "w"), {DENIED}, errno.ENOENT, errno.ETXTBSY)
print("held")
"""
    ),
    "network": Snippet(
        "tried(lambda: socket.create_connection(('192.0.2.1', 80), 2), errno.ENETUNREACH)\n"
        "udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "tried(lambda: udp.sendto(b'', ('192.0.2.1', 53)), errno.ENETUNREACH)\n"
        "print('held')"
    ),
    "the host's abstract sockets": Snippet(
        "tried(lambda: socket.socket(socket.AF_UNIX).connect('\\0{abstract}'), errno.ECONNREFUSED)\nprint('held')"
    ),
    "raw and strange sockets": Snippet(
        f"""
strange = (2, 3, 1), (17, 3, 0), (16, 3, 9), (16, 3, 15), (38, 5, 0), (40, 1, 0), (29, 3, 1), (31, 3, 1)
for family, kind, number in strange:
    tried(lambda: socket.socket(family, kind, number), {DENIED})
for kind, number in (6, 0), (5, 0), (1, 132), (1, 262), (2, 136), (2, 115):  # the kernel loads modules for such ones
    for family in (2, 10):
        tried(lambda: socket.socket(family, kind, number), errno.EPERM)
for family in (2, 10, 16, 30, 40):
    tried(lambda: socket.socketpair(family, 1), errno.EPERM)
for kind, number in (1, 0), (1, 6), (2 | 0o4000, 0), (2, 17):
    socket.socket(2, kind, number).close()
socket.socketpair()
print("held")
"""
    ),
    "pokes at /proc": Snippet(
        f"""
for path in "sys/kernel/core_pattern sys/kernel/hostname sys/vm/drop_caches sysrq-trigger irq/1/smp_affinity".split():
    tried(lambda: open("/proc/" + path, "w").write("1"), {DENIED}, errno.ENOENT)
for path in "kcore keys timer_list kmsg kallsyms slabinfo".split():
    try:
        if open("/proc/" + path, "rb").read(100): print("read", path)
    except OSError: pass
print("held")
"""
    ),
    "other processes": Snippet(
        "pids = [int(n) for n in os.listdir('/proc') if n.isdigit()]\n"
        "print('held' if max(pids) < 10 and len(pids) == 2 else pids)"
    ),
    "the first process's secrets": Snippet(
        f"""
for path in ("root", "exe", "cwd", "fd", "map_files"):
    tried(lambda: os.listdir("/proc/1/" + path) if path != "exe" else os.readlink("/proc/1/exe"), {DENIED})
for path in ("mem", "environ", "maps"):
    tried(lambda: open("/proc/1/" + path, "rb").read(1), {DENIED}, errno.EIO)
print("held")
"""
    ),
    "ptrace": Snippet(
        """
child = os.fork()
if child == 0: time.sleep(100)
tried(lambda: libc.ptrace(16, child, 0, 0) and (_ for _ in ()).throw(OSError(ctypes.get_errno(), "")), errno.EPERM)
print("held", flush=True); os.kill(child, 9); os._exit(0)
"""
    ),
    "kill -1": Snippet(
        """
child = os.fork()
if child == 0: time.sleep(100)
os.kill(-1, signal.SIGKILL)
print("held" if os.waitpid(child, 0)[1] == 9 else "alive")
"""
    ),
    "kills the first process": Snippet(
        "for n in range(1, 65): os.kill(1, n)\n"
        "time.sleep(0.05)\nprint('held')"
    ),
    "mounts": Snippet(
        """
made = [libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None), libc.mount(b"/", b"/mnt", None, 4096, None),
        libc.umount2(b"/proc", 2), libc.mount(None, b"/usr", None, 32 | 4096, None), call(428, -100, 0, 1),
        call(430, 0, 0)]
print("held" if made == [-1] * 4 + [errno.EPERM] * 2 else made)
"""
    ),
    "new namespaces": Snippet(
        """
found = [libc.unshare(1 << 28), libc.unshare(1 << 17), libc.setns(0, 0), call(56, (1 << 28) | 17, 0, 0, 0, 0)]
print("held" if found == [-1, -1, -1, errno.EPERM] else found)
print(call(435, 0, 0) == errno.ENOSYS)
""", "held\nTrue\n",
    ),
    "set-user-id programs": Snippet(
        """
status = open("/proc/self/status").read()
lines = "NoNewPrivs:\\t1" in status and "CapBnd:\\t0000000000000000" in status
print("held" if os.statvfs("/usr").f_flag & os.ST_NOSUID and lines else status)
"""
    ),
    "becomes root": Snippet(
        "tried(lambda: os.setuid(0), errno.EPERM, errno.EINVAL)\n"
        "tried(lambda: os.setgid(0), errno.EPERM, errno.EINVAL)\n"
        "tried(lambda: os.setgroups([0]), errno.EPERM, errno.EINVAL)\nprint('held')"
    ),
    "chroot and devices": Snippet(
        """
tried(lambda: os.chroot("/tmp"), errno.EPERM)
tried(lambda: os.mknod("/tmp/sda", 0o60666, os.makedev(8, 0)), errno.EPERM)
tried(lambda: os.mknod("/tmp/mem", 0o20666, os.makedev(1, 1)), errno.EPERM)
print("held")
"""
    ),
    "a read-only bind": Snippet(
        f"""
tried(lambda: open("/data/file", "w"), {DENIED})
tried(lambda: open("/data/sub/new", "w"), {DENIED})
tried(lambda: os.rename("/data/file", "/data/other"), {DENIED})
print("held" if sorted(os.listdir("/data/..")) == sorted(os.listdir("/")) else "it has a way up")
""", options={"binds": {"{bind}": ("/data", "ro")}},
    ),
    "links in a bind": Snippet(
        """
for name in ("shadow", "up"):
    tried(lambda: open("/data/" + name).read(), errno.ENOENT, errno.EACCES)
print("held")
""", options={"binds": {"{bind}": ("/data", "ro")}},
    ),
    "another's secrets": Snippet(
        """
for path in ("/etc/shadow", "/root/.ssh", "/var/log", "/run/systemd", "/sys/kernel", "/boot", "/home/user", "{bind}"):
    if os.path.exists(path): print("there is", path)
print("held")
"""
    ),
    "the caller's environment and files": Snippet(
        """
print("held" if "SECRET" not in os.environ and sorted(os.listdir("/proc/self/fd")) == ["0", "1", "2", "3"]
      else (os.environ, [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]))
"""
    ),
    "endless output": Snippet(
        "while True: sys.stdout.write('x' * 65536)", "x" * 100000, {"output_limit": 100000, "timeout": 1.0},
        status=-9, timed_out=True, cut=True,
    ),
    "much output": Snippet("print('x' * 5000000)", "x" * 1000, {"output_limit": 1000}, cut=True),
    "hangs": Snippet("time.sleep(1000)", "", {"timeout": 0.5}, status=-9, timed_out=True),
    "hangs and hears nothing": Snippet(
        "[signal.signal(n, signal.SIG_IGN) for n in range(1, 65) if n not in (9, 19, 32, 33)]\n"
        "while True: pass", "", {"timeout": 0.7}, status=-9, timed_out=True,
    ),
    "stops": Snippet("os.kill(os.getpid(), signal.SIGSTOP)", "", {"timeout": 0.5}, status=-9, timed_out=True),
    "leaves a daemon": Snippet(
        "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0: time.sleep(1000)\n os._exit(0)\nprint('held')",
        options={"timeout": 30},
    ),
    "aborts": Snippet("print('held', flush=True); os.abort()", status=-6),
    "crashes": Snippet("print('held', flush=True); ctypes.string_at(0)", status=-11),
    "kills itself": Snippet("print('held', flush=True); os.kill(os.getpid(), 9)", status=-9),
    "a signal of real time": Snippet("print('held', flush=True); os.kill(os.getpid(), 40)", status=-40),
    "an odd status": Snippet("print('held'); sys.exit(300)", status=44),
    "keys, bpf, io_uring and the like": Snippet(
        """
# add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, io_uring_setup, kcmp, process_vm_readv, pidfd_getfd,
# syslog, kexec_load, init_module, swapon, reboot, acct, settimeofday, name_to_handle_at, open_by_handle_at,
# fanotify_init, memfd_secret
x86 = (248, 249, 250, 321, 298, 323, 425, 312, 310, 438, 103, 246, 175, 167, 169, 163, 164, 303, 304, 300, 447)
arm = (217, 218, 219, 280, 241, 282, 425, 272, 270, 438, 116, 104, 105, 224, 142, 89, 170, 264, 265, 262, 447)
found = [call(n, 0, 0, 0, 0, 0) for n in (x86 if os.uname().machine == "x86_64" else arm)]
print("held" if found == [errno.EPERM] * len(found) else found)
"""
    ),
    "changes names and clocks": Snippet(
        "tried(lambda: socket.sethostname('x'), errno.EPERM)\ntried(lambda: time.clock_settime(0, 0), errno.EPERM)\n"
        "tried(lambda: os.nice(-5), errno.EPERM, errno.EACCES)\nprint('held')"
    ),
    "raises its limits": Snippet(
        """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
def more(): resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
try: more(); print("it was let through")
except ValueError: print("held")
"""
    ),
    "types into the terminal": Snippet(
        "import fcntl, termios\n"
        "tried(lambda: fcntl.ioctl(0, termios.TIOCSTI, b'x'), errno.ENOTTY, errno.EPERM, errno.EIO)\n"
        "tried(lambda: open('/dev/tty', 'w'), errno.ENXIO)\nprint('held')"
    ),
}  # fmt: skip
ROOTLESS = {
    "memory hog": SNIPPETS["memory hog"]._replace(options={"memory": "64M", "best_effort": True}, status=1, oom=False),
}
NEED_CGROUPS = {"memory hog by children"}


def run(name: str, place: Path, rootless: bool) -> "dict[str, Any]":
    """Runs one; what came of it."""
    import pyoci

    snippet = ROOTLESS.get(name, SNIPPETS[name]) if rootless else SNIPPETS[name]
    bind = place / "bind"
    if not bind.exists():
        (bind / "sub").mkdir(parents=True)
        (bind / "file").write_text("of the host")
        (bind / "shadow").symlink_to("/etc/shadow")
        (bind / "up").symlink_to("../secret")
        (place / "secret").write_text("secret")
    abstract = f"pyoci-hostile-{os.getpid()}"
    code = HEAD + snippet.code.replace("{abstract}", abstract).replace("{bind}", str(bind))
    options = dict(snippet.options)
    if "binds" in options:
        options["binds"] = {str(bind): how for how in options["binds"].values()}
    os.environ["SECRET"] = "of the caller"
    with socket.socket(socket.AF_UNIX) as listener, open(place / "secret") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        listener.bind("\0" + abstract)
        listener.listen()
        done = pyoci.run(["python3", "-c", code], capture_output=True, **{"timeout": 60, **options})
    (bind / "file").read_text()
    output = done.stdout.decode() if len(done.stdout) < 200000 else f"{len(done.stdout)} bytes"
    return {
        "stdout": output, "stderr": done.stderr.decode(), "status": done.returncode, "timed_out": done.timed_out,
        "oom": done.oom, "cut": done.cut, "cpu": done.usage.cpu_time, "memory": done.usage.peak_memory,
    }  # fmt: skip


def check(name: str, found: "dict[str, Any]", rootless: bool) -> None:
    """That what was found is what is wanted."""
    snippet = ROOTLESS.get(name, SNIPPETS[name]) if rootless else SNIPPETS[name]
    if name != "fork bomb":
        assert found["stdout"] == snippet.wanted, found
    wanted = (snippet.status, snippet.timed_out, snippet.oom, snippet.cut)
    assert (found["status"], found["timed_out"], found["oom"], found["cut"]) == wanted, found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        wanted = [name for name in SNIPPETS if name not in NEED_CGROUPS]
        json.dump({name: run(name, Path(scratch), True) for name in wanted}, sys.stdout)
