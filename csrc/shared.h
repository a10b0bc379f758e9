/* shared.h: what init and the runtime's shim both do, in one place. */
#ifndef PYOCI_SHARED_H
#define PYOCI_SHARED_H

#include "kernel.h"

#include <string.h>
#include <time.h>

static inline int64_t monotonic_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A caller's handlers do not survive exec, but what it ignores or blocks does (Python ignores SIGPIPE and SIGXFSZ). By
 * system call: the C library will not touch the two signals that it keeps for itself. Zeroes are SIG_DFL and no mask. */
static inline void default_signals(void)
{
    const uint64_t action[4] = { 0 }, none = 0;

    for (int n = 1; n <= 64; n++)
        syscall(SYS_rt_sigaction, n, action, NULL, sizeof none);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* Sends one packet; a descriptor goes along when it is not -1 (unix(7), SCM_RIGHTS). -errno when it cannot be sent. */
static inline int send_packet(int fd, const void *bytes, size_t length, int pass)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec piece = { (void *)(uintptr_t)bytes, length };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

    if (pass >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof pass);
        memcpy(CMSG_DATA(part), &pass, sizeof pass);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : (int)sent;
}

/* Receives one packet, and into *passed the descriptor that came along, or -1; passed may be NULL */
static inline int receive_packet(int fd, void *bytes, size_t room, int *passed)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec piece = { bytes, room };
    /* CMSG_LEN, not CMSG_SPACE: into the padding the kernel would put a second descriptor that nobody closes */
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = passed ? CMSG_LEN(sizeof(int)) : 0 };
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

    if (!passed)
        return got < 0 ? -errno : (int)got;
    *passed = -1;
    if (got < 0)
        return -errno;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
        part->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(passed, CMSG_DATA(part), sizeof(int));
    return (int)got;
}

#endif
