/*
 * The probe: the one program inside of the suite's containers. It needs no shell, no library and no file.
 *
 *   probe VERB[:OPERAND]...        does one thing after another, then prints one line of JSON about all of it
 *   probe hook LOG LABEL [STATUS]  a hook: appends one line to LOG and exits with STATUS
 *
 * The verbs are in verbs.c; `report` asks for everything that report.c sees.
 */
#define _GNU_SOURCE
#include "json.h"
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static void flush_line(int fd)
{
    size_t length;
    const char *text = json_buffer(&length);
    char *line = malloc(length + 1);

    memcpy(line, text, length);
    line[length] = '\n';
    for (size_t done = 0; done < length + 1;) {   /* usually one write: appended lines do not mix */
        ssize_t put = write(fd, line + done, length + 1 - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        done += put;
    }
    free(line);
    json_reset();
}

static int hook(int argc, char **argv)
{
    static char state[65536];
    size_t used = 0;
    ssize_t got;
    int log;

    while ((got = read(0, state + used, sizeof state - used)) > 0)
        used += got;
    log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log < 0)
        return 91;
    json_open(NULL, '{');
    json_text("label", argv[3]);
    json_bytes("stdin", state, used);
    report_self(argc, argv, environ);
    json_close('}');
    flush_line(log);
    if (argc > 4 && !strcmp(argv[4], "hang"))
        for (;;)
            pause();
    return argc > 4 ? atoi(argv[4]) : 0;
}

int main(int argc, char **argv)
{
    int first = 1;

    if (argc >= 4 && !strcmp(argv[1], "hook"))
        return hook(argc, argv);
    json_open(NULL, '{');
    if (argc > 1 && !strcmp(argv[1], "report")) {
        report_self(argc, argv, environ);
        first = 2;
    }
    json_open("did", '[');
    for (int i = first; i < argc; i++) {
        if (!strcmp(argv[i], "flush")) {   /* what was seen so far becomes a line of its own */
            json_close(']');
            json_close('}');
            flush_line(1);
            json_open(NULL, '{');
            json_open("did", '[');
        } else if (!strncmp(argv[i], "exit:", 5)) {
            json_close(']');
            json_close('}');
            flush_line(1);
            return atoi(argv[i] + 5);
        } else if (!try_verb(argv[i])) {
            fprintf(stderr, "probe: unknown verb %s\n", argv[i]);
            return 92;
        }
    }
    json_close(']');
    json_close('}');
    flush_line(1);
    return 0;
}
