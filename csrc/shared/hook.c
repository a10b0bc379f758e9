/* hook.c: start a hook with the state on its standard input, keep the end of what it prints, wait, or kill it. */
#include "hook.h"
#include "shared.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static int state_file(const struct hook *h)
{
    int fd = memfd_create("state", MFD_CLOEXEC);
    size_t at = 0;

    while (fd >= 0 && at < h->state_length) {
        ssize_t put = write(fd, h->state + at, h->state_length - at);
        if (put < 0) {
            close(fd);
            return -1;
        }
        at += (size_t)put;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

/* In the child: only system calls. What goes wrong is told through `failed`, which closes by itself on exec. */
static _Noreturn void become(const struct hook *h, int state, int output, int failed)
{
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    default_signals();
    if (dup2(state, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2 &&
        sys_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0 && chdir(h->cwd) == 0)
        execve(h->path, h->args, h->env);
    int error = errno;
    ssize_t ignored = write(failed, &error, sizeof error);
    (void)ignored;
    _exit(127);
}

static void keep_last(struct hook_result *r, const char *bytes, size_t length)
{
    if (length >= sizeof r->text) {
        bytes += length - sizeof r->text;
        length = sizeof r->text;
    }
    if (r->output + length > sizeof r->text) {
        size_t drop = r->output + length - sizeof r->text;
        memmove(r->text, r->text + drop, r->output - drop);
        r->output -= drop;
    }
    memcpy(r->text + r->output, bytes, length);
    r->output += length;
}

/* False when nobody writes any more */
static bool drain(int output, struct hook_result *r)
{
    char piece[4096];
    ssize_t got;

    while ((got = read(output, piece, sizeof piece)) > 0)
        keep_last(r, piece, (size_t)got);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Blocks all signals, until ppoll lets them come, and says whether one has asked for the hook's end. What is done at a
 * signal is done while others can come, as ever; the second question is for one that came since the first. */
static bool interrupted(const struct hook *h)
{
    bool enough = h->interrupted && h->interrupted();
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return enough || (h->interrupted && h->interrupted());
}

/* Wait for the end of the hook itself: a daemon that it left behind may hold the pipe for ever. That its owner has ended
 * counts only while the hook runs: `delete --force` kills the owner to get hold of a container that waits for a hook. */
static void watch(const struct hook *h, pid_t pid, int pidfd, int output, struct hook_result *r)
{
    int64_t deadline = monotonic_ns() / 1000000 + h->timeout;
    struct pollfd waits[3] = { { .fd = pidfd, .events = POLLIN },
                               { .fd = output, .events = POLLIN },
                               { .fd = h->owner, .events = POLLIN } };
    sigset_t before;

    sigprocmask(SIG_BLOCK, NULL, &before);
    while (!(waits[0].revents & POLLIN)) {
        int64_t left = h->timeout ? deadline - monotonic_ns() / 1000000 : -1;
        if (interrupted(h))
            r->ending = HOOK_INTERRUPTED;
        else if (waits[2].revents)
            r->ending = HOOK_OWNER_ENDED;
        else if (h->timeout && left <= 0)
            r->ending = HOOK_TIMED_OUT;
        if (r->ending != HOOK_ENDED) {
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            break;
        }
        struct timespec most = { left / 1000, left % 1000 * 1000000 };
        if (ppoll(waits, 3, left < 0 ? NULL : &most, &before) < 0 && errno != EINTR)
            break;
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (waits[1].revents && !drain(output, r))
            waits[1].fd = -1;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    while (waitpid(pid, &r->status, 0) < 0 && errno == EINTR)
        ;
    if (waits[1].fd >= 0)
        drain(output, r);
}

static int run_with(const struct hook *h, struct hook_result *r, int state, const int output[2], const int failed[2])
{
    int error = 0;
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(h, state, output[1], failed[1]);
    close(output[1]);
    close(failed[1]);
    int pidfd = sys_pidfd_open(pid);
    ssize_t told;
    do
        told = read(failed[0], &error, sizeof error);
    while (told < 0 && errno == EINTR);
    watch(h, pid, pidfd, output[0], r);
    if (pidfd >= 0)
        close(pidfd);
    return told == sizeof error ? -error : 0;
}

int hook_run(const struct hook *h, struct hook_result *r)
{
    int output[2] = { -1, -1 }, failed[2] = { -1, -1 }, result;
    int state = state_file(h);

    r->output = 0;
    r->ending = HOOK_ENDED;
    r->status = 0;
    if (state < 0)
        return -errno;
    if (pipe2(output, O_CLOEXEC) < 0 || pipe2(failed, O_CLOEXEC) < 0 || fcntl(output[0], F_SETFL, O_NONBLOCK) < 0) {
        result = -errno;
        if (output[0] >= 0) {
            close(output[0]);
            close(output[1]);
        }
    } else {
        result = run_with(h, r, state, output, failed);
        close(output[0]);
        close(failed[0]);
    }
    close(state);
    return result;
}
