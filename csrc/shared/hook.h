/* hook.h: run one hook of config.json: init does it inside the container, the shim in the runtime's namespace. */
#ifndef PYOCI_HOOK_H
#define PYOCI_HOOK_H

#include <stddef.h>
#include <stdint.h>

#define HOOK_OUTPUT_MAX 1024

struct hook {
    const char *path;
    char *const *args; /* argv, ends in NULL */
    char *const *env;  /* ends in NULL */
    const char *cwd;
    const char *state; /* given on standard input: head, number, tail */
    size_t state_length;
    int timeout; /* milliseconds, 0: none */
    int owner;   /* pidfd of the process that waits for it: should that end, the hook is killed; or -1 */
    int (*interrupted)(void); /* asked after each signal: not 0, and the hook is killed; or NULL */
};

enum { HOOK_ENDED, HOOK_TIMED_OUT, HOOK_OWNER_ENDED, HOOK_INTERRUPTED };

struct hook_result {
    int status;    /* as waitpid gives it; meaningless unless HOOK_ENDED */
    int ending;    /* by itself, or why we killed it */
    size_t output; /* bytes kept of what it printed: the last ones */
    char text[HOOK_OUTPUT_MAX];
};

/* 0 when the hook was run to its end or killed (see the result), -errno when it could not be run */
int hook_run(const struct hook *hook, struct hook_result *result);

#endif
