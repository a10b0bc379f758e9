/* floor.c: what the kernel alone takes for the container of the `spec` bundle: its namespaces, mounts, devices, masks and
 * pivot, then the program, with no runtime around them: no config is read, nothing is checked, remembered or limited. It
 * walks paths without care and must not be used on a rootfs that somebody else made.
 * Usage: floor ROOTFS PROGRAM; exits with the program's status. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP2_MAGIC 0x63677270

static void try(const char *what, int result)
{
    if (result >= 0)
        return;
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    _exit(1);
}

struct entry {
    const char *target, *type, *options;
    unsigned long flags;
};

static const struct entry mounts[] = {
    { "proc", "proc", NULL, 0 },
    { "dev", "tmpfs", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME },
    { "dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC },
    { "dev/shm", "tmpfs", "mode=1777,size=65536k", MS_NOSUID | MS_NOEXEC | MS_NODEV },
    { "dev/mqueue", "mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV },
    { "sys", "sysfs", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY },
};

static void mount_all(void)
{
    for (size_t n = 0; n < sizeof mounts / sizeof *mounts; n++) {
        mkdir(mounts[n].target, 0755);
        try(mounts[n].target,
            mount(mounts[n].type, mounts[n].target, mounts[n].type, mounts[n].flags, mounts[n].options));
    }
}

/* cgroup v1 has a mount for each controller */
static void mount_cgroups(void)
{
    const unsigned long flags = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    struct statfs host;
    struct dirent *entry;
    char from[320], to[320];

    if (statfs("/sys/fs/cgroup", &host) == 0 && host.f_type == CGROUP2_MAGIC) {
        try("cgroup2", mount("cgroup", "sys/fs/cgroup", "cgroup2", flags | MS_RDONLY, NULL));
        return;
    }
    try("cgroup", mount("cgroup", "sys/fs/cgroup", "tmpfs", flags, "mode=755"));
    DIR *list = opendir("/sys/fs/cgroup");
    while (list && (entry = readdir(list))) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        snprintf(from, sizeof from, "/sys/fs/cgroup/%s", entry->d_name);
        snprintf(to, sizeof to, "sys/fs/cgroup/%s", entry->d_name);
        try(to, mkdir(to, 0755));
        try(to, mount(from, to, NULL, MS_BIND, NULL));
        try(to, mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL));
    }
    if (list)
        closedir(list);
    try("cgroup", mount(NULL, "sys/fs/cgroup", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL));
}

static void make_devices(void)
{
    /* clang-format off */
    static const struct { const char *path; unsigned major, minor; } nodes[] = {
        { "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 },
        { "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
    };
    /* clang-format on */
    static const char *const links[][2] = {
        { "pts/ptmx", "dev/ptmx" },          { "/proc/self/fd", "dev/fd" },       { "/proc/self/fd/0", "dev/stdin" },
        { "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" },
    };

    for (size_t n = 0; n < sizeof nodes / sizeof *nodes; n++) {
        try(nodes[n].path, mknod(nodes[n].path, S_IFCHR | 0666, makedev(nodes[n].major, nodes[n].minor)));
        try(nodes[n].path, chmod(nodes[n].path, 0666));
    }
    for (size_t n = 0; n < sizeof links / sizeof *links; n++)
        try(links[n][1], symlink(links[n][0], links[n][1]));
}

static void protect(void)
{
    static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };
    static const char *const masked[] = { "proc/acpi",        "proc/asound",        "proc/kcore",
                                          "proc/keys",        "proc/latency_stats", "proc/timer_list",
                                          "proc/timer_stats", "proc/sched_debug",   "sys/firmware",
                                          "proc/scsi" };
    struct stat found;

    for (size_t n = 0; n < sizeof read_only / sizeof *read_only; n++)
        if (mount(read_only[n], read_only[n], NULL, MS_BIND | MS_REC, NULL) == 0)
            try(read_only[n], mount(NULL, read_only[n], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
    for (size_t n = 0; n < sizeof masked / sizeof *masked; n++) {
        if (stat(masked[n], &found) < 0)
            continue;
        if (S_ISDIR(found.st_mode))
            try(masked[n], mount("tmpfs", masked[n], "tmpfs", MS_RDONLY, NULL));
        else
            try(masked[n], mount("/dev/null", masked[n], NULL, MS_BIND, NULL));
    }
}

static _Noreturn void contain(const char *rootfs, char *program)
{
    char *argv[] = { program, NULL }, *env[] = { "PATH=/bin", NULL };

    try("setsid", setsid());
    try("private mounts", mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL));
    try("rootfs", mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL));
    try("rootfs", chdir(rootfs));
    mount_all();
    mount_cgroups();
    make_devices();
    try("hostname", sethostname("floor", 5));
    protect();
    try("read-only rootfs", mount(NULL, rootfs, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
    try("pivot_root", (int)syscall(SYS_pivot_root, ".", "."));
    try("unmount the host", umount2(".", MNT_DETACH));
    try("chdir", chdir("/"));
    execve(program, argv, env);
    try(program, -1);
    _exit(1);
}

int main(int argc, char **argv)
{
    struct clone_args args = {
        .flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS,
        .exit_signal = SIGCHLD,
    };
    int status;

    if (argc != 3)
        return 64;
    long pid = syscall(SYS_clone3, &args, sizeof args);
    try("new namespaces", (int)pid);
    if (pid == 0)
        contain(argv[1], argv[2]);
    if (waitpid((pid_t)pid, &status, 0) < 0)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
