/* walk.c: the one way to a path inside the rootfs. The image and other containers that share a volume are hostile: each
 * component is looked up by the kernel below the root's descriptor, and what is missing is made in a directory that is
 * held open. See openat2(2).
 *
 * What is mounted is not asked for by its name again: who may rename in the rootfs could have put another directory
 * there since. Paths below a mount of ours start at its descriptor. */
#include "init.h"

#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

enum { MAX_LINKS = 40 };

/* What is left of a path below another, both without the slashes before them; NULL where it is not below */
static const char *below(const char *path, const struct text *top)
{
    const char *start = top->bytes + strspn(top->bytes, "/");
    size_t length = strlen(start);

    path += strspn(path, "/");
    if (strncmp(path, start, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    path += length;
    return path + strspn(path, "/");
}

/* The innermost mount that a path lies in */
static const struct held *holder(const struct context *c, const char *path, const char **rest)
{
    const struct held *found = NULL;

    for (const struct held *held = c->held; held < c->held + c->held_count; held++) {
        const char *left = below(path, &held->path);
        if (left && (!found || held->path.length > found->path.length)) {
            found = held;
            *rest = left;
        }
    }
    return found;
}

bool root_holds(const struct context *c, const char *path)
{
    const char *rest;
    return holder(c, path, &rest) != NULL;
}

int root_open_named(struct context *c, const char *path, uint64_t flags, uint64_t resolve)
{
    return sys_openat2(c->root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve);
}

/* A link that leads out of the mount (EXDEV) means a place in the rootfs, and is followed by name */
int root_open(struct context *c, const char *path, uint64_t flags, uint64_t resolve)
{
    const char *rest;
    const struct held *held = holder(c, path, &rest);

    if (held && *rest) {
        int fd = sys_openat2(held->fd, rest, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve);
        if (fd >= 0 || errno != EXDEV)
            return fd;
    } else if (held && (flags & O_PATH)) {
        return fcntl(held->fd, F_DUPFD_CLOEXEC, 3); /* it may be a file */
    }
    return root_open_named(c, path, flags, resolve);
}

/* Whether a mount was put on the root of one that we hold, by another name: a link in the image led there. That of a
 * volume's owner could as well, so what has masks to come is held on to: later names then lead below it. */
static bool is_covered(const struct held *held, const struct stat *target)
{
    struct stat st;
    struct statfs fs;

    return fstat(held->fd, &st) == 0 && st.st_dev == target->st_dev && st.st_ino == target->st_ino &&
           fstatfs(held->fd, &fs) == 0 && fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC;
}

/* Something was mounted on a path, where target was: what we hold there and below is covered.
 * hold: take its descriptor out of *mount */
int root_mounted(struct context *c, const struct text *path, int target, int *mount, bool hold)
{
    unsigned kept = 0;
    struct stat st;

    if (fstat(target, &st) < 0)
        return -errno;
    for (unsigned n = 0; n < c->held_count; n++) {
        if (below(c->held[n].path.bytes, path) || is_covered(&c->held[n], &st))
            close(c->held[n].fd);
        else
            c->held[kept++] = c->held[n];
    }
    c->held_count = kept;
    if (!hold)
        return 0;
    if (kept == MAX_HELD)
        return -E2BIG;
    c->held[c->held_count++] = (struct held){ .path = *path, .fd = keep_fd(mount) };
    return 0;
}

/* After the switch nothing is mounted any more, and a container that waits for its start holds no mount open */
void root_let_go(struct context *c)
{
    while (c->held_count)
        close(c->held[--c->held_count].fd);
}

/* A walk under way: `done` has been looked up and holds no link; `rest` has yet to be */
struct walk {
    char done[PATH_MAX];
    char rest[PATH_MAX];
    int links;
};

/* Open what has been walked, plus one component; a link in the last place is opened itself, never followed */
static int open_plain(struct context *c, const char *path, uint64_t flags)
{
    return root_open(c, *path ? path : ".", flags | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
}

static int take_component(struct walk *w, char name[NAME_MAX + 1])
{
    const char *start = w->rest + strspn(w->rest, "/");
    size_t length = strcspn(start, "/");

    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, start, length);
    name[length] = '\0';
    memmove(w->rest, start + length, strlen(start + length) + 1);
    return 0;
}

static int push(struct walk *w, const char *name)
{
    size_t have = strlen(w->done);
    if (have + 1 + strlen(name) >= sizeof w->done) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(w->done + have, sizeof w->done - have, "%s%s", have ? "/" : "", name);
    return 0;
}

static void pop(struct walk *w)
{
    char *slash = strrchr(w->done, '/');
    *(slash ? slash : w->done) = '\0';
}

/* The link just opened takes the place of its name: its text, then what was left */
static int follow(struct walk *w, int link)
{
    char text[PATH_MAX];
    ssize_t length = readlinkat(link, "", text, sizeof text - 1);

    if (length < 0)
        return -1;
    if (++w->links > MAX_LINKS) {
        errno = ELOOP;
        return -1;
    }
    text[length] = '\0';
    size_t rest = strlen(w->rest);
    if ((size_t)length + 1 + rest >= sizeof w->rest) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memmove(w->rest + length + 1, w->rest, rest + 1);
    memcpy(w->rest, text, (size_t)length);
    w->rest[length] = '/';
    if (text[0] == '/')
        w->done[0] = '\0';
    return 0;
}

static int make_in(int parent, const char *name, enum target_kind kind)
{
    if (kind == TARGET_DIRECTORY)
        return mkdirat(parent, name, 0755);
    SCOPED_FD file = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
    return file < 0 ? -1 : 0;
}

/* Make what is missing, in the directory that was walked to */
static int create(struct context *c, const char *dir, const char *name, enum target_kind kind)
{
    SCOPED_FD parent = open_plain(c, dir, O_PATH | O_DIRECTORY);
    if (parent < 0 || (make_in(parent, name, kind) < 0 && errno != EEXIST))
        return -1;
    return sys_openat2(parent, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

static bool is_last(const struct walk *w) { return w->rest[strspn(w->rest, "/")] == '\0'; }

/* One component forward; *fd is what it led to, or -1 where the walk has only turned */
static int advance(struct context *c, struct walk *w, enum target_kind kind, int *fd)
{
    char name[NAME_MAX + 1], parent[PATH_MAX];
    struct stat st;

    *fd = -1;
    if (take_component(w, name) < 0)
        return -1;
    if (name[0] == '\0' || strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        pop(w);
        return 0;
    }
    memcpy(parent, w->done, sizeof parent);
    if (push(w, name) < 0)
        return -1;
    int next = open_plain(c, w->done, O_PATH);
    if (next < 0 && errno == ENOENT)
        next = create(c, parent, name, is_last(w) ? kind : TARGET_DIRECTORY);
    if (next < 0)
        return -1;
    int known = fstat(next, &st);
    if (known == 0 && !S_ISLNK(st.st_mode)) {
        *fd = next;
        return 0;
    }
    memcpy(w->done, parent, sizeof parent);
    int turned = known < 0 ? -1 : follow(w, next);
    close(next);
    return turned;
}

static int walk(struct context *c, const char *path, enum target_kind kind)
{
    struct walk w = { .links = 0 };

    if (strlen(path) >= sizeof w.rest) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(w.rest, sizeof w.rest, "%s", path);
    int found = open_plain(c, "", O_PATH | O_DIRECTORY);
    while (found >= 0 && !is_last(&w)) {
        int next;
        if (advance(c, &w, kind, &next) < 0) {
            int error = errno;
            close(found);
            errno = error;
            return -1;
        }
        if (next < 0)
            next = open_plain(c, w.done, O_PATH);
        close(found);
        found = next;
    }
    return found;
}

/* The directory of a path, with a slash behind it, and the name in it */
static int split(const char *path, char dir[PATH_MAX], char name[NAME_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) : 0;

    if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
        errno = EINVAL;
        return -1;
    }
    if (strlen(last) > NAME_MAX || length + 1 >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, last, strlen(last) + 1);
    memcpy(dir, path, length);
    memcpy(dir + length, "/", 2);
    return 0;
}

static bool is_parent(const struct context *c, const char *dir)
{
    return c->parent >= 0 && strcmp(dir, c->parent_path) == 0;
}

static void keep_parent(struct context *c, int fd, const char *dir)
{
    root_forget(c);
    c->parent = fd;
    memcpy(c->parent_path, dir, strlen(dir) + 1);
}

/* Mostly only the last component is missing. What is not made here, or has become a link since, is left to the walk. */
static int make_last(struct context *c, const char *dir, const char *name, enum target_kind kind)
{
    if (!is_parent(c, dir)) {
        int fd = root_open(c, dir, O_PATH | O_DIRECTORY, 0);
        if (fd < 0)
            return -1;
        keep_parent(c, fd, dir);
    }
    if (make_in(c->parent, name, kind) < 0)
        return -1;
    int made = sys_openat2(c->parent, name, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    c->parent_stays = made >= 0;
    return made;
}

/* Open a path below the root, O_PATH, making what is missing. Links are followed inside the root, dangling ones too
 * (images link /etc/resolv.conf to a file that appears only later). Where the directory is at hand, a new name in it is
 * the likelier case. */
int root_make(struct context *c, const char *path, enum target_kind kind)
{
    char dir[PATH_MAX], name[NAME_MAX + 1];
    bool splits = split(path, dir, name) == 0, tried = splits && is_parent(c, dir);
    int found = tried ? make_last(c, dir, name, kind) : -1;

    if (found >= 0)
        return found;
    found = root_open(c, path, O_PATH, 0);
    if (found >= 0 || errno != ENOENT)
        return found;
    if (splits && !tried)
        found = make_last(c, dir, name, kind);
    return found >= 0 ? found : walk(c, path, kind);
}

/* The directory of a path, made where it is missing, and the name in it. It stays open, for steps that follow one another
 * mostly name the same one; after a step that could change what the path leads to, root_forget closes it. */
int root_parent(struct context *c, const char *path, char name[NAME_MAX + 1])
{
    char dir[PATH_MAX];

    if (split(path, dir, name) < 0)
        return -1;
    if (!is_parent(c, dir)) {
        int fd = root_make(c, dir, TARGET_DIRECTORY);
        if (fd < 0)
            return -1;
        keep_parent(c, fd, dir);
    }
    return c->parent;
}

void root_forget(struct context *c)
{
    if (c->parent >= 0)
        close(c->parent);
    c->parent = -1;
}
