/* What a process can say about itself, mostly without any filesystem. */
#define _GNU_SOURCE
#include "probe.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

char *read_whole(const char *path, long *length)
{
    size_t room = 65536, used = 0;
    char *text;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return NULL;
    text = malloc(room + 1);
    for (;;) {
        ssize_t got = read(fd, text + used, room - used);
        if (got < 0) {
            int saved = errno;
            free(text);
            close(fd);
            errno = saved;
            return NULL;
        }
        if (got == 0)
            break;
        used += got;
        if (used == room)
            text = realloc(text, (room *= 2) + 1);
    }
    close(fd);
    text[used] = 0;
    *length = used;
    return text;
}

static void file_member(const char *key, const char *path)
{
    long length;
    char *text = read_whole(path, &length);

    if (!text) {
        json_null(key);
        return;
    }
    json_bytes(key, text, length);
    free(text);
}

static void strings(const char *key, char **list)
{
    json_open(key, '[');
    for (; *list; list++)
        json_text(NULL, *list);
    json_close(']');
}

static void identity(void)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid, groups[1024];
    int count;
    mode_t mask;

    getresuid(&ruid, &euid, &suid);
    getresgid(&rgid, &egid, &sgid);
    json_open("uids", '[');
    json_unsigned(NULL, ruid);
    json_unsigned(NULL, euid);
    json_unsigned(NULL, suid);
    json_close(']');
    json_open("gids", '[');
    json_unsigned(NULL, rgid);
    json_unsigned(NULL, egid);
    json_unsigned(NULL, sgid);
    json_close(']');
    json_open("groups", '[');
    count = getgroups(1024, groups);
    for (int i = 0; i < count; i++)
        json_unsigned(NULL, groups[i]);
    json_close(']');
    mask = umask(0);
    umask(mask);
    json_number("umask", mask);
}

static void capability_set(const char *key, unsigned long long bits)
{
    json_open(key, '[');
    for (int cap = 0; cap < 64; cap++)
        if (bits >> cap & 1)
            json_number(NULL, cap);
    json_close(']');
}

static void capabilities(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2] = { { 0 } };
    unsigned long long bounding = 0, ambient = 0;

    syscall(SYS_capget, &header, data);
    for (int cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            bounding |= 1ULL << cap;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
            ambient |= 1ULL << cap;
    }
    json_open("capabilities", '{');
    capability_set("effective", data[0].effective | (unsigned long long)data[1].effective << 32);
    capability_set("permitted", data[0].permitted | (unsigned long long)data[1].permitted << 32);
    capability_set("inheritable", data[0].inheritable | (unsigned long long)data[1].inheritable << 32);
    capability_set("bounding", bounding);
    capability_set("ambient", ambient);
    json_close('}');
    json_number("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    json_number("seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
}

static void limits(void)
{
    json_open("rlimits", '{');
    for (int resource = 0; resource < 16; resource++) {
        struct rlimit limit;
        char key[8];
        if (getrlimit(resource, &limit))
            continue;
        snprintf(key, sizeof key, "%d", resource);
        json_open(key, '[');
        json_unsigned(NULL, limit.rlim_cur);
        json_unsigned(NULL, limit.rlim_max);
        json_close(']');
    }
    json_close('}');
}

static void scheduling(void)
{
    struct {
        unsigned size, policy;
        unsigned long long flags;
        int nice;
        unsigned priority;
        unsigned long long runtime, deadline, period;
        unsigned util_min, util_max;
    } attr = { 0 };
    cpu_set_t cpus;
    int mode = -1;
    unsigned long nodes[16] = { 0 };

    if (!syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0)) {
        json_open("scheduler", '{');
        json_unsigned("policy", attr.policy);
        json_unsigned("flags", attr.flags);
        json_number("nice", attr.nice);
        json_unsigned("priority", attr.priority);
        json_unsigned("runtime", attr.runtime);
        json_unsigned("deadline", attr.deadline);
        json_unsigned("period", attr.period);
        json_close('}');
    }
    json_number("ioprio", syscall(SYS_ioprio_get, 1, 0));
    json_open("affinity", '[');
    if (!sched_getaffinity(0, sizeof cpus, &cpus))
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &cpus))
                json_number(NULL, cpu);
    json_close(']');
    if (!syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, 0, 0)) {
        json_open("mempolicy", '{');
        json_number("mode", mode);
        json_unsigned("nodes", nodes[0]);
        json_close('}');
    }
    json_number("personality", personality(0xffffffff));
}

static void descriptors(void)
{
    json_open("fds", '{');
    for (int fd = 0; fd < 1024; fd++) {
        char key[16], path[48], target[4096];
        struct stat st;
        ssize_t length;
        if (fstat(fd, &st))
            continue;
        snprintf(key, sizeof key, "%d", fd);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        length = readlink(path, target, sizeof target);
        json_open(key, '{');
        json_unsigned("dev", st.st_dev);
        json_unsigned("ino", st.st_ino);
        json_unsigned("mode", st.st_mode);
        if (length >= 0)
            json_bytes("link", target, length);
        json_close('}');
    }
    json_close('}');
}

static void terminal(void)
{
    struct winsize size = { 0 };
    pid_t session = -1;
    char name[256];

    json_open("terminal", '{');
    json_open("isatty", '[');
    for (int fd = 0; fd < 3; fd++)
        json_flag(NULL, isatty(fd));
    json_close(']');
    if (!ioctl(0, TIOCGWINSZ, &size)) {
        json_number("rows", size.ws_row);
        json_number("columns", size.ws_col);
    }
    if (!ioctl(0, TIOCGSID, &session))
        json_number("session", session);
    if (!ttyname_r(0, name, sizeof name))
        json_text("name", name);
    json_close('}');
    json_number("pid", getpid());
    json_number("ppid", getppid());
    json_number("sid", getsid(0));
    json_number("pgid", getpgrp());
}

static void signals(void)
{
    sigset_t blocked;

    json_open("signals_blocked", '[');
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int sig = 1; sig < 65; sig++)
        if (sigismember(&blocked, sig) == 1)
            json_number(NULL, sig);
    json_close(']');
    json_open("signals_ignored", '[');
    for (int sig = 1; sig < 65; sig++) {
        struct sigaction action;
        if (!sigaction(sig, NULL, &action) && action.sa_handler == SIG_IGN)
            json_number(NULL, sig);
    }
    json_close(']');
}

static void host(void)
{
    struct utsname uts;
    struct timespec now;
    char cwd[4096];
    static const struct {
        const char *key;
        clockid_t clock;
    } clocks[] = { { "monotonic", CLOCK_MONOTONIC }, { "boottime", CLOCK_BOOTTIME }, { "realtime", CLOCK_REALTIME } };

    uname(&uts);
    json_text("hostname", uts.nodename);
    json_text("domainname", uts.domainname);
    json_text("machine", uts.machine);
    /* the system call tells of a directory outside of the root, which the library hides */
    if (syscall(SYS_getcwd, cwd, sizeof cwd) > 0)
        json_text("cwd", cwd);
    else
        json_null("cwd");
    json_open("clocks", '{');
    for (int i = 0; i < 3; i++) {
        clock_gettime(clocks[i].clock, &now);
        json_number(clocks[i].key, now.tv_sec * 1000000000LL + now.tv_nsec);
    }
    json_close('}');
}

static void namespaces(void)
{
    static const char *const names[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };

    json_open("namespaces", '{');
    for (int i = 0; i < 8; i++) {
        char path[64], target[64];
        ssize_t length;
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        length = readlink(path, target, sizeof target);
        if (length > 0)
            json_bytes(names[i], target, length);
    }
    json_close('}');
}

static void interfaces(void)
{
    struct if_nameindex *all = if_nameindex();
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    json_open("interfaces", '{');
    for (struct if_nameindex *one = all; one && one->if_index; one++) {
        struct ifreq request = { 0 };
        snprintf(request.ifr_name, sizeof request.ifr_name, "%s", one->if_name);
        if (!ioctl(sock, SIOCGIFFLAGS, &request))
            json_number(one->if_name, (unsigned short)request.ifr_flags);
    }
    json_close('}');
    if (all)
        if_freenameindex(all);
    if (sock >= 0)
        close(sock);
}

void report_self(int argc, char **argv, char **envp)
{
    (void)argc;
    descriptors();   /* first: the rest opens some of its own */
    strings("args", argv);
    strings("env", envp);
    identity();
    capabilities();
    limits();
    scheduling();
    terminal();
    signals();
    host();
    namespaces();
    interfaces();
    file_member("mountinfo", "/proc/self/mountinfo");
    file_member("cgroup", "/proc/self/cgroup");
    file_member("uid_map", "/proc/self/uid_map");
    file_member("gid_map", "/proc/self/gid_map");
    file_member("setgroups", "/proc/self/setgroups");
    file_member("oom_score_adj", "/proc/self/oom_score_adj");
    file_member("lsm_label", "/proc/self/attr/current");
}
