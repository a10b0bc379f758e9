"""buildah: RUN and `buildah run` with its OCI isolation. `$RUN` runs in the working container w1, `$BUD` builds."""
# ruff: noqa: E501 - a table of scripts, one a line

import pytest
from compare import SIZED, Operation
from engines.buildah import Buildah

FROM = "$B from --name w1 --pull-never $I >/dev/null && "


def _run(name: str, script: str, out: str = "", **more: object) -> Operation:
    return Operation("run: " + name, FROM + script, out=out, **more)  # type: ignore[arg-type]


def _build(name: str, lines: str, out: str = "", options: str = "", **more: object) -> Operation:
    """A build from a Containerfile of the image and lines; its output has what the steps print."""
    script = (
        f"mkdir -p ctx; echo in-context >ctx/file; printf 'FROM $I\\n{lines}\\n' | sed \"s,\\$I,$I,\" >ctx/C; "
        f"$BUD {options} -t localhost/out -f ctx/C ctx 2>&1 | grep -v -E '^(STEP|COMMIT|Getting|Copying|Writing|Storing|Successfully|--> |[0-9a-f]{{64}}$)'; "
        "$B rmi -f localhost/out >/dev/null 2>&1; true"
    )
    return Operation("build: " + name, script, out=out, **more)  # type: ignore[arg-type]


OPERATIONS = [
    _run("output", "$RUN w1 -- echo hi", "^hi$", core=True),
    _run("exit status", "$RUN w1 -- sh -c 'exit 7'", status=7, core=True),
    _run("no such command", "$RUN w1 -- /nosuch", status=1, err="no such file or directory", core=True),
    _run("not executable", "$RUN w1 -- /etc/passwd", status=1, err="permission denied"),
    _run("stdin", "echo abc | $RUN w1 -- cat", "^abc$", core=True),
    _run("terminal", f"tty_ \"$RUN -t w1 -- sh -c '{SIZED}; tty'\"", "^/dev/pts/0", core=True),
    _run("what is written stays", "$RUN w1 -- sh -c 'echo x >/made' && $RUN w1 -- cat /made", "^x$", core=True),
    _run(
        "user, capability, directory, host name, volume, environment",
        "mkdir -p v; echo in >v/f; $RUN --user 1000 --cap-add CAP_NET_ADMIN --workingdir /tmp --hostname hh --network none "
        "-v $D/v:/v --env A=b w1 -- sh -c 'id; hostname; pwd; env | sort; cat /v/f; grep Cap /proc/self/status'",
        "^hh$",
    ),
    _run(
        "bind mount",
        "mkdir -p m; echo bound >m/f; $RUN --mount type=bind,src=$D/m,dst=/m,ro w1 -- sh -c 'cat /m/f; touch /m/g'",
        "^bound$",
        status=1,
        core=True,
    ),
    _run("tmpfs mount", '$RUN --mount type=tmpfs,dst=/t w1 -- grep -c " /t tmpfs" /proc/self/mounts', "^1$"),
    _run(
        "cache mount",
        "$RUN --mount type=cache,id=k$RT,target=/c w1 -- sh -c 'echo kept >/c/f' && $RUN --mount "
        "type=cache,id=k$RT,target=/c w1 -- cat /c/f",
        "^kept$",
    ),
    _run(
        "the runtime's flags and log",
        "$RUN --runtime-flag debug --runtime-flag log=$D/rtlog w1 -- echo hi; test -e rtlog && echo logged",
        "^hi\nlogged$",
    ),
    _run("network of the host", "$RUN --network host w1 -- echo ok", "^ok$"),
    _run("no network", "$RUN --network none w1 -- ip -o link", "lo"),
    _run("isolation of users", "$RUN --isolation rootless --network host w1 -- echo hi", "^hi$"),
    _run(
        "user namespace",
        "$B from --name w2 --pull-never --userns-uid-map 0:200000:5000 --userns-gid-map 0:200000:5000 $I "
        ">/dev/null && $RUN w2 -- cat /proc/self/uid_map",
        "0 +200000 +5000",
    ),
    _run(
        "seccomp and capabilities by default",
        "$RUN w1 -- grep -E 'Cap|Seccomp:|NoNew' /proc/self/status",
        "Seccomp:\\s+2",
        core=True,
    ),
    _run(
        "limits",
        "$B from --name w3 --pull-never --memory 64m --cpu-shares 300 --ulimit nofile=100:200 $I >/dev/null && "
        "$RUN w3 -- sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes; ulimit -n'",
        ".",
    ),
    _run(
        "Debian root",
        "$P image exists $DEB || $P load -q -i $DEBTAR >/dev/null; $B from --name w4 --pull-never $DEB >/dev/null && "
        "$RUN w4 -- bash -c 'cut -d. -f1 /etc/debian_version; id; setpriv --dump'",
        "^12\nuid=0",
    ),
    # buildah takes signals some time after `start` has returned, before it first asks for the state; before, it dies of them
    _run(
        "ended by a signal to buildah",
        'printf \'#!/bin/sh\\ncase " $* " in *" state "*) : >%s/asked; esac\\nexec %s '
        '"$@"\\n\' $D $RTBIN >rw; chmod 755 rw; mkfifo ff; $B run --runtime $D/rw -v $D:/w w1 -- sh -c \'trap "exit 5" TERM; '
        "echo up >/w/ff; while :; do sleep 0.05; done' & p=$!; read l <ff; rm ff; until_ 'test -e asked'; "
        "kill -TERM $p; wait $p || echo ended; rm asked rw",
        "^ended$",
    ),
    _build("RUN", "RUN echo from-run; id -u\\nRUN test -e /proc/self && echo again", "from-run\n0\nagain", core=True),
    _build("RUN that fails", "RUN exit 3", "exit status 3", core=True),
    _build("RUN of what does not exist", 'RUN ["/nosuch"]', "no such file or directory", blank="msg=.*$"),
    _build("RUN in layers", "RUN echo one >/one\\nRUN cat /one", "^one$", options="--layers"),
    _build("COPY, then RUN as a user", "COPY file /file\\nUSER 1000\\nRUN cat /file; id -u", "in-context\n1000"),
    _build("RUN with a bind mount", "RUN --mount=type=bind,target=/b cat /b/file", "in-context", core=True),
    _build(
        "RUN with a cache mount", 'RUN --mount=type=cache,target=/c sh -c "echo c >/c/f; cat /c/f"', "^c$", core=True
    ),
    _build("RUN with a tmpfs mount", 'RUN --mount=type=tmpfs,target=/t grep -c " /t tmpfs" /proc/self/mounts', "^1$"),
    _build(
        "RUN with a secret",
        "RUN --mount=type=secret,id=s cat /run/secrets/s",
        "hidden",
        options="--secret id=s,src=$D/ctx/secret",
    ).with_("mkdir -p ctx; echo hidden >ctx/secret; "),
    _build(
        "RUN with limits",
        "RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes; ulimit -n; df /dev/shm | tail -1 | tr "
        '-s " " | cut -d" " -f2',
        "67108864\n100\n1024",
        options="--memory 64m --cpu-shares 300 --shm-size 1m --ulimit nofile=100:200 --ulimit nproc=100:100",
    ),
    _build(
        "RUN with a cgroup parent",
        "RUN grep memory /proc/self/cgroup | cut -d: -f3 | cut -d/ -f2",
        ".",
        options="--cgroup-parent /pyoci-bud",
        blank="^.*$",
    ),
    _build("two stages", "RUN echo built >/built\\nFROM $I\\nCOPY --from=0 /built /b\\nRUN cat /b", "^built$"),
    _build("isolation chroot needs no runtime", "RUN echo hi", "hi", options="--isolation chroot --network host"),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_buildah(same, operation):  # type: ignore[no-untyped-def]
    same(Buildah, operation)
