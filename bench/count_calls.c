/* count_calls.c: stands in for those functions of csrc/shim/shim.c whose system calls valgrind does not know: clone3 with a
 * child that shares memory, pidfd_open and pidfd_send_signal. The same init is started in the same namespaces by clone(2);
 * what callgrind counts besides stays as it is. Valgrind calls a function of such a name in the place of the one that the
 * name's end says, whatever file that is in. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/shared.h"
#include "shim/shim.h"

#define INSTEAD(name) _vgr00000ZU_Za_##name

int INSTEAD(shim_spawn)(int executable, int plan, int report, int extra, int base, unsigned long long flags, int cgroup,
                        const int *files, size_t count, int *pidfd);
int INSTEAD(shim_pidfd_open)(int pid);
int INSTEAD(shim_pidfd_signal)(int pidfd, int signal);

enum { MOST = 96 };
static pid_t opened; /* the process of the last pidfd */

static int lift(int fd) { return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, MOST); }

/* As in csrc/shim/shim.c: descriptors from base on are report, plan and extra; the others close */
static void become_init(int executable, int plan, int report, int extra, int base)
{
    char number[16], self[64], *argv[] = { "pyoci:[init]", number, NULL }, *env[] = { NULL };
    int lifted[] = { lift(report), lift(plan), lift(extra) };

    snprintf(self, sizeof self, "/proc/self/fd/%d", lift(executable));
    for (int fd = base; fd < MOST; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (int n = 0; n < 3; n++)
        if (lifted[n] >= 0)
            dup2(lifted[n], base + n);
    snprintf(number, sizeof number, "%d", base);
    execve(self, argv, env);
    _exit(127);
}

int INSTEAD(shim_spawn)(int executable, int plan, int report, int extra, int base, unsigned long long flags, int cgroup,
                        const int *files, size_t count, int *pidfd)
{
    (void)cgroup;
    (void)files;
    (void)count;
    *pidfd = -1;
    long pid = syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, 0);
    if (pid == 0)
        become_init(executable, plan, report, extra, base);
    opened = (pid_t)pid;
    return pid < 0 ? -errno : (int)pid;
}

/* A program that valgrind lets alone opens it: init is to join namespaces by it, and wants a real one */
int INSTEAD(shim_pidfd_open)(int pid)
{
    int ends[2], pidfd = -1;
    char number[16], byte;

    opened = pid;
    snprintf(number, sizeof number, "%d", pid);
    if (kill(pid, 0) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0) {
        if (dup2(ends[1], STDIN_FILENO) == STDIN_FILENO)
            execl(OPEN_PIDFD, OPEN_PIDFD, number, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    if (child > 0) {
        receive_packet(ends[0], &byte, 1, &pidfd, 1); /* -1 when none comes */
        waitpid(child, NULL, 0);
    }
    close(ends[0]);
    return pidfd < 0 ? -ESRCH : pidfd;
}

int INSTEAD(shim_pidfd_signal)(int pidfd, int signal)
{
    (void)pidfd;
    if (opened <= 0)
        return -ESRCH;
    return kill(opened, signal) < 0 ? -errno : 0;
}
