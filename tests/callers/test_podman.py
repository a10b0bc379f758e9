"""podman as root: each operation with runc, then with pyoci. `$R` runs a container that is removed at its end."""
# ruff: noqa: E501 - a table of scripts, one a line

import pytest
from compare import CRIU, SIZED, Operation
from engines.podman import Podman

# a container c1 that runs until it is told to end, and has said so
UP = (
    "up() { $P run -d --name $1 --network none $2 $I sh -c "
    "'trap \"exit 3\" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null || return; "
    'until_ "\\$P logs $1 | grep -q ready"; }; up c1 && '
)
SYS = "/sys/fs/cgroup"


def _run(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation("run: " + name, script, out=out, **more)  # type: ignore[arg-type]


def _up(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation(name, UP + script, out=out, **more)  # type: ignore[arg-type]


RUN = [
    _run("output", "$R $I echo hi", "^hi$", core=True),
    _run("exit status", "$R $I sh -c 'exit 7'", status=7, core=True),
    _run("ended by a signal", "$R --pid host $I sh -c 'kill -9 $$'", status=137),
    _run("no such command: 127", "$R $I /nosuch", status=127, err="no such file or directory", core=True),
    _run("no such command in PATH: 127", "$R $I nosuch", status=127, err="executable file not found in \\$PATH"),
    _run("not executable: 126", "$R $I /etc/passwd", status=126, err="permission denied", core=True),
    _run("a directory: 126", "$R $I /etc", status=126, err="(?i)is a directory|permission denied", core=True),
    _run("a sysctl that does not exist", "$R --sysctl net.nosuch=1 $I true", status=127, err="no such file"),
    _run("an unknown option: 125", "$R --nosuch $I true", status=125),
    _run("stdin", "echo abc | $R -i $I cat", "^abc$", core=True),
    _run("terminal", f"tty_ \"$R -t $I sh -c '{SIZED}; tty; stty -a | grep -c speed'\"", "^/dev/pts/0", core=True),
    _run(
        "terminal, detached",
        "$P run -dt --name ct --network none $I sh >/dev/null && $P exec ct tty <&-;"
        " $P inspect -f '{{.Config.Tty}}' ct",
        "true",
    ),
    _run(
        "detached, then wait",
        "$P run -d --name c --network none $I sh -c 'exit 5' >/dev/null && $P wait c",
        "^5$",
        core=True,
    ),
    _run(
        "init",
        '$R --init $I sh -c \'tr "\\0" " " </proc/1/cmdline\'',
        "-- sh -c",
        needs=("/usr/bin/catatonit", "no catatonit"),
    ),
    _run(
        "read-only",
        "$R --read-only $I sh -c 'touch /x; touch /tmp/y && echo tmp; grep -c \" / .*ro\" /proc/mounts'",
        "^tmp",
    ),
    _run("read-only without tmpfs", "$R --read-only --read-only-tmpfs=false $I sh -c 'touch /tmp/y'", status=1),
    _run("tmpfs and shm", "$R --tmpfs /tt:size=1m,mode=1777 --shm-size 1m $I df /tt /dev/shm", "1024"),
    _run("user by name", "$R --user app $I id", "uid=1000\\(app\\)"),
    _run(
        "user by number, more groups",
        "$R --user 1234:1235 --group-add 77 $I id",
        "uid=1234\\(1234\\) gid=1235\\(1235\\) groups=77",
    ),
    _run("user that is unknown", "$R --user nosuch $I id", status=126, err="nosuch"),
    _run(
        "userns by maps",
        "$R --uidmap 0:200000:5000 --gidmap 0:200000:5000 $I cat /proc/self/uid_map",
        "0 +200000 +5000",
    ),
    _run("userns=nomap is for users", "$R --userns=nomap $I id", status=125),
    _run(
        "userns=auto",
        "printf 'containers:400000:70000\\n' >subid; unshare -m sh -c '"
        'mount --bind subid /etc/subuid && mount --bind subid /etc/subgid && exec "$@"\' x '
        "$R --userns=auto:size=1024 $I cat /proc/self/uid_map",
        "0 +400000 +1024",
    ),
    _run(
        "userns of another container",
        UP.replace("up c1", "up c1 '--uidmap 0:200000:5000'") + "$R --userns container:c1 $I cat /proc/self/uid_map",
        "0 +200000",
    ),
    _run(
        "capabilities: none",
        "$R --cap-drop ALL $I grep Cap /proc/self/status",
        "CapEff:\\s+0000000000000000",
        core=True,
    ),
    _run("capabilities: more", "$R --cap-add SYS_ADMIN --cap-add NET_ADMIN $I grep Cap /proc/self/status", "CapEff"),
    _run(
        "capabilities: one that the host has not", "$R --cap-add SYS_RESOURCE $I grep Cap /proc/self/status", "CapEff"
    ),
    _run("capabilities of a user", "$R --user 1000 --cap-add CHOWN $I grep Cap /proc/self/status", "CapPrm"),
    _run(
        "privileged",
        "$R --privileged $I sh -c 'grep Cap /proc/self/status; ls /dev | wc -l; grep -c . /proc/mounts'",
        "CapEff",
    ),
    _run("seccomp: the default profile", "$R $I grep Seccomp: /proc/self/status", "2$", core=True),
    _run("seccomp: none", "$R --security-opt seccomp=unconfined $I grep Seccomp: /proc/self/status", "0$"),
    _run(
        "seccomp: a profile of one's own",
        """echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir",
         "mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}' >sc.json; $R --security-opt seccomp=$D/sc.json $I
         mkdir /q""".replace("\n         ", " "),
        status=1,
        err="Function not implemented",
    ),
    _run("no-new-privileges", "$R --security-opt no-new-privileges $I grep NoNew /proc/self/status", "1$"),
    _run(
        "mask and unmask",
        "$R --security-opt unmask=ALL --security-opt mask=/etc/passwd $I sh -c "
        "'grep -c /proc /proc/mounts; cat /etc/passwd'",
        "^1$",
    ),
    _run(
        "masked and read-only by default",
        "$R $I sh -c 'grep -oE \" /(proc|sys)[^ ]*\" /proc/mounts | sort'",
        "/proc/kcore|/proc/keys",
    ),
    _run(
        "a label where there is no LSM",
        "$R --security-opt label=disable --security-opt apparmor=unconfined $I echo ok",
        "^ok",
    ),
    _run(
        "ulimits",
        "$R --ulimit core=0:0 --ulimit nofile=1000:2000 --ulimit nproc=100:100 $I cat /proc/self/limits",
        "Max open files +1000 +2000",
    ),
    _run(
        "sysctl and hostname",
        "$R --sysctl kernel.msgmax=9000 --hostname hh $I sh -c 'cat /proc/sys/kernel/msgmax; hostname'",
        "^9000\nhh$",
    ),
    _run(
        "device",
        "$R --device /dev/null:/dev/mynull:rw --device-cgroup-rule 'c 10:200 rwm' $I sh -c "
        "'ls -l /dev/mynull | cut -c1-40; echo x >/dev/mynull && echo written'",
        "written",
    ),
    _run("default devices", "$R $I sh -c 'ls -l /dev | cut -c1-45; head -c1 /dev/zero | wc -c'", "^crw-rw-rw-"),
    _run(
        "a device that is not allowed",
        "$R --cap-add MKNOD $I sh -c 'mknod /k c 1 2 && head -c1 /k'",
        status=1,
        err="not permitted",
    ),
    _run(
        "memory",
        f"$R --memory 64m --memory-swap 128m --memory-reservation 32m $I sh -c "
        f"'cd {SYS}/memory; cat memory.limit_in_bytes memory.memsw.limit_in_bytes memory.soft_limit_in_bytes'",
        "^67108864\n134217728\n33554432",
        core=True,
    ),
    _run(
        "memory: killed for want of it",
        "$P run --name oom --network none --memory 16m --memory-swap 16m $I "
        "dd if=/dev/zero of=/dev/null bs=64M count=1",
        status=137,
    ),
    _run(
        "memory: the engine is told",
        "$P run --name oom --network none --memory 16m --memory-swap 16m $I sh -c "
        "'dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 0.5; true'; $P inspect -f '{{.State.OOMKilled}}' oom",
        "^true$",
    ),
    _run(
        "cpus",
        f"$R --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 $I sh -c 'cat {SYS}/cpu/cpu.cfs_quota_us "
        f"{SYS}/cpu/cpu.shares {SYS}/cpuset/cpuset.cpus'",
        "^50000\n512\n0$",
    ),
    _run("pids", f"$R --pids-limit 20 $I cat {SYS}/pids/pids.max", "^20$"),
    _run(
        "pids: no more than the limit",
        "$R --pids-limit 5 $I sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done'",
        status=2,
        err="can't fork",
    ),
    _run(
        "blkio",
        f"$R --device-read-bps /dev/vda:1mb --blkio-weight 100 $I cat {SYS}/blkio/blkio.throttle.read_bps_device",
        " 1048576",
        needs=("/dev/vda", "no /dev/vda"),
    ),
    _run("cgroups=disabled", "$R --cgroups=disabled $I sh -c 'cat /proc/self/cgroup | wc -l'", "^[0-9]+$"),
    _run("cgroups=no-conmon", "$R --cgroups=no-conmon $I echo ok", "^ok"),
    _run("cgroups=split", "$R --cgroups=split $I echo ok", "^ok"),
    _run(
        "cgroup-parent",
        "$R --cgroup-parent /pyocitest$$ --cgroupns host $I sh -c "
        "'grep -E \"memory|pids\" /proc/self/cgroup' | sed s/pyocitest$$/PARENT/; "
        "rmdir /sys/fs/cgroup/*/pyocitest$$/conmon /sys/fs/cgroup/*/pyocitest$$ 2>/dev/null; true",
        "/PARENT/libpod-",
    ),
    _run("cgroupns private", "$R --cgroupns private $I cat /proc/self/cgroup", ":/$"),
    _run(
        "namespaces of the host",
        "$P run --rm --network host --pid host --ipc host --uts host --cgroupns host $I sh -c "
        "'hostname; cat /proc/1/comm; readlink /proc/self/ns/net'",
        ".",
    ),
    _run(
        "namespaces of another container",
        UP + "$P run --rm --network container:c1 --pid container:c1 "
        "--ipc container:c1 --uts container:c1 $I sh -c 'grep -c ready /proc/1/cmdline; hostname'",
        "^1\nID$",
    ),
    _run("network: none has a loopback", "$R $I ip -o link | wc -l", "^1$"),
    # in a network namespace of its own: the bridge and the rules that podman leaves go with it
    _run(
        "network: a port published",
        """unshare -n sh -c 'ip link set lo up; $P run -d --name nb -p 127.0.0.1:18080:80 $I \\
httpd -f -p 80 -h /etc >/dev/null || exit; for i in 1 2 3 4 5 6 7 8 9; do busybox wget -qO- http://127.0.0.1:18080/passwd &&
break; sleep 0.3; done; $P rm -f -t 0 nb >/dev/null'""",
        "^root:x",
    ),
    _run("working directory", "$R -w /tmp $I pwd", "^/tmp$"),
    _run(
        "environment, labels, annotations", "$R -e X=1 -e HOSTNAME=h -l a=b --annotation org.x=y $I env | sort", "^X=1$"
    ),
    _run("time zone, hosts", "$R --tz=UTC --add-host foo:1.2.3.4 $I grep foo /etc/hosts", "1.2.3.4"),
    _run(
        "stop-signal",
        '$P run -d --name s --stop-signal USR1 --network none $I sh -c \'trap "exit 4" USR1; echo ready; '
        "while :; do sleep 0.05; done' >/dev/null; until_ '$P logs s | grep -q ready'; $P stop -t 20 s; $P wait s",
        "^4$",
    ),
    _run("timeout", "$R --timeout 1 $I sleep 50", status=255),
    _run("oom-score-adj", "$R --oom-score-adj 500 $I cat /proc/self/oom_score_adj", "^500$"),
    _run("personality", "$R --personality=LINUX32 $I uname -m", "i686"),
    _run(
        "systemd mode",
        "$R --systemd always $I sh -c 'grep -E \" (/run|/sys/fs/cgroup/systemd) \" /proc/mounts | wc -l'",
        ".",
    ),
    _run(
        "preserve-fds",
        "echo hello >f3; exec 3<f3; $R --preserve-fds 1 $I sh -c 'cat <&3; ls /proc/self/fd | wc -l'",
        "^hello$",
    ),
    _run("no descriptor of the engine's", "$R $I sh -c 'ls /proc/self/fd'", "^0\n1\n2\n3\n$"),
    _run("a root directory instead of an image", "$R --rootfs $D/rootfs:O echo ok", "^ok"),
    _run(
        "hooks",
        """mkdir -p hooks; for s in prestart createRuntime createContainer startContainer poststart poststop; do
         echo '{"version":"1.0.0","hook":{"path":"/bin/sh","args":["sh","-c","'$s' && cat >>'$D'/hook.out; echo >>'$D'
/hook.out"]},"when":{"always":true},"stages":["'$s'"]}' | tr -d '\\n' | sed 's/'$s' &&/echo '$s' >>'$(echo $D | sed
         's,/,\\\\/,g')'\\/hook.out;/' >hooks/$s.json; done; rm hooks/startContainer.json hooks/createContainer.json;
         $P --hooks-dir $D/hooks run --name hk --network none $I true; $P rm hk >/dev/null; grep -v '^$' hook.out |
         sed 's/"pid":[0-9]*/"pid":N/; s/"id":"[^"]*"/ID/; s/"bundle.*//; s/{.*"status":/"status":/'""".replace(
            "\n         ", " "
        ).replace("\n/", "/"),
        "prestart[^$]*poststop",
        blank='"status.*',
    ),
    _run("log driver none", "$R --log-driver none $I echo hi", "hi"),
    _run("the engine's debug log", "$P --log-level debug run --rm --network none $I echo hi", "^hi$", core=True),
    _run("many arguments", "$R $I echo $(seq 1 3000) | wc -c", "^13893"),
    # Of the signals to 31: make leaves libc's own, 32, ignored to all that it runs, and runc does so too
    _run(
        "signals that the caller ignores",
        "trap '' PIPE; i=$($R $I grep SigIgn /proc/self/status) && echo $((0x${i##*:?} & 0x7fffffff))",
        "^0$",
    ),
]

VOLUMES = [
    _run(
        "volume, read-only",
        "mkdir -p vol; echo in >vol/f; $R -v $D/vol:/v:ro $I sh -c 'cat /v/f; touch /v/g'",
        "^in$",
        status=1,
        err="Read-only",
        core=True,
    ),
    _run(
        "volume with options",
        "mkdir -p vol; $R -v $D/vol:/v:rw,rslave,noexec,nosuid,nodev "
        "--mount type=tmpfs,destination=/t,tmpfs-size=1m --mount type=devpts,destination=/dp $I sh -c "
        '\'grep -E " /(v|t|dp) " /proc/self/mounts | cut -d" " -f2-4 | sort\'',
        "noexec",
    ),
    _run("volume by name", "$R -v nv$RT:/nv $I sh -c 'echo ok >/nv/f; cat /nv/f'", "^ok$", core=True),
    _run("volume with Z", "mkdir -p vol; echo in >vol/f; $R -v $D/vol:/v:Z $I cat /v/f", "^in$"),
    _run(
        "volume with U",
        "mkdir -p volu; $R --user 1000 -v $D/volu:/v:U $I sh -c 'touch /v/f; stat -c %u /v /v/f'",
        "^1000$",
    ),
    _run(
        "volume with idmap",
        "mkdir -p voli; touch voli/f; chmod 711 $D; $R --uidmap 0:200000:5000 "
        "--gidmap 0:200000:5000 -v $D/voli:/v:idmap $I stat -c %u /v/f",
        "^0$",
    ),
    _run(
        "volume with shared propagation",
        "mkdir -p vols/a; mount --bind vols vols; mount --make-shared vols; "
        "$R -v $D/vols:/v:rshared --privileged $I sh -c 'mount -t tmpfs x /v/a' && grep -c vols/a /proc/self/mounts; "
        "umount vols/a; umount vols",
        "^1$",
    ),
    _run(
        "volume with private propagation",
        "mkdir -p volp/a; mount --bind volp volp; mount --make-shared volp; "
        "$R -v $D/volp:/v:rprivate --privileged $I sh -c 'mount -t tmpfs x /v/a'; grep -c volp/a /proc/self/mounts; "
        "umount volp",
        "^0$",
    ),
    _run(
        "overlay volume",
        "mkdir -p volo; echo in >volo/f; $R -v $D/volo:/v:O $I sh -c 'echo x >/v/f'; cat volo/f",
        "^in$",
    ),
    _run("a file as volume", "echo text >file; $R -v $D/file:/etc/file:ro $I cat /etc/file", "^text"),
    _run("a missing volume source", "$R -v $D/nosuch:/v $I true", status=125, err="no such file"),
]

LIFE = [
    Operation(
        "create, init, start",
        "$P create --name c2 --network none $I echo created >/dev/null && $P init c2 && "
        "$P inspect -f '{{.State.Status}}' c2 && $P start -a c2 && $P rm c2",
        out="created",
        core=True,
    ),
    _up(
        "inspect: state, pid, cgroup",
        "$P inspect -f '{{.State.Status}} {{.State.Running}} {{.OCIRuntime}} "
        "{{.State.CgroupPath}}' c1; test -d /proc/$($P inspect -f '{{.State.Pid}}' c1)",
        "^running true",
        core=True,
    ),
    _up(
        "ps, then events",
        "$P ps --format '{{.Names}} {{.Image}}'; $P stop -t 20 c1; $P rm c1 >/dev/null; $P events "
        "--stream=false --filter container=c1 --format '{{.Status}}' | tail -n 7",
        "start",
    ),
    _up("stop: status of the handler", "$P stop -t 20 c1 && $P inspect -f '{{.State.ExitCode}}' c1", "^3$", core=True),
    Operation(
        "stop: killed after the time",
        '$P run -d --name c1 --network none $I sh -c \'trap "" TERM; echo ready; '
        "while :; do sleep 0.05; done' >/dev/null; until_ '$P logs c1 | grep -q ready'; $P stop -t 1 c1; "
        "$P inspect -f '{{.State.ExitCode}}' c1",
        out="^137$",
    ),
    _up("kill by signal", "$P kill -s TERM c1; $P wait c1", "^3$"),
    _up("kill", "$P kill c1; $P wait c1", "^137$", core=True),
    _up("kill what has ended", "$P kill c1; $P wait c1; $P kill c1", status=125, err="not running|can only kill"),
    _up("restart", "$P restart -t 20 c1 && $P inspect -f '{{.State.Status}}' c1", "^running$"),
    _up(
        "start again",
        "$P kill c1; $P wait c1 >/dev/null; $P start c1 && $P inspect -f '{{.State.Status}}' c1",
        "^running$",
    ),
    _up(
        "pause and unpause",
        "$P pause c1; $P inspect -f '{{.State.Status}}' c1; $P unpause c1; $P inspect -f '{{.State.Status}}' c1",
        "^paused$",
        core=True,
    ),
    _up("remove by force while paused", "$P pause c1 && $P rm -f -t 0 c1 && $P ps -aq | wc -l", "^0$"),
    _up("remove by force", "$P rm -f -t 0 c1; $P ps -aq | wc -l", "^0$", core=True),
    _up("top", "$P top c1 pid user args | tail -n +2 | head -1", "^1 "),
    _up("top with ps of the host", "$P top c1 -o args | grep -c ready", "."),
    _up("stats", "$P stats --no-stream --format '{{.Name}} {{.PIDs}}' c1", "^c1 [1-9]", blank="[0-9]$"),
    _up(
        "update",
        "$P update --memory 64m --memory-swap 64m --cpus 0.5 --cpuset-cpus 0 --cpu-shares 300 c1; cd "
        f"{SYS}; g=libpod_parent/libpod-$($P inspect -f '{{{{.Id}}}}' c1); cat memory/$g/memory.limit_in_bytes "
        "cpu/$g/cpu.cfs_quota_us cpu/$g/cpu.shares cpuset/$g/cpuset.cpus",
        "^67108864\n50000\n300\n0$",
        core=True,
    ),
    _up("update to a value that is refused", "$P update --memory 1k c1", status=125, err="."),
    Operation(
        "logs",
        "$P run --name l --network none $I sh -c 'echo out; echo err >&2'; $P logs l 2>&1 | sort",
        out="^err\nout$",
        core=True,
    ),
    Operation(
        "attach",
        "$P run -d -i --name ca --network none $I sh -c 'read l; echo got $l' >/dev/null; "
        "echo word | $P attach ca; $P wait ca",
        out="got word",
    ),
    _up("cp and diff", "echo x >f; $P cp f c1:/tmp/f && $P exec c1 cat /tmp/f && $P diff c1 | sort", "A /tmp/f"),
    _up(
        "commit",
        "$P exec c1 touch /new; $P commit -q c1 localhost/made >/dev/null && $P run --rm --network none "
        "localhost/made ls /new; $P rmi localhost/made >/dev/null",
        "^/new$",
    ),
    _up("export", "$P export c1 | tar t | grep -c busybox", "."),
    _up("rename", "$P rename c1 c9 && $P exec c9 echo ok", "ok"),
    Operation(
        "healthcheck: healthy",
        "$P run -d --name h --health-cmd 'echo ok' --health-interval disable --network none "
        "$I sleep 100 >/dev/null; $P healthcheck run h; $P inspect -f '{{.State.Health.Status}}' h",
        out="^healthy$",
        core=True,
    ),
    Operation(
        "healthcheck: unhealthy",
        "$P run -d --name h --health-cmd 'exit 1' --health-retries 1 --health-interval "
        "disable --network none $I sleep 100 >/dev/null; $P healthcheck run h; echo $?; "
        "$P inspect -f '{{.State.Health.Status}}' h",
        out="^unhealthy$",
    ),
    Operation(
        "healthcheck: no such command",
        "$P run -d --name h --health-cmd '[\"/nosuch\"]' --health-interval "
        "disable --network none $I sleep 100 >/dev/null; $P healthcheck run h; echo $?",
        out=".",
    ),
    Operation(
        "pod",
        "$P pod create --name p1 --network none >/dev/null && $P run -d --pod p1 --name p1a $I sleep 100 "
        ">/dev/null && $P run --rm --pod p1 $I hostname && $P pod pause p1 >/dev/null && $P pod unpause p1 "
        ">/dev/null && $P pod stop -t 0 p1 >/dev/null && $P pod rm -f p1 >/dev/null",
        out="^p1$",
        core=True,
    ),
    Operation(
        "play kube",
        """cat >k.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: kp}
spec:
  containers:
  - {name: a, image: "$I", command: [sh, -c, "echo from-kube; sleep 100"], resources: {limits: {memory: 64Mi}}}
Y
$P play kube --network none k.yaml >/dev/null; r=$?; [ $r = 0 ] && until_ '$P logs kp-a | grep from-kube';
$P play kube --down k.yaml >/dev/null; exit $r""",
        out="from-kube",
    ),
    Operation(
        "run --sdnotify: ready",
        """cat >n.py <<'Y'
import os, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("n.sock")
p = subprocess.Popen(sys.argv[1:], env=dict(os.environ, NOTIFY_SOCKET=os.path.abspath("n.sock")))
words = b""
while b"READY=1" not in words: words += s.recv(4096) + b"\\n"
print(sorted(w.split("=")[0] for w in words.decode().split()), p.wait()); os.unlink("n.sock")
Y
python3 n.py $R --sdnotify conmon $I true""",
        out="READY.*0",
    ),
    Operation("run --sdnotify=ignore", "NOTIFY_SOCKET=$D/nobody $R --sdnotify ignore $I env | sort", out="PATH"),
    Operation("info names the runtime", "$P info -f '{{.Host.OCIRuntime.Name}}'", out="RUNTIME"),
]

EXEC = [
    _up("exec", "$P exec c1 sh -c 'echo in; cut -d: -f3 /proc/self/cgroup | sort -u'", "^in$", core=True),
    _up("exec: exit status", "$P exec c1 sh -c 'exit 9'", status=9, core=True),
    _up(
        "exec: user, directory, environment",
        "$P exec -u 1000 -w /tmp -e V=v c1 sh -c 'echo $(id -u) $PWD $V'",
        "^1000 /tmp v$",
        core=True,
    ),
    _up("exec: no such command: 127", "$P exec c1 /nosuch", status=127, err="no such file", core=True),
    _up("exec: not executable: 126", "$P exec c1 /etc/passwd", status=126, err="permission denied", core=True),
    _up("exec: no such directory", "$P exec -w /nosuch c1 true", status=127, err="nosuch"),
    _up("exec: stdin", "echo abc | $P exec -i c1 cat", "^abc$"),
    _up("exec: terminal", f"tty_ \"$P exec -t c1 sh -c '{SIZED}; tty; echo x'\"", "^/dev/pts/", core=True),
    _up("exec: detached", "$P exec -d c1 touch /tmp/x >/dev/null; until_ '$P exec c1 ls /tmp/x'", "/tmp/x"),
    _up("exec: preserve-fds", "echo hello >f3; exec 3<f3; $P exec --preserve-fds 1 c1 sh -c 'cat <&3'", "^hello$"),
    _up("exec: privileged", "$P exec --privileged c1 grep CapEff /proc/self/status", "CapEff"),
    _up(
        "exec: seccomp and capabilities as the container's",
        "$P exec c1 grep -E 'Seccomp:|Cap|NoNew' /proc/self/status",
        "Seccomp:\\s+2",
    ),
    _up("exec: killed", "$P exec c1 sh -c 'kill -9 $$'", status=137),
    _up("exec in what is paused", "$P pause c1 >/dev/null; $P exec c1 true", status=255, err="paused|can only"),
    _up(
        "exec in what has ended",
        "$P kill c1 >/dev/null; $P wait c1 >/dev/null; $P exec c1 true",
        status=255,
        err="can only create exec sessions on running",
    ),
    _up(
        "exec: ten at once",
        "for i in 0 1 2 3 4 5 6 7 8 9; do $P exec c1 echo $i & done | sort | tr '\\n' ' '",
        "0 1 2 3 4 5 6 7 8 9",
    ),
]

KILLED = [
    _up(
        "conmon is killed",
        "i=$($P inspect -f '{{.Id}}' c1); p=$($P inspect -f '{{.State.Pid}}' c1); kill -9 $($P inspect -f "
        "'{{.State.ConmonPid}}' c1); $P exec c1 echo still; $P rm -f -t 0 c1; until_ '! test -d /proc/$p'; $P ps -aq | wc -l; "
        "$RTBIN delete --force $i 2>/dev/null; true",
        "^0$",
        core=True,
    ),
    _up(
        "the container's process is killed from outside",
        "kill -9 $($P inspect -f '{{.State.Pid}}' c1); $P wait c1; $P start c1 && $P exec c1 echo again",
        "^137\nc1\nagain$",
    ),
    _up(
        "conmon and the container are killed",
        "i=$($P inspect -f '{{.Id}}' c1); kill -9 $($P inspect -f '{{.State.ConmonPid}} "
        "{{.State.Pid}}' c1); $P ps -a --format '{{.Names}}'; $P rm -f -t 0 c1; $P ps -aq | wc -l; $RTBIN delete --force $i "
        "2>/dev/null; true",
        "0$",
    ),
]

# an image with a Debian root, loaded when first asked for
DEBIAN = "$P image exists $DEB || $P load -q -i $DEBTAR >/dev/null; "
DEBIAN_ROOT = [
    _run(
        "Debian root",
        DEBIAN + "$R $DEB bash -c 'cut -d. -f1 /etc/debian_version; ls /; id; ldd /bin/ls | grep -c libc.so; "
        "ulimit -n; umask'",
        "^12\n",
    ),
    _run(
        "Debian root: user, read-only",
        DEBIAN + "$R --user www-data -w /var --read-only --tmpfs /t $DEB "
        "bash -c 'id; pwd; touch /t/y && echo tmp; touch /x'",
        "^uid=33\\(www-data\\)",
        status=1,
    ),
    _run(
        "Debian root: what seccomp and capabilities leave",
        DEBIAN + "$R --user www-data $DEB bash -c 'setpriv --dump; unshare "
        '-U true; perl -e "chroot(q(/tmp)) or print qq(\\$!\\n)"\'',
        "Capability bounding set",
    ),
    _run("Debian root: terminal", DEBIAN + f"tty_ \"$R -t $DEB bash -ic '{SIZED}; tty; echo \\$-'\"", "/dev/pts/0"),
    _run(
        "Debian root: init, signal",
        DEBIAN + '$P run -d --init --name c1 --network none $DEB bash -c \'trap "exit 9" TERM; echo up; '
        "while :; do sleep 0.05; done' >/dev/null; until_ '$P logs c1 | grep -q up'; $P exec c1 ps -e 2>/dev/null; $P exec --user "
        "daemon c1 id; $P stop -t 20 c1; $P inspect -f '{{.State.ExitCode}}' c1",
        "^uid=1\\(daemon",
    ),
    # the container says itself that it is ready, on a socket that the runtime has put there
    Operation(
        "run --sdnotify=container",
        DEBIAN
        + """cat >n.py <<'Y'
import os, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("n.sock")
p = subprocess.Popen(sys.argv[1:], env=dict(os.environ, NOTIFY_SOCKET=os.path.abspath("n.sock")), stdout=subprocess.DEVNULL)
words = b""
while b"READY=1" not in words or b"MAINPID=" not in words: words += s.recv(4096) + b"\\n"
print(sorted({w.split("=")[0] for w in words.decode().split()}), p.wait()); os.unlink("n.sock")
Y
python3 n.py $P run -d --name c1 --network none --sdnotify container $DEB perl -MIO::Socket::UNIX -e '
$s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $ENV{NOTIFY_SOCKET}) or die $!; $s->send("READY=1") or die; sleep 1000'
$P inspect -f '{{.State.Status}}' c1""",
        out="MAINPID.*READY.*0\nrunning",
    ),
]

# a container that counts in /n; `more` waits until it has counted on
COUNT = (
    "up() { $P run -d --name $1 --network none $I sh -c 'i=0; while :; do i=$((i+1)); echo $i >/n; sleep 0.05; done' >/dev/null; }; "
    "n() { $P exec $1 cat /n; }; more() { m=$(n $1); until_ \"[ \\$(n $1) -gt ${m:-0} ]\"; }; up ck && until_ 'n ck >/dev/null 2>&1' && "
)
CHECKPOINT = [
    Operation(
        "checkpoint and restore",
        COUNT + "more ck && $P container checkpoint ck && $P inspect -f '{{.State.Status}} "
        "{{.State.Checkpointed}}' ck; $P container restore ck && more ck && $P inspect -f '{{.State.Status}}' ck",
        out="^ck\nexited true\nck\nrunning$",
        needs=CRIU,
    ),
    Operation(
        "checkpoint: leave running",
        COUNT + "$P container checkpoint --leave-running --tcp-established --file-locks ck && "
        "more ck && $P inspect -f '{{.State.Status}}' ck",
        out="^ck\nrunning$",
        needs=CRIU,
    ),
    Operation(
        "checkpoint: export and import",
        COUNT + "more ck && $P container checkpoint --export ck.tar.gz ck && $P rm ck && "
        "$P container restore --import ck.tar.gz --name other && more other && $P exec other ps",
        out="sleep|sh -c",
        needs=CRIU,
        blank="^ *[0-9]+ root .*$",
    ),
    Operation(
        "checkpoint: twice, kept files",
        COUNT + "$P container checkpoint --keep ck && $P container restore --keep ck && "
        "more ck && $P container checkpoint ck && $P container restore ck && more ck",
        out="^ck\nck\nck\nck$",
        needs=CRIU,
    ),
    Operation(
        "checkpoint: what is not running",
        "$P create --name ck --network none $I true >/dev/null; $P container checkpoint ck",
        status=125,
        err="not running",
        needs=CRIU,
    ),
    Operation(
        "restore: what was not saved",
        COUNT + "$P container restore ck",
        status=125,
        err="running|checkpoint",
        needs=CRIU,
    ),
]


@pytest.mark.parametrize(
    "operation", RUN + VOLUMES + LIFE + EXEC + KILLED + DEBIAN_ROOT + CHECKPOINT, ids=lambda operation: operation.name
)
def test_podman(same, operation):  # type: ignore[no-untyped-def]
    same(Podman, operation)
