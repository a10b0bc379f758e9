/* hook.c: whatever a hook does to its streams and itself, what it has said and how it ended is known, within its time. */
#include "shared/hook.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char actor[4096];
enum { TIMEOUT = 400 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    snprintf(actor, sizeof actor, "%s_actor", (*argv)[0]);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* daemons that hooks leave */
    return 0;
}

/* What must come of a script: the end of the output, and the status as waitpid gives it; -1: it never ends */
static int expect(const uint8_t *data, size_t size, char *text, size_t *length)
{
    /* Stopping by a terminal is for those who have a parent in their session */
    static const char harmless[] = { SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU, 0 };
    int open[3] = { 1, 1, 1 };

    *length = 0;
    for (size_t n = 0; n + 1 < size; n += 2) {
        unsigned what = data[n], more = data[n + 1];
        size_t many = (what & 7) < 2 ? more * 16u : (what & 7) == 7 ? 1 : 0;
        int fd = (what & 7) == 1 ? 2 : 1;
        if (many && open[fd]) {
            memset(text + *length, (int)((what & 7) == 7 ? more : what), many);
            *length += many;
        }
        if ((what & 7) == 2)
            open[more % 3] = 0;
        if ((what & 7) == 4)
            return (int)(more & 255) << 8;
        if ((what & 7) == 6 && more == 0)
            return -1;
        if ((what & 7) == 5) {
            int number = (int)(more % 32);
            if (number == SIGSTOP)
                return -1;
            if (number && !strchr(harmless, number))
                return number;
        }
    }
    return 0;
}

static void must(int held, const char *what)
{
    if (!held) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char script[256], text[128 * 255 * 16];
    char *args[] = { actor, script, NULL }, *env[] = { NULL };
    struct hook hook = { actor, args, env, "/", "{}", 2, TIMEOUT, -1 };
    struct hook_run result;
    size_t length;

    if (size > 64)
        return 0;
    size &= ~(size_t)1;
    for (size_t n = 0; n < size; n++)
        snprintf(script + 2 * n, 3, "%02x", data[n]);
    script[2 * size] = '\0';
    int status = expect(data, size, text, &length);
    int lowest = dup(0);
    must(hook_run(&hook, &result) == 0, "it was not started");
    int next = dup(0);
    must(next == lowest + 1, "a descriptor is left open");
    close(next);
    close(lowest);
    must(result.output <= sizeof result.text, "too much was kept");
    must(status >= 0 || result.ending, "it ended that never ends");
    if (!result.ending) { /* a loaded machine may be slower than the hook's time */
        must((result.status & ~0x80) == status, "it ended in another way");
        size_t kept = length < sizeof result.text ? length : sizeof result.text;
        must(result.output == kept && memcmp(result.text, text + length - kept, kept) == 0, "it said something else");
    }
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return 0;
}
