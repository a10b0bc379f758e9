/* open_pidfd.c: opens a pidfd of process PID and sends it through the socket that is its standard input: for a program
 * under valgrind (count_calls.c).
 * Usage: open_pidfd PID */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>

#include "shared/shared.h"

int main(int argc, char **argv)
{
    int pidfd = argc == 2 ? (int)syscall(SYS_pidfd_open, (pid_t)atoi(argv[1]), 0) : -1;

    return pidfd < 0 || send_packet(STDIN_FILENO, "", 1, &pidfd, 1) < 0;
}
