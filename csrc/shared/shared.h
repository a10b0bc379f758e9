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

enum { PACKET_FILES = 64 }; /* the kernel passes 253 */

union packet_control {
    struct cmsghdr header;
    char room[CMSG_SPACE(PACKET_FILES * sizeof(int))];
};

/* Sends one packet, and descriptors along with it (unix(7), SCM_RIGHTS). -errno when it cannot be sent. */
static inline int send_packet(int fd, const void *bytes, size_t length, const int *pass, unsigned count)
{
    union packet_control control;
    struct iovec piece = { (void *)(uintptr_t)bytes, length };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

    if (count > PACKET_FILES)
        return -E2BIG;
    if (count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof *pass);
        memset(&control, 0, message.msg_controllen);
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof *pass);
        memcpy(CMSG_DATA(part), pass, count * sizeof *pass);
    }
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent < 0 ? -errno : (int)sent;
}

/* Receives one packet, and into passed the descriptors that came along, up to `most`; -1 where there is none */
static inline int receive_packet(int fd, void *bytes, size_t room, int *passed, unsigned most)
{
    union packet_control control;
    struct iovec piece = { bytes, room };
    /* CMSG_LEN, not CMSG_SPACE: into the padding the kernel would put another descriptor, that nobody closes */
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = most ? CMSG_LEN(most * sizeof *passed) : 0 };

    if (most > PACKET_FILES)
        return -E2BIG;
    for (unsigned n = 0; n < most; n++)
        passed[n] = -1;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return -errno;
    struct cmsghdr *part = most ? CMSG_FIRSTHDR(&message) : NULL;
    if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
        part->cmsg_len <= CMSG_LEN(most * sizeof *passed))
        memcpy(passed, CMSG_DATA(part), part->cmsg_len - CMSG_LEN(0));
    return (int)got;
}

#endif
