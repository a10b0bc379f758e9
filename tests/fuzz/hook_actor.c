/* hook_actor.c: the hook that tests/fuzz/hook.c runs. Its argument is what it does, two hexadecimal digits a byte. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static unsigned next(const char **at)
{
    unsigned value = 0;
    if (sscanf(*at, "%2x", &value) == 1)
        *at += 2;
    return value;
}

static void put(int fd, unsigned many, unsigned what)
{
    static char bytes[255 * 16];
    memset(bytes, (int)what, sizeof bytes);
    for (size_t at = 0; at < many * 16;) {
        ssize_t got = write(fd, bytes + at, many * 16 - at);
        if (got < 0)
            return;
        at += (size_t)got;
    }
}

/* Holds whatever is open, for a twentieth of a second */
static void leave_daemon(void)
{
    if (fork() == 0) {
        struct itimerval soon = { { 0, 0 }, { 0, 50000 } };
        setitimer(ITIMER_REAL, &soon, NULL);
        for (;;)
            pause();
    }
}

int main(int argc, char **argv)
{
    const char *at = argc > 1 ? argv[1] : "";

    while (*at) {
        unsigned what = next(&at), more = next(&at);
        switch (what & 7) {
        case 0:
        case 1:
            put(1 + (what & 1), more, what);
            break;
        case 2:
            close((int)(more % 3));
            break;
        case 3:
            leave_daemon();
            break;
        case 4:
            exit((int)more);
        case 5:
            raise((int)(more % 32));
            break;
        case 6:
            if (more == 0)
                pause();
            break;
        case 7: {
            char byte = (char)more;
            if (write(1, &byte, 1) < 0)
                break;
        }
        }
    }
    return 0;
}
