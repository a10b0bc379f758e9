/* init.c: the first process of a container, and of `exec`. It does the steps of a plan one after another and becomes
 * the user's program. It decides nothing; see plan.h for what it can do, pyoci/plan/ for who decides. */
#include "init.h"
#include "shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int step_function(struct context *c, const struct step *step);

#define STEP_FUNCTION(NAME, name, words) [OP_##NAME] = step_##name,
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
    _exit(EXIT_FAILURE);
}

static _Noreturn void run_plan(struct context *c, const struct plan *plan)
{
    struct step step;
    uint32_t at = 0;

    c->step = &step;
    while (plan_next(plan, &at, &step) > 0) {
        c->doing = NULL;
        c->detail[0] = '\0';
        if (step.operation != OP_MAKE_NODE && step.operation != OP_MAKE_LINK)
            root_forget(c); /* it may mount something over the directory */
        int error = functions[step.operation](c, &step);
        if (error < 0)
            give_up(c, error);
        if (step.operation == OP_SECCOMP)
            c->begin = 0; /* the filter may not let us speak, and what follows is little */
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

/* cgroup v1 has no birth into a cgroup. To move another process the kernel waits until no thread anywhere may be forking
 * (an RCU grace period, 10 ms and more); a lone thread that moves itself is moved at once. */
static int join_cgroups(struct context *c, int first, int count)
{
    for (int fd = first; fd < first + count; fd++) {
        if (write(fd, "0", 1) < 0) {
            char link[32], path[PATH_MAX];
            int error = -errno;
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, path, sizeof path) - (ssize_t)strlen("/tasks");
            snprintf(c->detail, sizeof c->detail, "join cgroup %.*s", length < 0 ? 0 : (int)length, path);
            return error;
        }
    }
    if (count)
        sys_close_range((unsigned)first, (unsigned)(first + count - 1), 0);
    return 0;
}

int main(int argc, char **argv)
{
    static struct context c; /* all zeroes: it takes no room in the program */
    static struct plan plan;

    if (argc != 3)
        return 64;
    c.base = number(argv[1], 3, INT_MAX - 1024);
    int tasks = number(argv[2], 0, 1000);
    if (c.base < 0 || tasks < 0)
        return 64;
    c.report = c.base + FD_REPORT;
    c.root = c.null = c.proc = c.blank = c.parent = -1;
    memset(c.spaces, -1, sizeof c.spaces);
    memset(c.taken, -1, sizeof c.taken);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    default_signals();
    int error = join_cgroups(&c, c.base + FD_EXTRA + 1, tasks);
    if (error)
        give_up(&c, error);
    c.doing = "read the plan"; /* which is being written while we start */
    error = report_await(&c, REPORT_GO);
    if (!error)
        error = map_plan(c.base + FD_PLAN, &plan);
    if (!error)
        error = check_plan(&plan);
    if (error)
        give_up(&c, error);
    run_plan(&c, &plan);
}
