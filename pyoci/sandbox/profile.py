"""The seccomp profile of sandboxes: what programs use, and of the kernel no more.

Written from syscalls(2) and the pages it names. Left out is what changes the host or other namespaces (mounts, time,
modules, swap), what looks into other processes, what makes namespaces (in which capabilities would be had), and what
has been a way into the kernel without being of use to most programs (bpf, io_uring, userfaultfd, keyrings, perf).
"""

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILES = """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr file_getattr flistxattr flock
    fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat
    ioctl lchown lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir
    mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2
    read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile
    setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask
    unlink unlinkat utime utimensat utimes vmsplice write writev
"""
_WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
    io_pgetevents io_setup io_submit poll ppoll pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime
    timerfd_settime
"""
_MEMORY = """
    brk cachestat get_mempolicy madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
"""
_PROCESSES = """
    arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid
    getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get
    ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self pause pidfd_open
    pidfd_send_signal prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list get_robust_list
    set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid
    setrlimit setsid setuid sigaltstack sysinfo tgkill times tkill uname vfork wait4 waitid
"""
_LOCKS_AND_TIME = """
    alarm clock_getres clock_gettime clock_nanosleep futex futex_requeue futex_wait futex_waitv futex_wake getitimer
    getrandom gettimeofday nanosleep setitimer time timer_create timer_delete timer_getoverrun timer_gettime
    timer_settime
"""
_TALK = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
    sendto setsockopt shutdown mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget
"""
# linux/sched.h: CLONE_NEW* that clone(2) takes
_NAMESPACES = 0x7E020000
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0
_KIND = 0xF  # of socket(2)'s type; the other bits are flags
_STREAM, _DATAGRAM = 1, 2
# The type's own protocol, TCP, UDP, and ICMP as ping without privileges has it
_INTERNET = ((_STREAM, 0), (_STREAM, 6), (_DATAGRAM, 0), (_DATAGRAM, 17), (_DATAGRAM, 1), (_DATAGRAM, 58))


def profile() -> "dict[str, Any]":
    """linux.seccomp of a sandbox."""
    names = " ".join((_FILES, _WAITING, _MEMORY, _PROCESSES, _LOCKS_AND_TIME, _TALK)).split()
    rules: "list[dict[str, Any]]" = [_allow(names)]
    rules.append(_allow(["clone"], [_is(0, _NAMESPACES, "SCMP_CMP_MASKED_EQ", 0)]))
    # its flags lie in memory, where no filter can look: C libraries use clone where the kernel has no clone3
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS})
    rules += [_allow(["socket", "socketpair"], [_is(0, _UNIX)])]
    # For other types and protocols the kernel would load modules (SCTP, DCCP, L2TP, SMC …), and few programs need them
    for family in (_INET, _INET6):
        for kind, protocol in _INTERNET:
            rules.append(
                _allow(["socket"], [_is(0, family), _is(1, _KIND, "SCMP_CMP_MASKED_EQ", kind), _is(2, protocol)])
            )
    rules.append(_allow(["socket"], [_is(0, _NETLINK), _is(2, _NETLINK_ROUTE)]))
    rules += [_allow(["personality"], [_is(0, value)]) for value in (0, 0xFFFFFFFF)]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.EPERM, "syscalls": rules}


def _allow(names: "list[str]", args: "list[dict[str, Any]]" = []) -> "dict[str, Any]":  # noqa: B006 - never changed
    rule: "dict[str, Any]" = {"names": names, "action": "SCMP_ACT_ALLOW"}
    return {**rule, "args": args} if args else rule


def _is(index: int, value: int, how: str = "SCMP_CMP_EQ", two: int = 0) -> "dict[str, Any]":
    return {"index": index, "value": value, "valueTwo": two, "op": how}
