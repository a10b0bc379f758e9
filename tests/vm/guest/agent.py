#!/usr/bin/python3 -ISu
"""Inside the machine: runs commands that come over the virtio port, one at a time.

In: a line of JSON {"command", "user"}; an empty line asks whether we are there. Out: lines "here", "out BASE64" and at
last "status N".
"""

import base64
import json
import os
import pwd
import subprocess
import time

PORTS = "/sys/class/virtio-ports"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def port():
    """Our port; there is no udev here to give it a name in /dev."""
    while True:
        for name in os.listdir(PORTS) if os.path.isdir(PORTS) else ():
            with open(f"{PORTS}/{name}/name") as file:
                if file.read().strip() == "vm-agent" and os.path.exists(f"/dev/{name}"):
                    return os.open(f"/dev/{name}", os.O_RDWR)
        time.sleep(0.05)


def lines(fd):
    """Lines as they come; while the other side is away, reads give nothing."""
    pending = b""
    while True:
        data = os.read(fd, 65536)
        if not data:
            time.sleep(0.05)
        pending += data
        *complete, pending = pending.split(b"\n")
        yield from complete


def say(fd, text):
    data = text.encode() + b"\n"
    while data:
        data = data[os.write(fd, data) :]


def words_for(user, command):
    """The command as a user: in a delegated scope of the user's own manager, as a login would give it."""
    shell = ["/bin/bash", "-c", command]
    if user == "root":
        return shell, {"HOME": "/root"}, "/root"
    entry = pwd.getpwnam(user)
    runtime = f"/run/user/{entry.pw_uid}"
    become = ["/usr/bin/setpriv", "--reuid", user, "--regid", str(entry.pw_gid), "--init-groups"]
    scope = ["/usr/bin/systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes", "--"]
    own = {"HOME": entry.pw_dir, "XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}
    return become + scope + shell, own, entry.pw_dir


def run(fd, request):
    user = request.get("user") or "root"
    words, own, directory = words_for(user, request["command"])
    environment = {"PATH": PATH, "USER": user, "LANG": "C.UTF-8", "TERM": "dumb", **own}
    child = subprocess.Popen(
        words,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    while data := os.read(child.stdout.fileno(), 32768):
        say(fd, "out " + base64.b64encode(data).decode())
    status = child.wait()
    say(fd, f"status {status if status >= 0 else 128 - status}")


def main():
    fd = port()
    say(fd, "here")
    for line in lines(fd):
        if not line.strip():
            say(fd, "here")
            continue
        try:
            run(fd, json.loads(line))
        except Exception as problem:  # whatever a request breaks, the next one must be heard
            say(fd, "out " + base64.b64encode(f"vm-agent: {problem!r}\n".encode()).decode())
            say(fd, "status 255")


main()
