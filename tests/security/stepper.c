/* stepper.c: makes a race deterministic. Runs a command, stops pyoci's init before its N-th system call that takes a path,
 * exchanges two names, and lets it go on. Counted from the first that speaks of the name ONE up to pivot_root: before, an
 * exchange is no race. N 0 exchanges nothing; the number of such calls goes to a file.
 *
 *     stepper N ONE OTHER COUNT COMMAND...
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int takes_path(long number)
{
    static const long calls[] = { SYS_openat,    SYS_openat2,   SYS_open_tree, SYS_move_mount, SYS_mkdirat,   SYS_mknodat,
                                  SYS_symlinkat, SYS_unlinkat,  SYS_newfstatat, SYS_readlinkat, SYS_fchownat, SYS_faccessat2,
                                  SYS_mount_setattr, SYS_execve };
    for (size_t n = 0; n < sizeof calls / sizeof *calls; n++)
        if (calls[n] == number)
            return 1;
    return 0;
}

static int is_init(pid_t pid)
{
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return 0;
    target[length] = '\0';
    return strncmp(target, "/memfd:pyoci-init", 17) == 0;
}

/* Whether the path of a call (the second argument of all of them) has a name in it */
static int speaks_of(pid_t pid, unsigned long long address, const char *name)
{
    char text[256] = "";
    struct iovec here = { text, sizeof text - 1 }, there = { (void *)(uintptr_t)address, sizeof text - 1 };

    if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
        return 0;
    return strstr(text, name) != NULL;
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 64;
    long at = atol(argv[1]), count = 0;
    int begun = 0, over = 0;
    const char *name = strrchr(argv[2], '/') + 1;
    static unsigned char inside[1 << 22]; /* by pid: its system calls are watched */
    pid_t command = fork();

    if (command == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[5], argv + 5);
        _exit(127);
    }
    int status = 0, result = 1;
    waitpid(command, &status, 0);
    ptrace(PTRACE_SETOPTIONS, command, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                                              PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    ptrace(PTRACE_CONT, command, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == command)
                result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (signal == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
                takes_path((long)info.entry.nr)) {
                begun |= speaks_of(pid, info.entry.args[1], name);
                if (begun && !over && ++count == at)
                    renameat2(AT_FDCWD, argv[2], AT_FDCWD, argv[3], RENAME_EXCHANGE);
            }
            over |= info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_pivot_root;
            signal = 0;
        } else if (event || signal == SIGSTOP) {
            signal = 0; /* a new process stops once; nobody here stops for another reason */
        }
        if (event == PTRACE_EVENT_EXEC)
            inside[pid] = (unsigned char)is_init(pid);
        ptrace(inside[pid] ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal);
    }
    FILE *file = fopen(argv[4], "w");
    if (file) {
        fprintf(file, "%ld\n", count);
        fclose(file);
    }
    return result;
}
