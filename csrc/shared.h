/* shared.h: what init and the runtime's shim both do, in one place. */
#ifndef PYOCI_SHARED_H
#define PYOCI_SHARED_H

#include "kernel.h"

#include <string.h>

/* A caller's handlers do not survive exec, but what it ignores or blocks does (Python ignores SIGPIPE and SIGXFSZ) */
static inline void default_signals(void)
{
    sigset_t none;

    for (int n = 1; n < NSIG; n++)
        signal(n, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
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

#endif
