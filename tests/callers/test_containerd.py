"""containerd through ctr: `$K` is `ctr run` with the runtime's binary, `$C` ctr, `$F` where the fifos are."""
# ruff: noqa: E501 - a table of scripts, one a line

import signal

import pytest
from compare import CRIU, SIZED, Operation
from engines.containerd import Containerd, ContainerdShim

SYS = "/sys/fs/cgroup"
# `ctr task exec` loses the output of what ends at once (1 to 3 in 120 on a busy machine, with runc and with pyoci): what
# is read below ends when it was heard.
HEARD = ": >said; { until_ 'grep -q . said'; echo; } | "
# A task c1 that runs until it is told to end
UP = (
    "up() { $K -d --null-io $1 $I c1 sh -c 'trap \"exit 3\" TERM; touch /ready; while :; do sleep 0.05; done' && "
    'until_ "$C task exec $F --exec-id r\\$\\$\\$(date +%N) c1 ls /ready >/dev/null 2>&1"; }; up && '
)


def _up(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation(name, UP + script, out=out, **more)  # type: ignore[arg-type]


# Events go to the file ev; they do when one that we made is there
EVENTS = "$C events >ev & p=$!; until_ '$C images label $I n=$(date +%N) >/dev/null; grep -q /images/update ev'; "


RUN = [
    Operation("run: output", "$K --rm $I t1 echo hi", out="^hi$", core=True),
    Operation("run: exit status", "$K --rm $I t2 sh -c 'exit 7'", status=7, core=True),
    Operation(
        "run: no such command",
        "$K --rm $I t3 /nosuch",
        status=1,
        err='exec: "/nosuch": stat /nosuch: no such file or directory',
        core=True,
    ),
    Operation(
        "run: no such command in PATH",
        "$K --rm $I t3 nosuch",
        status=1,
        err='exec: "nosuch": executable file not found in \\$PATH',
    ),
    Operation("run: not executable", "$K --rm $I t3 /etc/passwd", status=1, err="permission denied", core=True),
    Operation("run: a directory", "$K --rm $I t3 /etc", status=1, err="is a directory|permission denied"),
    Operation(
        "run: stdin",
        "echo abc | $K --rm $I t4 cat",
        out="^abc$",
        needs=("/nonexistent", "this ctr does not end when its standard input does"),
    ),
    Operation("run: terminal", f"tty_ \"$K --rm -t $I t5 sh -c '{SIZED}; tty'\"", out="^/dev/pts/0", core=True),
    Operation(
        "run: read-only, seccomp, capabilities, environment, directory, mount",
        "$K --rm --read-only --seccomp --cap-drop CAP_CHOWN --env A=b --cwd /tmp "
        "--mount type=bind,src=$D/rootfs,dst=/mnt,options=rbind:ro $I t6 sh -c 'env | sort; pwd; ls /mnt; "
        'grep -E "Cap|Seccomp:|NoNew" /proc/self/status; touch /x\'',
        status=1,
        out="^A=b",
        core=True,
    ),
    Operation(
        "run: default capabilities, mounts and devices",
        '$K --rm $I t7 sh -c \'grep -E "Cap|NoNew" '
        '/proc/self/status; cut -d" " -f2 /proc/self/mounts; ls -l /dev | cut -c1-45 | grep -v total; id\'',
        out="CapEff",
        blank="^[lc].*(core|fd|std).*$",
    ),
    Operation("run: network of the host", "$K --rm --net-host $I t8 readlink /proc/self/ns/net", out="net:"),
    Operation("run: without pivot_root", "$K --rm --no-pivot $I t9 echo ok", out="^ok$"),
    Operation("run: privileged", "$K --rm --privileged $I t10 grep CapEff /proc/self/status", out="CapEff"),
    Operation(
        "run: limits",
        f"$K --rm --memory-limit 67108864 --cpus 0.5 --cgroup /pyoci-ctr-$RT --mount "
        f"type=cgroup,src=cgroup,dst={SYS},options=ro $I t11 sh -c 'cat {SYS}/memory/memory.limit_in_bytes "
        f"{SYS}/cpu/cpu.cfs_quota_us'",
        out="^67108864\n50000$",
        core=True,
    ),
    Operation(
        "run: user namespace",
        "$K --rm --uidmap 0:100000:65536 --gidmap 0:100000:65536 $I t12 cat /proc/self/uid_map",
        out="0 +100000 +65536",
    ),
    Operation("run: a state directory of one's own", "$K --rm --runc-root $D/rr $I t13 sh -c 'echo ok'", out="^ok$"),
    Operation(
        "run: a namespace by path",
        "$K --rm --with-ns network:/proc/$$/ns/net $I t14 readlink /proc/self/ns/net",
        out="net:",
    ),
    Operation("run: a device", "$K --rm --device /dev/null $I t15 sh -c 'ls -l /dev/null | cut -c1-30'", out="^crw"),
    Operation("run: annotations and labels", "$K --rm --annotation a=b --label c=d $I t16 echo ok", out="^ok$"),
    Operation(
        "run: pid file",
        "$K -d --null-io --pid-file $D/p $I c1 sleep 100; tr '\\0' ' ' </proc/$(cat $D/p)/cmdline",
        out="^sleep 100",
    ),
    Operation(
        "run: snapshotter native", "$K --rm --snapshotter native $I t17 sh -c 'echo x >/new; cat /new'", out="^x$"
    ),
    Operation(
        "run: snapshotter overlayfs",
        "$K --rm --snapshotter overlayfs $I t18 sh -c 'echo x >/new; cat /new'",
        out="^x$",
        core=True,
    ),
    Operation("run: root directory", "$K --rm --rootfs $D/rootfs t19 /bin/echo ok", out="^ok$"),
    Operation(
        "run: Debian root",
        "$C images import $DEBTAR >/dev/null; $K --rm $DEB t20 bash -c "
        "'cut -d. -f1 /etc/debian_version; id; pwd; setpriv --dump; ls /'",
        out="^12\nuid=0",
    ),
    Operation("run: name that is taken", UP + "$K -d --null-io $I c1 true", status=1, err="already exists"),
]

TASK = [
    Operation(
        "create, start, kill, delete",
        "$C c create --runtime $R $I c1 "
        "sleep 100 && $C task start -d --null-io c1 && $C task ls | grep c1 | tr -s ' ' | cut -d' ' -f1,3; $C task "
        "kill -s SIGKILL -a c1; until_ '$C task ls | grep c1 | grep -q STOPPED'; $C task rm c1; $C c rm c1; $C c ls -q",
        out="^c1 RUNNING",
    ),
    _up(
        "kill: status of the handler",
        "$C task kill -s SIGTERM c1; until_ '$C task ls | grep c1 | grep -q STOPPED'; $C task rm c1 "
        "2>&1 | grep -o 'code [0-9]*'",
        "^code 3$",
        core=True,
    ),
    _up(
        "kill: all",
        "$C task kill -s SIGKILL -a c1; until_ '$C task ls | grep c1 | grep -q STOPPED'; $C task rm c1 "
        "2>&1 | grep -o 'code [0-9]*'",
        "^code 137$",
        core=True,
    ),
    _up(
        "kill what has ended",
        "$C task kill -s SIGKILL c1; until_ '$C task ls | grep c1 | grep -q STOPPED'; $C task kill c1",
        status=1,
        err="process already finished|not found",
    ),
    _up("delete what runs", "$C task rm c1", status=1, err="must be stopped before deletion|RUNNING|not stopped"),
    _up("delete by force", "$C task rm -f c1; $C task ls | grep -c c1; true", "^0$", core=True),
    _up(
        "pause and resume",
        "$C task pause c1 && $C task ls | grep c1 | grep -o PAUSED; $C task resume c1 && $C task ls | grep c1 | grep -o "
        "RUNNING",
        "PAUSED\nRUNNING",
        core=True,
    ),
    _up(
        "kill what is paused",
        "$C task pause c1; $C task kill -s SIGKILL -a c1; $C task resume c1; until_ "
        "'$C task ls | grep c1 | grep -q STOPPED'; $C task rm c1 "
        "2>&1 | grep -o 'code [0-9]*'",
        "^code 137$",
    ),
    _up("ls and ps", "$C task ls | grep -c c1; $C task ps c1 | tail -n +2 | wc -l", "^1\n[12]", blank="^[12]$"),
    _up("metrics", "$C task metrics c1 | tr -s ' ' | cut -d' ' -f1 | sort", "memory.usage_in_bytes"),
    _up(
        "metrics: numbers",
        "$C task metrics --format json c1 | python3 -c 'import json,sys; m=json.load(sys.stdin); "
        'print(sorted(m), m["pids"]["current"] > 0, m["memory"]["usage"]["usage"] > 0)\'',
        "True True",
    ),
    _up(
        "exec: output",
        HEARD + "$C task exec $F --exec-id e1 c1 sh -c 'echo in; read x' >said; cat said",
        "^in$",
        core=True,
    ),
    _up("exec: exit status", "$C task exec $F --exec-id e2 c1 sh -c 'exit 9'", status=9, core=True),
    _up(
        "exec: no such command",
        "$C task exec $F --exec-id e3 c1 /nosuch",
        status=1,
        err='exec: "/nosuch": stat /nosuch: no such file or directory',
        core=True,
    ),
    _up(
        "exec: no such command in PATH",
        "$C task exec $F --exec-id e3 c1 nosuch",
        status=1,
        err='exec: "nosuch": executable file not found in \\$PATH',
    ),
    _up(
        "exec: user and directory",
        HEARD + "$C task exec $F --exec-id e4 --user 1000 --cwd /tmp c1 sh -c 'echo $(id -u) $PWD; "
        "read x' >said; cat said",
        "^1000 /tmp$",
    ),
    _up("exec: terminal", f"tty_ \"$C task exec $F --exec-id e5 -t c1 sh -c '{SIZED}; tty'\"", "^/dev/pts/", core=True),
    _up("exec: stdin", "echo abc | $C task exec $F --exec-id e6 c1 cat", "^abc$"),
    _up(
        "exec: detached",
        "$C task exec -d $F --exec-id e7 c1 touch /x; until_ '$C task exec $F --exec-id e$(date +%N) "
        "c1 ls /x 2>/dev/null'",
        "/x",
    ),
    _up(
        "exec: a task that has ended",
        "$C task kill -s SIGKILL c1; until_ '$C task ls | grep c1 | grep -q STOPPED'; $C task exec $F "
        "--exec-id e8 c1 true",
        status=1,
        err="not running|stopped|no running task",
    ),
    Operation(
        "events: start, exit, delete",
        EVENTS + "$K --rm $I t1 true; until_ 'grep -q tasks/delete ev'; kill $p; grep -o '/tasks/[a-z]*' ev | sort -u",
        out="/tasks/create\n/tasks/delete\n/tasks/exit\n/tasks/start",
    ),
    Operation(
        "events: out of memory",
        EVENTS + "$K -d --null-io --memory-limit 16777216 --cgroup /pyoci-oom-$RT $I c1 sh -c "
        "'dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1000'; until_ 'grep -q tasks/oom ev'; kill $p; "
        "grep -o '/tasks/oom' ev | sort -u",
        out="/tasks/oom",
    ),
    Operation(
        "run: killed for want of memory",
        "$K --rm --memory-limit 16777216 --cgroup /pyoci-oom-$RT $I t1 dd if=/dev/zero of=/dev/null bs=64M count=1",
        status=137,
    ),
    _up(
        "checkpoint: goes on",
        "mkdir ck; $C task checkpoint --image-path $D/ck c1 && ls ck | grep -c pstree; rm -r ck; "
        "$C task ls | grep c1 | grep -o RUNNING",
        "^1\nRUNNING$",
        needs=CRIU,
    ),
    _up(
        "checkpoint: ends",
        "mkdir ck; $C task checkpoint --exit --image-path $D/ck c1 && ls ck | grep -c pstree; rm -r ck; "
        "until_ '$C task ls | grep c1 | grep -q STOPPED'; $C task rm c1 2>&1 | grep -o 'code [0-9]*'",
        "^1\n",
        needs=CRIU,
    ),
    _up(
        "checkpoint of a container, restore",
        "$C c checkpoint --task c1 saved/c1 && $C task kill -s SIGKILL -a c1; until_ "
        "'$C task ls | grep c1 | grep -q STOPPED'; $C task rm c1 2>/dev/null; $C c rm c1; $C c restore --live c1 saved/c1; $C task ls | "
        "grep c1 | grep -o RUNNING; $C images rm saved/c1 >/dev/null; $C task kill -s TERM c1; until_ '$C task ls | grep c1 | grep "
        "-q STOPPED'; $C task rm c1 2>&1 | grep -o 'code [0-9]*'",
        "^RUNNING",
        needs=CRIU,
    ),
    Operation(
        "containers of two namespaces",
        "$C -n other images import image.tar >/dev/null && $C -n other run --rm "
        "--runc-binary $RTBIN --fifo-dir $D/fifo $I t1 echo other",
        out="^other$",
    ),
]


def containerd_killed(engine: Containerd) -> str:
    """Tasks go on without containerd, and the next one finds them."""
    assert engine.daemon is not None
    up = engine.script(UP + "true")
    engine.daemon.end(signal.SIGKILL)
    engine.begin()
    found = engine.script(
        "$C task ls | grep -c RUNNING; "
        + HEARD
        + "$C task exec $F --exec-id k1 c1 sh -c 'echo still; read x' >said; cat said; $C task kill -s TERM c1; "
        "until_ '$C task ls | grep c1 | grep -q STOPPED'; $C task rm c1 2>&1 | grep -o 'code [0-9]*'"
    )
    return f"{up.status} {found.out}"


KILLED = [
    _up(
        "the shim is killed",
        "p=$($C task ls | awk '/^c1 /{print $2}'); kill -9 $(ps -eo pid,args | grep \"[c]ontainerd-shim.*-id c1 -address $D/\" | awk "
        "'{print $1}'); until_ '! $C task ls | grep c1 | grep -q RUNNING'; $C task rm -f c1 >/dev/null 2>&1; $C c rm c1; "
        "until_ '! test -d /proc/$p'; $C c ls -q | grep -c c1",
        "^0$",
        status=1,
        core=True,
    ),
    Operation("containerd is killed and starts again", containerd_killed, out="^0 1\nstill\ncode 3"),
]


@pytest.mark.parametrize("operation", RUN + TASK + KILLED, ids=lambda operation: operation.name)
def test_containerd(same, operation):  # type: ignore[no-untyped-def]
    same(Containerd, operation)


@pytest.mark.parametrize("operation", RUN + TASK + KILLED, ids=lambda operation: operation.name)
def test_containerd_with_our_plugin(same, operation):  # type: ignore[no-untyped-def]
    same(ContainerdShim, operation)
