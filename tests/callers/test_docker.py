"""dockerd: each operation with runc, then with pyoci. `$R` runs a container that is removed at its end."""
# ruff: noqa: E501 - a table of scripts, one a line

import signal

import pytest
from compare import CRIU, SIZED, Operation
from engines.docker import UNPACKED, Docker, DockerShim

pytestmark = pytest.mark.skipif(not UNPACKED.exists(), reason="dockerd is not unpacked: tests/callers/install.sh")

UP = (
    "up() { $K run -d --name c1 --network none $1 $I sh -c "
    "'trap \"exit 3\" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null || return; "
    'until_ "\\$K logs c1 | grep -q ready"; }; up && '
)
SYS = "/sys/fs/cgroup"


def _run(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation("run: " + name, script, out=out, **more)  # type: ignore[arg-type]


def _up(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation(name, UP + script, out=out, **more)  # type: ignore[arg-type]


RUN = [
    _run("output", "$R $I echo hi", "^hi$", core=True),
    _run("exit status", "$R $I sh -c 'exit 7'", status=7, core=True),
    _run(
        "no such command: 127",
        "$R $I /nosuch",
        status=127,
        err='exec: "/nosuch": stat /nosuch: no such file or',
        core=True,
    ),
    _run("no such command in PATH: 127", "$R $I nosuch", status=127, err="executable file not found in \\$PATH"),
    _run("not executable: 126", "$R $I /etc/passwd", status=126, err="permission denied", core=True),
    _run("a directory: 126", "$R $I /etc", status=126, err="permission denied|is a directory"),
    _run(
        "a directory that does not exist",
        "$R -v /nosuch/x:/v --mount type=bind,src=/nosuch2,dst=/w $I true",
        status=125,
    ),
    _run("an unknown user", "$R -u nosuch $I true", status=125, err="nosuch"),
    _run("stdin", "echo abc | $R -i $I cat", "^abc$", core=True),
    _run("terminal", f"tty_ \"$R -t $I sh -c '{SIZED}; tty'\"", "^/dev/pts/0", core=True),
    _run("init", '$R --init $I sh -c \'tr "\\0" " " </proc/1/cmdline\'', "docker-init -- sh -c"),
    _run("read-only", "$R --read-only --tmpfs /t $I sh -c 'touch /t/y && echo tmp; touch /x'", "^tmp$", status=1),
    _run("user, groups", "$R --user app --group-add 77 $I id", "uid=1000"),
    _run("capabilities: none", "$R --cap-drop ALL $I grep Cap /proc/self/status", "CapEff:\\s+0000000000000000"),
    _run("capabilities: default", "$R $I grep Cap /proc/self/status", "CapEff"),
    _run("capabilities: more", "$R --cap-add NET_ADMIN --user 1000 $I grep Cap /proc/self/status", "CapBnd"),
    _run("privileged", "$R --privileged $I grep CapEff /proc/self/status", "CapEff"),
    _run("seccomp: none", "$R --security-opt seccomp=unconfined $I grep Seccomp: /proc/self/status", "0$"),
    _run("seccomp: default", "$R $I grep Seccomp: /proc/self/status", "2$", core=True),
    _run("no-new-privileges", "$R --security-opt no-new-privileges $I grep NoNew /proc/self/status", "1$"),
    _run(
        "limits",
        f"$R --memory 64m --cpus 0.5 --pids-limit 20 --cpuset-cpus 0 --blkio-weight 100 $I sh -c 'cat "
        f"{SYS}/memory/memory.limit_in_bytes {SYS}/cpu/cpu.cfs_quota_us {SYS}/pids/pids.max {SYS}/cpuset/cpuset.cpus'",
        "^67108864\n50000\n20\n0$",
        core=True,
    ),
    _run(
        "memory: killed for want of it",
        "$K run --name oom --network none --memory 16m --memory-swap 16m $I "
        "dd if=/dev/zero of=/dev/null bs=64M count=1; echo $?; $K inspect -f '{{.State.OOMKilled}}' oom",
        "^137\ntrue$",
    ),
    _run("ulimit", "$R --ulimit nofile=100:200 $I sh -c 'ulimit -n; ulimit -Hn'", "^100\n200$"),
    _run("ulimit above the hard one", "$R --ulimit nofile=104857600 $I true; test $? -ne 0"),
    _run(
        "device",
        "$R --device /dev/null:/dev/mynull --device-cgroup-rule 'c 10:200 rwm' $I sh -c 'echo x >/dev/mynull "
        "&& echo written'",
        "^written$",
    ),
    _run(
        "volumes",
        "mkdir -p v; echo in >v/f; $R -v $D/v:/v:ro -v nv$RT:/nv $I sh -c 'touch /nv/x && cat /v/f; touch /v/g'",
        "^in$",
        status=1,
        core=True,
    ),
    _run(
        "cgroup-parent",
        "$R --cgroup-parent /pyocidk$$ $I grep -o memory:.*/ /proc/self/cgroup | sed s/k$$/k/; "
        "rmdir /sys/fs/cgroup/*/pyocidk$$ 2>/dev/null; true",
        "/pyocidk/",
    ),
    _run(
        "oom score, sysctl, host name",
        "$R --oom-score-adj 500 --sysctl kernel.msgmax=9000 --hostname hh $I sh -c "
        "'cat /proc/self/oom_score_adj /proc/sys/kernel/msgmax; hostname'",
        "^500\n9000\nhh$",
    ),
    _run(
        "namespaces of the host",
        "$R --network host --pid host --ipc host --uts host $I sh -c 'cat /proc/1/comm'".replace("$R", "$K run --rm"),
        ".",
    ),
    _run(
        "namespaces of another container",
        "$K run -d --name n1 --network none --ipc shareable $I sleep 100 >/dev/null; "
        '$K run --rm --network container:n1 --pid container:n1 --ipc container:n1 $I sh -c \'tr "\\0" " " '
        "</proc/1/cmdline'",
        "sleep 100",
    ),
    _run("runtime by option", "$K run --rm --network none --runtime $RT-under-test $I echo hi", "^hi$"),
    _run(
        "Debian root",
        "$K load -q -i $DEBTAR >/dev/null; $R --user www-data --read-only $DEB bash -c 'cut -d. -f1 "
        "/etc/debian_version; id; setpriv --dump; touch /x'",
        "^12\nuid=33\\(www-data",
        status=1,
    ),
    _run(
        "masked and read-only by default", "$R $I sh -c 'grep -oE \" /(proc|sys)[^ ]*\" /proc/mounts | sort'", "/proc/k"
    ),
]

LIFE = [
    _up(
        "inspect: state, pid, runtime",
        "$K inspect -f '{{.State.Status}} {{.State.Running}} {{.HostConfig.Runtime}}' c1; "
        "test -d /proc/$($K inspect -f '{{.State.Pid}}' c1)",
        "^running true",
        core=True,
    ),
    _up("stop: status of the handler", "$K stop -t 20 c1 && $K inspect -f '{{.State.ExitCode}}' c1", "^3$", core=True),
    _up("kill, wait", "$K kill c1; $K wait c1", "^137$", core=True),
    _up("kill by signal", "$K kill -s TERM c1; $K wait c1", "^3$"),
    _up(
        "restart, start",
        "$K restart -t 20 c1 && $K kill c1 && $K wait c1 && $K start c1 && $K inspect -f '{{.State.Status}}' c1",
        "^running$",
    ),
    _up(
        "pause and unpause",
        "$K pause c1 && $K inspect -f '{{.State.Status}}' c1; $K unpause c1; $K inspect -f '{{.State.Status}}' c1",
        "^paused$",
        core=True,
    ),
    _up("remove by force while paused", "$K pause c1 && $K rm -f c1 && $K ps -aq | wc -l", "^0$"),
    _up(
        "update",
        "$K update --memory 64m --memory-swap 64m --cpus 0.5 --pids-limit 50 c1 && $K exec c1 cat "
        f"{SYS}/memory/memory.limit_in_bytes {SYS}/cpu/cpu.cfs_quota_us {SYS}/pids/pids.max",
        "^67108864\n50000\n50$",
        core=True,
    ),
    _up("top", "$K top c1 -o pid,args | grep -c ready", "^[1-9]"),
    _up("stats", "$K stats --no-stream --format '{{.Name}} {{.PIDs}}' c1", "^c1 [1-9]", blank="[0-9]$"),
    _up("logs", "$K logs c1", "^ready$"),
    Operation(
        "attach",
        "$K run -d -i --name ca --network none $I sh -c 'read l; echo got $l; read l; echo end' >/dev/null; "
        "mkfifo in; $K attach ca <in >seen & exec 7>in; echo word >&7; until_ 'grep -q got seen'; echo x >&7; "
        "exec 7>&-; $K wait ca; wait; rm in; grep got seen",
        out="got word",
    ),
    _up("cp", "$K cp c1:/etc/passwd - | tar xO; echo x >f; $K cp f c1:/f && $K exec c1 cat /f", "root:x"),
    _up(
        "commit",
        "$K exec c1 touch /new; $K commit c1 made >/dev/null && $R made ls /new; $K rmi made >/dev/null",
        "^/new$",
    ),
    _up(
        "diff, export", "$K exec c1 touch /new; $K diff c1 | grep new; $K export c1 | tar t | grep -c busybox", "A /new"
    ),
    Operation(
        "restart policy",
        "$K run -d --name rp --restart on-failure:2 --network none $I sh -c 'echo x; exit 1' >/dev/null; "
        'until_ \'[ $($K inspect -f "{{.RestartCount}} {{.State.Status}}" rp | tr -d " ") = 2exited ]\'; $K logs rp',
        out="^x\nx\nx$",
    ),
    Operation(
        "healthcheck",
        "$K run -d --name hc --network none --health-cmd true --health-interval 1s $I sleep 100 >/dev/null; "
        "until_ '$K inspect -f {{.State.Health.Status}} hc | grep -q ^healthy'; echo ok",
        out="^ok$",
    ),
    Operation(
        "events",
        "$K run --name ev --network none $I true; $K rm ev >/dev/null; $K events --since 60s "
        "--until $(($(date +%s)+1)) --filter container=ev --format '{{.Action}}'",
        out="create\nattach\nstart\ndie",
    ),
    Operation("info names the runtime", "$K info -f '{{.DefaultRuntime}}'", out="under-test"),
]

EXEC = [
    _up("exec: output and status", "$K exec c1 sh -c 'echo in; exit 9'", "^in$", status=9, core=True),
    _up(
        "exec: user, directory, environment",
        "$K exec -u 1000 -w /tmp -e V=v c1 sh -c 'echo $(id -u) $PWD $V'",
        "^1000 /tmp v$",
    ),
    _up(
        "exec: no such command",
        "$K exec c1 /nosuch; echo $?",
        'exec: "/nosuch": stat /nosuch: no such file or directory[^$]*\n12[67]$',
        core=True,
        blank="^OCI.*$",
    ),
    _up("exec: not executable", "$K exec c1 /etc/passwd", "permission denied", status=126, blank="^OCI.*$"),
    _up("exec: no such directory", "$K exec -w /nosuch c1 true", "nosuch", status=126, blank="^OCI.*$"),
    _up("exec: stdin", "echo abc | $K exec -i c1 cat", "^abc$"),
    _up("exec: terminal", f"tty_ \"$K exec -t c1 sh -c '{SIZED}; tty'\"", "^/dev/pts/", core=True),
    _up("exec: detached", "$K exec -d c1 touch /x; until_ '$K exec c1 ls /x 2>/dev/null'", "/x"),
    _up("exec: privileged", "$K exec --privileged c1 grep CapEff /proc/self/status", "CapEff"),
    _up("exec in what is paused", "$K pause c1 >/dev/null; $K exec c1 true", status=1, err="paused"),
]

BUILD = [
    Operation(
        "build",
        "mkdir -p b; printf 'FROM %s\\nRUN echo from-run >/r\\nRUN cat /r\\n' $I >b/Dockerfile; DOCKER_BUILDKIT=0 "
        "$K build --network none -t bt b 2>&1 | grep -x from-run; $R bt cat /r; $K rmi bt >/dev/null",
        out="^from-run$",
        core=True,
    ),
    Operation(
        "build: RUN that fails",
        "mkdir -p b; printf 'FROM %s\\nRUN exit 3\\n' $I >b/Dockerfile; DOCKER_BUILDKIT=0 "
        "$K build --network none -t bt b >/dev/null",
        status=3,
        err="returned a non-zero code: 3",
    ),
    Operation(
        "build with BuildKit",
        "mkdir -p b; printf 'FROM %s\\nRUN echo from-kit >/r\\n' $I >b/Dockerfile; DOCKER_BUILDKIT=1 "
        "$K build -q --network none -t bt2 b >/dev/null && $R bt2 cat /r",
        out="^from-kit$",
    ),
]


# a container that counts in /n; `more` waits until it has counted on
COUNT = (
    "$K run -d --name ck --network none $I sh -c 'i=0; while :; do i=$((i+1)); echo $i >/n; sleep 0.05; done' >/dev/null; "
    "n() { $K exec ck cat /n 2>/dev/null; }; more() { m=$(n); until_ '[ $(n) -gt ${m:-0} ] 2>/dev/null'; }; more; "
)
CHECKPOINT = [
    Operation(
        "checkpoint, start from it",
        COUNT + "$K checkpoint create ck one && $K inspect -f '{{.State.Status}}' ck; "
        "$K checkpoint ls ck; $K start --checkpoint one ck && more && $K inspect -f '{{.State.Status}}' ck",
        out="^one\nexited",
        needs=CRIU,
    ),
    Operation(
        "checkpoint: leave running",
        COUNT + "$K checkpoint create --leave-running ck one && more && $K inspect -f '{{.State.Status}}' ck",
        out="^one\nrunning$",
        needs=CRIU,
    ),
]


def dockerd_killed(engine: Docker) -> str:
    """Containers go on without dockerd (live-restore), and the next one finds them."""
    assert engine.daemon is not None
    up = engine.script(UP + "true")
    engine.daemon.end(signal.SIGKILL)
    engine.begin()
    found = engine.script(
        "$K inspect -f '{{.State.Status}}' c1; $K exec c1 echo still; $K stop -t 20 c1; "
        "$K inspect -f '{{.State.ExitCode}}' c1"
    )
    return f"{up.status} {found.out}"


KILLED = [
    Operation("dockerd is killed and starts again", dockerd_killed, out="^0 running\nstill\nc1\n3"),
    _up(
        "the shim is killed",
        "i=$($K inspect -f '{{.Id}}' c1); kill -9 $(ps -eo pid,args | grep \"[c]ontainerd-shim.*-id "
        "$i\" | awk '{print $1}'); until_ '$K inspect -f {{.State.Status}} c1 | grep -q exited'; $K rm -f c1; $K ps -aq | wc "
        "-l",
        "0$",
    ),
]


OPERATIONS = RUN + LIFE + EXEC + BUILD + CHECKPOINT + KILLED


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_docker(same, operation):  # type: ignore[no-untyped-def]
    same(Docker, operation)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_docker_with_our_plugin(same, operation):  # type: ignore[no-untyped-def]
    if not DockerShim.knows_plugins():
        pytest.skip("this dockerd takes no runtimeType: 23 and later do")
    same(DockerShim, operation)
