/* steps_process.c: what makes a process the user's: streams, limits of privilege, working directory, the program. */
#include "shared/clone.h"
#include "shared/hook.h"
#include "init.h"

#include <dirent.h>
#include <grp.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>

enum { MAX_STRINGS = 1 << 16, MAX_GROUPS = 1 << 16 };

static unsigned list_count(const struct text *list)
{
    unsigned count = 0;
    for (const char *s = list_first(list); s; s = list_next(list, s))
        count++;
    return count;
}

static void list_fill(const struct text *list, char **array)
{
    for (const char *s = list_first(list); s; s = list_next(list, s))
        *array++ = (char *)s;
    *array = NULL;
}

/* The host's null device is on a mount that the container does not have; so the container's own takes its place: no
 * descriptor leads out, and CRIU, which refuses those that do, can save the container. */
static void own_null(struct context *c, int n, const struct stat *host)
{
    struct stat st;

    if (!S_ISCHR(host->st_mode) || host->st_rdev != makedev(1, 3))
        return;
    int mode = fcntl(n, F_GETFL) & (O_RDONLY | O_WRONLY | O_RDWR); /* O_ACCMODE may have more (musl) */
    SCOPED_FD look = root_open(c, "/dev/null", O_PATH, 0);
    if (look < 0 || fstat(look, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != host->st_rdev)
        return;
    SCOPED_FD own = root_open(c, "/dev/null", (uint64_t)mode | O_NONBLOCK | O_NOCTTY, 0);
    if (own >= 0 && fstat(own, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == host->st_rdev &&
        fcntl(own, F_SETFL, 0) == 0)
        dup2(own, n);
}

/* The user shall be able to open /dev/stdout, which needs the right to the file behind it. Devices other than
 * terminals stay as they are: /dev/null is everybody's. */
int step_stdio(struct context *c, const struct step *step)
{
    FIELDS(stdio, step);

    for (int n = 0; n < 3; n++) {
        struct stat st;
        TRY(c, "look at it", fstat(n, &st));
        own_null(c, n, &st);
        if (st.st_uid == (uid_t)f->uid.i || S_ISDIR(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(n)))
            continue;
        c->doing = "chown";
        if (fchown(n, (uid_t)f->uid.i, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL && errno != EROFS)
            return -errno;
    }
    return 0;
}

int step_no_new_privileges(struct context *c, const struct step *step)
{
    (void)step;
    TRY(c, "prctl", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
}

/* struct sched_attr of sched_setattr(2): its header clashes with the C library's in some versions of both */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t clamp_min, clamp_max; /* for SCHED_FLAG_UTIL_CLAMP_*: config.json has no values for them, so 0 */
};

int step_scheduler(struct context *c, const struct step *step)
{
    FIELDS(scheduler, step);
    struct scheduling attr = {
        .size = sizeof attr,
        .policy = (uint32_t)f->policy.i,
        .nice = (int32_t)f->nice.i,
        .priority = (uint32_t)f->priority.i,
        .flags = (uint64_t)f->flags.i,
        .runtime = (uint64_t)f->runtime.i,
        .deadline = (uint64_t)f->deadline.i,
        .period = (uint64_t)f->period.i,
    };
    TRY(c, "sched_setattr", SYS(sched_setattr, 0, &attr, 0));
    return 0;
}

int step_affinity(struct context *c, const struct step *step)
{
    FIELDS(affinity, step);
    TRY(c, "sched_setaffinity", SYS(sched_setaffinity, 0, f->mask.b.length, f->mask.b.bytes));
    return 0;
}

int step_io_priority(struct context *c, const struct step *step)
{
    FIELDS(io_priority, step);
    TRY(c, "ioprio_set", SYS(ioprio_set, IOPRIO_WHO_PROCESS, 0, (int)f->value.i));
    return 0;
}

int step_personality(struct context *c, const struct step *step)
{
    FIELDS(personality, step);
    TRY(c, "personality", personality((unsigned long)f->value.i));
    return 0;
}

/* The kernel reads one bit less than it is told (set_mempolicy(2), "nodemask") */
int step_memory_policy(struct context *c, const struct step *step)
{
    FIELDS(memory_policy, step);
    unsigned long bits = f->nodes.b.length ? f->nodes.b.length * 8ul + 1 : 0;
    TRY(c, "set_mempolicy", SYS(set_mempolicy, (int)f->mode.i, bits ? f->nodes.b.bytes : NULL, bits));
    return 0;
}

/* A directory reached through a descriptor that somebody left open may lie outside: only the kernel's own path of
 * where we are tells. getcwd(3) of a C library may answer from memory; the call does not. */
static int prove_inside(struct context *c)
{
    char path[PATH_MAX];

    TRY(c, "getcwd", SYS(getcwd, path, sizeof path));
    c->doing = "it is outside of the container's root";
    return path[0] == '/' ? 0 : -EXDEV;
}

int step_enter_cwd(struct context *c, const struct step *step)
{
    FIELDS(enter_cwd, step);

    if (c->in_cwd)
        return prove_inside(c);
    SCOPED_FD dir = sys_openat2(AT_FDCWD, f->path.s.bytes, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);
    c->doing = "chdir";
    if (dir < 0 || fchdir(dir) < 0) {
        int error = -errno;

        if (error == -EACCES && (f->flags.i & PLAN_CWD_TRY))
            return 0;
        c->call = CALL_CHDIR;
        snprintf(c->detail, sizeof c->detail, "\"%.200s\"", f->path.s.bytes);
        return error;
    }
    c->in_cwd = true;
    return prove_inside(c);
}

/* Is this a program that the user could start? Asked with the user's file system identity and capabilities. */
static int check_executable(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    return SYS(faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* The home directory in a line of passwd(5), or NULL when the line is another user's */
static char *home_in(char *line, unsigned long uid)
{
    char *field[7] = { line }, *end;

    for (int n = 1; n < 7; n++) {
        char *colon = strchr(field[n - 1], ':');
        if (!colon)
            return NULL;
        *colon = '\0';
        field[n] = colon + 1;
    }
    unsigned long number = strtoul(field[2], &end, 10);
    return field[2][0] >= '0' && field[2][0] <= '9' && !*end && number == uid ? field[5] : NULL;
}

/* The image's user database is hostile data: a plain file, opened without waiting, read up to a bound */
static const char *search_passwd(int fd, unsigned long uid, char *room, size_t size)
{
    size_t have = 0;

    for (size_t total = 0; total < 1 << 20;) {
        ssize_t got = read(fd, room + have, size - 1 - have);
        if (got < 0)
            return NULL;
        room[have + (size_t)got] = '\0';
        total += (size_t)got;
        have += (size_t)got;
        char *line = room, *end;
        while ((end = memchr(line, '\n', have - (size_t)(line - room))) != NULL || (got == 0 && *line)) {
            if (end)
                *end = '\0';
            char *home = home_in(line, uid);
            if (home)
                return home;
            if (!end)
                return NULL;
            line = end + 1;
        }
        if (got == 0)
            return NULL;
        have -= (size_t)(line - room);
        memmove(room, line, have);
        if (have == size - 1)
            have = 0; /* no user's line is this long */
    }
    return NULL;
}

int step_find_home(struct context *c, const struct step *step)
{
    FIELDS(find_home, step);
    static char room[8192];
    struct stat st;
    const char *home = NULL;
    SCOPED_FD fd = root_open(c, "etc/passwd", O_RDONLY | O_NONBLOCK, 0);

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        home = search_passwd(fd, (unsigned long)f->uid.i, room, sizeof room);
    snprintf(c->home, sizeof c->home, "HOME=%s", home && *home ? home : "/");
    return 0;
}

static int search(struct context *c, const char *name, const struct text *list)
{
    int worst = -ENOENT;

    for (const char *dir = list_first(list); dir; dir = list_next(list, dir)) {
        int length = snprintf(c->executable, sizeof c->executable, "%s/%s", *dir ? dir : ".", name);
        if (length < 0 || (size_t)length >= sizeof c->executable)
            continue;
        int error = check_executable(c->executable);
        if (error == 0)
            return 0;
        if (error == -EACCES)
            worst = error;
    }
    return worst;
}

static int find(struct context *c, const struct fields_find_executable *f)
{
    const char *name = f->name.s.bytes;

    if (!strchr(name, '/'))
        return search(c, name, &f->search.l);
    if (f->name.s.length >= sizeof c->executable)
        return -ENAMETOOLONG;
    memcpy(c->executable, name, f->name.s.length + 1);
    return check_executable(name);
}

/* What overrides permissions is what the program will have as it is executed: more or less than we have */
static int find_with(struct context *c, const struct fields_find_executable *f)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct before[2], asked[2];
    const uint64_t effective = (uint64_t)f->capabilities.i;

    if (SYS(capget, &head, before) < 0)
        return -errno;
    for (int n = 0; n < 2; n++) {
        asked[n] = before[n];
        asked[n].effective = before[n].permitted & (uint32_t)(effective >> 32 * n);
    }
    if (memcmp(asked, before, sizeof asked) == 0)
        return find(c, f);
    if (SYS(capset, &head, asked) < 0)
        return -errno;
    int error = find(c, f);
    return SYS(capset, &head, before) < 0 ? -errno : error;
}

/* As the user would find it. A change of the file system's user takes the capabilities for files away, or gives them
 * back (capabilities(7)): those asked for are set between the two. */
static int find_as(struct context *c, const struct fields_find_executable *f, const gid_t *before, int count)
{
    setfsgid((gid_t)f->gid.i);
    int grouped = setgroups(f->groups.b.length / sizeof(gid_t), (const gid_t *)f->groups.b.bytes);
    setfsuid((uid_t)f->uid.i);
    int error = find_with(c, f);
    setfsuid(geteuid());
    setfsgid(getegid());
    if (grouped == 0 && count >= 0 && setgroups((size_t)count, before) < 0)
        return -errno;
    return error;
}

int step_find_executable(struct context *c, const struct step *step)
{
    FIELDS(find_executable, step);
    gid_t before[256];
    int count = getgroups(256, before);
    bool same = geteuid() == (uid_t)f->uid.i && getegid() == (gid_t)f->gid.i && count == 0 && !f->groups.b.length;
    int error = same ? find_with(c, f) : find_as(c, f, before, count);

    c->doing = NULL;
    snprintf(c->detail, sizeof c->detail, "%.1000s", f->name.s.bytes);
    return error;
}

static void end_by_signal(int number) { _exit(128 + number); }

/* The first process of a pid namespace is spared all signals that it does not ask for (pid_namespaces(7)): a container that
 * waits for its start, or runs the hooks before its program, could be ended by SIGKILL alone. execve(2) takes it back. */
static int ask_for_signals(struct context *c)
{
    const int ends[] = { SIGTERM, SIGINT, SIGQUIT };
    const struct sigaction action = { .sa_handler = end_by_signal };

    for (size_t n = 0; n < sizeof ends / sizeof *ends; n++)
        TRY(c, "sigaction", sigaction(ends[n], &action, NULL));
    return 0;
}

/* The container is created; its state is on disk when the runtime says go. From here on only `start` speaks to us.
 * A command that only asks for our state connects and says nothing: that is not a start. */
int step_await_start(struct context *c, const struct step *step)
{
    (void)step;
    int listener = c->base + FD_EXTRA;

    /* Before the last word with the runtime, which ends right after it. If it ends earlier, the talk breaks off. */
    TRY(c, "outlive the runtime", prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
    int error = ask_for_signals(c);
    if (error || (error = report_send(c, REPORT_SYNC, SYNC_CREATED, -1)) != 0 ||
        (error = report_await(c, REPORT_GO)) != 0)
        return error;
    close(c->report);
    for (;;) {
        c->report = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (c->report < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return -errno;
        }
        if (receive_kind(c->report) == REPORT_START)
            return 0;
        close(c->report);
    }
}

static int hook_failure(struct context *c, const struct hook_run *r, int64_t timeout)
{
    int length;

    if (r->ending == HOOK_TIMED_OUT)
        length =
            snprintf(c->detail, sizeof c->detail, "hook ran past specified timeout of %g s", (double)timeout / 1e3);
    else if (WIFSIGNALED(r->status))
        length = snprintf(c->detail, sizeof c->detail, "killed by signal %d", WTERMSIG(r->status));
    else
        length = snprintf(c->detail, sizeof c->detail, "exit status %d", WEXITSTATUS(r->status));
    if (r->output && length > 0 && (size_t)length < sizeof c->detail)
        snprintf(c->detail + length, sizeof c->detail - (size_t)length, ", output: %.*s", (int)r->output, r->text);
    c->doing = NULL;
    return -ECHILD;
}

int step_hook(struct context *c, const struct step *step)
{
    FIELDS(hook, step);
    unsigned args = list_count(&f->args.l), env = list_count(&f->env.l);
    char number[16];
    struct hook_run result;

    if (args > MAX_STRINGS || env > MAX_STRINGS)
        return -E2BIG;
    int digits = snprintf(number, sizeof number, "%d", getpid());
    size_t length = f->state_head.s.length + (size_t)digits + f->state_tail.s.length;
    char *argv[args + 1], *envp[env + 1];
    void *room = mmap(NULL, length + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return -errno;
    list_fill(&f->args.l, argv);
    list_fill(&f->env.l, envp);
    snprintf(room, length + 1, "%s%s%s", f->state_head.s.bytes, number, f->state_tail.s.bytes);
    struct hook hook = { f->path.s.bytes, argv, envp, f->cwd.s.bytes, room, length, (int)f->timeout.i, -1 };
    mode_t ours = umask(022); /* 0 since the rootfs was opened: modes of devices and directories are exact */
    int error = hook_run(&hook, &result);
    umask(ours);
    munmap(room, length + 1);
    if (error) {
        c->doing = "start it";
        c->call = CALL_HOOK_START;
        return error;
    }
    return result.ending != HOOK_ENDED || result.status ? hook_failure(c, &result, f->timeout.i) : 0;
}

/* Was it taken? A label reads as it was written; AppArmor puts the mode behind it: "name (enforce)" */
static int check_label(struct context *c, const char *attribute, const char *expected)
{
    char found[4096];
    size_t length = strlen(expected);
    int size = proc_read(c, attribute, found, sizeof found);

    if (size < 0)
        return size;
    c->doing = "the kernel has another label";
    if (strncmp(found, expected, length) == 0 && (found[length] == '\0' || found[length] == ' '))
        return 0;
    snprintf(c->detail, sizeof c->detail, "%.400s", found);
    return -EPERM;
}

int step_label(struct context *c, const struct step *step)
{
    FIELDS(label, step);
    int error = proc_write(c, f->attribute.s.bytes, f->value.s.bytes, f->value.s.length);
    if (!error && f->expected.s.length)
        return check_label(c, f->attribute.s.bytes, f->expected.s.bytes);
    if (error)
        snprintf(c->detail, sizeof c->detail, "/proc/self/%.100s", f->attribute.s.bytes);
    return error;
}

/* A thread that hands the listener over. It was started before the filter was loaded, so nothing that the profile forbids
 * or wants to be asked about can stop it: an agent that must approve sendmsg has to be there first. */
struct handover {
    struct context *c;
    int listener; /* -1: not there yet, -2: there will be none */
    int error;
    int thread; /* the kernel clears it as the thread ends */
};

static int hand_over(void *given)
{
    struct handover *h = given;
    int fd;

    while ((fd = __atomic_load_n(&h->listener, __ATOMIC_ACQUIRE)) == -1)
        sched_yield();
    if (fd >= 0) {
        h->error = report_send(h->c, REPORT_SECCOMP, 0, fd);
        if (!h->error)
            h->error = report_await(h->c, REPORT_GO);
        close(fd);
    }
    return 0;
}

/* Waiting without a system call: for all we know none is allowed any more */
static int load_with_listener(struct context *c, unsigned flags, struct sock_fprog *program)
{
    static char stack[65536] __attribute__((aligned(16)));
    struct handover h = { .c = c, .listener = -1, .thread = 1 };
    struct clone_args thread = {
        .flags =
            CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID,
        .child_tid = (uintptr_t)&h.thread,
        .stack = (uintptr_t)stack,
        .stack_size = sizeof stack,
    };

    c->doing = "start a thread";
    long started = clone_onto(&thread, hand_over, &h, SYS_exit);
    if (started < 0)
        return (int)started;
    c->doing = "seccomp";
    int fd = SYS(seccomp, SECCOMP_SET_MODE_FILTER, flags, program), error = fd < 0 ? -errno : 0;
    __atomic_store_n(&h.listener, fd < 0 ? -2 : fd, __ATOMIC_RELEASE);
    while (__atomic_load_n(&h.thread, __ATOMIC_ACQUIRE))
        ;
    if (!error)
        c->doing = "hand over the listener";
    return error ? error : h.error;
}

int step_seccomp(struct context *c, const struct step *step)
{
    FIELDS(seccomp, step);
    unsigned flags = (unsigned)f->flags.i;
    struct sock_fprog program = {
        .len = (unsigned short)(f->program.b.length / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(uintptr_t)f->program.b.bytes,
    };

    c->doing = "seccomp";
    if (f->program.b.length / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return -E2BIG;
    if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        return load_with_listener(c, flags, &program);
    return SYS(seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0 ? -errno : 0;
}

int step_bounding(struct context *c, const struct step *step)
{
    FIELDS(bounding, step);

    for (int cap = 0; cap < 64; cap++) {
        if (f->keep.i >> cap & 1)
            continue;
        int error = prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 ? -errno : 0;
        int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (has < 0)
            return 0; /* no such capability, nor any above */
        if (has) { /* what is not there needs no right to drop it */
            c->doing = "prctl";
            snprintf(c->detail, sizeof c->detail, "capability %d", cap);
            return error ? error : -EPERM;
        }
    }
    return 0;
}

/* A user namespace can deny setgroups(2) for good (user_namespaces(7)): who has no groups and wants none needs none */
static int set_groups(struct context *c, const struct fields_identity *f)
{
    c->doing = "setgroups";
    if (setgroups(f->groups.b.length / sizeof(gid_t), (const gid_t *)f->groups.b.bytes) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    if (f->groups.b.length == 0 && getgroups(0, NULL) == 0)
        return 0;
    c->doing = "setgroups, which the user namespace may deny for good";
    return -EPERM;
}

/* Everything here is read back: setresuid(-1) would succeed and change nothing */
int step_identity(struct context *c, const struct step *step)
{
    FIELDS(identity, step);
    uid_t uid = (uid_t)f->uid.i, u[3];
    gid_t gid = (gid_t)f->gid.i, g[3];

    c->doing = "an id out of range";
    if (f->uid.i < 0 || f->uid.i >= UINT32_MAX || f->gid.i < 0 || f->gid.i >= UINT32_MAX)
        return -EINVAL;
    TRY(c, "keep capabilities", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    int error = f->flags.i & PLAN_IDENTITY_NO_GROUPS ? 0 : set_groups(c, f);
    if (error)
        return error;
    TRY(c, "setgid", setresgid(gid, gid, gid));
    TRY(c, "setuid", setresuid(uid, uid, uid));
    TRY(c, "make undumpable", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    TRY(c, "read user", getresuid(&u[0], &u[1], &u[2]));
    TRY(c, "read group", getresgid(&g[0], &g[1], &g[2]));
    c->doing = "the kernel did not change it";
    for (int n = 0; n < 3; n++)
        if (u[n] != uid || g[n] != gid)
            return -EPERM;
    return 0;
}

static int set_sets(struct context *c, const struct fields_capabilities *f)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct asked[2], got[2];
    const uint64_t e = (uint64_t)f->effective.i, p = (uint64_t)f->permitted.i, i = (uint64_t)f->inheritable.i;

    for (int n = 0; n < 2; n++)
        asked[n] = (struct __user_cap_data_struct){ (uint32_t)(e >> 32 * n), (uint32_t)(p >> 32 * n),
                                                    (uint32_t)(i >> 32 * n) };
    TRY(c, "capset", SYS(capset, &head, asked));
    TRY(c, "capget", SYS(capget, &head, got));
    c->doing = "the kernel gave other sets than were asked for";
    return memcmp(asked, got, sizeof asked) == 0 ? 0 : -EPERM;
}

int step_capabilities(struct context *c, const struct step *step)
{
    FIELDS(capabilities, step);
    int error = set_sets(c, f);

    if (error)
        return error;
    TRY(c, "clear ambient set", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (!(f->ambient.i >> cap & 1))
            continue;
        snprintf(c->detail, sizeof c->detail, "capability %lu", cap);
        TRY(c, "raise ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0));
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) != 1)
            return -EPERM;
    }
    TRY(c, "stop keeping capabilities", prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
    return 0;
}

int step_umask(struct context *c, const struct step *step)
{
    FIELDS(umask, step);
    (void)c;
    umask((mode_t)f->mask.i & 0777);
    return 0;
}

/* Everything but the standard streams, what was asked to be kept, and what closes as the program starts: the report, and
 * where hooks come before it the socket on which we listen, for the container is not running yet */
int step_close_files(struct context *c, const struct step *step)
{
    FIELDS(close_files, step);
    int listener = f->listener.i ? c->base + FD_EXTRA : c->report;
    int stays[2] = { listener < c->report ? listener : c->report, listener < c->report ? c->report : listener };
    unsigned first = 3 + (unsigned)f->keep.i;

    /* the program outlives the runtime: the setting would survive exec */
    TRY(c, "outlive the runtime", prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
    for (int n = 0; n < 2; n++) {
        unsigned fd = (unsigned)stays[n];
        TRY(c, "keep the report", fcntl(stays[n], F_SETFD, FD_CLOEXEC));
        if (fd > first)
            TRY(c, "close_range", sys_close_range(first, fd - 1, 0));
        if (fd >= first)
            first = fd + 1;
    }
    TRY(c, "close_range", sys_close_range(first, ~0u, 0));
    c->root = c->null = c->proc = c->blank = -1;
    return 0;
}

static void heard(int number) { (void)number; }

/* Takes the status of all that have ended, and tells the program's; 1 when that was among them */
static int reap(int fd, pid_t program)
{
    siginfo_t info = { 0 };

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid) {
        if (info.si_pid == program) {
            struct rusage used = { 0 };
            getrusage(RUSAGE_CHILDREN, &used);
            const int status[] = { info.si_code, info.si_status,
                                   used.ru_maxrss < INT_MAX ? (int)used.ru_maxrss : INT_MAX };
            return write(fd, status, sizeof status) < 0 ? 2 : 1;
        }
        info.si_pid = 0;
    }
    return 0;
}

/* The first process of a pid namespace is no place for a program: signals that it does not handle miss it, those that it
 * sends to itself, too, and it would have to reap. It ends, and with it all others, when its program has ended or when
 * nobody holds the other end of fd any more. */
static _Noreturn void supervise(int fd, pid_t program)
{
    const struct sigaction action = { .sa_handler = heard };
    struct pollfd life = { .fd = fd };
    sigset_t child, none;

    for (int number = 0; number < 3; number++)
        close(number);
    sys_close_range(3, (unsigned)fd - 1, 0);
    sys_close_range((unsigned)fd + 1, ~0u, 0);
    default_signals();
    sigemptyset(&none);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
    sigaction(SIGCHLD, &action, NULL);
    while (!reap(fd, program)) {
        int ready = ppoll(&life, 1, NULL, &none);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            break;
    }
    syscall(SYS_exit_group, EXIT_SUCCESS);
    __builtin_trap();
}

int step_supervise(struct context *c, const struct step *step)
{
    FIELDS(supervise, step);
    int fd = (int)f->fd.i;

    if (fd < 3)
        return -EBADF;
    pid_t program = f->program.i ? fork() : -1;
    TRY(c, "fork", f->program.i && program < 0 ? -1 : 0);
    if (program != 0)
        supervise(fd, program);
    TRY(c, "keep it from the program", fcntl(fd, F_SETFD, FD_CLOEXEC));
    return 0;
}

int step_execute(struct context *c, const struct step *step)
{
    FIELDS(execute, step);
    unsigned args = list_count(&f->args.l), env = list_count(&f->env.l);

    if (args > MAX_STRINGS || env > MAX_STRINGS)
        return -E2BIG;
    char *argv[args + 1], *envp[env + 2];
    list_fill(&f->args.l, argv);
    list_fill(&f->env.l, envp);
    envp[env] = c->home[0] ? c->home : NULL;
    envp[env + 1] = NULL;
    execve(c->executable, argv, envp);
    c->doing = "execve";
    snprintf(c->detail, sizeof c->detail, "%.1000s", c->executable);
    return -errno;
}
