/* init.h: what the files of init share: the context of a run, decoded steps, and the helpers. */
#ifndef PYOCI_INIT_H
#define PYOCI_INIT_H

#include "shared/kernel.h"
#include "shared/plan.h"
#include "shared/shared.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    const char *bytes; /* always ends in NUL, which length does not count */
    uint32_t length;
};

union field {
    int64_t i;
    struct text s, l, b;
};

struct step {
    enum plan_operation operation;
    struct text where;
    union field fields[PLAN_MAX_FIELDS];
};

/* Named views of a step's fields, in the order of plan.h */
#define PLAN_FIELD_MEMBER(kind, name) union field name;
#define PLAN_FIELD_STRUCT(NAME, name, who, words)              \
    FOR_INIT_##who(struct fields_##name {                      \
        char nothing[0];                                       \
        FIELDS_##NAME(PLAN_FIELD_MEMBER)                       \
    };)
PLAN_OPERATIONS(PLAN_FIELD_STRUCT)

struct plan {
    const int64_t *words;
    uint32_t word_count;
    const char *pool;
    uint32_t pool_size;
};

enum namespace_slots { NAMESPACE_SLOTS = 8 };
enum taken_mounts { MAX_TAKEN = 1024 };
enum held_mounts { MAX_HELD = 1024 };

/* A mount of this plan, and where it was put: the path is in the plan */
struct held {
    struct text path;
    int fd;
};

struct context {
    int report;  /* who is told: the runtime, later `start` */
    int base;    /* number of the first descriptor we were born with */
    int root;    /* O_PATH of the rootfs */
    int null;    /* O_PATH of the host's null device, proven to be it */
    int proc;    /* a procfs of our own, nobody can have mounted anything in it; before there is a root, the host's */
    int blank;   /* the first directory mask, to be cloned for the others */
    int parent;  /* the directory in which something was made last, or -1 */
    /* this step has used only what it made in there itself, no mount of it lies over the way there */
    bool parent_stays;
    int spaces[NAMESPACE_SLOTS];
    int taken[MAX_TAKEN]; /* detached mounts that the runtime made for us */
    struct held held[MAX_HELD];
    unsigned held_count;
    bool in_cwd;
    bool filtered; /* by seccomp: what fails from here on, the filter may have forbidden */
    int64_t begin; /* of the step under way, CLOCK_MONOTONIC in nanoseconds; 0 when nobody wants to know */
    const struct step *step;
    const char *doing; /* the call under way, for the report */
    enum plan_call call; /* which of those that failed is told; of a step that goes on after one, the last */
    char detail[1024];
    char parent_path[PATH_MAX];
    char executable[PATH_MAX];
    char home[PATH_MAX]; /* "HOME=…" when the environment is to be given one */
};

/* decode.c */
int plan_open(struct plan *plan, const void *bytes, size_t size);
int plan_next(const struct plan *plan, uint32_t *at, struct step *step);

/* report.c */
int report_send(struct context *c, enum plan_report_kind kind, int number, int fd);
void report_step(struct context *c);
int report_await(struct context *c, enum plan_report_kind kind);
int receive_kind(int fd);
int receive_mount(struct context *c, int *mount);
int receive_tasks(struct context *c, int tasks[PACKET_FILES]);

/* walk.c */
enum target_kind { TARGET_DIRECTORY, TARGET_FILE };
int root_open(struct context *c, const char *path, uint64_t flags, uint64_t resolve);
int root_open_named(struct context *c, const char *path, uint64_t flags, uint64_t resolve);
bool root_holds(const struct context *c, const char *path);
int root_mounted(struct context *c, const struct text *path, int target, int *mount, bool hold);
void root_let_go(struct context *c);
int root_make(struct context *c, const char *path, enum target_kind kind);
int root_parent(struct context *c, const char *path, char name[NAME_MAX + 1]);
void root_forget(struct context *c);

/* copy.c */
int copy_tree(int from, int to);

/* procfs.c */
void proc_forget(struct context *c);
int proc_write(struct context *c, const char *path, const char *value, size_t length);
int proc_read(struct context *c, const char *path, char *room, size_t size);
int sysctl_write(struct context *c, const char *path, const char *value, size_t length);

/* A descriptor that is closed when its scope ends */
static inline void close_scoped(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define SCOPED_FD __attribute__((cleanup(close_scoped))) int

/* Takes a descriptor out of its scope's care, to return it */
static inline int keep_fd(int *fd)
{
    int kept = *fd;
    *fd = -1;
    return kept;
}

/* Do one call; leave the step with -errno when it fails, its words kept for the report */
#define TRY(c, words, call)        \
    do {                           \
        (c)->doing = (words);      \
        if ((call) < 0)            \
            return -errno;         \
    } while (0)

/* The same of a call that the report names */
#define TRY_NAMED(c, name, words, attempt) \
    do {                                   \
        (c)->doing = (words);              \
        if ((attempt) < 0) {               \
            (c)->call = (name);            \
            return -errno;                 \
        }                                  \
    } while (0)

#define FIELDS(name, step) const struct fields_##name *f = (const void *)(step)->fields

#define PLAN_DECLARE_STEP(NAME, name, who, words) \
    FOR_INIT_##who(int step_##name(struct context *c, const struct step *step);)
PLAN_OPERATIONS(PLAN_DECLARE_STEP)

/* Strings of a list, one after another: for (s = list_first(l); s; s = list_next(l, s)) */
static inline const char *list_first(const struct text *list) { return list->length ? list->bytes : NULL; }
const char *list_next(const struct text *list, const char *at);

#endif
