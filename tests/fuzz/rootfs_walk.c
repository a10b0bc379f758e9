/* rootfs_walk.c: any tree of directories, files and links, any path. What the walk finds is what the kernel finds after a
 * chroot, made by a thread of its own; what it makes is where a chroot would see it; nothing outside changes. */
#include "init/init.h"

#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char base[PATH_MAX / 2], root[PATH_MAX], outside[PATH_MAX];
static int root_fd;
static sem_t asked, answered;
static const char *question;
static int answer, answer_error;

/* libFuzzer's clock interrupts */
static void await(sem_t *sem)
{
    while (sem_wait(sem) < 0)
        ;
}

/* A chroot and a working directory of its own; the descriptors are everybody's */
static void *imprisoned(void *unused)
{
    if (unshare(CLONE_FS) < 0 || chroot(root) < 0 || chdir("/") < 0)
        abort();
    for (;;) {
        await(&asked);
        answer = open(question, O_PATH | O_CLOEXEC);
        answer_error = errno;
        sem_post(&answered);
    }
    return unused;
}

static int by_chroot(const char *path, struct stat *st)
{
    question = path;
    sem_post(&asked);
    await(&answered);
    if (answer < 0)
        return -answer_error;
    if (fstat(answer, st) < 0)
        abort();
    close(answer);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    pthread_t thread;

    (void)argc;
    (void)argv;
    umask(022);
    if (!getcwd(base, sizeof base))
        abort();
    snprintf(root, sizeof root, "%s/root", base);
    snprintf(outside, sizeof outside, "%s/outside", base);
    if (mkdir(root, 0755) < 0 || mkdir(outside, 0755) < 0)
        abort();
    root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    sem_init(&asked, 0, 0);
    sem_init(&answered, 0, 0);
    return root_fd < 0 || pthread_create(&thread, NULL, imprisoned, NULL) ? -1 : 0;
}

static int entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    return at->level ? remove(path) : 0;
}

struct input {
    const uint8_t *at, *end;
};

static unsigned take(struct input *in) { return in->at < in->end ? *in->at++ : 0; }

/* A path of a few names: two bits say how many, three bits each name; some lead out, to where a hostile image points */
static void take_path(struct input *in, char *path, size_t room)
{
    static const char *const names[] = { "a", "b", "c", "d", "..", ".", "", "a" };
    unsigned how = take(in);
    size_t at = 0;

    path[0] = '\0';
    if (how & 1)
        at += (size_t)snprintf(path, room, "%s", how & 2 ? "/" : how & 4 ? outside : "../../../../outside/");
    for (unsigned n = 0; n < (how >> 3 & 7); n++) {
        unsigned which = take(in);
        at += (size_t)snprintf(path + at, room - at, "%s%s", names[which & 7],
                               which & 8    ? "/"
                               : which & 16 ? "//"
                                            : "");
        if (!(which & 24) && at + 1 < room)
            at += (size_t)snprintf(path + at, room - at, "/");
    }
    if (how & 64 && at && path[at - 1] == '/')
        path[at - 1] = '\0';
}

/* Directories, links and files with names of one letter, in the root or in a directory of it that is none's link */
static void grow(struct input *in)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    char target[PATH_MAX];

    for (unsigned n = take(in) & 15; n && in->at < in->end; n--) {
        unsigned what = take(in);
        const char *name = names[what >> 2 & 3];
        SCOPED_FD place =
            sys_openat2(root_fd, what & 32 ? names[what & 3] : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
        if (place < 0)
            continue;
        if (what & 64)
            mkdirat(place, name, 0755);
        else if (what & 128) {
            take_path(in, target, sizeof target);
            symlinkat(target, place, name);
        } else {
            SCOPED_FD file = openat(place, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
        }
    }
}

static void must(int held, const char *what, const char *path)
{
    if (!held) {
        fprintf(stderr, "%s: %s\n", what, path);
        abort();
    }
}

static void must_be_inside(int fd, const char *path)
{
    char name[64], target[PATH_MAX] = "";

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    must(readlink(name, target, sizeof target - 1) > 0 && strncmp(target, root, strlen(root)) == 0, "outside", path);
    must(strchr("/", target[strlen(root)]) != NULL, "beside", path);
}

static void check_open(struct context *c, const char *path)
{
    struct stat seen, expected;
    int found = root_open(c, path, O_PATH, 0), error = errno;
    int known = by_chroot(path, &expected);

    must((found >= 0) == (known == 0), "one finds it, the other does not", path);
    if (found < 0) {
        must(error == -known, "other errors", path);
        return;
    }
    must(fstat(found, &seen) == 0 && seen.st_ino == expected.st_ino && seen.st_dev == expected.st_dev, "another", path);
    close(found);
}

static void check_make(struct context *c, const char *path, enum target_kind kind)
{
    struct stat before, seen, after;
    int known = by_chroot(path, &before), found = root_make(c, path, kind);

    if (known == 0)
        must(found >= 0, "was there and is not found", path);
    if (found < 0)
        return;
    must(fstat(found, &seen) == 0 && !S_ISLNK(seen.st_mode), "a link", path);
    int now = by_chroot(path, &after);
    must_be_inside(found, path);
    if (now == -ENOTDIR) /* the walk minds no slash and no ".." behind a file: whoever mounts on it will */
        now = 0, after = seen;
    must(now == 0 && after.st_ino == seen.st_ino && after.st_dev == seen.st_dev, "made elsewhere", path);
    if (known == 0)
        must(before.st_ino == after.st_ino, "was there and was made anew", path);
    close(found);
}

static void check_parent(struct context *c, const char *path)
{
    char name[NAME_MAX + 1], again[PATH_MAX + 2];
    struct stat seen, expected;
    int found = root_parent(c, path, name);

    if (found < 0)
        return;
    must(*name && !strchr(name, '/') && strcmp(name, "..") && strcmp(name, "."), "no name", path);
    snprintf(again, sizeof again, "%.*s/", (int)(strlen(path) - strlen(name)), path);
    must(fstat(found, &seen) == 0, "nothing", path);
    must_be_inside(found, path);
    int known = by_chroot(again, &expected);
    must(known == -ENOTDIR || (known == 0 && seen.st_ino == expected.st_ino), "elsewhere", path);
    must(root_parent(c, path, name) == found, "opened again", path);
    root_forget(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct context c;
    struct input in = { data, data + size };
    char path[PATH_MAX];

    c.root = root_fd;
    c.parent = -1;
    grow(&in);
    int lowest = dup(root_fd);
    for (int n = 0; n < 4 && in.at < in.end; n++) {
        unsigned what = take(&in);
        take_path(&in, path, sizeof path);
        if (!path[0])
            continue;
        c.parent_stays = false; /* as init's loop has it */
        if (what % 4 == 0)
            check_open(&c, path);
        else if (what % 4 == 3)
            check_parent(&c, path);
        else
            check_make(&c, path, what % 4 == 1 ? TARGET_DIRECTORY : TARGET_FILE);
        if (!c.parent_stays)
            root_forget(&c);
        must(entries(outside) == 2 && entries(base) == 4, "something was made outside", path);
    }
    root_forget(&c);
    int next = dup(root_fd);
    must(next == lowest + 1, "a descriptor is left open", path);
    close(next);
    close(lowest);
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
