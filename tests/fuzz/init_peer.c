/* init_peer.c: whoever speaks to init, whatever is sent, with whatever descriptors: a record's kind or a refusal, and no
 * descriptor is left open but those that were asked for. */
#include "init/init.h"
#include "shared/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 127 }; /* more than init takes */

/* One packet of up to 255 * 32 bytes with up to MOST descriptors */
static void send_hostile(int fd, const uint8_t *bytes, size_t length, unsigned count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(MOST * sizeof(int))];
    } control = { 0 };
    struct iovec piece = { (void *)(uintptr_t)bytes, length };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

    if (count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (unsigned n = 0; n < count; n++)
            memcpy(CMSG_DATA(part) + n * sizeof(int), &(int){ 0 }, sizeof(int));
    }
    sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void take_tasks(struct context *c)
{
    int tasks[PACKET_FILES], ended = 0;

    receive_tasks(c, tasks);
    for (int n = 0; n < PACKET_FILES; n++) {
        if (tasks[n] < 0)
            ended = 1;
        else if (ended || fcntl(tasks[n], F_GETFD) != FD_CLOEXEC)
            abort();
        else
            close(tasks[n]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct context c;
    int pair[2], mount, packets = 0;

    int lowest = dup(0);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    c.report = pair[1];
    for (size_t at = 0; at + 2 <= size && packets < 8; packets++) {
        size_t length = data[at] * 32u;
        unsigned count = data[at + 1] & MOST;
        at += 2;
        if (length > size - at)
            length = size - at;
        send_hostile(pair[0], data + at, length, count);
        at += length;
    }
    close(pair[0]);
    for (int n = 0; n <= packets; n++) {
        if (n % 4 == 0) {
            int kind = receive_kind(pair[1]);
            if (kind < -1 || kind >= REPORT_KINDS)
                abort();
        } else if (n % 4 == 1) {
            if (receive_mount(&c, &mount) == 0 && fcntl(mount, F_GETFD) != FD_CLOEXEC)
                abort();
            if (mount >= 0)
                close(mount);
        } else if (n % 4 == 2) {
            take_tasks(&c);
        } else if (report_await(&c, REPORT_GO) > 0)
            abort();
    }
    close(pair[1]);
    int next = dup(0);
    if (next != lowest + 1) {
        fprintf(stderr, "a descriptor is left open\n");
        abort();
    }
    close(next);
    close(lowest);
    return 0;
}
