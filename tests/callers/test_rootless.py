"""podman of an ordinary user: each operation with runc, then with pyoci."""
# ruff: noqa: E501 - a table of scripts, one a line

import pytest
from compare import SIZED, Operation
from engines.rootless import Rootless

UP = (
    "up() { $P run -d --name c1 --network none $I sh -c "
    "'trap \"exit 3\" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null || return; "
    'until_ "\\$P logs c1 | grep -q ready"; }; up && '
)


def _run(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation("run: " + name, script, out=out, **more)  # type: ignore[arg-type]


def _up(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation(name, UP + script, out=out, **more)  # type: ignore[arg-type]


# podman of a user may lose the output of what ends at once (seen once in 430 times with runc and once in 450 with pyoci,
# on a busy machine): this program begins when it hears us, and ends when we have heard it.
HEARD = ": >said; { echo begin; until_ 'grep -q hi said'; echo end; } | $R -i $I sh -c 'read x; echo hi; read x' >said; cat said"


OPERATIONS = [
    _run("output", HEARD, "^hi$", core=True),
    _run("exit status", "$R $I sh -c 'exit 7'", status=7),
    _run("no such command: 127", "$R $I /nosuch", status=127, err="no such file"),
    _run("not executable: 126", "$R $I /etc/passwd", status=126, err="permission denied"),
    _run("maps", "$R $I cat /proc/self/uid_map", "0 +64321 +1\n +1 +5000000 +65536"),
    _run("terminal", f"tty_ \"$R -t $I sh -c '{SIZED}; tty'\"", "^/dev/pts/0"),
    _run("stdin", "echo abc | $R -i $I cat", "^abc$"),
    _run("userns=keep-id", "$R --userns=keep-id $I id", "uid=64321"),
    _run("userns=nomap", "$R --userns=nomap $I id", "uid=0"),
    _run("userns=auto", "$R --userns=auto:size=500 $I cat /proc/self/uid_map", "500"),
    _run("another user", "$R --user 1000 $I id", "uid=1000"),
    _run("capabilities and seccomp", "$R $I grep -E 'Cap|Seccomp:|NoNew' /proc/self/status", "Seccomp:\\s+2"),
    _run("privileged", "$R --privileged $I echo ok", "^ok$"),
    _run("read-only", "$R --read-only $I sh -c 'touch /x'", status=1, err="Read-only"),
    _run(
        "volume",
        "mkdir -p v; echo in >v/f; $R -v $D/v:/v $I sh -c 'cat /v/f; touch /v/x'; stat -c %u v/x",
        "^in\n64321$",
    ),
    _run("device", "$R --device /dev/null:/dev/xx $I sh -c 'echo x >/dev/xx; echo ok'", "^ok$"),
    _run("namespaces of the host", "$P run --rm --network host --pid host --uts host $I sh -c 'echo ok'", "^ok$"),
    _run(
        "network slirp4netns",
        "$P run --rm --network slirp4netns $I ip -o link",
        "tap0",
        blank="link/ether.*",
        needs=("/dev/net/tun", "no /dev/net/tun"),
    ),
    _run("limits that are not delegated", "$R --memory 64m --pids-limit 10 $I echo ok", "^ok$"),
    _run("cgroups=disabled", "$R --cgroups=disabled $I echo ok", "^ok$"),
    _run(
        "sysctl, host name, ulimit",
        "$R --sysctl kernel.msgmax=9000 --hostname hh --ulimit nofile=100:200 $I sh -c "
        "'cat /proc/sys/kernel/msgmax; hostname; ulimit -n'",
        "^9000\nhh\n100$",
    ),
    _run("mounts, but for cgroups", "$R $I sh -c 'cut -d\" \" -f2 /proc/mounts | grep -v cgroup/ | sort'", "/dev/pts"),
    _up("exec", "$P exec c1 sh -c 'echo ok; exit 9'", "^ok$", status=9),
    _up("exec: terminal", f"tty_ \"$P exec -t c1 sh -c '{SIZED}; tty'\"", "^/dev/pts/"),
    _up("exec: user", "$P exec -u 1000 c1 id", "uid=1000"),
    _up("exec: no such command", "$P exec c1 /nosuch", status=127, err="no such file"),
    _up("stop", "$P stop -t 20 c1; $P inspect -f '{{.State.ExitCode}}' c1", "^3$"),
    _up("kill", "$P kill c1; $P wait c1", "^137$"),
    _up("pause", "$P pause c1"),
    _up("top", "$P top c1 pid | tail -n +2 | head -1", "^1$"),
    _up("logs", "$P logs c1", "^ready"),
    _up("update", "$P update --memory 64m c1"),
    _up("stats", "$P stats --no-stream c1"),
    Operation(
        "pod", "$P pod create --name p1 --network none >/dev/null && $P run --rm --pod p1 $I echo in-pod", out="in-pod"
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_rootless(same, operation):  # type: ignore[no-untyped-def]
    same(Rootless, operation)
