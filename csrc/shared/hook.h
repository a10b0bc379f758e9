/* hook.h: run one hook of config.json: init does it inside the container, the shim in the runtime's namespace. */
#ifndef PYOCI_HOOK_H
#define PYOCI_HOOK_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
};

enum { HOOK_ENDED, HOOK_TIMED_OUT, HOOK_OWNER_ENDED };

struct hook_run {
    int status;    /* as waitpid gives it; meaningless unless HOOK_ENDED */
    int ending;    /* by itself, or why we killed it */
    size_t output; /* bytes kept of what it printed: the last ones */
    char text[HOOK_OUTPUT_MAX];
    pid_t pid; /* 0: has been waited for */
    int pidfd, pipe, owner;
    int64_t deadline; /* monotonic_ns(); 0: none */
    sigset_t signals; /* blocked when it was started: hook_watch lets the others come */
};

/* 0: the hook runs, and hook_watch and hook_kill may follow; -errno when it could not be started */
int hook_start(const struct hook *hook, struct hook_run *run);

/* Waits. 0: the hook has ended or was killed (see the run); -EINTR: a signal came meanwhile, call again. Who wants to miss
 * no signal blocks them all before. */
int hook_watch(struct hook_run *run);

/* Kills the hook if it still runs, and waits for its end */
void hook_kill(struct hook_run *run);

/* All of it, whatever signals come */
int hook_run(const struct hook *hook, struct hook_run *run);

#endif
