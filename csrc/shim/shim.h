/* shim.h: the parent's half of the system calls. cffi reads it, too (csrc/build/shim.py): pyoci/_shim.py calls these
 * functions, and answers for pointers and lengths. Every function gives what the kernel gave, or -errno; one that waits gives
 * -EINTR when a signal came, for Python to do what it does at signals and call again. */
#ifndef PYOCI_SHIM_H
#define PYOCI_SHIM_H
#include "shared/hook.h"

#include <stddef.h>

int shim_seal(const char *path);
int shim_spawn(int executable, int plan, int report, int extra, int base, unsigned long long flags, int cgroup,
               const int *files, size_t count, int *pidfd);
int shim_socketpair(int *ours, int *theirs);
int shim_listen(int dir, const char *name);
int shim_connect(int dir, const char *name, int type);
int shim_send(int fd, const void *data, size_t length, const int *files, size_t count);
int shim_receive(int fd, void *data, size_t room, int *file);
int shim_flock(int fd, int operation);
int shim_prctl(int operation, unsigned long argument);
int shim_prlimit(int pid, int resource, unsigned long long soft, unsigned long long hard);
int shim_pidfd_open(int pid);
int shim_pidfd_signal(int pidfd, int signal);
int shim_poll(const int *fds, size_t count, int milliseconds);
int shim_signalfd(void);
int shim_openat2(int dir, const char *path, unsigned long long flags, unsigned long long mode,
                 unsigned long long resolve);
int shim_bpf_load(const void *code, size_t length);
int shim_bpf_open(unsigned number);
int shim_bpf_attach(int cgroup, int program, unsigned flags, int former);
int shim_bpf_detach(int cgroup, int program);
int shim_bpf_attached(int cgroup, void *numbers, size_t room);
int shim_namespace_type(int fd);
int shim_netlink(int netns);
int shim_pin(int file, int dir, const char *name);
int shim_unpin(int dir, const char *name);
int shim_clone_mount(const char *path, unsigned flags, unsigned long long propagation, int namespace,
                     unsigned map_flags);
int shim_user_namespace(const char *uid_map, const char *gid_map);
int shim_seccomp_knows(unsigned flags);
int shim_hook_start(const char *path, char *const *args, char *const *env, const char *cwd, const void *state,
                    size_t length, int timeout, int owner, struct hook_run *run);
int shim_hook_watch(struct hook_run *run);
void shim_hook_kill(struct hook_run *run);
int shim_mount(const char *source, const char *target, const char *type, unsigned long long flags, const char *data);
int shim_unmount(const char *target, unsigned flags);
int shim_own_directory(void);
int shim_sched_core(void);
#endif
