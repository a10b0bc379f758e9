/* stepper.c: makes a race deterministic. Runs a command, stops pyoci's init before its N-th system call that takes a path,
 * exchanges two names, and lets it go on. Counted from the first that speaks of the name ONE up to pivot_root: before, an
 * exchange is no race. N 0 exchanges nothing; the number of such calls goes to a file.
 *
 *     stepper N ONE OTHER COUNT COMMAND...
 *
 * N -1 exchanges nothing either: at every system call of init it looks at what is mapped into it, and the file gets the
 * number of looks, then a line for each mapping of a file that is not init's own memory file.
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
    static const long calls[] = { SYS_openat,   SYS_openat2,    SYS_open_tree,     SYS_move_mount, SYS_mkdirat,
                                  SYS_mknodat,  SYS_symlinkat,  SYS_unlinkat,      SYS_newfstatat, SYS_readlinkat,
                                  SYS_fchownat, SYS_faccessat2, SYS_mount_setattr, SYS_execve };
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

/* What is mapped that has a path: all but files in memory, the program and its plan */
static void look_at_maps(pid_t pid, FILE *told)
{
    char path[64], line[4096];

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    while (maps && fgets(line, sizeof line, maps)) {
        const char *name = strchr(line, '/');
        if (name && strncmp(name, "/memfd:", 7) != 0)
            fputs(name, told);
    }
    if (maps)
        fclose(maps);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 64;
    long at = atol(argv[1]), count = 0;
    int begun = 0, over = 0;
    const char *name = strrchr(argv[2], '/') + 1;
    char *told_text = NULL;
    size_t told_size = 0;
    FILE *told = open_memstream(&told_text, &told_size);
    enum { MOST_PIDS = 1 << 22 };
    static unsigned char inside[MOST_PIDS]; /* by pid: its system calls are watched */
    static unsigned char announced[MOST_PIDS], held[MOST_PIDS];
    pid_t command = fork();

    if (command == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[5], argv + 5);
        _exit(127);
    }
    int status = 0, result = 1;
    waitpid(command, &status, 0);
    ptrace(PTRACE_SETOPTIONS, command, 0,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
               PTRACE_O_EXITKILL);
    ptrace(PTRACE_CONT, command, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            announced[pid] = held[pid] = inside[pid] = 0;
            if (pid == command)
                result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int event = status >> 16, stop = WSTOPSIG(status), signal = stop;
        if (signal == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
                takes_path((long)info.entry.nr)) {
                begun |= speaks_of(pid, info.entry.args[1], name);
                if (begun && !over && ++count == at)
                    renameat2(AT_FDCWD, argv[2], AT_FDCWD, argv[3], RENAME_EXCHANGE);
            }
            if (at < 0) {
                look_at_maps(pid, told);
                count++;
            }
            over |= info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_pivot_root;
            signal = 0;
        } else if (event || signal == SIGSTOP) {
            signal = 0; /* a new process stops once; nobody here stops for another reason */
        }
        if (event == PTRACE_EVENT_EXEC) {
            inside[pid] = (unsigned char)is_init(pid);
        } else if (event) {
            unsigned long child = 0;
            ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
            child &= MOST_PIDS - 1;
            inside[child] = inside[pid]; /* init's own child is init */
            announced[child] = 1;
            if (held[child])
                ptrace(inside[child] ? PTRACE_SYSCALL : PTRACE_CONT, (pid_t)child, 0, 0);
            held[child] = 0;
        } else if (stop == SIGSTOP && !announced[pid]) {
            held[pid] = 1; /* a child's first stop can come before its parent tells of it */
            continue;
        }
        ptrace(inside[pid] ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal);
    }
    FILE *file = fopen(argv[4], "w");
    if (file) {
        fflush(told);
        fprintf(file, "%ld\n%s", count, told_text);
        fclose(file);
    }
    return result;
}
