/* spawn.c: runs one program and says what it took. It is small and static because a child's peak of memory counts its
 * parent's pages until the child executes (getrusage(2)), and because an interpreter in the middle would be measured too.
 * Usage: spawn PROGRAM [ARGUMENT]...; prints nanoseconds, peak KiB and the exit status; the program's output goes nowhere. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    int status, null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (argc < 2 || null < 0)
        return 64;
    long long begin = now();
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(null, 0);
        dup2(null, 1);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
        return 1;
    long long end = now();
    printf("%lld %ld %d\n", end - begin, usage.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
