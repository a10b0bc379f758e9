/* procfs.c: writing to /proc so that nothing mounted over it, and no link in it, can divert the write. */
#include "init.h"

#include <string.h>
#include <sys/vfs.h>

static int mount_procfs(const char *subset)
{
    SCOPED_FD fs = sys_fsopen("proc");
    if (fs < 0 || (subset && sys_fsconfig(fs, FSCONFIG_SET_STRING, "subset", subset) < 0) ||
        sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return -1;
    return sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

static int open_below(struct context *c, int proc, const char *path, int flags)
{
    struct statfs fs;
    SCOPED_FD fd = sys_openat2(proc, path, (uint64_t)flags, 0,
                               RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);

    TRY_NAMED(c, CALL_OPEN, "open in procfs", fd);
    TRY_NAMED(c, CALL_OPEN, "open in procfs", fstatfs(fd, &fs));
    if (fs.f_type == PROC_SUPER_MAGIC)
        return keep_fd(&fd);
    c->call = CALL_OPEN;
    return -EXDEV;
}

static int write_below(struct context *c, int proc, const char *path, const char *value, size_t length)
{
    SCOPED_FD fd = open_below(c, proc, path, O_WRONLY);

    if (fd < 0)
        return fd;
    ssize_t written;
    TRY_NAMED(c, CALL_WRITE, "write in procfs", written = write(fd, value, length));
    return (size_t)written == length ? 0 : -EIO;
}

/* Where a user namespace may no longer mount a procfs, since ours has masks, a copy of ours without them serves */
static int clone_procfs(struct context *c)
{
    struct stat st;
    struct statfs fs;
    SCOPED_FD top = root_open(c, "proc", O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);

    if (top < 0)
        return -1;
    SCOPED_FD clone = sys_open_tree(top, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    if (clone < 0 || fstat(clone, &st) < 0 || fstatfs(clone, &fs) < 0)
        return -1;
    if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != 1) { /* PROC_ROOT_INO */
        errno = EXDEV;
        return -1;
    }
    return keep_fd(&clone);
}

/* The host's own, for steps that write to it before the rootfs is open: in a new user namespace a procfs can only be
 * mounted by the first process of a new pid namespace. It knows us in whatever namespaces we are by then. */
int step_open_proc(struct context *c, const struct step *step)
{
    (void)step;
    TRY(c, "open /proc", c->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return 0;
}

/* It must not be at hand any more once somebody of the container's may look at us */
void proc_forget(struct context *c)
{
    if (c->proc >= 0)
        close(c->proc);
    c->proc = -1;
}

/* The directory of our own process in a procfs that nobody can have mounted anything in */
static int open_own(struct context *c)
{
    char self[32];

    if (c->proc < 0) {
        c->proc = mount_procfs("pid");
        if (c->proc < 0 && errno == EPERM)
            c->proc = clone_procfs(c);
        TRY(c, "mount a private procfs", c->proc);
    }
    /* `self` is a link; its text is our number in that procfs */
    ssize_t size = readlinkat(c->proc, "self", self, sizeof self - 1);
    if (size < 0)
        return -errno;
    self[size] = '\0';
    int own = sys_openat2(c->proc, self, O_PATH | O_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    return own < 0 ? -errno : own;
}

/* Write to an entry of our own process: "<pid>/attr/exec". path is relative to the process's directory. */
int proc_write(struct context *c, const char *path, const char *value, size_t length)
{
    SCOPED_FD own = open_own(c);
    return own < 0 ? own : write_below(c, own, path, value, length);
}

/* Read such an entry: the number of bytes, without NULs and newlines at the end, or -errno */
int proc_read(struct context *c, const char *path, char *room, size_t size)
{
    SCOPED_FD own = open_own(c);
    if (own < 0)
        return own;
    SCOPED_FD fd = open_below(c, own, path, O_RDONLY);
    if (fd < 0)
        return fd;
    c->doing = "read in procfs";
    ssize_t got = read(fd, room, size - 1);
    if (got < 0)
        return -errno;
    while (got > 0 && (room[got - 1] == '\0' || room[got - 1] == '\n'))
        got--;
    room[got] = '\0';
    return (int)got;
}

/* Write /proc/sys/<path>. Before the root is switched: where a user namespace may not mount a full procfs, the host's
 * own, still in its place, serves. */
int sysctl_write(struct context *c, const char *path, const char *value, size_t length)
{
    SCOPED_FD proc = mount_procfs(NULL);
    if (proc < 0)
        TRY(c, "open procfs", proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    SCOPED_FD sys = sys_openat2(proc, "sys", O_PATH | O_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
    if (sys < 0)
        return -errno;
    return write_below(c, sys, path, value, length);
}
