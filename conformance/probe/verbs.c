/* What the probe can try. Each verb appends one object: what was tried, result (0 or a count), errno by number. */
#define _GNU_SOURCE
#include "json.h"
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void outcome(const char *verb, const char *operand, long result)
{
    int error = result < 0 ? errno : 0;

    json_text("verb", verb);
    json_text("operand", operand);
    json_number("result", result);
    json_number("errno", error);
}

/* stat:PATH    the file itself, its link target, and the filesystem it is on */
static void do_stat(const char *path)
{
    struct stat st;
    struct statfs fs;
    char target[4096];
    ssize_t length;

    outcome("stat", path, lstat(path, &st));
    if (lstat(path, &st))
        return;
    json_unsigned("mode", st.st_mode);
    json_unsigned("major", major(st.st_rdev));
    json_unsigned("minor", minor(st.st_rdev));
    json_unsigned("uid", st.st_uid);
    json_unsigned("gid", st.st_gid);
    json_unsigned("dev", st.st_dev);
    json_unsigned("ino", st.st_ino);
    json_unsigned("size", st.st_size);
    length = readlink(path, target, sizeof target);
    if (length >= 0)
        json_bytes("link", target, length);
    if (!stat(path, &st)) {
        json_unsigned("target_mode", st.st_mode);
        json_unsigned("target_major", major(st.st_rdev));
        json_unsigned("target_minor", minor(st.st_rdev));
        json_unsigned("target_dev", st.st_dev);
        json_unsigned("target_ino", st.st_ino);
    }
    if (!statfs(path, &fs)) {
        json_unsigned("fs_type", (unsigned long)fs.f_type);
        json_unsigned("fs_blocks_bytes", (unsigned long long)fs.f_blocks * fs.f_bsize);
        json_unsigned("fs_files", fs.f_files);
        json_unsigned("fs_flags", fs.f_flags);
    }
}

static void do_read(const char *path)
{
    long length = -1;
    char *text = read_whole(path, &length);

    outcome("read", path, text ? length : -1);
    if (text) {
        json_bytes("text", text, length > 4096 ? 4096 : length);
        free(text);
    }
}

/* write:PATH=TEXT    creates or appends */
static void do_write(char *operand)
{
    char *text = strchr(operand, '=');
    int fd;
    long result = -1;

    if (text)
        *text++ = 0;
    else
        text = "x";
    fd = open(operand, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0)
        result = write(fd, text, strlen(text));
    outcome("write", operand, result);
    if (fd >= 0)
        close(fd);
}

/* open:FLAGS:PATH    FLAGS of r, w */
static void do_open(char *operand)
{
    char *path = strchr(operand, ':');
    int flags, fd;

    *path++ = 0;
    flags = strchr(operand, 'w') ? (strchr(operand, 'r') ? O_RDWR : O_WRONLY) : O_RDONLY;
    fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
    outcome("open", path, fd < 0 ? -1 : 0);
    json_text("access", operand);
    if (fd >= 0)
        close(fd);
}

static void do_list(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    outcome("list", path, dir ? 0 : -1);
    if (!dir)
        return;
    json_open("names", '[');
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            json_text(NULL, entry->d_name);
    json_close(']');
    closedir(dir);
}

/* mknod:PATH:TYPE:MAJOR:MINOR */
static void do_mknod(char *operand)
{
    char path[256], type;
    unsigned ma, mi;

    if (sscanf(operand, "%255[^:]:%c:%u:%u", path, &type, &ma, &mi) != 4) {
        errno = EINVAL;
        outcome("mknod", operand, -1);
        return;
    }
    outcome("mknod", operand, mknod(path, (type == 'b' ? S_IFBLK : S_IFCHR) | 0666, makedev(ma, mi)));
    unlink(path);
}

/* mount:SOURCE:TARGET:KIND    KIND is bind or a filesystem type */
static void do_mount(char *operand)
{
    char source[256], target[256], kind[64];

    if (sscanf(operand, "%255[^:]:%255[^:]:%63s", source, target, kind) != 3) {
        errno = EINVAL;
        outcome("mount", operand, -1);
        return;
    }
    if (!strcmp(kind, "bind"))
        outcome("mount", operand, mount(source, target, NULL, MS_BIND, NULL));
    else
        outcome("mount", operand, mount(source, target, kind, 0, NULL));
}

/* exec:PATH    can it be executed, and as whom does it run? (a child: only its status comes back) */
static void do_exec(char *path)
{
    char *args[] = { path, "exit:7", NULL };
    int status = 0;
    pid_t child = fork();

    if (!child) {
        int null = open("/dev/null", O_WRONLY);
        if (null >= 0)
            dup2(null, 1);
        execve(path, args, environ);
        _exit(errno);
    }
    waitpid(child, &status, 0);
    outcome("exec", path, 0);
    json_number("status", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* euid:PATH    the effective uid of the program at PATH (a setuid copy of the probe) */
static void do_euid(char *path)
{
    char *args[] = { path, "my-euid", NULL };
    int status = 0, ends[2];
    char text[32] = "";
    pid_t child;

    if (pipe(ends)) {
        outcome("euid", path, -1);
        return;
    }
    child = fork();
    if (!child) {
        dup2(ends[1], 1);
        execve(path, args, environ);
        _exit(93);
    }
    close(ends[1]);
    if (read(ends[0], text, sizeof text - 1) < 0)
        text[0] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    outcome("euid", path, strtol(text, NULL, 10));
    json_number("status", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

struct call {
    long number;
    long args[6];
    long result;
    int error;
};

static long number_of(const char *name)
{
    /* clang-format off */
    static const struct { const char *name; long number; } table[] = {
        {"getpid", SYS_getpid}, {"getppid", SYS_getppid}, {"getuid", SYS_getuid}, {"getgid", SYS_getgid},
        {"geteuid", SYS_geteuid}, {"getegid", SYS_getegid}, {"gettid", SYS_gettid}, {"getcwd", SYS_getcwd},
        {"sync", SYS_sync}, {"sched_yield", SYS_sched_yield}, {"sysinfo", SYS_sysinfo}, {"umask", SYS_umask},
        {"getpriority", SYS_getpriority}, {"setpriority", SYS_setpriority}, {"personality", SYS_personality},
        {"sethostname", SYS_sethostname}, {"socket", SYS_socket}, {"fchmod", SYS_fchmod}, {"dup", SYS_dup},
        {"lseek", SYS_lseek}, {"prctl", SYS_prctl}, {"unshare", SYS_unshare}, {"keyctl", SYS_keyctl},
        {"mkdirat", SYS_mkdirat}, {"fchdir", SYS_fchdir}, {"getsid", SYS_getsid}, {"getpgid", SYS_getpgid}};
    /* clang-format on */

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].number;
    return -1;
}

static void *make_call(void *argument)
{
    struct call *call = argument;

    errno = 0;
    call->result =
        syscall(call->number, call->args[0], call->args[1], call->args[2], call->args[3], call->args[4], call->args[5]);
    call->error = errno;
    return NULL;
}

static void parse_call(char *operand, struct call *call, char *name, size_t room)
{
    char *part = strtok(operand, ":");

    snprintf(name, room, "%s", part);
    call->number = number_of(name);
    for (int i = 0; i < 6 && (part = strtok(NULL, ":")); i++)
        call->args[i] = strtoull(part, NULL, 0);
}

/*
 * syscall:NAME[:ARG...]  in a child, so that a kill is an answer and not the end
 * thread:NAME[:ARG...]   in a thread of the child: does the kill take the thread or the whole process?
 */
static void do_syscall(const char *verb, char *operand)
{
    struct call *call = mmap(NULL, sizeof *call, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char whole[256], name[64];
    int status = 0;
    pid_t child;

    snprintf(whole, sizeof whole, "%s", operand);
    memset(call, 0, sizeof *call);
    parse_call(operand, call, name, sizeof name);
    if (call->number < 0) {
        errno = ENOTSUP;
        outcome(verb, whole, -1);
        json_flag("unknown", 1);
        return;
    }
    call->error = -1;
    child = fork();
    if (!child) {
        if (!strcmp(verb, "thread")) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, make_call, call))
                _exit(94);
            /* a killed thread cannot be joined by the library: wait until it is no longer there */
            for (;;) {
                char path[64];
                int gone = 1;
                DIR *dir;
                struct dirent *entry;
                snprintf(path, sizeof path, "/proc/self/task");
                dir = opendir(path);
                while (dir && (entry = readdir(dir)))
                    if (entry->d_name[0] != '.' && atoi(entry->d_name) != getpid())
                        gone = 0;
                if (dir)
                    closedir(dir);
                if (gone)
                    _exit(dir ? 0 : 95);
                sched_yield();
            }
        }
        make_call(call);
        _exit(0);
    }
    waitpid(child, &status, 0);
    json_text("verb", verb);
    json_text("operand", whole);
    json_number("result", call->result);
    json_number("errno", call->error);
    json_number("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    json_number("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    munmap(call, sizeof *call);
}

#ifdef __x86_64__
static void getppid_of_32_bits(void)
{
    long value;

    __asm__ volatile("int $0x80" : "=a"(value) : "a"(64L) : "memory", "r8", "r9", "r10", "r11");
    _exit(value < 0 ? (int)-value : 0);
}
#elif defined(__aarch64__)
/* A program for 32-bit arm: arm64 has no other way to its calls. */
/* clang-format off */
static const uint32_t program[] = {
    0x464c457f, 0x00010101, 0, 0, 40 << 16 | 2, 1, 0x400054, 52, 0, 0x05000000, 32 << 16 | 52, 40 << 16 | 1, 0, /* ELF */
    1, 0, 0x400000, 0x400000, 116, 116, 5, 0x10000, /* all of it is loaded */
    0xe3a07040, 0xef000000, /* r7 = 64, getppid */
    0xe3500000, 0xa3a00000, 0xb2600000, /* r0 = r0 < 0 ? -r0 : 0 */
    0xe3a07001, 0xef000000, 0xeafffffe, /* r7 = 1, exit */
};
/* clang-format on */

static void getppid_of_32_bits(void)
{
    int fd = memfd_create("probe32", MFD_CLOEXEC);

    if (fd < 0 || write(fd, program, sizeof program) != sizeof program)
        _exit(errno);
    fexecve(fd, (char *[]){ "probe32", NULL }, environ);
    _exit(errno);
}
#else
static void getppid_of_32_bits(void) { _exit(ENOSYS); }
#endif

/* entry32:  getppid by the entry of 32 bits: seen by the filter as another architecture */
static void do_entry32(void)
{
    int status = 0;
    pid_t child = fork();

    if (!child)
        getppid_of_32_bits();
    waitpid(child, &status, 0);
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    outcome("entry32", "getppid", errno ? -1 : 0);
    json_number("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* wait-signals:N  tells that it is ready, then names the next N signals it gets (SIGKILL ends it as ever) */
static void do_wait_signals(const char *operand)
{
    int wanted = atoi(operand);
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (write(1, "{\"ready\":true}\n", 15) != 15)
        _exit(96);
    json_text("verb", "wait-signals");
    json_open("signals", '[');
    while (wanted > 0) {
        int sig;
        /* SIGURG: runtimes written in Go send it to themselves, and some pass it on */
        if (!sigwait(&all, &sig) && sig != SIGCHLD && sig != SIGCONT && sig != SIGURG) {
            json_number(NULL, sig);
            wanted--;
        }
    }
    json_close(']');
}

/* pause: tells that it is ready, then waits to be killed; children: N children do so as well */
static void do_pause(const char *operand)
{
    for (int i = atoi(operand); i > 0; i--)
        if (!fork()) {
            for (;;)
                pause();
        }
    if (write(1, "{\"ready\":true}\n", 15) != 15)
        _exit(96);
    for (;;)
        pause();
}

/* orphan: leaves a child behind that ignores SIGHUP and SIGTERM */
static void do_orphan(void)
{
    pid_t child = fork();

    if (!child) {
        signal(SIGHUP, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        setsid();
        for (;;)
            pause();
    }
    outcome("orphan", "", child);
}

/* until:PATH  waits until PATH exists, by looking at it */
static void do_until(const char *path)
{
    struct timespec moment = { 0, 5000000 };

    while (access(path, F_OK))
        nanosleep(&moment, NULL);
    outcome("until", path, 0);
}

int try_verb(char *text)
{
    char *operand = strchr(text, ':');
    char verb[32];

    snprintf(verb, sizeof verb, "%.*s", operand ? (int)(operand - text) : (int)strlen(text), text);
    operand = strdup(operand ? operand + 1 : "");
    if (!strcmp(verb, "my-euid")) {
        printf("%u\n", geteuid());
        fflush(stdout);
        _exit(0);
    }
    json_open(NULL, '{');
    if (!strcmp(verb, "stat"))
        do_stat(operand);
    else if (!strcmp(verb, "read"))
        do_read(operand);
    else if (!strcmp(verb, "write"))
        do_write(operand);
    else if (!strcmp(verb, "open"))
        do_open(operand);
    else if (!strcmp(verb, "list"))
        do_list(operand);
    else if (!strcmp(verb, "mkdir"))
        outcome(verb, operand, mkdir(operand, 0755));
    else if (!strcmp(verb, "unlink"))
        outcome(verb, operand, unlink(operand));
    else if (!strcmp(verb, "chown"))
        outcome(verb, operand, chown(operand, 12, 34));
    else if (!strcmp(verb, "mknod"))
        do_mknod(operand);
    else if (!strcmp(verb, "mount"))
        do_mount(operand);
    else if (!strcmp(verb, "exec"))
        do_exec(operand);
    else if (!strcmp(verb, "euid"))
        do_euid(operand);
    else if (!strcmp(verb, "syscall") || !strcmp(verb, "thread"))
        do_syscall(verb, operand);
    else if (!strcmp(verb, "entry32"))
        do_entry32();
    else if (!strcmp(verb, "wait-signals"))
        do_wait_signals(operand);
    else if (!strcmp(verb, "pause"))
        do_pause(operand);
    else if (!strcmp(verb, "orphan"))
        do_orphan();
    else if (!strcmp(verb, "until"))
        do_until(operand);
    else if (!strcmp(verb, "raise"))
        raise(atoi(operand));
    else
        return 0;
    json_close('}');
    free(operand);
    return 1;
}
