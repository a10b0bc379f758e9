# Completion of pyoci for bash. Made by pyoci.cli.generate from the table of commands: do not edit.
_pyoci() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command="" word index=1
  COMPREPLY=()
  while ((index < COMP_CWORD)); do
    word="${COMP_WORDS[index]}"
    case "$word" in
      --log|--log-format|--root|--cgroup-manager|--rootless|--criu|--trace) ((index++)) ;;
      -*|=) ;;
      *) command="$word"; break ;;
    esac
    ((index++))
  done
  case "$command:$previous" in
    :--log)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    :--log-format)
      COMPREPLY=($(compgen -W "text json" -- "$current")); return ;;
    :--root)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    :--cgroup-manager)
      COMPREPLY=($(compgen -W "cgroupfs systemd disabled" -- "$current")); return ;;
    :--rootless)
      COMPREPLY=($(compgen -W "true false auto" -- "$current")); return ;;
    :--criu)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    :--trace)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    checkpoint:--image-path)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    checkpoint:--work-path)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    checkpoint:--manage-cgroups-mode)
      COMPREPLY=($(compgen -W "soft full strict ignore" -- "$current")); return ;;
    checkpoint:--empty-ns)
      COMPREPLY=($(compgen -W "network" -- "$current")); return ;;
    checkpoint:--parent-path)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    checkpoint:--status-fd)
      COMPREPLY=(); return ;;
    checkpoint:--page-server)
      COMPREPLY=(); return ;;
    create:--bundle|create:-b)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    create:--console-socket)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    create:--pidfd-socket)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    create:--pid-file)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    create:--preserve-fds)
      COMPREPLY=(); return ;;
    doctor:--format|doctor:-f)
      COMPREPLY=($(compgen -W "human json" -- "$current")); return ;;
    events:--interval)
      COMPREPLY=(); return ;;
    exec:--console-socket)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    exec:--pidfd-socket)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    exec:--cwd)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    exec:--env|exec:-e)
      COMPREPLY=(); return ;;
    exec:--user|exec:-u)
      COMPREPLY=(); return ;;
    exec:--additional-gids|exec:-g)
      COMPREPLY=(); return ;;
    exec:--process|exec:-p)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    exec:--pid-file)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    exec:--process-label)
      COMPREPLY=(); return ;;
    exec:--apparmor)
      COMPREPLY=(); return ;;
    exec:--cap|exec:-c)
      COMPREPLY=(); return ;;
    exec:--preserve-fds)
      COMPREPLY=(); return ;;
    exec:--cgroup)
      COMPREPLY=(); return ;;
    list:--format|list:-f)
      COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
    plan:--bundle|plan:-b)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    plan:--exec)
      COMPREPLY=(); return ;;
    plan:--process|plan:-p)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    plan:--cgroup)
      COMPREPLY=(); return ;;
    plan:--update)
      COMPREPLY=(); return ;;
    plan:--resources|plan:-r)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    plan:--delete)
      COMPREPLY=(); return ;;
    plan:--image-path)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    plan:--work-path)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    ps:--format|ps:-f)
      COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
    restore:--image-path)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    restore:--work-path)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    restore:--manage-cgroups-mode)
      COMPREPLY=($(compgen -W "soft full strict ignore" -- "$current")); return ;;
    restore:--empty-ns)
      COMPREPLY=($(compgen -W "network" -- "$current")); return ;;
    restore:--console-socket)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    restore:--bundle|restore:-b)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    restore:--pid-file)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    restore:--lsm-profile)
      COMPREPLY=(); return ;;
    restore:--lsm-mount-context)
      COMPREPLY=(); return ;;
    run:--bundle|run:-b)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    run:--console-socket)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    run:--pidfd-socket)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    run:--pid-file)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    run:--preserve-fds)
      COMPREPLY=(); return ;;
    sandbox:--rootfs)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    sandbox:--memory)
      COMPREPLY=(); return ;;
    sandbox:--cpus)
      COMPREPLY=(); return ;;
    sandbox:--pids)
      COMPREPLY=(); return ;;
    sandbox:--timeout)
      COMPREPLY=(); return ;;
    sandbox:--bind)
      COMPREPLY=(); return ;;
    sandbox:--tmpfs)
      COMPREPLY=(); return ;;
    sandbox:--user|sandbox:-u)
      COMPREPLY=(); return ;;
    sandbox:--env|sandbox:-e)
      COMPREPLY=(); return ;;
    sandbox:--cwd)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    sandbox:--hostname)
      COMPREPLY=(); return ;;
    sandbox:--bundle|sandbox:-b)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    shim:--format|shim:-f)
      COMPREPLY=($(compgen -W "table json" -- "$current")); return ;;
    spec:--bundle|spec:-b)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    spec:--rootfs)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    spec:--args)
      COMPREPLY=(); return ;;
    spec:--env|spec:-e)
      COMPREPLY=(); return ;;
    spec:--cwd)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
    spec:--user|spec:-u)
      COMPREPLY=(); return ;;
    spec:--cap|spec:-c)
      COMPREPLY=(); return ;;
    spec:--hostname)
      COMPREPLY=(); return ;;
    spec:--net)
      COMPREPLY=($(compgen -W "host none" -- "$current")); return ;;
    spec:--bind)
      COMPREPLY=(); return ;;
    spec:--tmpfs)
      COMPREPLY=(); return ;;
    spec:--memory)
      COMPREPLY=(); return ;;
    spec:--cpus)
      COMPREPLY=(); return ;;
    spec:--pids)
      COMPREPLY=(); return ;;
    stats:--format|stats:-f)
      COMPREPLY=($(compgen -W "table json openmetrics" -- "$current")); return ;;
    stats:--interval)
      COMPREPLY=(); return ;;
    update:--resources|update:-r)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    update:--blkio-weight)
      COMPREPLY=(); return ;;
    update:--cpu-period)
      COMPREPLY=(); return ;;
    update:--cpu-quota)
      COMPREPLY=(); return ;;
    update:--cpu-burst)
      COMPREPLY=(); return ;;
    update:--cpu-share)
      COMPREPLY=(); return ;;
    update:--cpu-rt-period)
      COMPREPLY=(); return ;;
    update:--cpu-rt-runtime)
      COMPREPLY=(); return ;;
    update:--cpuset-cpus)
      COMPREPLY=(); return ;;
    update:--cpuset-mems)
      COMPREPLY=(); return ;;
    update:--kernel-memory)
      COMPREPLY=(); return ;;
    update:--kernel-memory-tcp)
      COMPREPLY=(); return ;;
    update:--memory)
      COMPREPLY=(); return ;;
    update:--memory-reservation)
      COMPREPLY=(); return ;;
    update:--memory-swap)
      COMPREPLY=(); return ;;
    update:--cpu-idle)
      COMPREPLY=(); return ;;
    update:--pids-limit)
      COMPREPLY=(); return ;;
    update:--l3-cache-schema)
      COMPREPLY=(); return ;;
    update:--mem-bw-schema)
      COMPREPLY=(); return ;;
    validate:--format|validate:-f)
      COMPREPLY=($(compgen -W "human json sarif" -- "$current")); return ;;
    validate:--kind)
      COMPREPLY=($(compgen -W "config process state features" -- "$current")); return ;;
    validate:--bundle|validate:-b)
      COMPREPLY=($(compgen -d -- "$current")); return ;;
  esac
  case "$command" in
    "") word="--debug --log --log-format --root --systemd-cgroup --cgroup-manager --rootless --criu --trace --help -h --version -v checkpoint create delete doctor events exec features help kill list pause plan ps restore resume run sandbox shim spec start state stats update validate version" ;;
    checkpoint) word="--image-path --work-path --tcp-established --ext-unix-sk --shell-job --lazy-pages --file-locks --manage-cgroups-mode --empty-ns --auto-dedup --parent-path --leave-running --tcp-skip-in-flight --link-remap --status-fd --page-server --pre-dump --help -h" ;;
    create) word="--bundle -b --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --detach --help -h" ;;
    delete) word="--force -f --help -h" ;;
    doctor) word="--format -f --help -h" ;;
    events) word="--interval --stats --help -h" ;;
    exec) word="--console-socket --pidfd-socket --cwd --env -e --tty -t --user -u --additional-gids -g --process -p --detach -d --pid-file --process-label --apparmor --no-new-privs --cap -c --preserve-fds --cgroup --ignore-paused --help -h" ;;
    features) word="--help -h" ;;
    help) word="--help -h" ;;
    kill) word="--all -a --help -h" ;;
    list) word="--format -f --quiet -q --help -h" ;;
    pause) word="--help -h" ;;
    plan) word="--bundle -b --exec --process -p --cgroup --ignore-paused --update --resources -r --delete --restore --image-path --work-path --json --no-pivot --help -h" ;;
    ps) word="--format -f --help -h" ;;
    restore) word="--image-path --work-path --tcp-established --ext-unix-sk --shell-job --lazy-pages --file-locks --manage-cgroups-mode --empty-ns --auto-dedup --console-socket --bundle -b --detach -d --pid-file --no-subreaper --no-pivot --lsm-profile --lsm-mount-context --help -h" ;;
    resume) word="--help -h" ;;
    run) word="--bundle -b --console-socket --pidfd-socket --pid-file --detach -d --keep --no-subreaper --no-pivot --no-new-keyring --preserve-fds --help -h" ;;
    sandbox) word="--rootfs --memory --cpus --pids --timeout --network --bind --tmpfs --user -u --env -e --cwd --hostname --tty -t --best-effort --bundle -b --help -h" ;;
    shim) word="--format -f --help -h" ;;
    spec) word="--bundle -b --rootless --rootfs --readonly --writable --args --env -e --cwd --user -u --cap -c --tty -t --no-tty --hostname --net --bind --tmpfs --memory --cpus --pids --help -h" ;;
    start) word="--help -h" ;;
    state) word="--help -h" ;;
    stats) word="--all -a --format -f --graph --interval --once --help -h" ;;
    update) word="--resources -r --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpuset-cpus --cpuset-mems --kernel-memory --kernel-memory-tcp --memory --memory-reservation --memory-swap --cpu-idle --pids-limit --l3-cache-schema --mem-bw-schema --help -h" ;;
    validate) word="--format -f --strict --start --host --kind --bundle -b --help -h" ;;
    version) word="--check --help -h" ;;
    *) word="" ;;
  esac
  case "$command" in
    checkpoint|delete|events|exec|kill|pause|ps|resume|start|state|stats|update)
      [[ $current == -* ]] || word="$(pyoci list --quiet 2>/dev/null)" ;;
    help) [[ $current == -* ]] || word="checkpoint create delete doctor events exec features help kill list pause plan ps restore resume run sandbox shim spec start state stats update validate version" ;;
  esac
  [[ $command == kill && $COMP_CWORD -gt $((index + 1)) && $current != -* ]] && word="TERM KILL HUP INT QUIT USR1 USR2 STOP CONT WINCH"
  COMPREPLY=($(compgen -W "$word" -- "$current"))
}
complete -o default -F _pyoci pyoci
