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

static int write_below(struct context *c, int proc, const char *path, const char *value, size_t length)
{
    struct statfs fs;
    SCOPED_FD fd = sys_openat2(proc, path, O_WRONLY, 0,
                               RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);

    c->doing = "open in procfs";
    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type != PROC_SUPER_MAGIC)
        return -EXDEV;
    c->doing = "write in procfs";
    ssize_t written = write(fd, value, length);
    if (written < 0)
        return -errno;
    return (size_t)written == length ? 0 : -EIO;
}

/* Write to an entry of our own process: "<pid>/attr/exec". path is relative to the process's directory. */
int proc_write(struct context *c, const char *path, const char *value, size_t length)
{
    char self[32];

    if (c->proc < 0)
        TRY(c, "mount a private procfs", c->proc = mount_procfs("pid"));
    /* `self` is a link; its text is our number in that procfs */
    ssize_t size = readlinkat(c->proc, "self", self, sizeof self - 1);
    if (size < 0)
        return -errno;
    self[size] = '\0';
    SCOPED_FD own = sys_openat2(c->proc, self, O_PATH | O_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (own < 0)
        return -errno;
    return write_below(c, own, path, value, length);
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
