/* init.c: the first process of a container, and of `exec`. It does the steps of a plan one after another and becomes
 * the user's program. It decides nothing; see plan.h for what it can do, pyoci/plan/ for who decides. */
#include "init.h"
#include "shared/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int step_function(struct context *c, const struct step *step);

#define STEP_FUNCTION(NAME, name, who, words) FOR_INIT_##who([OP_##NAME] = step_##name,)
static step_function *const functions[OPERATIONS] = { PLAN_OPERATIONS(STEP_FUNCTION) };

static int map_plan(int fd, struct plan *plan)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size <= 0 || st.st_size > PLAN_MAX_BYTES)
        return -EMSGSIZE;
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    close(fd);
    return plan_open(plan, bytes, (size_t)st.st_size);
}

/* All of it before the first step: a plan that cannot be read must change nothing */
static int check_plan(const struct plan *plan)
{
    struct step step;
    uint32_t at = 0;
    int more;

    while ((more = plan_next(plan, &at, &step)) > 0)
        ;
    return more;
}

static _Noreturn void give_up(struct context *c, int error)
{
    report_send(c, REPORT_FAILED, -error, -1);
    syscall(SYS_exit_group, EXIT_FAILURE);
    __builtin_trap(); /* a filter may forbid to end as well: _exit(2) would try for ever */
}

static _Noreturn void run_plan(struct context *c, const struct plan *plan)
{
    struct step step;
    uint32_t at = 0;

    c->step = &step;
    while (plan_next(plan, &at, &step) > 0) {
        c->doing = NULL;
        c->call = CALL_OTHER;
        c->detail[0] = '\0';
        c->parent_stays = step.operation == OP_MAKE_NODE || step.operation == OP_MAKE_LINK;
        int error = functions[step.operation](c, &step);
        if (error < 0)
            give_up(c, error);
        if (!c->parent_stays)
            root_forget(c);
        if (step.operation == OP_SECCOMP) {
            c->begin = 0; /* the filter may not let us speak, and what follows is little */
            c->filtered = true;
        }
        if (c->begin)
            report_step(c);
    }
    c->doing = "the plan ended without a program";
    give_up(c, -EPROTO);
}

static int number(const char *text, long least, long most)
{
    char *end;
    long value = strtol(text, &end, 10);

    return *text == '\0' || *end || value < least || value > most ? -1 : (int)value;
}

int main(int argc, char **argv)
{
    static struct context c; /* all zeroes: it takes no room in the program */
    static struct plan plan;

    if (argc != 2)
        return 64;
    c.base = number(argv[1], 3, INT_MAX - 1024);
    if (c.base < 0)
        return 64;
    c.report = c.base + FD_REPORT;
    c.root = c.null = c.proc = c.blank = c.parent = -1;
    memset(c.spaces, -1, sizeof c.spaces);
    memset(c.taken, -1, sizeof c.taken);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    default_signals();
    c.doing = "read the plan";
    int error = map_plan(c.base + FD_PLAN, &plan);
    if (!error)
        error = check_plan(&plan);
    if (error)
        give_up(&c, error);
    run_plan(&c, &plan);
}
