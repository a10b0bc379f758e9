/* shim.h: the parent's half of the system calls. This file is also what cffi reads: declarations only, no directives
 * but the guard. Every function gives what the kernel gave, or -errno. */
#ifndef PYOCI_SHIM_H
#define PYOCI_SHIM_H
#include <stddef.h>
/* cffi: begin */

struct shim_spawn {
    int executable;          /* the sealed init */
    int cgroup;              /* directory to be born in (cgroup v2), or -1 */
    unsigned long long flags; /* CLONE_NEW* */
    int base;                /* number of init's first descriptor; those from 3 up to it are the caller's, kept open */
    int report;              /* become base, base + 1 and base + 2 */
    int plan;
    int extra;               /* or -1 */
    int pidfd;               /* out */
};

int shim_seal(const char *path);
int shim_spawn(struct shim_spawn *s);
int shim_socketpair(int pair[2]);
int shim_listen(int dir, const char *name);
int shim_connect(int dir, const char *name, int type);
int shim_send(int fd, const char *bytes, size_t length, const int *pass, unsigned count);
int shim_receive(int fd, char *bytes, size_t room, int *passed);
int shim_flock(int fd, int operation);
int shim_prctl(int operation, unsigned long argument);
int shim_prlimit(int pid, int resource, unsigned long long soft, unsigned long long hard);
int shim_pidfd_open(int pid);
int shim_pidfd_signal(int pidfd, int signal);
int shim_poll(const int *fds, int count, int milliseconds);
int shim_signalfd(void);
int shim_openat2(int dir, const char *path, unsigned long long flags, unsigned long long mode,
                 unsigned long long resolve);
int shim_bpf(int command, void *attributes, unsigned size);
int shim_namespace_type(int fd);
int shim_netlink(int netns);
int shim_pin(int file, int dir, const char *name);
int shim_unpin(int dir, const char *name);
int shim_clone_mount(const char *path, unsigned flags, unsigned long long propagation, int namespace,
                     unsigned map_flags);
int shim_user_namespace(const char *uid_map, const char *gid_map);
int shim_seccomp_knows(unsigned flags);
int shim_hook(const char *path, char *const *args, char *const *env, const char *cwd, const char *state, size_t length,
              int timeout, int owner, int *status, int *ending, char *output, size_t room);
/* cffi: end */
#endif
