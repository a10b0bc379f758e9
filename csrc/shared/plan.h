/* plan.h: THE list of operations, each with who does it: INIT (init.c), the RUNTIME (pyoci/container/perform.py), or BOTH, who
 * meet there. build/constants.c and build/ops.py make of them pyoci/plan/ops.py, whose functions make steps, and ops.pyi, by
 * which mypy checks each call of them.
 *
 * Init's plan is a memory file:
 *
 *     header   magic, version, number of 64-bit words of steps, bytes of pool
 *     words    for each step: (operation | fields << 16 | pool offset of its config location << 32), then its fields
 *     pool     NUL-terminated strings and blobs; a field that points here is (offset | length << 32)
 *
 * Field kinds: i a signed 64-bit number, s a string without NUL, l a list of strings (each ends in NUL), b bytes.
 * To add an operation: a line in PLAN_OPERATIONS, init's before the runtime's, its FIELDS, and what does it: for init a
 * function step_<name> in one of steps_*.c, for the runtime a function in the table of pyoci/container/perform.py.
 */
#ifndef PYOCI_PLAN_H
#define PYOCI_PLAN_H

#include <stdint.h>

#define PLAN_MAGIC 0x696f7970u /* "pyoi" */
#define PLAN_VERSION 1u
#define PLAN_MAX_BYTES (32u << 20)
#define PLAN_MAX_FIELDS 12

struct plan_header {
    uint32_t magic;
    uint32_t version;
    uint32_t words;
    uint32_t pool;
};

/*  operation          function            who      what it does, for people */
/* clang-format off */
#define PLAN_OPERATIONS(OP)                                                                  \
    /* namespaces */                                                                         \
    OP(OPEN_PROC, open_proc, INIT, "open procfs")                                            \
    OP(OPEN_NAMESPACE, open_namespace, INIT, "open namespace")                               \
    OP(JOIN_NAMESPACE, join_namespace, INIT, "join namespace")                               \
    OP(JOIN_PROCESS, join_process, INIT, "join the container's namespaces")                  \
    OP(USE_ROOT, use_root, INIT, "open the root")                                            \
    OP(UNSHARE, unshare, INIT, "make namespaces")                                            \
    OP(TIME_OFFSETS, time_offsets, INIT, "set time offsets")                                 \
    OP(FORK, fork, INIT, "start the process inside its namespaces")                          \
    OP(SESSION, session, INIT, "start a session")                                            \
    OP(JOIN_CGROUPS, join_cgroups, BOTH, "join cgroups")                                     \
    OP(SYNC, sync, BOTH, "wait for the runtime")                                             \
    OP(DUMPABLE, dumpable, INIT, "let the runtime write our id maps")                        \
    OP(BECOME_ROOT, become_root, INIT, "become root of the user namespace")                  \
    OP(KEYRING, keyring, INIT, "make a session keyring")                                     \
    OP(LOOPBACK_UP, loopback_up, INIT, "bring up lo")                                        \
    OP(HOSTNAME, hostname, INIT, "set hostname")                                             \
    OP(DOMAINNAME, domainname, INIT, "set domainname")                                       \
    /* root filesystem */                                                                    \
    OP(OWN_MOUNTS, own_mounts, INIT, "separate mounts from the host")                        \
    OP(TAKE_MOUNTS, take_mounts, INIT, "take mounts from the runtime")                       \
    OP(OPEN_ROOT, open_root, INIT, "open rootfs")                                            \
    OP(MOUNT_NEW, mount_new, INIT, "mount")                                                  \
    OP(MOUNT_BIND, mount_bind, INIT, "bind mount")                                           \
    OP(MOUNT_CHANGE, mount_change, INIT, "change mount attributes")                          \
    OP(MAKE_DIRECTORY, make_directory, INIT, "make directory")                               \
    OP(MAKE_NODE, make_node, INIT, "make device")                                            \
    OP(MAKE_LINK, make_link, INIT, "make symbolic link")                                     \
    OP(CONSOLE, console, INIT, "set up the terminal")                                        \
    OP(PIVOT_ROOT, pivot_root, INIT, "switch to the rootfs")                                 \
    OP(UNMOUNT, unmount, INIT, "unmount")                                                    \
    OP(MOVE_ROOT, move_root, INIT, "switch to the rootfs (no pivot)")                        \
    OP(CHANGE_ROOT, change_root, INIT, "switch to the rootfs (chroot)")                      \
    OP(ROOT_PROPAGATION, root_propagation, INIT, "set rootfs propagation")                   \
    OP(SYSCTL, sysctl, INIT, "set sysctl")                                                   \
    OP(READONLY_PATH, readonly_path, INIT, "make path read-only")                            \
    OP(MASK_PATH, mask_path, INIT, "mask path")                                              \
    /* process */                                                                            \
    OP(STDIO, stdio, INIT, "hand over standard streams")                                     \
    OP(NO_NEW_PRIVILEGES, no_new_privileges, INIT, "set no_new_privs")                       \
    OP(SCHEDULER, scheduler, INIT, "set scheduler")                                          \
    OP(AFFINITY, affinity, INIT, "set CPU affinity")                                         \
    OP(IO_PRIORITY, io_priority, INIT, "set I/O priority")                                   \
    OP(PERSONALITY, personality, INIT, "set personality")                                    \
    OP(MEMORY_POLICY, memory_policy, INIT, "set memory policy")                              \
    OP(ENTER_CWD, enter_cwd, INIT, "change to cwd")                                          \
    OP(FIND_HOME, find_home, INIT, "look up HOME")                                           \
    OP(FIND_EXECUTABLE, find_executable, INIT, "find executable")                            \
    OP(AWAIT_START, await_start, BOTH, "wait for start")                                     \
    OP(HOOK, hook, INIT, "run hook")                                                         \
    OP(LABEL, label, INIT, "set security label")                                             \
    OP(SECCOMP, seccomp, INIT, "load seccomp filter")                                        \
    OP(BOUNDING, bounding, INIT, "drop capabilities from the bounding set")                  \
    OP(IDENTITY, identity, INIT, "set user and groups")                                      \
    OP(CAPABILITIES, capabilities, INIT, "set capabilities")                                 \
    OP(UMASK, umask, INIT, "set umask")                                                      \
    OP(CLOSE_FILES, close_files, INIT, "close files")                                        \
    OP(SUPERVISE, supervise, INIT, "stay as the first process")                              \
    OP(EXECUTE, execute, INIT, "execute")                                                    \
    /* watching */                                                                           \
    OP(TIMED, timed, INIT, "time the steps")                                                 \
    /* the runtime, from outside */                                                          \
    OP(NOTE, note, RUNTIME, "write down what will be made")                                  \
    OP(BORN_IN, born_in, RUNTIME, "choose the cgroup to be born in")                         \
    OP(ENTER_CGROUPS, enter_cgroups, RUNTIME, "enter the container's cgroups")               \
    OP(MAKE_CGROUP, make_cgroup, RUNTIME, "make cgroup")                                     \
    OP(FILL_CPUSET, fill_cpuset, RUNTIME, "give the cgroup CPUs and memory nodes")           \
    OP(HAND_DOWN, hand_down, RUNTIME, "enable controllers")                                  \
    OP(CGROUP_TYPE, cgroup_type, RUNTIME, "join a threaded cgroup")                          \
    OP(LIMIT, limit, RUNTIME, "set limit")                                                   \
    OP(LIMIT_AGAIN, limit_again, RUNTIME, "set what was refused beside former limits")       \
    OP(DELEGATE_CGROUP, delegate_cgroup, RUNTIME, "give the cgroup to the user")             \
    OP(START_UNIT, start_unit, RUNTIME, "start unit")                                        \
    OP(CHANGE_UNIT, change_unit, RUNTIME, "change unit")                                     \
    OP(FREEZE, freeze, RUNTIME, "stop the processes")                                        \
    OP(THAW, thaw, RUNTIME, "let the processes go on")                                       \
    OP(DEVICE_RULES, device_rules, RUNTIME, "set device rules")                              \
    OP(DEVICE_PROGRAM, device_program, RUNTIME, "attach a device program")                   \
    OP(START_INIT, start_init, RUNTIME, "start init")                                        \
    OP(RECORD, record, RUNTIME, "write down the process")                                    \
    OP(UID_MAP, uid_map, RUNTIME, "write uid_map")                                           \
    OP(GID_MAP, gid_map, RUNTIME, "write gid_map")                                           \
    OP(SETGROUPS, setgroups, RUNTIME, "write setgroups")                                     \
    OP(NEWUIDMAP, newuidmap, RUNTIME, "run newuidmap")                                       \
    OP(NEWGIDMAP, newgidmap, RUNTIME, "run newgidmap")                                       \
    OP(OOM_SCORE_ADJ, oom_score_adj, RUNTIME, "write oom_score_adj")                         \
    OP(RESCTRL, resctrl, RUNTIME, "enter a class of service")                                \
    OP(JOIN_RESCTRL, join_resctrl, RUNTIME, "join the container's class of service")         \
    OP(SCHEMATA, schemata, RUNTIME, "change the class of service")                           \
    OP(NET_DEVICE, net_device, RUNTIME, "move network device")                               \
    OP(RUNTIME_HOOK, runtime_hook, RUNTIME, "run hook")                                      \
    OP(RLIMIT, rlimit, RUNTIME, "set resource limit")                                    \
    OP(READY, ready, RUNTIME, "let it be started")                                           \
    OP(RELEASE_NETWORK, release_network, RUNTIME, "let go of the network namespace")         \
    OP(SEND_PIDFD, send_pidfd, RUNTIME, "send the pidfd")                                    \
    OP(PID_FILE, pid_file, RUNTIME, "write the pid file")                                    \
    OP(KEEP_CONFIG, keep_config, RUNTIME, "write down the new values")                       \
    OP(MAKE_POINTS, make_points, RUNTIME, "make what is missing to mount on")                \
    OP(LEND_ROOT, lend_root, RUNTIME, "mount the root for CRIU")                             \
    OP(RESTORE, restore, RUNTIME, "have CRIU restore the processes")                         \
    OP(END_PROCESSES, end_processes, RUNTIME, "end what runs")                               \
    OP(STOP_UNIT, stop_unit, RUNTIME, "stop unit")                                           \
    OP(REMOVE_CGROUP, remove_cgroup, RUNTIME, "remove cgroup")                               \
    OP(LEAVE_RESCTRL, leave_resctrl, RUNTIME, "remove the class of service")                 \
    OP(RETURN_DEVICES, return_devices, RUNTIME, "take network devices back")                 \
    OP(RELEASE_ROOT, release_root, RUNTIME, "take away the root that CRIU was given")        \
    OP(REMOVE_STATE, remove_state, RUNTIME, "remove the state")
/* clang-format on */

#define FIELDS_OPEN_PROC(F)
#define FIELDS_OPEN_NAMESPACE(F) F(i, slot) F(i, type) F(s, path)
#define FIELDS_JOIN_NAMESPACE(F) F(i, slot) F(i, type)
#define FIELDS_JOIN_PROCESS(F) F(i, types)
#define FIELDS_USE_ROOT(F) F(s, path)
#define FIELDS_UNSHARE(F) F(i, types)
#define FIELDS_TIME_OFFSETS(F) F(s, text)
#define FIELDS_FORK(F)
#define FIELDS_SESSION(F)
#define FIELDS_JOIN_CGROUPS(F)
#define FIELDS_SYNC(F) F(i, point)
#define FIELDS_DUMPABLE(F)
#define FIELDS_BECOME_ROOT(F) F(i, uid) F(i, gid)
#define FIELDS_KEYRING(F) F(s, name)
#define FIELDS_LOOPBACK_UP(F)
#define FIELDS_HOSTNAME(F) F(s, name)
#define FIELDS_DOMAINNAME(F) F(s, name)
#define FIELDS_OWN_MOUNTS(F) F(i, propagation)
#define FIELDS_TAKE_MOUNTS(F) F(i, count)
#define FIELDS_OPEN_ROOT(F) F(s, path) F(i, taken)
#define FIELDS_MOUNT_NEW(F) F(s, destination) F(s, type) F(s, source) F(l, options) F(i, set) F(i, propagation) F(i, flags)
#define FIELDS_MOUNT_BIND(F)                                                                                \
    F(s, destination) F(s, source) F(i, set) F(i, clear) F(i, recursive_set) F(i, recursive_clear) \
    F(i, propagation) F(i, flags) F(i, taken)
#define FIELDS_MOUNT_CHANGE(F) F(s, destination) F(i, set) F(i, clear) F(i, propagation) F(i, recursive)
#define FIELDS_MAKE_DIRECTORY(F) F(s, path) F(i, mode)
#define FIELDS_MAKE_NODE(F) F(s, path) F(i, mode) F(i, major) F(i, minor) F(i, uid) F(i, gid) F(i, flags)
#define FIELDS_MAKE_LINK(F) F(s, path) F(s, target) F(i, flags)
#define FIELDS_CONSOLE(F) F(i, columns) F(i, rows) F(i, uid) F(i, flags)
#define FIELDS_PIVOT_ROOT(F)
#define FIELDS_UNMOUNT(F) F(s, path)
#define FIELDS_MOVE_ROOT(F)
#define FIELDS_CHANGE_ROOT(F)
#define FIELDS_ROOT_PROPAGATION(F) F(i, propagation) F(i, recursive)
#define FIELDS_SYSCTL(F) F(s, path) F(s, value)
#define FIELDS_READONLY_PATH(F) F(s, path) F(i, flags)
#define FIELDS_MASK_PATH(F) F(s, path) F(i, flags)
#define FIELDS_STDIO(F) F(i, uid)
#define FIELDS_NO_NEW_PRIVILEGES(F)
#define FIELDS_SCHEDULER(F) \
    F(i, policy) F(i, nice) F(i, priority) F(i, flags) F(i, runtime) F(i, deadline) F(i, period)
#define FIELDS_AFFINITY(F) F(b, mask)
#define FIELDS_IO_PRIORITY(F) F(i, value)
#define FIELDS_PERSONALITY(F) F(i, value)
#define FIELDS_MEMORY_POLICY(F) F(i, mode) F(b, nodes)
#define FIELDS_ENTER_CWD(F) F(s, path) F(i, flags)
#define FIELDS_FIND_HOME(F) F(i, uid)
#define FIELDS_FIND_EXECUTABLE(F) F(s, name) F(l, search) F(i, uid) F(i, gid) F(b, groups) F(i, capabilities)
#define FIELDS_AWAIT_START(F)
#define FIELDS_HOOK(F) \
    F(s, path) F(l, args) F(l, env) F(s, cwd) F(i, timeout) F(s, state_head) F(s, state_tail)
#define FIELDS_LABEL(F) F(s, attribute) F(s, value) F(s, expected)
#define FIELDS_SECCOMP(F) F(b, program) F(i, flags)
#define FIELDS_BOUNDING(F) F(i, keep)
#define FIELDS_IDENTITY(F) F(i, uid) F(i, gid) F(b, groups) F(i, flags)
#define FIELDS_CAPABILITIES(F) F(i, effective) F(i, permitted) F(i, inheritable) F(i, ambient)
#define FIELDS_UMASK(F) F(i, mask)
#define FIELDS_CLOSE_FILES(F) F(i, keep) F(i, listener)
#define FIELDS_SUPERVISE(F) F(i, fd) F(i, program)
#define FIELDS_EXECUTE(F) F(l, args) F(l, env)
#define FIELDS_TIMED(F)

/* the runtime's; j is plain data of any kind (JSON's), which only Python reads */
#define FIELDS_NOTE(F) F(s, rootfs)
#define FIELDS_BORN_IN(F) F(l, place)
#define FIELDS_ENTER_CGROUPS(F) F(l, places) F(i, flags)
#define FIELDS_MAKE_CGROUP(F) F(s, path) F(s, base) F(l, parents) F(i, flags)
#define FIELDS_FILL_CPUSET(F) F(s, path) F(s, base)
#define FIELDS_HAND_DOWN(F) F(s, path) F(s, base) F(l, controllers)
#define FIELDS_CGROUP_TYPE(F) F(s, path) F(i, flags)
#define FIELDS_LIMIT(F) F(s, path) F(l, choices) F(s, controller) F(i, flags)
#define FIELDS_LIMIT_AGAIN(F)
#define FIELDS_DELEGATE_CGROUP(F) F(s, path) F(i, uid)
#define FIELDS_START_UNIT(F) F(s, unit) F(s, slice) F(i, user) F(j, properties)
#define FIELDS_CHANGE_UNIT(F) F(s, unit) F(i, user) F(j, properties)
#define FIELDS_FREEZE(F)
#define FIELDS_THAW(F)
#define FIELDS_DEVICE_RULES(F) F(s, path) F(l, writes)
#define FIELDS_DEVICE_PROGRAM(F) F(s, path) F(b, program) F(i, flags)
#define FIELDS_START_INIT(F)
#define FIELDS_RECORD(F)
#define FIELDS_UID_MAP(F) F(s, lines)
#define FIELDS_GID_MAP(F) F(s, lines)
#define FIELDS_SETGROUPS(F) F(s, word)
#define FIELDS_NEWUIDMAP(F) F(s, helper) F(l, numbers)
#define FIELDS_NEWGIDMAP(F) F(s, helper) F(l, numbers)
#define FIELDS_OOM_SCORE_ADJ(F) F(i, value)
#define FIELDS_RESCTRL(F) F(s, tree) F(s, group) F(i, named) F(s, monitor) F(j, lines) F(i, flags)
#define FIELDS_JOIN_RESCTRL(F) F(j, groups)
#define FIELDS_SCHEMATA(F) F(s, tree) F(s, group) F(j, lines)
#define FIELDS_NET_DEVICE(F) F(s, name) F(s, target) F(s, path)
#define FIELDS_RUNTIME_HOOK(F) F(s, kind) F(i, index) F(s, path) F(l, args) F(j, env) F(i, timeout) F(s, status)
#define FIELDS_RLIMIT(F) F(i, number) F(i, soft) F(i, hard)
#define FIELDS_READY(F)
#define FIELDS_RELEASE_NETWORK(F)
#define FIELDS_SEND_PIDFD(F) F(s, socket) F(s, message)
#define FIELDS_PID_FILE(F) F(s, path)
#define FIELDS_KEEP_CONFIG(F) F(s, name) F(j, value)
#define FIELDS_MAKE_POINTS(F) F(s, root) F(j, points)
#define FIELDS_LEND_ROOT(F) F(s, root)
#define FIELDS_RESTORE(F) F(s, program) F(s, images) F(s, work) F(j, inherited) F(j, options)
/* what takes back: delete's, and create's when it fails */
#define FIELDS_END_PROCESSES(F)
#define FIELDS_STOP_UNIT(F) F(s, unit) F(i, user)
#define FIELDS_REMOVE_CGROUP(F) F(s, path) F(l, parents)
#define FIELDS_LEAVE_RESCTRL(F)
#define FIELDS_RETURN_DEVICES(F)
#define FIELDS_RELEASE_ROOT(F) F(s, work)
#define FIELDS_REMOVE_STATE(F)

/* taken: the number of a mount that the runtime has opened for us, in the order of TAKE_MOUNTS, or -1 */

/* SYNC points, and what `pyoci plan` calls them: what the parent does while init waits */
#define PLAN_SYNC_POINTS(P)                                                                       \
    P(SYNC_NAMESPACES, "namespaces") /* id maps */                                                \
    P(SYNC_MOUNTS, "mounts")         /* mounts come along */                                      \
    P(SYNC_HOOKS, "hooks")           /* prestart and createRuntime hooks */                       \
    P(SYNC_CREATED, "created")       /* the state is being recorded */                            \
    P(SYNC_NETWORK, "network")       /* network devices: init is in its last network namespace */ \
    P(SYNC_LIMITS, "limits")         /* exec: all is set up, the user's limits come now */

/* flags of steps: MOUNT_NEW, MOUNT_BIND, READONLY_PATH, MASK_PATH, MAKE_NODE, MAKE_LINK, CONSOLE, ENTER_CWD and IDENTITY */
#define PLAN_FLAGS(P)                                                                \
    P(MOUNT_PLAIN_TARGET, 1)  /* no symbolic link may lie on the way: /proc, /sys */ \
    P(MOUNT_KEEP_MODE, 2)     /* tmpfs takes the mode of the directory it covers */  \
    P(MOUNT_COPY_UP, 4)       /* tmpfs takes the contents of what it covers */       \
    P(MOUNT_RECURSIVE, 8)     /* rbind */                                            \
    P(MOUNT_ON_PROC, 16)      /* the target may lie on procfs */                     \
    P(MOUNT_OPTIONAL, 32)     /* the source may be missing: then nothing is done */  \
    P(MOUNT_SPREAD_ALL, 64)   /* propagation is set on everything below too */       \
    P(MOUNT_IN_ROOT, 128)     /* the source is a path below the root */              \
    P(MOUNT_HOLD, 256)        /* later steps look below it: by descriptor, see walk.c */ \
    P(PROTECT_NAMED, 1)       /* and what a hook may have mounted over it, by name */ \
    P(NODE_KEEP, 1)           /* a node that is there already is as good */          \
    P(LINK_REPLACE, 1)        /* what is there is removed */                         \
    P(CONSOLE_DEVICE, 1)      /* bind it to /dev/console */                          \
    P(CWD_TRY, 1)             /* not yet the user: permission denied is no error */  \
    P(IDENTITY_NO_GROUPS, 1)  /* setgroups is denied here */ \
    P(CGROUP_OPTIONAL, 1)     /* MAKE_CGROUP: without the right to make it, do without */ \
    P(CGROUP_LIMITED, 2)      /* unless limits are asked for */                 \
    P(CGROUP_OF_SYSTEMD, 4)   /* who may have made it: nobody is asked whether it is in use */ \
    P(ENTER_MOVED, 1)         /* ENTER_CGROUPS: the process is moved, and does not join by itself */ \
    P(RESCTRL_ALL, 1)         /* RESCTRL: every thread that the container has, not only a process that is being made */ \
    P(LIMIT_TRY, 2)           /* LIMIT: it is no error to be refused */ \
    P(LIMIT_IDLE, 1)          /* LIMIT: its value means «no limit», and without the file nothing is to be done */ \
    P(DEVICES_TRY, 1)         /* DEVICE_PROGRAM: not to be permitted is no error */

/* what init and runtime say to each other: one record, one packet */
#define PLAN_TEXT_MAX 3072

struct plan_report {
    uint16_t kind;
    uint16_t detail; /* where in text the call's words end, and what it was about begins */
    uint16_t operation; /* of the step that speaks */
    uint8_t call; /* that failed */
    uint8_t filtered; /* by seccomp: the filter may have forbidden it */
    int32_t number; /* errno, sync point or pid */
    uint16_t where; /* bytes of text that are the config location */
    uint16_t text; /* bytes of text in all */
    char bytes[PLAN_TEXT_MAX];
};

#define PLAN_REPORTS(P)                                        \
    P(REPORT_FAILED)  /* a step failed; init ends */           \
    P(REPORT_SYNC)    /* init waits for REPORT_GO */           \
    P(REPORT_FORKED)  /* the process to watch is now number */ \
    P(REPORT_CONSOLE) /* a pty master comes along; init waits */ \
    P(REPORT_SECCOMP) /* a seccomp listener comes along */     \
    P(REPORT_WARNING)                                          \
    P(REPORT_TASKS)   /* from the runtime: files to join cgroups by come along */ \
    P(REPORT_MOUNT)   /* from the runtime: a mount comes along */ \
    P(REPORT_GO)      /* from the runtime: go on */            \
    P(REPORT_START)   /* from `start`: run the program */ \
    P(REPORT_STEP)    /* a step was done; text is its begin and its end, CLOCK_MONOTONIC in nanoseconds */

/* calls of a step that say more about its failure than the errno; words are for people alone */
#define PLAN_CALLS(P)                                              \
    P(CALL_OTHER)                                                  \
    P(CALL_HOOK_START)  /* the hook's program was not started */   \
    P(CALL_MOUNT_FLAGS) /* of a mount that exists: mount_setattr */ \
    P(CALL_DESTINATION) /* a mount's place is no plain directory */ \
    P(CALL_OPEN)        /* of the file that the step is about */    \
    P(CALL_WRITE)       /* to it */                                 \
    P(CALL_MAKE)        /* of the directory that the step is about */ \
    P(CALL_CHDIR)

#define PLAN_ENUMERATE(name, ...) name,
enum plan_sync_point { PLAN_SYNC_POINTS(PLAN_ENUMERATE) SYNC_POINTS };
enum plan_report_kind { PLAN_REPORTS(PLAN_ENUMERATE) REPORT_KINDS };
enum plan_call { PLAN_CALLS(PLAN_ENUMERATE) CALLS };
#define PLAN_NUMBER_OP(name, ...) OP_##name,
/* init's come first: it knows no number from OPERATIONS on */
enum plan_operation { PLAN_OPERATIONS(PLAN_NUMBER_OP) ALL_OPERATIONS };
#define FOR_INIT_INIT(...) __VA_ARGS__
#define FOR_INIT_BOTH(...) __VA_ARGS__
#define FOR_INIT_RUNTIME(...)
#define FOR_RUNTIME_INIT(...)
#define FOR_RUNTIME_BOTH(...)
#define FOR_RUNTIME_RUNTIME(...) __VA_ARGS__
#define PLAN_COUNT_OP(NAME, name, who, words) FOR_INIT_##who(NUMBER_OF_##NAME,)
enum plan_init_operations { PLAN_OPERATIONS(PLAN_COUNT_OP) OPERATIONS };
#define PLAN_NUMBER_FLAG(name, value) PLAN_##name = (value),
enum plan_flag { PLAN_FLAGS(PLAN_NUMBER_FLAG) };

/* descriptors that init is born with, counted from the number in its first argument */
enum plan_descriptor { FD_REPORT, FD_PLAN, FD_EXTRA };

#endif
