/* steps_namespaces.c: joining and making namespaces, and what belongs to a namespace alone. */
#include "init.h"

#include <net/if.h>
#include <netinet/in.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

int step_open_namespace(struct context *c, const struct step *step)
{
    FIELDS(open_namespace, step);
    struct statfs fs;

    if (f->slot.i < 0 || f->slot.i >= NAMESPACE_SLOTS)
        return -EINVAL;
    int *fd = &c->spaces[f->slot.i];
    TRY_NAMED(c, CALL_OPEN, "open", *fd = open(f->path.s.bytes, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    TRY(c, "look at the file", fstatfs(*fd, &fs));
    c->doing = "it is no namespace";
    if (fs.f_type != NSFS_MAGIC)
        return -EINVAL;
    c->doing = "it is a namespace of another type";
    return ioctl(*fd, NS_GET_NSTYPE) == f->type.i ? 0 : -EINVAL;
}

/* The host's groups are no use in a user namespace, and there setgroups(2) may be denied for good. Without privilege it
 * is refused here, too: then the groups are the caller's own. */
static void leave_groups(int64_t types)
{
    if (types & CLONE_NEWUSER) {
        int refused = setgroups(0, NULL);
        (void)refused;
    }
}

int step_join_namespace(struct context *c, const struct step *step)
{
    FIELDS(join_namespace, step);

    if (f->slot.i < 0 || f->slot.i >= NAMESPACE_SLOTS)
        return -EINVAL;
    leave_groups(f->type.i);
    TRY(c, "setns", setns(c->spaces[f->slot.i], (int)f->type.i));
    close(c->spaces[f->slot.i]);
    c->spaces[f->slot.i] = -1;
    return 0;
}

/* The container's first process is known by its pidfd: one call joins all its namespaces */
int step_join_process(struct context *c, const struct step *step)
{
    FIELDS(join_process, step);
    int pidfd = c->base + FD_EXTRA;

    leave_groups(f->types.i);
    TRY(c, "setns", setns(pidfd, (int)f->types.i));
    close(pidfd);
    return 0;
}

/* A root that needs no mount of its own: no mount namespace was asked for, or `exec` goes where the container is */
int step_use_root(struct context *c, const struct step *step)
{
    FIELDS(use_root, step);
    proc_forget(c);
    TRY(c, "open", c->root = open(f->path.s.bytes, O_PATH | O_DIRECTORY | O_CLOEXEC));
    return 0;
}

int step_unshare(struct context *c, const struct step *step)
{
    FIELDS(unshare, step);
    TRY(c, "unshare", unshare((int)f->types.i));
    return 0;
}

int step_time_offsets(struct context *c, const struct step *step)
{
    FIELDS(time_offsets, step);
    return proc_write(c, "timens_offsets", f->text.s.bytes, f->text.s.length);
}

/* Pid and time namespaces hold only children. The child is the runtime's child, not ours, and waits until the
 * runtime knows its number: else its own words could overtake ours. */
int step_fork(struct context *c, const struct step *step)
{
    (void)step;
    c->doing = "clone";
    long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0)
        return -errno;
    if (pid > 0) {
        int error = report_send(c, REPORT_FORKED, (int)pid, -1);
        _exit(error ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return report_await(c, REPORT_GO);
}

int step_session(struct context *c, const struct step *step)
{
    (void)step;
    TRY(c, "setsid", setsid());
    return 0;
}

int step_sync(struct context *c, const struct step *step)
{
    FIELDS(sync, step);
    int error = report_send(c, REPORT_SYNC, (int)f->point.i, -1);
    return error ? error : report_await(c, REPORT_GO);
}

static int join_cgroup(struct context *c, int tasks)
{
    char link[32], path[PATH_MAX];

    c->doing = NULL;
    if (write(tasks, "0", 1) > 0)
        return 0;
    int error = -errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", tasks);
    ssize_t length = readlink(link, path, sizeof path) - (ssize_t)strlen("/tasks");
    snprintf(c->detail, sizeof c->detail, "%.*s", length < 0 ? 0 : (int)length, path);
    return error;
}

/* cgroup v1 has no birth into a cgroup. To move another process the kernel waits until no thread anywhere may be forking
 * (an RCU grace period, 10 ms and more); a lone thread that moves itself is moved at once. There are no files where we are
 * in our cgroups already. */
int step_join_cgroups(struct context *c, const struct step *step)
{
    (void)step;
    int tasks[PACKET_FILES];

    c->doing = "wait for the runtime";
    int error = receive_tasks(c, tasks);
    for (int n = 0; !error && n < PACKET_FILES && tasks[n] >= 0; n++) {
        error = join_cgroup(c, tasks[n]);
        close(tasks[n]);
    }
    return error;
}

/* A process that nobody may look at belongs to root in /proc: there a runtime without privilege could not write our maps.
 * Any process of that user could have done the same; as soon as we are another user we hide again. */
int step_dumpable(struct context *c, const struct step *step)
{
    (void)step;
    TRY(c, "prctl", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    return 0;
}

/* Born without an id in our user namespace we kept our capabilities through exec as ambient ones: an id needs no such thing */
static int drop_crutches(struct context *c)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2];

    TRY(c, "clear ambient set", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    TRY(c, "capget", SYS(capget, &head, sets));
    sets[0].inheritable = sets[1].inheritable = 0;
    TRY(c, "capset", SYS(capset, &head, sets));
    return 0;
}

int step_become_root(struct context *c, const struct step *step)
{
    FIELDS(become_root, step);
    uid_t uid = (uid_t)f->uid.i;
    gid_t gid = (gid_t)f->gid.i;

    TRY(c, "setresgid", setresgid(gid, gid, gid));
    TRY(c, "setresuid", setresuid(uid, uid, uid));
    int error = drop_crutches(c);
    if (error)
        return error;
    /* refused where the mapping was made without privilege (user_namespaces(7)): then there is nothing to drop */
    c->doing = "setgroups";
    if (setgroups(0, NULL) < 0 && errno != EPERM)
        return -errno;
    TRY(c, "make undumpable", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    return 0;
}

/* Everybody in the session may find the keyring: processes that exec into the container change their user */
static int allow_search(struct context *c, long ring)
{
    char text[512];
    long length = syscall(SYS_keyctl, KEYCTL_DESCRIBE, ring, text, sizeof text - 1);
    int field = 0;

    TRY(c, "describe the keyring", length);
    text[length < (long)sizeof text ? length : (long)sizeof text - 1] = '\0';
    const char *at = text; /* type;uid;gid;permissions;description */
    while (field < 3 && (at = strchr(at, ';')) != NULL) {
        at++;
        field++;
    }
    if (!at)
        return 0;
    unsigned long permissions = strtoul(at, NULL, 16) | 0x00080000ul; /* KEY_USR_SEARCH, in keyctl(3) */
    TRY(c, "set keyring permissions", syscall(SYS_keyctl, KEYCTL_SETPERM, ring, permissions));
    return 0;
}

int step_keyring(struct context *c, const struct step *step)
{
    FIELDS(keyring, step);
    long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, f->name.s.bytes);

    c->doing = "keyctl";
    if (ring < 0) /* a kernel without keys has none to leak */
        return errno == ENOSYS ? 0 : -errno;
    return allow_search(c, ring);
}

int step_loopback_up(struct context *c, const struct step *step)
{
    (void)step;
    struct ifreq lo = { .ifr_name = "lo" };
    SCOPED_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    TRY(c, "socket", fd);
    TRY(c, "read flags of lo", ioctl(fd, SIOCGIFFLAGS, &lo));
    lo.ifr_flags |= IFF_UP | IFF_RUNNING;
    TRY(c, "set flags of lo", ioctl(fd, SIOCSIFFLAGS, &lo));
    return 0;
}

int step_hostname(struct context *c, const struct step *step)
{
    FIELDS(hostname, step);
    TRY(c, "sethostname", sethostname(f->name.s.bytes, f->name.s.length));
    return 0;
}

int step_domainname(struct context *c, const struct step *step)
{
    FIELDS(domainname, step);
    TRY(c, "setdomainname", setdomainname(f->name.s.bytes, f->name.s.length));
    return 0;
}
