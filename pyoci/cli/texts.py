"""The words of the help: a summary, a usage line and a paragraph for each command, a line for each flag.

Loaded only when somebody reads them. The names are those of `table.py`; a test holds the two together.
"""

from __future__ import annotations

PROGRAM = "pyoci"
SUMMARY = "run containers as the Open Container Initiative's runtime specification says"
ABOUT = """pyoci makes, starts, signals and removes the container that a bundle describes. A bundle is a directory
with a config.json and a root filesystem. Engines such as containerd, podman, docker and CRI-O call it as
they call runc; by hand it goes like this:

    pyoci spec                  write a config.json to start from
    pyoci run NAME              run it here and wait for it
    pyoci plan                  only show what would be done, step by step"""

# The placeholder of a flag's value and what the flag does. A command's own entry comes before the common one.
GLOBAL = {
    "debug": ("", "write more to the log, and the traceback of an internal error"),
    "log": ("FILE", "append errors to FILE, one line each"),
    "log-format": ("FORMAT", "form of the log: text or json (default: text)"),
    "root": ("DIR", "where the containers' states are kept (default: /run/pyoci)"),
    "systemd-cgroup": ("", "let systemd make the cgroups; cgroupsPath is then slice:prefix:name"),
    "cgroup-manager": ("NAME", "who makes the cgroups: cgroupfs, systemd, or disabled for none (default: cgroupfs)"),
    "rootless": ("WHEN", "go on without cgroups where they may not be made: true, false or auto (default: auto)"),
    "criu": ("FILE", "the criu program for checkpoint and restore"),
    "trace": ("FILE", "write where the command's time goes, for a browser's trace viewer"),
    "help": ("", "show help"),
    "version": ("", "print the version"),
}

COMMON = {
    "help": ("", "show help"),
    "bundle": ("DIR", "the bundle (default: the working directory)"),
    "console-socket": ("SOCKET", "send the terminal's master to this UNIX socket"),
    "pidfd-socket": ("SOCKET", "send a pidfd of the process to this UNIX socket"),
    "pid-file": ("FILE", "write the process's pid to FILE"),
    "no-pivot": ("", "change the root without pivot_root, for a bundle on a ramdisk; this is less safe"),
    "no-new-keyring": ("", "stay in the caller's session keyring"),
    "preserve-fds": ("N", "hand on N more of the caller's descriptors, after 0, 1, 2 and $LISTEN_FDS (default: 0)"),
    "detach": ("", "do not wait for the process"),
    "no-subreaper": ("", "do not adopt the container's orphans"),
    "format": ("FORMAT", "table or json (default: table)"),
    "image-path": ("DIR", "directory of CRIU's image files (default: ./checkpoint)"),
    "work-path": ("DIR", "directory for CRIU's log and work files (default: that of the images)"),
    "tcp-established": ("", "allow open TCP connections"),
    "ext-unix-sk": ("", "allow UNIX sockets connected to the outside"),
    "shell-job": ("", "allow a process on a terminal of the outside"),
    "lazy-pages": ("", "hand over memory pages when they are first used (userfaultfd)"),
    "file-locks": ("", "handle file locks"),
    "manage-cgroups-mode": ("MODE", "what is done with cgroups: soft, full, strict or ignore (default: soft)"),
    "empty-ns": ("NAMESPACE", "make a namespace without restoring its properties; only network is known"),
    "auto-dedup": ("", "drop memory pages from the images once they are used"),
}

# command: (usage after the name, summary, description, {flag: (placeholder, text)})
COMMANDS = {
    "checkpoint": (
        "[option...] ID",
        "save a running container to files",
        "Writes the processes of a container to image files, with CRIU.",
        {
            "parent-path": ("DIR", "images of an earlier pre-dump, relative to the image path"),
            "leave-running": ("", "do not end the container afterwards"),
            "tcp-skip-in-flight": ("", "skip TCP connections that are still being opened"),
            "link-remap": ("", "allow files that are open but no longer have a name"),
            "status-fd": ("N", "CRIU writes a NUL byte to this descriptor when lazy pages can be asked for"),
            "page-server": ("ADDRESS:PORT", "send the memory pages to this page server"),
            "pre-dump": ("", "write only the memory, and let the container go on"),
        },
    ),
    "create": (
        "[option...] ID",
        "create a container",
        "Makes the container of a bundle and leaves its process waiting for `start`. The ID is its name under --root:\n"
        "1 to 255 of the characters A-Z a-z 0-9 _ + . -",
        {"detach": ("", "accepted for callers that pass it; create never waits")},
    ),
    "delete": (
        "[option...] ID",
        "remove what a stopped container holds",
        "Runs the poststop hooks and removes the cgroup and the state of a container that has stopped.",
        {"force": ("", "end the container first; an unknown ID is no error")},
    ),
    "doctor": (
        "[option...]",
        "tell what this host can do for containers, and what it lacks",
        "Tries it with containers that are created and removed: namespaces, limits, ranges of ids, mapped mounts,\n"
        "filters, systemd, CRIU, engines. What does not work comes with what to do about it. The exit status is 1\n"
        "where something that every container needs does not work.",
        {"format": ("FORMAT", "human or json (default: human)")},
    ),
    "events": (
        "[option...] ID",
        "print events of a container as they happen",
        "Prints statistics at an interval, and each out-of-memory kill, as one JSON object a line.",
        {
            "interval": ("TIME", "time between two statistics, such as 5s or 1m30s (default: 5s)"),
            "stats": ("", "print the statistics once and end"),
        },
    ),
    "exec": (
        "[option...] ID COMMAND [ARGUMENT...]  |  exec [option...] --process FILE ID",
        "run one more process in a container",
        "The process is the container's own with another command and what the options change, or the process that\n"
        "FILE describes (the object `process` of a config.json); user, capabilities, limits, labels and scheduling\n"
        "that FILE leaves out are the container's. The exit status is the command's, or 255 when it could not be run.\n"
        "Options end at the ID.",
        {
            "cwd": ("DIR", "working directory in the container"),
            "env": ("NAME=VALUE", "add to the environment; may be repeated"),
            "tty": ("", "give the process a terminal"),
            "user": ("UID[:GID]", "run as this user; numbers only"),
            "additional-gids": ("GID", "add a supplementary group; may be repeated"),
            "process": ("FILE", "describe the process by this file; the options that change it are then not used"),
            "process-label": ("LABEL", "SELinux label of the process"),
            "apparmor": ("PROFILE", "AppArmor profile of the process"),
            "no-new-privs": ("", "set no_new_privs"),
            "cap": ("CAPABILITY", "add to the bounding, effective and permitted sets; may be repeated"),
            "cgroup": ("[CONTROLLER,...:]PATH", "join a cgroup below the container's; may be repeated"),
            "ignore-paused": ("", "also in a paused container, where the command waits until `resume`"),
        },
    ),
    "features": (
        "",
        "print what this runtime can do, as JSON",
        "Prints the features document of the runtime specification.",
        {},
    ),
    "help": ("[COMMAND]", "show help", "Shows the list of commands, or one command's help.", {}),
    "kill": (
        "[option...] ID [SIGNAL]",
        "send a signal to a container's first process",
        "SIGNAL is a name of signal(7) with or without SIG, or a number (default: TERM).",
        {"all": ("", "send it to every process of the container, also when the first one has ended")},
    ),
    "list": (
        "[option...]",
        "list the containers",
        "Lists the containers under --root.",
        {"quiet": ("", "print the IDs only")},
    ),
    "pause": ("ID", "freeze a container", "Freezes every process of a container until `resume`.", {}),
    "plan": (
        "[option...]",
        "print what create, exec, update, delete or restore would do, and do nothing",
        "Compiles the bundle and prints each step in order: who does it (`init`, the `runtime`, or `both`, where they\n"
        "meet), what, and the place in config.json that asked for it; then the steps of `delete`, what would be\n"
        "ignored, and what this host or the bundle lacks (`missing`). What lacks does not change the exit status: the\n"
        "plan is there. `validate --host` has a status that tells. With --exec, --update or --delete: the plan of\n"
        "that command for a container that exists. With --restore: that of `restore` for the bundle.",
        {
            "exec": ("ID", "print what `exec` would do in this container"),
            "process": ("FILE", "with --exec: the process (default: the container's own)"),
            "cgroup": ("[CONTROLLER,...:]PATH", "with --exec: join a cgroup below the container's; may be repeated"),
            "ignore-paused": ("", "with --exec: also into a paused container"),
            "update": ("ID", "print what `update` would do to this container"),
            "resources": ("FILE", "with --update: the object `resources` from FILE, or from standard input with -"),
            "delete": ("ID", "print what `delete` would do to this container"),
            "restore": ("", "print what `restore` would do with this bundle"),
            "json": ("", "print it as JSON"),
        },
    ),
    "ps": (
        "[option...] ID [PS-OPTION...]",
        "list the processes of a container",
        "Shows the container's processes as the host's ps does. Options for ps follow the ID (default: -ef); they\n"
        "must leave a column named PID.",
        {"format": ("FORMAT", "table, or json for an array of pids (default: table)")},
    ),
    "restore": (
        "[option...] ID",
        "run a container again from the files of a checkpoint",
        "Makes a container from the image files of `checkpoint`, with CRIU.",
        {
            "lsm-profile": ("TYPE:NAME", "AppArmor or SELinux profile to restore with"),
            "lsm-mount-context": ("CONTEXT", "SELinux context of the mounts to restore with"),
        },
    ),
    "resume": ("ID", "thaw a paused container", "Lets every process of a paused container go on.", {}),
    "run": (
        "[option...] ID",
        "create and start a container, wait for it and remove it",
        "The exit status is that of the container's process, or 128 and the signal that ended it.",
        {"keep": ("", "do not remove the container when its process has ended")},
    ),
    "sandbox": (
        "[option...] COMMAND [ARGUMENT...]",
        "run a program that nobody trusts",
        "Runs a program in a container made for it, and removes it: with the host's /usr read-only, a home and /tmp\n"
        "of its own, no network, no capabilities, few system calls. The exit status is the program's, 128 and the\n"
        "signal that ended it, or 124 when its time was over. Limits that this host cannot enforce are refused.\n"
        "Options end at the COMMAND.",
        {
            "rootfs": ("DIR", "a root filesystem, read-only, in the place of the host's"),
            "memory": ("SIZE", "most memory of all its processes, such as 256M"),
            "cpus": ("N", "processors' worth of time, such as 0.5"),
            "pids": ("N", "most processes and threads"),
            "timeout": ("TIME", "kill it after this time, such as 5s"),
            "network": ("", "let it use the host's network"),
            "bind": ("DIR[:PLACE][:ro|:rw]", "show it a path of the host (default: ro); may be repeated"),
            "tmpfs": ("PLACE[:SIZE]", "give it a place for files (default: 64M); may be repeated"),
            "user": ("UID[:GID]", "run as this user; numbers only"),
            "env": ("NAME=VALUE", "add to the environment; may be repeated"),
            "cwd": ("DIR", "working directory in the sandbox"),
            "hostname": ("NAME", "its host name (default: sandbox)"),
            "tty": ("", "give it a terminal"),
            "best-effort": ("", "do without limits that this host cannot enforce, and say which"),
            "bundle": ("DIR", "run nothing: write the bundle that would be used to DIR"),
        },
    ),
    "shim": (
        "[option...] list",
        "list containerd's shims that are pyoci's",
        "A line for each containerd-shim-pyoci-v1: its containers, their status, how many execs they have; its age;\n"
        "its memory, where what it shares with others counts in parts; and the requests that it has not answered yet,\n"
        "but for those that wait for an end. The template, of which shims are forks, has a line of its own.",
        {},
    ),
    "spec": (
        "[option...] [COMMAND [ARGUMENT...]]",
        "write a config.json to start from",
        "Writes a config.json that runs the COMMAND (default: `sh`) on a terminal in the directory rootfs, changed as\n"
        "the options say. It is checked before it is written; a file that exists is not touched. Options end at the\n"
        "COMMAND.",
        {
            "bundle": ("DIR", "the directory to write to (default: the working directory)"),
            "rootless": ("", "write one for a user without privileges"),
            "rootfs": ("DIR", "the root filesystem (default: rootfs in the bundle)"),
            "readonly": ("", "let nothing be written to the root filesystem (the default)"),
            "writable": ("", "let the container write to its root filesystem"),
            "args": ("WORDS", "the command as one word, taken apart as a shell does it"),
            "env": ("NAME=VALUE", "add to the environment; may be repeated"),
            "cwd": ("DIR", "working directory in the container (default: /)"),
            "user": ("UID[:GID]", "run as this user; numbers only"),
            "cap": ("CAPABILITY", "add to the bounding, effective and permitted sets; may be repeated"),
            "tty": ("", "give it a terminal (the default)"),
            "no-tty": ("", "give it no terminal but the caller's streams"),
            "hostname": ("NAME", "its host name (default: pyoci)"),
            "net": ("NETWORK", "host, none (lo alone), or a network namespace's path (default: none; rootless: host)"),
            "bind": ("PATH[:PLACE][:ro|:rw]", "show it a path of the host (default: ro); may be repeated"),
            "tmpfs": ("PLACE[:SIZE]", "give it a place for files in memory (default: 64M); may be repeated"),
            "memory": ("SIZE", "most memory, such as 256M"),
            "cpus": ("N", "processors' worth of time, such as 0.5"),
            "pids": ("N", "most processes and threads"),
        },
    ),
    "start": ("ID", "let a created container's process run", "Lets the process of a created container run.", {}),
    "state": ("ID", "print the state of a container", "Prints the state document as JSON.", {}),
    "stats": (
        "[option...] [ID...]",
        "show what containers use",
        "Shows processor, memory, process and I/O use of the named containers, or of all.",
        {
            "all": ("", "show stopped containers too"),
            "format": ("FORMAT", "table, json or openmetrics (default: table)"),
            "graph": ("", "draw what they use on the terminal until the named ones have stopped"),
            "interval": ("TIME", "time between two readings, such as 1s"),
            "once": ("", "print one reading and end"),
        },
    ),
    "update": (
        "[option...] ID",
        "change a container's limits",
        "Changes the resources of a container. Sizes may end in b, k, m, g or t; -1 is no limit.",
        {
            "resources": ("FILE", "read the object `resources` from FILE, or from standard input with -"),
            "blkio-weight": ("N", "weight of block I/O, 10 to 1000"),
            "cpu-period": ("MICROSECONDS", "period of the processor quota"),
            "cpu-quota": ("MICROSECONDS", "processor time in a period"),
            "cpu-burst": ("MICROSECONDS", "unused quota that may be saved up"),
            "cpu-share": ("N", "share of processor time against others"),
            "cpu-rt-period": ("MICROSECONDS", "period of the real-time quota"),
            "cpu-rt-runtime": ("MICROSECONDS", "real-time processor time in a period"),
            "cpuset-cpus": ("LIST", "processors to use, such as 0-3,7"),
            "cpuset-mems": ("LIST", "memory nodes to use"),
            "kernel-memory": ("SIZE", "obsolete: has no effect"),
            "kernel-memory-tcp": ("SIZE", "obsolete: has no effect"),
            "memory": ("SIZE", "most memory"),
            "memory-reservation": ("SIZE", "memory kept when the host runs short"),
            "memory-swap": ("SIZE", "most memory and swap together"),
            "cpu-idle": ("N", "1: run only when nothing else wants the processor"),
            "pids-limit": ("N", "most processes"),
            "l3-cache-schema": ("SCHEMA", "Intel RDT: the L3 cache's schema"),
            "mem-bw-schema": ("SCHEMA", "Intel RDT: the memory bandwidth's schema"),
        },
    ),
    "validate": (
        "[option...] [BUNDLE | FILE | -]...",
        "check a bundle or a document against the specification",
        "Reports every problem with its place, and the section of the specification that says so. The exit status is\n"
        "0 when all is valid, 1 when something is not, 2 when a file could not be read.",
        {
            "format": ("FORMAT", "human, json or sarif (default: human)"),
            "strict": ("", "treat recommendations and unknown names as errors"),
            "start": ("", "the container is to be started: its process must be there, too"),
            "host": ("", "tell as well what this host and this bundle lack: rootfs, program, ids, controllers"),
            "kind": ("KIND", "what it is: config, process, state or features (default: seen from its content)"),
        },
    ),
    "version": (
        "",
        "print the version",
        "Prints the versions of pyoci, of the specification and of Python, and how commands start: frozen, linked or"
        " stock.",
        {"check": ("", "try this installation first: JSON, and every module")},
    ),
}

# A command line for each command; tests read them all and run them: the bundle is /srv/web, the container web
EXAMPLES = {
    "checkpoint": "pyoci checkpoint --image-path /var/tmp/web --leave-running web",
    "create": "pyoci create --bundle /srv/web --pid-file /run/web.pid web",
    "delete": "pyoci delete --force web",
    "doctor": "pyoci doctor --format json",
    "events": "pyoci events --stats web",
    "exec": "pyoci exec --env DEBUG=1 --cwd /tmp web sh -c 'echo $DEBUG; pwd'",
    "features": "pyoci features",
    "help": "pyoci help exec",
    "kill": "pyoci kill web KILL",
    "list": "pyoci list --format json",
    "pause": "pyoci pause web",
    "plan": "pyoci plan --bundle /srv/web",
    "ps": "pyoci ps web -o pid,args",
    "restore": "pyoci restore --image-path /var/tmp/web --bundle /srv/web --detach web",
    "resume": "pyoci resume web",
    "run": "pyoci run --bundle /srv/web web",
    "sandbox": "pyoci sandbox --memory 256M --pids 64 --timeout 5s python3 -c 'print(6 * 7)'",
    "shim": "pyoci shim list --format json",
    "spec": "pyoci spec --bundle /srv/web --no-tty --memory 64M --pids 20 --tmpfs /run:1M sleep 1000",
    "start": "pyoci start web",
    "state": "pyoci state web",
    "stats": "pyoci stats --once web",
    "update": "pyoci update --memory 128M --pids-limit 30 web",
    "validate": "pyoci validate --host /srv/web",
    "version": "pyoci version --check",
}

SHIM_SUMMARY = "containerd's runtime plugin: shim and OCI runtime in one process"
SHIM_ABOUT = """containerd starts it by the name io.containerd.pyoci.v1 of a runtime, and asks it by ttrpc for the
containers of a pod or of a namespace. It is not called by hand; its options are those that containerd gives."""
SHIM_EXAMPLE = "ctr run --rm --runtime io.containerd.pyoci.v1 docker.io/library/busybox:latest hello echo hello"


def of_flag(command: str, name: str) -> tuple[str, str]:
    """The placeholder and the text of a command's flag; the command "" has the global flags."""
    if not command:
        return GLOBAL[name]
    own = COMMANDS[command][3]
    return own[name] if name in own else COMMON[name]
