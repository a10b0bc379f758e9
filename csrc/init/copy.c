/* copy.c: fill a fresh tmpfs with what it is about to cover (the mount option tmpcopyup). */
#include "init.h"

#include <string.h>

enum { MAX_DEPTH = 64 };

struct entry { /* linux_dirent64, which no header has */
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

static int copy_children(int from, int to, int depth);

static int copy_bytes(int from, int to)
{
    char piece[16384];
    for (;;) {
        ssize_t got = read(from, piece, sizeof piece);
        if (got <= 0)
            return (int)got;
        for (ssize_t at = 0; at < got;) {
            ssize_t put = write(to, piece + at, (size_t)(got - at));
            if (put < 0)
                return -1;
            at += put;
        }
    }
}

static int copy_file(int from, const char *name, int to, const struct stat *st)
{
    SCOPED_FD in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    SCOPED_FD out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (in < 0 || out < 0 || copy_bytes(in, out) < 0 || fchown(out, st->st_uid, st->st_gid) < 0)
        return -1;
    return fchmod(out, st->st_mode & 07777);
}

static int copy_link(int from, const char *name, int to, const struct stat *st)
{
    char text[PATH_MAX];
    ssize_t length = readlinkat(from, name, text, sizeof text - 1);
    if (length < 0)
        return -1;
    text[length] = '\0';
    if (symlinkat(text, to, name) < 0)
        return -1;
    return fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_directory(int from, const char *name, int to, const struct stat *st, int depth)
{
    if (mkdirat(to, name, 0700) < 0)
        return -1;
    SCOPED_FD in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    SCOPED_FD out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0 || out < 0 || copy_children(in, out, depth + 1) < 0 || fchown(out, st->st_uid, st->st_gid) < 0)
        return -1;
    return fchmod(out, st->st_mode & 07777);
}

static int copy_one(int from, const char *name, int to, int depth)
{
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISREG(st.st_mode))
        return copy_file(from, name, to, &st);
    if (S_ISLNK(st.st_mode))
        return copy_link(from, name, to, &st);
    if (S_ISDIR(st.st_mode))
        return copy_directory(from, name, to, &st, depth);
    if (S_ISSOCK(st.st_mode))
        return 0; /* without its server a socket is nothing */
    if (mknodat(to, name, st.st_mode & (S_IFMT | 07777), st.st_rdev) < 0)
        return -1;
    return fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_children(int from, int to, int depth)
{
    char room[4096] __attribute__((aligned(8)));

    if (depth > MAX_DEPTH) {
        errno = ELOOP;
        return -1;
    }
    for (;;) {
        long got = syscall(SYS_getdents64, from, room, sizeof room);
        if (got <= 0)
            return (int)got;
        for (long at = 0; at < got;) {
            const struct entry *e = (const void *)(room + at);
            at += e->length;
            if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
                continue;
            if (copy_one(from, e->name, to, depth) < 0)
                return -1;
        }
    }
}

/* Copy the contents of a directory (O_PATH will do) and its own owner and mode */
int copy_tree(int from, int to)
{
    struct stat st;
    SCOPED_FD in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    SCOPED_FD out = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in < 0 || out < 0 || fstat(in, &st) < 0 || copy_children(in, out, 0) < 0)
        return -1;
    return fchown(out, st.st_uid, st.st_gid);
}
