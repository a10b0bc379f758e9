/* steps_rootfs.c: the root filesystem, its mounts and devices. Nothing is mounted by path: see walk.c. */
#include "init.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define TRY_FLAGS(c, attempt) TRY_NAMED(c, CALL_MOUNT_FLAGS, "mount_setattr", attempt)

int step_own_mounts(struct context *c, const struct step *step)
{
    FIELDS(own_mounts, step);
    struct mount_attr attr = { .propagation = (uint64_t)f->propagation.i };

    TRY(c, "set propagation of /", SYS(mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof attr));
    return 0;
}

/* What is mounted on the rootfs must not appear on the host, even where the container's mounts are shared: the mount
 * that holds it becomes private. Only the root of a mount takes attributes, so walk up to it. */
static int make_parent_private(struct context *c, int dir)
{
    struct mount_attr attr = { .propagation = MS_PRIVATE };
    char up[PATH_MAX] = ".";

    c->doing = "make the mount that holds it private";
    for (size_t length = 1; SYS(mount_setattr, dir, up, 0, &attr, sizeof attr) < 0; length += 3) {
        if (errno != EINVAL || length + 4 > sizeof up)
            return -errno;
        memcpy(up + length, "/..", 4);
    }
    return 0;
}

static int open_null(struct context *c)
{
    struct stat st;

    TRY(c, "open /dev/null", c->null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC));
    TRY(c, "look at /dev/null", fstat(c->null, &st));
    c->doing = "/dev/null of the host is not the null device";
    return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) ? 0 : -ENODEV;
}

/* What our user may not reach on the host, and what only the host's root may map, the runtime opens for us */
int step_take_mounts(struct context *c, const struct step *step)
{
    FIELDS(take_mounts, step);

    if (f->count.i < 0 || f->count.i > MAX_TAKEN)
        return -E2BIG;
    int error = report_send(c, REPORT_SYNC, SYNC_MOUNTS, -1);
    for (int64_t n = 0; n < f->count.i && !error; n++)
        error = receive_mount(c, &c->taken[n]);
    return error ? error : report_await(c, REPORT_GO);
}

static int take(struct context *c, int64_t number)
{
    int mount = -1;

    if (number < 0 || number >= MAX_TAKEN || c->taken[number] < 0)
        errno = EBADF;
    else {
        mount = c->taken[number];
        c->taken[number] = -1;
    }
    return mount;
}

/* A rootfs that may lie where our user cannot go: any mount point will do, for it becomes the root anyhow */
static int attach_root(struct context *c, int64_t number)
{
    SCOPED_FD top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    TRY(c, "open /", top);
    TRY(c, "take the rootfs", c->root = take(c, number));
    TRY(c, "make it a slave", sys_mount_setattr(c->root, 0, 0, 0, MS_SLAVE)); /* pivot_root wants it not shared */
    TRY(c, "make / private", sys_mount_setattr(top, 0, 0, 0, MS_PRIVATE));
    TRY(c, "move_mount", sys_move_mount(c->root, top));
    return 0;
}

int step_open_root(struct context *c, const struct step *step)
{
    FIELDS(open_root, step);
    int error = open_null(c);

    umask(0);
    proc_forget(c);
    if (error || f->taken.i >= 0)
        return error ? error : attach_root(c, f->taken.i);
    SCOPED_FD dir = open(f->path.s.bytes, O_PATH | O_DIRECTORY | O_CLOEXEC);
    TRY(c, "open", dir);
    /* The copy first: of a rootfs that is a shared mount itself it becomes a follower, which hears of the host's mounts
     * and is not heard. Only what is unbindable cannot be copied before it is private. */
    const unsigned copy = OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH;
    c->root = sys_open_tree(dir, "", copy);
    if (c->root >= 0)
        TRY(c, "make it a slave", sys_mount_setattr(c->root, 0, 0, 0, MS_SLAVE));
    if ((error = make_parent_private(c, dir)) != 0)
        return error;
    if (c->root < 0)
        TRY(c, "open_tree", c->root = sys_open_tree(dir, "", copy));
    TRY(c, "move_mount", sys_move_mount(c->root, dir));
    return 0;
}

/* The place of a mount. Nothing may be put on procfs, where it would lie to its readers, but for the few
 * files that the compiler let through. */
static int mount_target(struct context *c, const char *path, enum target_kind kind, int64_t flags)
{
    struct statfs fs;
    int target;

    if (flags & PLAN_MOUNT_PLAIN_TARGET) {
        target = root_open(c, path, O_PATH, RESOLVE_NO_SYMLINKS);
        if (target < 0 && errno == ENOENT)
            target = root_make(c, path, kind);
    } else {
        target = root_make(c, path, kind);
    }
    if (target < 0 || (flags & PLAN_MOUNT_ON_PROC))
        return target;
    if (fstatfs(target, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC) {
        snprintf(c->detail, sizeof c->detail, "it is inside /proc");
        close(target);
        errno = EPERM;
        return -1;
    }
    return target;
}

/* The kernel's own words about a refused filesystem option */
static void read_fs_log(struct context *c, int fs)
{
    size_t at = strlen(c->detail);
    char line[256];

    for (ssize_t got; (got = read(fs, line, sizeof line - 1)) > 0 && at + 4 < sizeof c->detail;) {
        line[got] = '\0';
        line[strcspn(line, "\n")] = '\0';
        const char *text = line[0] && line[1] == ' ' ? line + 2 : line; /* "e " for an error, "w ", "i " */
        int put = snprintf(c->detail + at, sizeof c->detail - at, "%s%s", at ? "; " : "", text);
        if (put < 0)
            return;
        at += (size_t)put < sizeof c->detail - at ? (size_t)put : sizeof c->detail - at;
    }
}

static int fail_fs(struct context *c, int fs, const char *doing, const char *what)
{
    int error = errno;
    c->doing = doing;
    snprintf(c->detail, sizeof c->detail, "%.200s", what);
    read_fs_log(c, fs);
    return -error;
}

static int set_option(struct context *c, int fs, const char *option)
{
    char key[128];
    size_t length = strcspn(option, "=");
    int set;

    if (length >= sizeof key) {
        errno = ENAMETOOLONG;
        return fail_fs(c, fs, "mount option", option);
    }
    memcpy(key, option, length);
    key[length] = '\0';
    if (option[length] == '=')
        set = sys_fsconfig(fs, FSCONFIG_SET_STRING, key, option + length + 1);
    else
        set = sys_fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL);
    return set < 0 ? fail_fs(c, fs, "mount option", option) : 0;
}

static int set_mode_of(struct context *c, int fs, int target)
{
    struct stat st;
    char mode[16];

    TRY(c, "look at the target", fstat(target, &st));
    snprintf(mode, sizeof mode, "%o", st.st_mode & 07777);
    TRY(c, "mount option mode", sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode));
    return 0;
}

static int make_filesystem(struct context *c, const struct fields_mount_new *f, int64_t flags, int target, int *mount)
{
    SCOPED_FD fs = sys_fsopen(f->type.s.bytes);
    int error;

    if (fs < 0) {
        snprintf(c->detail, sizeof c->detail, "%.100s", f->type.s.bytes);
        TRY(c, "open filesystem type", -1);
    }
    if (f->source.s.length && sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", f->source.s.bytes) < 0)
        return fail_fs(c, fs, "mount source", f->source.s.bytes);
    for (const char *o = list_first(&f->options.l); o; o = list_next(&f->options.l, o))
        if ((error = set_option(c, fs, o)) != 0)
            return error;
    if ((flags & PLAN_MOUNT_KEEP_MODE) && (error = set_mode_of(c, fs, target)) != 0)
        return error;
    if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return fail_fs(c, fs, "create filesystem", f->type.s.bytes);
    TRY(c, "fsmount", *mount = sys_fsmount(fs, (unsigned)f->set.i));
    return 0;
}

/* On the detached mount, so that nothing mounted meanwhile can appear where it should not */
static int spread(struct context *c, int mount, int64_t propagation, int64_t flags)
{
    unsigned deep = flags & PLAN_MOUNT_SPREAD_ALL ? AT_RECURSIVE : 0;
    if (propagation)
        TRY(c, "set propagation", sys_mount_setattr(mount, deep, 0, 0, (uint64_t)propagation));
    return 0;
}

/* A filesystem takes the mode of a directory that the image has, not of one that we make for it */
static int64_t mount_flags(struct context *c, const struct fields_mount_new *f)
{
    if (!(f->flags.i & PLAN_MOUNT_KEEP_MODE))
        return f->flags.i;
    SCOPED_FD there = root_open(c, f->destination.s.bytes, O_PATH, 0);
    return there >= 0 ? f->flags.i : f->flags.i & ~(int64_t)PLAN_MOUNT_KEEP_MODE;
}

int step_mount_new(struct context *c, const struct step *step)
{
    FIELDS(mount_new, step);
    struct stat st;
    int mount = -1;
    int64_t flags = mount_flags(c, f);
    SCOPED_FD target = mount_target(c, f->destination.s.bytes, TARGET_DIRECTORY, flags);

    if (target < 0)
        snprintf(c->detail, sizeof c->detail, "%.60s", f->type.s.bytes);
    TRY_NAMED(c, CALL_DESTINATION, "open destination", target);
    TRY(c, "look at the destination", fstat(target, &st));
    c->doing = "destination";
    if (!S_ISDIR(st.st_mode)) {
        c->call = CALL_DESTINATION;
        snprintf(c->detail, sizeof c->detail, "%.60s", f->type.s.bytes);
        return -ENOTDIR;
    }
    int error = make_filesystem(c, f, flags, target, &mount);
    SCOPED_FD made = mount;
    if (error || (error = spread(c, made, f->propagation.i, flags)) != 0)
        return error;
    if (flags & PLAN_MOUNT_COPY_UP)
        TRY(c, "copy up", copy_tree(target, made));
    TRY(c, "move_mount", sys_move_mount(made, target));
    return root_mounted(c, &f->destination.s, target, &made, flags & PLAN_MOUNT_HOLD);
}

/* The kernel calls a file on a directory, and a directory on a file, an invalid argument */
static int attach(struct context *c, int mount, int target, mode_t mode)
{
    struct stat st;

    if (sys_move_mount(mount, target) == 0)
        return 0;
    int error = errno;
    c->doing = "move_mount";
    if (error != EINVAL || fstat(target, &st) < 0 || S_ISDIR(st.st_mode) == S_ISDIR(mode))
        return -error;
    c->doing = S_ISDIR(mode) ? "a directory on a file" : "a file on a directory";
    return S_ISDIR(mode) ? -ENOTDIR : -EISDIR;
}

/* A detached copy of what is to be mounted; a source inside the root may lie in a mount that was made there before */
static int bind_source(struct context *c, const struct fields_mount_bind *f)
{
    unsigned how = OPEN_TREE_CLONE | (f->flags.i & PLAN_MOUNT_RECURSIVE ? AT_RECURSIVE : 0);

    if (f->taken.i >= 0)
        return take(c, f->taken.i);
    if (!(f->flags.i & PLAN_MOUNT_IN_ROOT))
        return sys_open_tree(AT_FDCWD, f->source.s.bytes, how);
    SCOPED_FD place = root_open(c, f->source.s.bytes, O_PATH, 0);
    return place < 0 ? -1 : sys_open_tree(place, "", how | AT_EMPTY_PATH);
}

int step_mount_bind(struct context *c, const struct step *step)
{
    FIELDS(mount_bind, step);
    struct stat st;
    SCOPED_FD source = bind_source(c, f);

    if (source < 0 && errno == ENOENT && (f->flags.i & PLAN_MOUNT_OPTIONAL))
        return 0;
    if (source < 0)
        snprintf(c->detail, sizeof c->detail, "%.900s", f->source.s.bytes);
    TRY(c, "open source", source);
    TRY(c, "look at the source", fstat(source, &st));
    if (f->recursive_set.i || f->recursive_clear.i)
        TRY_FLAGS(c, sys_mount_setattr(source, AT_RECURSIVE, (uint64_t)f->recursive_set.i,
                                       (uint64_t)f->recursive_clear.i, 0));
    if (f->set.i || f->clear.i)
        TRY_FLAGS(c, sys_mount_setattr(source, 0, (uint64_t)f->set.i, (uint64_t)f->clear.i, 0));
    int error = spread(c, source, f->propagation.i, f->flags.i);
    if (error)
        return error;
    SCOPED_FD target =
        mount_target(c, f->destination.s.bytes, S_ISDIR(st.st_mode) ? TARGET_DIRECTORY : TARGET_FILE, f->flags.i);
    TRY(c, "open destination", target);
    error = attach(c, source, target, st.st_mode);
    return error ? error : root_mounted(c, &f->destination.s, target, &source, f->flags.i & PLAN_MOUNT_HOLD);
}

int step_mount_change(struct context *c, const struct step *step)
{
    FIELDS(mount_change, step);
    SCOPED_FD target = root_open(c, f->destination.s.bytes, O_PATH, 0);

    TRY(c, "open destination", target);
    TRY_FLAGS(c, sys_mount_setattr(target, f->recursive.i ? AT_RECURSIVE : 0, (uint64_t)f->set.i, (uint64_t)f->clear.i,
                                   (uint64_t)f->propagation.i));
    return 0;
}

int step_make_directory(struct context *c, const struct step *step)
{
    FIELDS(make_directory, step);
    struct stat st;
    SCOPED_FD dir = root_make(c, f->path.s.bytes, TARGET_DIRECTORY);

    TRY_NAMED(c, CALL_MAKE, "mkdir", dir);
    TRY(c, "look at it", fstat(dir, &st));
    c->call = CALL_MAKE;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* What stands where a device shall be: the same device, or in the way */
static int check_node(struct context *c, int dir, const char *name, mode_t mode, dev_t device, struct stat *st)
{
    TRY(c, "look at what is there", fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW));
    c->doing = "another file is there";
    if ((st->st_mode & S_IFMT) != (mode & S_IFMT) || (!S_ISFIFO(mode) && st->st_rdev != device))
        return -EEXIST;
    return 0;
}

int step_make_node(struct context *c, const struct step *step)
{
    FIELDS(make_node, step);
    char name[NAME_MAX + 1];
    struct stat st;
    mode_t mode = (mode_t)f->mode.i;
    dev_t device = makedev((unsigned)f->major.i, (unsigned)f->minor.i);
    int dir = root_parent(c, f->path.s.bytes, name);

    TRY(c, "open directory", dir);
    int made = mknodat(dir, name, mode, device), error = errno;
    if (made < 0 && error != EEXIST) {
        errno = error;
        TRY(c, "mknod", made);
    }
    if ((error = check_node(c, dir, name, mode, device, &st)) != 0)
        return error;
    if (made < 0 && (f->flags.i & PLAN_NODE_KEEP))
        return 0;
    if (st.st_uid != (uid_t)f->uid.i || st.st_gid != (gid_t)f->gid.i)
        TRY(c, "chown", fchownat(dir, name, (uid_t)f->uid.i, (gid_t)f->gid.i, AT_SYMLINK_NOFOLLOW));
    return 0;
}

int step_make_link(struct context *c, const struct step *step)
{
    FIELDS(make_link, step);
    char name[NAME_MAX + 1];
    int dir = root_parent(c, f->path.s.bytes, name);

    TRY(c, "open directory", dir);
    c->doing = "symlink";
    if (symlinkat(f->target.s.bytes, dir, name) == 0)
        return 0;
    if (errno != EEXIST || !(f->flags.i & PLAN_LINK_REPLACE))
        return errno == EEXIST ? 0 : -errno;
    TRY(c, "unlink", unlinkat(dir, name, 0));
    TRY(c, "symlink", symlinkat(f->target.s.bytes, dir, name));
    return 0;
}

/* The master of a new pty, of a devpts that is proven to be one; the container's end is in *terminal */
static int open_terminal(struct context *c, int *terminal)
{
    struct stat st;
    struct statfs fs;
    int unlock = 0;
    SCOPED_FD master = root_open(c, "dev/pts/ptmx", O_RDWR | O_NOCTTY, RESOLVE_NO_SYMLINKS);

    TRY(c, "open /dev/pts/ptmx", master);
    TRY(c, "look at /dev/pts/ptmx", fstat(master, &st));
    TRY(c, "look at /dev/pts/ptmx", fstatfs(master, &fs));
    c->doing = "/dev/pts/ptmx is not the pty multiplexer of a devpts";
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || fs.f_type != DEVPTS_SUPER_MAGIC)
        return -ENODEV;
    TRY(c, "unlock the pty", ioctl(master, TIOCSPTLCK, &unlock));
    TRY(c, "open the pty", *terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    return keep_fd(&master);
}

static int bind_console(struct context *c, int terminal)
{
    SCOPED_FD clone = sys_open_tree(terminal, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    TRY(c, "clone the pty", clone);
    char name[NAME_MAX + 1];
    int dir = root_parent(c, "/dev/console", name);
    TRY(c, "open /dev", dir);
    int file = openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0)
        close(file);
    else if (errno != EEXIST)
        return -errno;
    SCOPED_FD target = sys_openat2(dir, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    TRY(c, "open /dev/console", target);
    TRY(c, "mount /dev/console", sys_move_mount(clone, target));
    return 0;
}

int step_console(struct context *c, const struct step *step)
{
    FIELDS(console, step);
    struct winsize size = { .ws_row = (unsigned short)f->rows.i, .ws_col = (unsigned short)f->columns.i };
    int terminal = -1;
    int error = 0;
    SCOPED_FD master = open_terminal(c, &terminal);
    SCOPED_FD tty = terminal;

    if (master < 0)
        return master;
    if (f->flags.i & PLAN_CONSOLE_DEVICE && (error = bind_console(c, tty)) != 0)
        return error;
    if (size.ws_row && size.ws_col)
        TRY(c, "set the window size", ioctl(tty, TIOCSWINSZ, &size));
    c->doing = "chown the pty";
    if (fchown(tty, (uid_t)f->uid.i, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL)
        return -errno;
    for (int n = 0; n < 3; n++)
        TRY(c, "make it a standard stream", dup2(tty, n));
    TRY(c, "make it the controlling terminal", ioctl(0, TIOCSCTTY, 0));
    c->doing = "send the pty"; /* last: its receiver may resize it at once, or close it, which hangs it up */
    error = report_send(c, REPORT_CONSOLE, 0, master);
    return error ? error : report_await(c, REPORT_GO); /* the program finds it as the runtime makes it ready */
}

static int settle_in_root(struct context *c)
{
    TRY(c, "chdir to /", chdir("/"));
    if (c->null >= 0)
        close(c->null);
    if (c->blank >= 0)
        close(c->blank);
    c->null = c->blank = -1;
    root_let_go(c);
    return 0;
}

/* No directory for the old root: it is mounted beneath the new one, and taken away. pivot_root(2), notes. */
int step_pivot_root(struct context *c, const struct step *step)
{
    (void)step;
    SCOPED_FD old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    TRY(c, "open /", old);
    TRY(c, "enter the rootfs", fchdir(c->root));
    TRY(c, "pivot_root", SYS(pivot_root, ".", "."));
    TRY(c, "enter the old root", fchdir(old));
    TRY(c, "separate the old root", sys_mount_setattr(old, AT_RECURSIVE, 0, 0, MS_SLAVE));
    TRY(c, "detach the old root", SYS(umount2, ".", MNT_DETACH));
    return settle_in_root(c);
}

/* An empty directory without room for anything: one filesystem for all masks of a container */
static int blank_directory(struct context *c, int *mount)
{
    if (c->blank >= 0) {
        TRY(c, "open_tree", *mount = sys_open_tree(c->blank, "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
        return 0;
    }
    SCOPED_FD fs = sys_fsopen("tmpfs");
    TRY(c, "fsopen tmpfs", fs);
    TRY(c, "fsconfig", sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_blocks", "1"));
    TRY(c, "fsconfig", sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1"));
    TRY(c, "fsconfig", sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "555"));
    TRY(c, "create tmpfs", sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL));
    TRY(c, "fsmount",
        c->blank = sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    TRY(c, "dup", *mount = fcntl(c->blank, F_DUPFD_CLOEXEC, 3));
    return 0;
}

/* A full procfs or sysfs left outside of a chroot could be reached; where it is locked to what it covers, cover it */
int step_unmount(struct context *c, const struct step *step)
{
    FIELDS(unmount, step);
    int blank = -1;

    c->doing = "umount";
    if (SYS(umount2, f->path.s.bytes, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return 0;
    if (errno != EINVAL && errno != EPERM)
        return -errno;
    SCOPED_FD target = open(f->path.s.bytes, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    TRY(c, "open", target);
    int error = blank_directory(c, &blank);
    SCOPED_FD cover = blank;
    if (error)
        return error;
    TRY(c, "cover it", sys_move_mount(cover, target));
    return 0;
}

int step_move_root(struct context *c, const struct step *step)
{
    (void)step;
    SCOPED_FD top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    TRY(c, "open /", top);
    TRY(c, "move the rootfs to /", sys_move_mount(c->root, top));
    TRY(c, "enter the rootfs", fchdir(c->root));
    TRY(c, "chroot", chroot("."));
    return settle_in_root(c);
}

int step_change_root(struct context *c, const struct step *step)
{
    (void)step;
    TRY(c, "enter the rootfs", fchdir(c->root));
    TRY(c, "chroot", chroot("."));
    return settle_in_root(c);
}

int step_root_propagation(struct context *c, const struct step *step)
{
    FIELDS(root_propagation, step);
    TRY_FLAGS(c, sys_mount_setattr(c->root, f->recursive.i ? AT_RECURSIVE : 0, 0, 0, (uint64_t)f->propagation.i));
    return 0;
}

int step_sysctl(struct context *c, const struct step *step)
{
    FIELDS(sysctl, step);
    return sysctl_write(c, f->path.s.bytes, f->value.s.bytes, f->value.s.length);
}

/* One place of a protected path: there, or absent, and then it needs no protection */
static int is_there(int target) { return target >= 0 ? 1 : errno == ENOENT || errno == ENOTDIR ? 0 : -errno; }

static int make_readonly(struct context *c, int target)
{
    SCOPED_FD clone = sys_open_tree(target, "", OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH);
    TRY(c, "open_tree", clone);
    TRY_FLAGS(c, sys_mount_setattr(clone, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0));
    TRY(c, "move_mount", sys_move_mount(clone, target));
    return 0;
}

static bool is_readonly(struct context *c, int target)
{
    struct statfs fs;
    (void)c;
    return fstatfs(target, &fs) == 0 && fs.f_flags & ST_RDONLY;
}

static int mask(struct context *c, int target)
{
    struct stat st;
    int cover = -1;

    TRY(c, "look at it", fstat(target, &st));
    if (S_ISDIR(st.st_mode)) {
        int error = blank_directory(c, &cover);
        if (error)
            return error;
    } else {
        TRY(c, "clone /dev/null", cover = sys_open_tree(c->null, "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
    }
    SCOPED_FD mount = cover;
    TRY(c, "move_mount", sys_move_mount(mount, target));
    return 0;
}

static bool is_masked(struct context *c, int target)
{
    struct stat st, blank;

    if (fstat(target, &st) < 0)
        return false;
    if (!S_ISDIR(st.st_mode))
        return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
    return c->blank >= 0 && fstat(c->blank, &blank) == 0 && st.st_dev == blank.st_dev && st.st_ino == blank.st_ino;
}

typedef int protection(struct context *c, int target);
typedef bool protected(struct context *c, int target);

/* In the mount that this plan made. Where a hook may have covered that mount, also what the name leads to by now. */
static int protect(struct context *c, const char *path, int64_t flags, protection *how, protected *done)
{
    SCOPED_FD target = root_open(c, path, O_PATH, 0);
    int there = is_there(target);

    c->doing = "open";
    if (there < 0 || (there > 0 && (there = how(c, target)) < 0))
        return there;
    if (!(flags & PLAN_PROTECT_NAMED) || !root_holds(c, path))
        return 0;
    SCOPED_FD named = root_open_named(c, path, O_PATH, 0);
    there = is_there(named);
    c->doing = "open by name";
    if (there <= 0)
        return there;
    return done(c, named) ? 0 : how(c, named);
}

int step_readonly_path(struct context *c, const struct step *step)
{
    FIELDS(readonly_path, step);
    return protect(c, f->path.s.bytes, f->flags.i, make_readonly, is_readonly);
}

int step_mask_path(struct context *c, const struct step *step)
{
    FIELDS(mask_path, step);
    return protect(c, f->path.s.bytes, f->flags.i, mask, is_masked);
}
