/* plan.h: THE list of operations. init.c runs init's, pyoci/init/launch.py the runtime's; build/constants.c and build/ops.py make of
 * them pyoci/plan/ops.py, whose functions make steps, and ops.pyi, by which mypy checks each call of them.
 *
 * A plan is a memory file:
 *
 *     header   magic, version, number of 64-bit words of steps, bytes of pool
 *     words    for each step: (operation | fields << 16 | pool offset of its config location << 32), then its fields
 *     pool     NUL-terminated strings and blobs; a field that points here is (offset | length << 32)
 *
 * Field kinds: i a signed 64-bit number, s a string without NUL, l a list of strings (each ends in NUL), b bytes.
 * To add an operation: a line in PLAN_OPERATIONS, its FIELDS, and a function step_<name> in one of steps_*.c. For one of
 * the runtime's: a line in PLAN_RUNTIME_OPERATIONS, its FIELDS, and a branch of obey() in pyoci/init/launch.py.
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

/*  operation          function            what it does, for people */
/* clang-format off */
#define PLAN_OPERATIONS(OP)                                               \
    /* namespaces */                                                      \
    OP(OPEN_PROC, open_proc, "open procfs")                               \
    OP(OPEN_NAMESPACE, open_namespace, "open namespace")                  \
    OP(JOIN_NAMESPACE, join_namespace, "join namespace")                  \
    OP(JOIN_PROCESS, join_process, "join the container's namespaces")     \
    OP(USE_ROOT, use_root, "open the root")                \
    OP(UNSHARE, unshare, "make namespaces")                               \
    OP(TIME_OFFSETS, time_offsets, "set time offsets")                    \
    OP(FORK, fork, "start the process inside its namespaces")             \
    OP(SESSION, session, "start a session")                               \
    OP(JOIN_CGROUPS, join_cgroups, "join cgroups")                        \
    OP(SYNC, sync, "wait for the runtime")                                \
    OP(DUMPABLE, dumpable, "let the runtime write our id maps")           \
    OP(BECOME_ROOT, become_root, "become root of the user namespace")     \
    OP(KEYRING, keyring, "make a session keyring")                        \
    OP(LOOPBACK_UP, loopback_up, "bring up lo")                           \
    OP(HOSTNAME, hostname, "set hostname")                                \
    OP(DOMAINNAME, domainname, "set domainname")                          \
    /* root filesystem */                                                 \
    OP(OWN_MOUNTS, own_mounts, "separate mounts from the host")           \
    OP(TAKE_MOUNTS, take_mounts, "take mounts from the runtime")          \
    OP(OPEN_ROOT, open_root, "open rootfs")                               \
    OP(MOUNT_NEW, mount_new, "mount")                                     \
    OP(MOUNT_BIND, mount_bind, "bind mount")                              \
    OP(MOUNT_CHANGE, mount_change, "change mount attributes")             \
    OP(MAKE_DIRECTORY, make_directory, "make directory")                  \
    OP(MAKE_NODE, make_node, "make device")                               \
    OP(MAKE_LINK, make_link, "make symbolic link")                        \
    OP(CONSOLE, console, "set up the terminal")                           \
    OP(PIVOT_ROOT, pivot_root, "switch to the rootfs")                    \
    OP(UNMOUNT, unmount, "unmount")                                       \
    OP(MOVE_ROOT, move_root, "switch to the rootfs (no pivot)")           \
    OP(CHANGE_ROOT, change_root, "switch to the rootfs (chroot)")         \
    OP(ROOT_PROPAGATION, root_propagation, "set rootfs propagation")      \
    OP(SYSCTL, sysctl, "set sysctl")                                      \
    OP(READONLY_PATH, readonly_path, "make path read-only")               \
    OP(MASK_PATH, mask_path, "mask path")                                 \
    /* process */                                                         \
    OP(STDIO, stdio, "hand over standard streams")                        \
    OP(NO_NEW_PRIVILEGES, no_new_privileges, "set no_new_privs")          \
    OP(SCHEDULER, scheduler, "set scheduler")                             \
    OP(AFFINITY, affinity, "set CPU affinity")                            \
    OP(IO_PRIORITY, io_priority, "set I/O priority")                      \
    OP(PERSONALITY, personality, "set personality")                       \
    OP(MEMORY_POLICY, memory_policy, "set memory policy")                 \
    OP(ENTER_CWD, enter_cwd, "change to cwd")                             \
    OP(FIND_HOME, find_home, "look up HOME")                              \
    OP(FIND_EXECUTABLE, find_executable, "find executable")               \
    OP(AWAIT_START, await_start, "wait for start")                        \
    OP(HOOK, hook, "run hook")                                            \
    OP(LABEL, label, "set security label")                                \
    OP(SECCOMP, seccomp, "load seccomp filter")                           \
    OP(BOUNDING, bounding, "drop capabilities from the bounding set")     \
    OP(IDENTITY, identity, "set user and groups")                         \
    OP(CAPABILITIES, capabilities, "set capabilities")                    \
    OP(UMASK, umask, "set umask")                                         \
    OP(CLOSE_FILES, close_files, "close files")                           \
    OP(SUPERVISE, supervise, "stay as the first process")                 \
    OP(EXECUTE, execute, "execute")                                       \
    /* watching */                                                        \
    OP(TIMED, timed, "time the steps")
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

/* What the runtime does to init from outside, while that waits (the plan for init has none of these) */
#define PLAN_RUNTIME_OPERATIONS(OP)   \
    OP(UID_MAP, uid_map)              \
    OP(GID_MAP, gid_map)              \
    OP(SETGROUPS, setgroups)          \
    OP(NEWUIDMAP, newuidmap)          \
    OP(NEWGIDMAP, newgidmap)          \
    OP(OOM_SCORE_ADJ, oom_score_adj)  \
    OP(RESCTRL, resctrl)              \
    OP(NET_DEVICE, net_device)        \
    OP(RLIMIT, rlimit)

#define FIELDS_UID_MAP(F) F(s, lines)
#define FIELDS_GID_MAP(F) F(s, lines)
#define FIELDS_SETGROUPS(F) F(s, word)
#define FIELDS_NEWUIDMAP(F) F(s, helper) F(l, numbers)
#define FIELDS_NEWGIDMAP(F) F(s, helper) F(l, numbers)
#define FIELDS_OOM_SCORE_ADJ(F) F(i, value)
#define FIELDS_RESCTRL(F) F(s, tree)
#define FIELDS_NET_DEVICE(F) F(s, name) F(s, target)
#define FIELDS_RLIMIT(F) F(i, number) F(i, soft) F(i, hard)

/* taken: the number of a mount that the runtime has opened for us, in the order of TAKE_MOUNTS, or -1 */

/* SYNC points, and what `pyoci plan` calls them: what the parent does while init waits */
#define PLAN_SYNC_POINTS(P)                                                                       \
    P(SYNC_NAMESPACES, "namespaces") /* id maps */                                                \
    P(SYNC_MOUNTS, "mounts")         /* mounts come along */                                      \
    P(SYNC_HOOKS, "hooks")           /* prestart and createRuntime hooks */                       \
    P(SYNC_CREATED, "created")       /* the state is being recorded */                            \
    P(SYNC_NETWORK, "network")       /* network devices: init is in its last network namespace */ \
    P(SYNC_LIMITS, "limits")         /* exec: all is set up, the user's limits come now */

/* flags of MOUNT_NEW, MOUNT_BIND, READONLY_PATH, MASK_PATH, MAKE_NODE, MAKE_LINK, CONSOLE, ENTER_CWD and IDENTITY */
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
    P(IDENTITY_NO_GROUPS, 1)  /* setgroups is denied here */

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
enum plan_operation { PLAN_OPERATIONS(PLAN_NUMBER_OP) OPERATIONS };
/* numbers of their own, so that none is taken for one of init's */
enum plan_runtime_operation { OP_RUNTIME = 255, PLAN_RUNTIME_OPERATIONS(PLAN_NUMBER_OP) };
#define PLAN_NUMBER_FLAG(name, value) PLAN_##name = (value),
enum plan_flag { PLAN_FLAGS(PLAN_NUMBER_FLAG) };

/* descriptors that init is born with, counted from the number in its first argument */
enum plan_descriptor { FD_REPORT, FD_PLAN, FD_EXTRA };

#endif
