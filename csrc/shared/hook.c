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

static void keep_last(struct hook_run *r, const char *bytes, size_t length)
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
static bool drain(int output, struct hook_run *r)
{
    char piece[4096];
    ssize_t got;

    while ((got = read(output, piece, sizeof piece)) > 0)
        keep_last(r, piece, (size_t)got);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

static void reap(struct hook_run *r)
{
    while (waitpid(r->pid, &r->status, 0) < 0 && errno == EINTR)
        ;
    if (r->pipe >= 0) {
        drain(r->pipe, r);
        close(r->pipe);
    }
    if (r->pidfd >= 0)
        close(r->pidfd);
    r->pid = 0;
}

void hook_kill(struct hook_run *r)
{
    if (r->pid <= 0)
        return;
    kill(-r->pid, SIGKILL);
    kill(r->pid, SIGKILL);
    reap(r);
}

/* Wait for the end of the hook itself: a daemon that it left behind may hold the pipe for ever. That its owner has ended
 * counts only while the hook runs: `delete --force` kills the owner to get hold of a container that waits for a hook. */
int hook_watch(struct hook_run *r)
{
    struct pollfd waits[3] = { { .fd = r->pidfd, .events = POLLIN },
                               { .fd = r->pipe, .events = POLLIN },
                               { .fd = r->owner, .events = POLLIN } };

    while (r->pid > 0) {
        int64_t left = r->deadline ? r->deadline - monotonic_ns() : 0;
        struct timespec most = { left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0 };
        int ready = ppoll(waits, 3, r->deadline ? &most : NULL, &r->signals);
        if (ready < 0 && errno == EINTR)
            return -EINTR;
        if (ready > 0 && waits[1].revents && !drain(r->pipe, r)) {
            close(r->pipe);
            waits[1].fd = r->pipe = -1;
        }
        if (ready < 0 || waits[0].revents & POLLIN) {
            reap(r);
        } else if (waits[2].revents || (r->deadline && left <= 0)) {
            r->ending = waits[2].revents ? HOOK_OWNER_ENDED : HOOK_TIMED_OUT;
            hook_kill(r);
        }
    }
    return 0;
}

static void close_both(const int ends[2])
{
    for (int n = 0; n < 2; n++)
        if (ends[n] >= 0)
            close(ends[n]);
}

static int start_with(const struct hook *h, struct hook_run *r, int state, int output[2], int failed[2])
{
    int error = 0;
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(h, state, output[1], failed[1]);
    close(failed[1]);
    failed[1] = -1;
    ssize_t told;
    do
        told = read(failed[0], &error, sizeof error);
    while (told < 0 && errno == EINTR);
    r->pid = pid;
    r->pidfd = sys_pidfd_open(pid);
    r->pipe = output[0];
    output[0] = -1;
    if (told != sizeof error)
        return 0;
    reap(r);
    return -error;
}

int hook_start(const struct hook *h, struct hook_run *r)
{
    int output[2] = { -1, -1 }, failed[2] = { -1, -1 }, result, state = state_file(h);

    if (state < 0)
        return -errno;
    r->status = 0;
    r->ending = HOOK_ENDED;
    r->output = 0;
    r->pid = 0;
    r->owner = h->owner;
    r->deadline = h->timeout ? monotonic_ns() + h->timeout * INT64_C(1000000) : 0;
    sigprocmask(SIG_BLOCK, NULL, &r->signals);
    if (pipe2(output, O_CLOEXEC) < 0 || pipe2(failed, O_CLOEXEC) < 0 || fcntl(output[0], F_SETFL, O_NONBLOCK) < 0)
        result = -errno;
    else
        result = start_with(h, r, state, output, failed);
    close_both(output);
    close_both(failed);
    close(state);
    return result;
}

int hook_run(const struct hook *h, struct hook_run *r)
{
    int error = hook_start(h, r);

    while (!error && hook_watch(r) < 0)
        ;
    return error;
}
