/* report.c: init's half of the talk with the runtime: one packet a record. */
#include "init.h"
#include "shared/shared.h"

#include <stdio.h>
#include <string.h>

static size_t append(char *to, size_t at, size_t room, const char *text, size_t length)
{
    if (at >= room)
        return at;
    if (length > room - at)
        length = room - at;
    memcpy(to + at, text, length);
    return at + length;
}

static void fill(const struct context *c, struct plan_report *r, size_t *size)
{
    size_t at = 0;

    if (c->step) {
        at = append(r->bytes, at, sizeof r->bytes / 2, c->step->where.bytes, c->step->where.length);
        r->operation = (uint16_t)c->step->operation;
    }
    r->where = (uint16_t)at;
    if (c->doing)
        at = append(r->bytes, at, sizeof r->bytes, c->doing, strlen(c->doing));
    if (c->doing && c->detail[0])
        at = append(r->bytes, at, sizeof r->bytes, ": ", 2);
    r->detail = (uint16_t)at;
    at = append(r->bytes, at, sizeof r->bytes, c->detail, strlen(c->detail));
    r->text = (uint16_t)at;
    r->call = (uint8_t)c->call;
    r->filtered = c->filtered;
    *size = offsetof(struct plan_report, bytes) + at;
}

/* Tell the runtime; fd goes along when it is not -1 */
int report_send(struct context *c, enum plan_report_kind kind, int number, int fd)
{
    struct plan_report record = { .kind = (uint16_t)kind, .operation = OPERATIONS, .number = number };
    size_t size;
    int sent;

    fill(c, &record, &size);
    do
        sent = send_packet(c->report, &record, size, &fd, fd >= 0);
    while (sent == -EINTR);
    return sent < 0 ? sent : 0;
}

/* From here on the runtime is told how long each step takes */
int step_timed(struct context *c, const struct step *step)
{
    (void)step;
    c->begin = monotonic_ns();
    return 0;
}

/* Tell how long the step under way took; the next one begins when that is said */
void report_step(struct context *c)
{
    c->doing = NULL;
    snprintf(c->detail, sizeof c->detail, "%lld %lld", (long long)c->begin, (long long)monotonic_ns());
    report_send(c, REPORT_STEP, 0, -1);
    c->begin = monotonic_ns();
}

static int receive(int fd, int *passed, unsigned most)
{
    struct plan_report record;
    int got;

    do
        got = receive_packet(fd, &record, sizeof record, passed, most);
    while (got == -EINTR);
    if (got < (int)offsetof(struct plan_report, bytes) || record.kind >= REPORT_KINDS)
        return -1;
    return (int)record.kind;
}

/* The kind of the next record, or -1: the peer has gone, or sent what is no record */
int receive_kind(int fd) { return receive(fd, NULL, 0); }

/* A mount of the runtime's making */
int receive_mount(struct context *c, int *mount)
{
    return receive(c->report, mount, 1) == REPORT_MOUNT && *mount >= 0 ? 0 : -ECANCELED;
}

/* The files through which to join cgroups; -1 after the last */
int receive_tasks(struct context *c, int tasks[PACKET_FILES])
{
    return receive(c->report, tasks, PACKET_FILES) == REPORT_TASKS ? 0 : -ECANCELED;
}

/* Wait for a word of the runtime's. It died or gave up when there is none: then nothing of ours may remain. */
int report_await(struct context *c, enum plan_report_kind kind)
{
    return receive_kind(c->report) == (int)kind ? 0 : -ECANCELED;
}
