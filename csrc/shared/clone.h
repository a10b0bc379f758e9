/* clone.h: clone3 for a child that shares our memory. It needs a stack of its own and must not return over our frames, and
 * no C library gives that with clone3, nor musl's clone() a thread. */
#ifndef PYOCI_CLONE_H
#define PYOCI_CLONE_H

#include "kernel.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>

/* Starts child(given) on args->stack; what it returns ends it, by SYS_exit_group, or by SYS_exit for a thread.
 * The child's id or a negative errno; here 0 in no case, since the child does not come back.
 *
 * Every operand has its register: one that the compiler chose could be %rsp or %rbp, which are others in the child. The
 * assembly calls nothing before the stack is the child's, so that the area below our own stack pointer stays as it is. */
static inline long clone_onto(struct clone_args *args, int (*child)(void *), void *given, long ending)
{
#if defined(__x86_64__) && !defined(PYOCI_LIBC_CLONE)
    register long rax __asm__("rax") = SYS_clone3;
    register long rdi __asm__("rdi") = (long)args;
    register long rsi __asm__("rsi") = sizeof *args;
    register long r8 __asm__("r8") = (long)given;
    register long r9 __asm__("r9") = (long)child;
    register long r10 __asm__("r10") = ending;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r10, %%rbx\n\t" /* which a call leaves alone */
                     "mov %%r8, %%rdi\n\t"
                     "call *%%r9\n\t"
                     "mov %%eax, %%edi\n\t"
                     "mov %%rbx, %%rax\n\t"
                     "syscall\n\t"
                     "hlt\n\t"
                     "1:\n\t"
                     : "+r"(rax)
                     : "r"(rdi), "r"(rsi), "r"(r8), "r"(r9), "r"(r10)
                     : "rcx", "r11", "cc", "memory");
    return rax;
#elif defined(__aarch64__) && !defined(PYOCI_LIBC_CLONE)
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = sizeof *args;
    register long x9 __asm__("x9") = (long)child;
    register long x10 __asm__("x10") = (long)given;
    register long x11 __asm__("x11") = ending;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, #0\n\t"
                     "mov x19, x11\n\t" /* which a call leaves alone */
                     "mov x0, x10\n\t"
                     "blr x9\n\t"
                     "mov x8, x19\n\t"
                     "svc #0\n\t"
                     "brk #0\n\t"
                     "1:\n\t"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x9), "r"(x10), "r"(x11)
                     : "cc", "memory");
    return x0;
#else
    /* The C library knows this processor, but neither all flags of clone3 nor, in musl, threads */
    if (args->flags >> 32)
        return -ENOSYS;
    void *top = (char *)(uintptr_t)args->stack + args->stack_size;
    int pid = clone(child, top, (int)(args->flags | args->exit_signal), given, (int *)(uintptr_t)args->pidfd, NULL,
                    (int *)(uintptr_t)args->child_tid);
    (void)ending;
    return pid < 0 ? -errno : pid;
#endif
}

#endif
