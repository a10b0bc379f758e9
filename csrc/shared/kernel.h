/* kernel.h: the kernel's interfaces that C libraries have no names for, or have them only in newer versions. */
#ifndef PYOCI_KERNEL_H
#define PYOCI_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* younger than the oldest headers we build with */
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EACCESS
#define AT_EACCESS 0x200
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef SCHED_FLAG_DL_OVERRUN
#define SCHED_FLAG_DL_OVERRUN 0x04
#endif
#ifndef SCHED_ISO
#define SCHED_ISO 4
#endif
#ifndef PROC_SUPER_MAGIC
#define PROC_SUPER_MAGIC 0x9fa0
#endif
#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif
#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef MNT_DETACH /* sys/mount.h cannot be included beside linux/mount.h */
#define MNT_DETACH 2
#define UMOUNT_NOFOLLOW 8
#endif

#define SYS(name, ...) ((int)syscall(SYS_##name, __VA_ARGS__))

static inline int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve };
    int fd;
    /* EAGAIN: somebody renamed something on the way; a bounded number of new tries */
    for (int tries = 0; tries < 64; tries++) {
        fd = SYS(openat2, dir, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd;
}

static inline int sys_open_tree(int dir, const char *path, unsigned flags)
{
    return SYS(open_tree, dir, path, flags | OPEN_TREE_CLOEXEC);
}

static inline int sys_move_mount(int from, int to)
{
    return SYS(move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_mount_setattr(int fd, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation)
{
    struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };
    return SYS(mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attr, sizeof attr);
}

static inline int sys_fsopen(const char *type) { return SYS(fsopen, type, FSOPEN_CLOEXEC); }

static inline int sys_fsconfig(int fd, unsigned command, const char *key, const char *value)
{
    return SYS(fsconfig, fd, command, key, value, 0);
}

static inline int sys_fsmount(int fd, unsigned attributes) { return SYS(fsmount, fd, FSMOUNT_CLOEXEC, attributes); }

static inline int sys_pidfd_open(pid_t pid) { return SYS(pidfd_open, pid, 0); }

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    return SYS(close_range, first, last, flags);
}

#endif
