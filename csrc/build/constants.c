/* constants.c: what only the C compiler knows, as Python: the kernel's constants (pyoci/linux/kernel.py), the list of operations
 * (pyoci/plan/ops.py, to which build/ops.py adds the functions that make steps), and the words for them
 * (pyoci/plan/words.py), for which only errors and `pyoci plan` have a use.
 * It is compiled and never run: build/generate.py reads the object, which may be another machine's. */
#include "shared/hook.h"
#include "shared/kernel.h"
#include "shared/plan.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/loop.h>
#include <linux/mempolicy.h>
#include <linux/rtnetlink.h>
/* younger than the oldest headers we build with, and of an enumeration, which no #ifndef sees */
#define MPOL_PREFERRED_MANY 5
#define MPOL_WEIGHTED_INTERLEAVE 6
#define IFA_PROTO 11

#include <stddef.h>
#include <sys/file.h>
#include <sys/resource.h>

/* A line of Python; a byte 1 in the text stands for the number */
struct line {
    long long number;
    char text[504];
};
#define FILE_OF(name) const struct line name[] __attribute__((section("pyoci." #name), used))
#define TEXT(text) { 0, text },
#define NUMBER(name, value) { (long long)(value), name " = \1" },
#define NAMED(name) NUMBER(#name, name)

#define CONSTANTS(K)                                                                                           \
    K(CLONE_NEWNS) K(CLONE_NEWCGROUP) K(CLONE_NEWUTS) K(CLONE_NEWIPC) K(CLONE_NEWUSER) K(CLONE_NEWPID)          \
    K(CLONE_NEWNET) K(CLONE_NEWTIME)                                                                            \
    K(MOUNT_ATTR_RDONLY) K(MOUNT_ATTR_NOSUID) K(MOUNT_ATTR_NODEV) K(MOUNT_ATTR_NOEXEC) K(MOUNT_ATTR__ATIME)     \
    K(MOUNT_ATTR_RELATIME) K(MOUNT_ATTR_NOATIME) K(MOUNT_ATTR_STRICTATIME) K(MOUNT_ATTR_NODIRATIME)             \
    K(MOUNT_ATTR_IDMAP) K(MOUNT_ATTR_NOSYMFOLLOW)                                                               \
    K(MS_PRIVATE) K(MS_SLAVE) K(MS_SHARED) K(MS_UNBINDABLE)                                                     \
    K(S_IFCHR) K(S_IFBLK) K(S_IFIFO) K(S_IFMT)                                                                  \
    K(O_PATH) K(O_TMPFILE) K(OPEN_TREE_CLONE) K(AT_RECURSIVE)                                                                                      \
    K(RESOLVE_BENEATH) K(RESOLVE_IN_ROOT) K(RESOLVE_NO_MAGICLINKS) K(RESOLVE_NO_SYMLINKS) K(RESOLVE_NO_XDEV)    \
    K(PROC_SUPER_MAGIC) K(CGROUP_SUPER_MAGIC) K(CGROUP2_SUPER_MAGIC) K(TMPFS_MAGIC)                             \
    K(SECCOMP_FILTER_FLAG_TSYNC) K(SECCOMP_FILTER_FLAG_LOG) K(SECCOMP_FILTER_FLAG_SPEC_ALLOW)                   \
    K(SECCOMP_FILTER_FLAG_NEW_LISTENER)                                                                        \
    K(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)                                                                   \
    K(SECCOMP_RET_KILL_PROCESS) K(SECCOMP_RET_KILL_THREAD) K(SECCOMP_RET_TRAP) K(SECCOMP_RET_ERRNO)             \
    K(SECCOMP_RET_USER_NOTIF) K(SECCOMP_RET_TRACE) K(SECCOMP_RET_LOG) K(SECCOMP_RET_ALLOW)                      \
    K(BPF_MAXINSNS) K(BPF_LD) K(BPF_W) K(BPF_ABS) K(BPF_JMP) K(BPF_JA) K(BPF_JEQ) K(BPF_JGT) K(BPF_JGE) K(BPF_K) \
    K(BPF_RET)                                                                                                  \
    K(PER_LINUX32) K(PER_LINUX)                                                                                 \
    K(MPOL_DEFAULT) K(MPOL_PREFERRED) K(MPOL_BIND) K(MPOL_INTERLEAVE) K(MPOL_LOCAL) K(MPOL_PREFERRED_MANY)      \
    K(MPOL_WEIGHTED_INTERLEAVE) K(MPOL_F_STATIC_NODES) K(MPOL_F_RELATIVE_NODES) K(MPOL_F_NUMA_BALANCING)        \
    K(RTM_NEWLINK) K(RTM_GETLINK) K(RTM_NEWADDR) K(RTM_GETADDR) K(NLM_F_REQUEST) K(NLM_F_ACK) K(NLM_F_DUMP)     \
    K(NLM_F_CREATE) K(NLM_F_REPLACE) K(NLMSG_ERROR) K(NLMSG_DONE) K(IFLA_IFNAME) K(IFLA_NET_NS_FD) K(IFF_UP)    \
    K(IFA_ADDRESS) K(IFA_LOCAL) K(IFA_LABEL) K(IFA_BROADCAST) K(IFA_CACHEINFO) K(IFA_FLAGS) K(IFA_RT_PRIORITY)  \
    K(IFA_PROTO) K(IFA_F_NODAD) K(IFA_F_HOMEADDRESS) K(IFA_F_MANAGETEMPADDR) K(IFA_F_NOPREFIXROUTE)             \
    K(IFA_F_MCAUTOJOIN) K(IFA_F_PERMANENT) K(RT_SCOPE_UNIVERSE) K(IFNAMSIZ)                                     \
    K(IOPRIO_CLASS_SHIFT) K(IOPRIO_CLASS_RT) K(IOPRIO_CLASS_BE) K(IOPRIO_CLASS_IDLE)                            \
    K(SCHED_OTHER) K(SCHED_FIFO) K(SCHED_RR) K(SCHED_BATCH) K(SCHED_ISO) K(SCHED_IDLE) K(SCHED_DEADLINE)        \
    K(SCHED_FLAG_RESET_ON_FORK) K(SCHED_FLAG_RECLAIM) K(SCHED_FLAG_DL_OVERRUN) K(SCHED_FLAG_KEEP_POLICY)        \
    K(SCHED_FLAG_KEEP_PARAMS) K(SCHED_FLAG_UTIL_CLAMP_MIN) K(SCHED_FLAG_UTIL_CLAMP_MAX)                         \
    K(RLIMIT_AS) K(RLIMIT_CORE) K(RLIMIT_CPU) K(RLIMIT_DATA) K(RLIMIT_FSIZE) K(RLIMIT_LOCKS) K(RLIMIT_MEMLOCK)  \
    K(RLIMIT_MSGQUEUE) K(RLIMIT_NICE) K(RLIMIT_NOFILE) K(RLIMIT_NPROC) K(RLIMIT_RSS) K(RLIMIT_RTPRIO)           \
    K(RLIMIT_RTTIME) K(RLIMIT_SIGPENDING) K(RLIMIT_STACK)                                                       \
    K(SOCK_STREAM) K(SOCK_SEQPACKET) K(SOCK_DGRAM)                                                              \
    K(LOCK_EX) K(LOCK_SH) K(LOCK_NB) K(LOCK_UN)                                                                            \
    K(PR_SET_DUMPABLE) K(PR_SET_CHILD_SUBREAPER)                                                                \
    K(HOOK_TIMED_OUT) K(HOOK_OWNER_ENDED) /* ours: how a hook was ended */                                      \
    K(BPF_F_ALLOW_MULTI) K(BPF_F_REPLACE)

#define CAPABILITIES(K)                                                                                        \
    K(CAP_CHOWN) K(CAP_DAC_OVERRIDE) K(CAP_DAC_READ_SEARCH) K(CAP_FOWNER) K(CAP_FSETID) K(CAP_KILL)             \
    K(CAP_SETGID) K(CAP_SETUID) K(CAP_SETPCAP) K(CAP_LINUX_IMMUTABLE) K(CAP_NET_BIND_SERVICE)                   \
    K(CAP_NET_BROADCAST) K(CAP_NET_ADMIN) K(CAP_NET_RAW) K(CAP_IPC_LOCK) K(CAP_IPC_OWNER) K(CAP_SYS_MODULE)     \
    K(CAP_SYS_RAWIO) K(CAP_SYS_CHROOT) K(CAP_SYS_PTRACE) K(CAP_SYS_PACCT) K(CAP_SYS_ADMIN) K(CAP_SYS_BOOT)      \
    K(CAP_SYS_NICE) K(CAP_SYS_RESOURCE) K(CAP_SYS_TIME) K(CAP_SYS_TTY_CONFIG) K(CAP_MKNOD) K(CAP_LEASE)         \
    K(CAP_AUDIT_WRITE) K(CAP_AUDIT_CONTROL) K(CAP_SETFCAP) K(CAP_MAC_OVERRIDE) K(CAP_MAC_ADMIN) K(CAP_SYSLOG)   \
    K(CAP_WAKE_ALARM) K(CAP_BLOCK_SUSPEND) K(CAP_AUDIT_READ) K(CAP_PERFMON) K(CAP_BPF)                          \
    K(CAP_CHECKPOINT_RESTORE)

/* Lines that are macros, without semicolons */
/* clang-format off */
FILE_OF(kernel) = {
    TEXT("\"\"\"The kernel's constants. Generated from its headers by csrc/constants.c: do not edit.\"\"\"\n")
    CONSTANTS(NAMED)
    TEXT("\nCAPABILITIES = {")
#define CAPABILITY(name) { name, "    \"" #name "\": \1," },
    CAPABILITIES(CAPABILITY)
    TEXT("}")
};

#define OPERATION_NUMBER(NAME, ...) NUMBER(#NAME, OP_##NAME)
#define ENUM(name, ...) NAMED(name)
#define FLAG(name, value) NUMBER(#name, value)

FILE_OF(operations) = {
    TEXT("\"\"\"The operations of a plan. Generated from csrc/shared/plan.h by csrc/constants.c: do not edit.\"\"\"\n")
    NUMBER("MAGIC", PLAN_MAGIC)
    NUMBER("VERSION", PLAN_VERSION)
    NUMBER("MAX_BYTES", PLAN_MAX_BYTES)
    NUMBER("TEXT_MAX", PLAN_TEXT_MAX)
    NUMBER("REPORT_HEAD", offsetof(struct plan_report, bytes))
    TEXT("")
    PLAN_OPERATIONS(OPERATION_NUMBER)
    TEXT("")
    PLAN_SYNC_POINTS(ENUM)
    TEXT("")
    PLAN_REPORTS(ENUM)
    TEXT("")
    PLAN_CALLS(ENUM)
    TEXT("")
    PLAN_FLAGS(FLAG)
    TEXT("")
    NUMBER("OPERATION_COUNT", OPERATIONS)
};

#define FIELD(kind, name) "(\"" #kind "\", \"" #name "\"), "
#define WORDS(NAME, words) "(\"" #NAME "\", \"" words "\", (" FIELDS_##NAME(FIELD) ")),"
#define OPERATION(NAME, name, who, words) FOR_INIT_##who(TEXT("    " WORDS(NAME, words)))
#define RUNTIME_OPERATION(NAME, name, who, words) FOR_RUNTIME_##who({ OP_##NAME, "    \1: " WORDS(NAME, words) },)
#define FOR_BOTH_INIT(...)
#define FOR_BOTH_RUNTIME(...)
#define FOR_BOTH_BOTH(...) __VA_ARGS__
#define BOTH_OPERATION(NAME, name, who, words) FOR_BOTH_##who(TEXT("    \"" #NAME "\","))
#define SYNC_POINT(name, words) TEXT("    \"" words "\",")

FILE_OF(words) = {
    TEXT("\"\"\"The operations in words. Generated from csrc/shared/plan.h by csrc/constants.c: do not edit.\"\"\"\n")
    TEXT("# init's: (name, what it does, ((kind, field), ...)), by number\nOPERATIONS = (")
    PLAN_OPERATIONS(OPERATION)
    TEXT(")\n# the runtime's, by number\nRUNTIME_OPERATIONS = {")
    PLAN_OPERATIONS(RUNTIME_OPERATION)
    TEXT("}\n# where both meet\nBOTH = (")
    PLAN_OPERATIONS(BOTH_OPERATION)
    TEXT(")\nSYNC_POINTS = (")
    PLAN_SYNC_POINTS(SYNC_POINT)
    TEXT(")")
};
/* clang-format on */
