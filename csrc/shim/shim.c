/* shim.c: see shim.h. Plain facts for Python: nothing here decides, allocates or keeps state. */
#include "shim.h"
#include "shared/clone.h"
#include "shared/kernel.h"
#include "shared/shared.h"

#include <limits.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>

enum {
    SHIM_POLLED = 8,
    SHIM_FILES = 256, /* descriptors that a process is given */
};

static int failure(void) { return -errno; }

static int copy_all(int from, int to)
{
    struct stat st;

    if (fstat(from, &st) < 0)
        return -1;
    for (off_t at = 0; at < st.st_size;) {
        ssize_t got = sendfile(to, from, &at, (size_t)(st.st_size - at));
        if (got < 0)
            return -1;
        if (got == 0) {
            errno = EIO;
            return -1;
        }
    }
    return fchmod(to, 0500);
}

static int seal_memory(int source)
{
    int fd = memfd_create("pyoci-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

    if (fd < 0 && errno == EINVAL) /* before 6.3 every memfd was executable */
        fd = memfd_create("pyoci-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (copy_all(source, fd) == 0 &&
        (fcntl(fd, F_ADD_SEALS, seals | F_SEAL_EXEC) == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0))
        return fd;
    close(fd);
    return -1;
}

/* vm.memfd_noexec=2 forbids executable memfds: a tmpfs that is mounted nowhere, read-only once filled, is as good */
static int seal_tmpfs(int source)
{
    int fd = -1, fs = sys_fsopen("tmpfs"), mount = -1;

    if (fs >= 0 && sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) == 0)
        mount = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (mount >= 0) {
        int file = openat(mount, "init", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0500);
        bool copied = file >= 0 && copy_all(source, file) == 0;
        if (file >= 0)
            close(file);
        if (copied && sys_mount_setattr(mount, 0, MOUNT_ATTR_RDONLY, 0, 0) == 0)
            fd = openat(mount, "init", O_RDONLY | O_CLOEXEC);
    }
    int error = errno;
    if (mount >= 0)
        close(mount);
    if (fs >= 0)
        close(fs);
    errno = error;
    return fd;
}

/* A copy of a program that nobody can change, and that leads to no file of the host */
int shim_seal(const char *path)
{
    int source = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (source < 0)
        return failure();
    int fd = seal_memory(source);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        fd = seal_tmpfs(source);
    int result = fd < 0 ? failure() : fd;
    close(source);
    return result;
}

/* What the child of shim_spawn knows; it shares our memory until it executes */
struct birth {
    int executable, plan, report, extra, base;
    unsigned long long flags;
    const int *files;
    int count;
    int error;
};

static int lift(int fd, int above) { return fcntl(fd, F_DUPFD_CLOEXEC, above); }

/* In the child: what it is given becomes 0, 1, 2 ... All are lifted first, since each may lie where another belongs. */
static int take_files(const struct birth *b)
{
    int lifted[SHIM_FILES];

    for (int n = 0; n < b->count; n++) {
        lifted[n] = b->files[n] < 0 ? -1 : lift(b->files[n], b->base + 3);
        if (b->files[n] >= 0 && lifted[n] < 0)
            return -1;
    }
    for (int n = 0; n < b->count; n++)
        if (lifted[n] >= 0 && dup2(lifted[n], n) < 0)
            return -1;
    return 0;
}

/* In the child. The descriptors that the caller wants kept came to us through exec, so they lack CLOEXEC; ours never do */
static int arrange(const struct birth *b)
{
    int end = b->base + 3;
    int report = lift(b->report, end), plan = lift(b->plan, end), executable = lift(b->executable, end);
    int extra = b->extra < 0 ? -1 : lift(b->extra, end);

    if (report < 0 || plan < 0 || executable < 0 || (b->extra >= 0 && extra < 0) || take_files(b) < 0)
        return -1;
    for (int fd = 3; fd < b->base; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || (flags & FD_CLOEXEC)) {
            errno = EBADF;
            return -1;
        }
    }
    if (dup2(report, b->base) < 0 || dup2(plan, b->base + 1) < 0)
        return -1;
    if (extra >= 0 ? dup2(extra, b->base + 2) < 0 : (close(b->base + 2) < 0 && errno != EBADF))
        return -1;
    if (sys_close_range((unsigned)end, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return -1;
    return executable;
}

/* In a new user namespace we have every capability and no id. To execute a program without an id takes the capabilities
 * away, but for those that are ambient (capabilities(7)). */
static int keep_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2];

    if (SYS(capget, &head, sets) < 0)
        return -1;
    for (int n = 0; n < 2; n++)
        sets[n].inheritable = sets[n].permitted;
    if (SYS(capset, &head, sets) < 0)
        return -1;
    for (int cap = 0; cap < 64; cap++)
        if ((sets[cap / 32].permitted >> cap % 32 & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return -1;
    return 0;
}

static int become_init(void *given)
{
    struct birth *birth = given;
    char base[16], *argv[] = { "pyoci:[init]", base, NULL }, *env[] = { NULL };
    int executable = arrange(birth);

    snprintf(base, sizeof base, "%d", birth->base);
    if ((birth->flags & CLONE_NEWUSER) && keep_capabilities() < 0)
        executable = -1;
    if (executable >= 0)
        syscall(SYS_execveat, executable, "", argv, env, AT_EMPTY_PATH);
    birth->error = errno;
    return 127;
}

/* Start init in new namespaces. Memory is shared with it until it executes, which spares copying our page tables
 * (clone(2), CLONE_VFORK); signals wait, since a handler would run on shared memory.
 *
 * executable: the sealed init. report, plan, extra (or -1) become base, base + 1 and base + 2; the descriptors from 3 up
 * to base are the caller's, kept open. flags: CLONE_NEW*. cgroup: a directory to be born in (cgroup v2), or -1.
 * files: what becomes its descriptors 0, 1 ... below base, -1 for what stays as ours. */
int shim_spawn(int executable, int plan, int report, int extra, int base, unsigned long long flags, int cgroup,
               const int *files, size_t count, int *pidfd)
{
    char stack[32768] __attribute__((aligned(16)));
    struct birth birth = { executable, plan, report, extra, base, flags, files, (int)count, 0 };
    struct clone_args args = {
        .flags = flags | CLONE_VM | CLONE_VFORK | CLONE_PIDFD,
        .pidfd = (uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)stack,
        .stack_size = sizeof stack,
    };
    sigset_t all, before;

    *pidfd = -1;
    if (base < 3 || count > SHIM_FILES || count > (size_t)base)
        return -E2BIG;
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)cgroup;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    long pid = clone_onto(&args, become_init, &birth, SYS_exit_group);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid > 0 && birth.error) {
        siginfo_t info;
        waitid(P_PID, (id_t)pid, &info, WEXITED);
        close(*pidfd);
        *pidfd = -1;
        return -birth.error;
    }
    return (int)pid;
}

int shim_socketpair(int *ours, int *theirs)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return failure();
    *ours = pair[0];
    *theirs = pair[1];
    return 0;
}

/* An address holds 107 bytes and paths are longer: name the directory by a descriptor */
static int address(int dir, const char *name, struct sockaddr_un *to)
{
    to->sun_family = AF_UNIX;
    int length = snprintf(to->sun_path, sizeof to->sun_path, "/proc/self/fd/%d/%s", dir, name);
    return length < 0 || (size_t)length >= sizeof to->sun_path ? -ENAMETOOLONG : 0;
}

int shim_listen(int dir, const char *name)
{
    struct sockaddr_un to = { 0 };
    int error = address(dir, name, &to);

    if (error)
        return error;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failure();
    if (bind(fd, (struct sockaddr *)&to, sizeof to) < 0 || listen(fd, 64) < 0) {
        error = failure();
        close(fd);
        return error;
    }
    return fd;
}

/* type: SOCK_SEQPACKET or SOCK_STREAM. Never waits: a full queue is EAGAIN. */
int shim_connect(int dir, const char *name, int type)
{
    struct sockaddr_un to = { 0 };
    int error = address(dir, name, &to);

    if (error)
        return error;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return failure();
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 || fcntl(fd, F_SETFL, 0) < 0) {
        error = failure();
        close(fd);
        return error;
    }
    return fd;
}

int shim_send(int fd, const void *data, size_t length, const int *files, size_t count)
{
    return count > PACKET_FILES ? -E2BIG : send_packet(fd, data, length, files, (unsigned)count);
}

int shim_receive(int fd, void *data, size_t room, int *file) { return receive_packet(fd, data, room, file, 1); }

int shim_flock(int fd, int operation) { return flock(fd, operation) < 0 ? failure() : 0; }

int shim_prctl(int operation, unsigned long argument)
{
    int result = prctl(operation, argument, 0, 0, 0);
    return result < 0 ? failure() : result;
}

int shim_prlimit(int pid, int resource, unsigned long long soft, unsigned long long hard)
{
    /* the kernel's struct rlimit64, which C libraries name as they like */
    const unsigned long long limit[] = { soft, hard };
    return SYS(prlimit64, pid, resource, limit, NULL) < 0 ? failure() : 0;
}

int shim_pidfd_open(int pid)
{
    int fd = sys_pidfd_open(pid);
    return fd < 0 ? failure() : fd;
}

int shim_pidfd_signal(int pidfd, int signal)
{
    return SYS(pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? failure() : 0;
}

/* Which of some descriptors are readable (a process that a pidfd names has ended), as bits; 0: none within the time.
 * -1 milliseconds wait for ever. */
int shim_poll(const int *fds, size_t count, int milliseconds)
{
    struct pollfd waits[SHIM_POLLED];
    int ready = 0;

    if (count > SHIM_POLLED)
        return -E2BIG;
    for (size_t n = 0; n < count; n++)
        waits[n] = (struct pollfd){ .fd = fds[n], .events = POLLIN };
    if (poll(waits, (nfds_t)count, milliseconds) < 0)
        return failure();
    for (size_t n = 0; n < count; n++)
        ready |= waits[n].revents ? 1 << n : 0;
    return ready;
}

/* Gives the signals that are sent to us while they are blocked, in records of 128 bytes (signalfd(2)) */
int shim_signalfd(void)
{
    sigset_t all;

    sigfillset(&all);
    int fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? failure() : fd;
}

int shim_openat2(int dir, const char *path, unsigned long long flags, unsigned long long mode,
                 unsigned long long resolve)
{
    int fd = sys_openat2(dir, path, flags, mode, resolve);
    return fd < 0 ? failure() : fd;
}

/* Some kernels write past a short attribute block (6.17 to 7.1, BPF_PROG_QUERY), old headers have a short one */
union attributes {
    char room[256];
    union bpf_attr of;
};

static int call_bpf(int command, union attributes *attributes)
{
    int result = SYS(bpf, command, attributes, sizeof *attributes);
    return result < 0 ? failure() : result;
}

/* A descriptor of a device program; it calls no GPL-only helper */
int shim_bpf_load(const void *code, size_t length)
{
    union attributes a = { { 0 } };

    a.of.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    a.of.insns = (uintptr_t)code;
    a.of.insn_cnt = (unsigned)(length / sizeof(struct bpf_insn));
    a.of.license = (uintptr_t)"Apache-2.0";
    return call_bpf(BPF_PROG_LOAD, &a);
}

/* A descriptor of the program of a number */
int shim_bpf_open(unsigned number)
{
    union attributes a = { { 0 } };

    a.of.prog_id = number;
    return call_bpf(BPF_PROG_GET_FD_BY_ID, &a);
}

/* flags: BPF_F_*; former: the program whose place it takes, with BPF_F_REPLACE */
int shim_bpf_attach(int cgroup, int program, unsigned flags, int former)
{
    union attributes a = { { 0 } };

    a.of.target_fd = (unsigned)cgroup;
    a.of.attach_bpf_fd = (unsigned)program;
    a.of.attach_type = BPF_CGROUP_DEVICE;
    a.of.attach_flags = flags;
    a.of.replace_bpf_fd = (unsigned)former;
    return call_bpf(BPF_PROG_ATTACH, &a);
}

int shim_bpf_detach(int cgroup, int program)
{
    union attributes a = { { 0 } };

    a.of.target_fd = (unsigned)cgroup;
    a.of.attach_bpf_fd = (unsigned)program;
    a.of.attach_type = BPF_CGROUP_DEVICE;
    return call_bpf(BPF_PROG_DETACH, &a);
}

/* How many device programs a cgroup has, its parents' not among them; into numbers what they are called, uint32_t each */
int shim_bpf_attached(int cgroup, void *numbers, size_t room)
{
    union attributes a = { { 0 } };

    a.of.query.target_fd = (unsigned)cgroup;
    a.of.query.attach_type = BPF_CGROUP_DEVICE;
    a.of.query.prog_ids = (uintptr_t)numbers;
    a.of.query.prog_cnt = (unsigned)(room / sizeof(uint32_t));
    int error = call_bpf(BPF_PROG_QUERY, &a);
    return error ? error : (int)a.of.query.prog_cnt;
}

int shim_namespace_type(int fd)
{
    int type = ioctl(fd, NS_GET_NSTYPE);
    return type < 0 ? failure() : type;
}

struct netlink {
    int netns, result;
};

static void *open_netlink(void *given)
{
    struct netlink *n = given;

    if (n->netns >= 0 && setns(n->netns, CLONE_NEWNET) < 0)
        n->result = failure();
    else if ((n->result = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) < 0)
        n->result = failure();
    return NULL;
}

/* A socket of rtnetlink(7) that belongs to a network namespace; -1 is our own. A thread enters the namespace and ends:
 * the process that asked never does, and has nothing to come back from. */
int shim_netlink(int netns)
{
    struct netlink n = { netns, -1 };
    pthread_t thread;
    int error = pthread_create(&thread, NULL, open_netlink, &n);

    if (error)
        return -error;
    pthread_join(thread, NULL);
    return n.result;
}

/* Mounts an open file (a namespace, to keep it) on an existing one in a directory */
int shim_pin(int file, int dir, const char *name)
{
    int at = sys_openat2(dir, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH);
    int tree = at < 0 ? -1 : SYS(open_tree, file, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int result = tree < 0 || sys_move_mount(tree, at) < 0 ? failure() : 0;

    if (tree >= 0)
        close(tree);
    if (at >= 0)
        close(at);
    return result;
}

int shim_unpin(int dir, const char *name)
{
    char path[64 + NAME_MAX];

    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);
    return SYS(umount2, path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? failure() : 0;
}

/* A detached copy of a mount: what happens to it is seen nowhere else. flags: OPEN_TREE_CLONE, AT_RECURSIVE.
 * propagation: MS_* of it and all below, 0 for as it was. namespace: a user namespace whose maps it shall have, or -1. */
int shim_clone_mount(const char *path, unsigned flags, unsigned long long propagation, int namespace,
                     unsigned map_flags)
{
    int fd = sys_open_tree(AT_FDCWD, path, flags);
    if (fd < 0)
        return failure();
    struct mount_attr map = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)namespace };
    if ((propagation && sys_mount_setattr(fd, AT_RECURSIVE, 0, 0, propagation) < 0) ||
        (namespace >= 0 && SYS(mount_setattr, fd, "", AT_EMPTY_PATH | map_flags, &map, sizeof map) < 0)) {
        int error = failure();
        close(fd);
        return error;
    }
    return fd;
}

static int write_map(int proc, const char *name, const char *text)
{
    int fd = openat(proc, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return failure();
    int error = write(fd, text, strlen(text)) < 0 ? failure() : 0;
    close(fd);
    return error;
}

/* A user namespace that only exists for its maps: a process lives in it while they are written */
int shim_user_namespace(const char *uid_map, const char *gid_map)
{
    struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
    char path[32];
    long pid = syscall(SYS_clone3, &args, sizeof args);

    if (pid < 0)
        return failure();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* else its maps belong to root, and we need not be root */
        for (;;)
            pause();
    }
    snprintf(path, sizeof path, "/proc/%ld", pid);
    int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = proc < 0 ? failure() : 0;
    if (!result && (result = write_map(proc, "uid_map", uid_map)) == 0 &&
        (result = write_map(proc, "gid_map", gid_map)) == 0) {
        result = openat(proc, "ns/user", O_RDONLY | O_CLOEXEC);
        if (result < 0)
            result = failure();
    }
    if (proc >= 0)
        close(proc);
    kill((pid_t)pid, SIGKILL);
    while (waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return result;
}

/* Whether this kernel knows a flag of seccomp(2): it looks at the flags first, then for the filter, which is missing */
int shim_seccomp_knows(unsigned flags)
{
    return SYS(seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 && errno == EFAULT;
}

int shim_hook_start(const char *path, char *const *args, char *const *env, const char *cwd, const void *state,
                    size_t length, int timeout, int owner, struct hook_run *run)
{
    const struct hook hook = { path, args, env, cwd, state, length, timeout, owner };
    return hook_start(&hook, run);
}

int shim_mount(const char *source, const char *target, const char *type, unsigned long long flags, const char *data)
{
    return syscall(SYS_mount, source, target, type, (unsigned long)flags, data) < 0 ? failure() : 0;
}

int shim_unmount(const char *target, unsigned flags)
{
    return syscall(SYS_umount2, target, (int)flags) < 0 ? failure() : 0;
}

/* From then on chdir(2) of this thread leaves the others where they are */
int shim_own_directory(void) { return unshare(CLONE_FS) < 0 ? failure() : 0; }

/* A core scheduling cookie for this process group, which children inherit (kernel: core-scheduling.rst) */
int shim_sched_core(void)
{
    enum { PROCESS_GROUP = 2 };

    return prctl(62 /* PR_SCHED_CORE */, 1 /* create */, 0, PROCESS_GROUP, 0) < 0 ? failure() : 0;
}

/* Called with all signals blocked, which ends with it: what Python does at them is done while others can come */
int shim_hook_watch(struct hook_run *run)
{
    int result = hook_watch(run);

    sigprocmask(SIG_SETMASK, &run->signals, NULL);
    return result;
}

void shim_hook_kill(struct hook_run *run) { hook_kill(run); }
