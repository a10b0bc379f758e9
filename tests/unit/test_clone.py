"""A child that shares our memory is born on a stack of its own (csrc/shared/clone.h), whatever a compiler makes of the
code around it: which registers it takes, what it puts in line, what it keeps on the stack."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
sys.path.insert(0, str(CSRC.parent))

from csrc.build import compiler as build  # noqa: E402

# The child of shim_spawn fails before it executes, which it says in our memory; then it executes this program. A thread
# counts in our memory, and is gone when the kernel says so.
DRIVER = r"""
#include "shim/shim.c"

static int count(void *given)
{
    *(int *)given += 41;
    return 9;
}

static int thread(void)
{
    static char stack[16384] __attribute__((aligned(16)));
    int counted = 1, runs = 1;
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                 CLONE_CHILD_CLEARTID,
        .child_tid = (uintptr_t)&runs, .stack = (uintptr_t)stack, .stack_size = sizeof stack,
    };
    long id = clone_onto(&args, count, &counted, SYS_exit);

    while (id > 0 && __atomic_load_n(&runs, __ATOMIC_ACQUIRE))
        ;
#if defined(PYOCI_LIBC_CLONE) && !defined(__GLIBC__)
    if (id == -EINVAL) /* what musl says of threads from 1.2.5 on */
        return 1;
#endif
    return id > 0 && counted == 42;
}

static bool same(int one, int other)
{
    struct stat a, b;

    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int main(int argc, char **argv)
{
    siginfo_t info;
    int pidfd = -1, null = open("/dev/null", O_RDWR), self = open("/proc/self/exe", O_RDONLY);
    const int given[] = { self, -1, null }; /* becomes 0 and 2 */

    if (strcmp(argv[0], "pyoci:[init]") == 0)
        return argc == 2 && strcmp(argv[1], "3") == 0 && same(0, self) && same(2, null) ? 42 : 1;
    if (shim_spawn(-1, null, null, -1, 3, 0, -1, given, 3, &pidfd) != -EBADF || pidfd != -1)
        return 2;
    int pid = shim_spawn(self, null, null, -1, 3, 0, -1, given, 3, &pidfd);
    if (pid <= 0 || waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 || info.si_status != 42)
        return 3;
    return thread() ? 0 : 4;
}
"""
NAMES = ["gcc", "clang", "musl-gcc"]
NAMES += [f"gcc-{version}" for version in range(11, 17)] + [f"clang-{version}" for version in range(14, 24)]
COMPILERS = [name for name in NAMES if shutil.which(name)]
# fmt: off
WAYS = ["-O0", "-O1", "-O2", "-O3", "-Os", "-Og", "-O2 -flto", "-O2 -fno-omit-frame-pointer",
        "-O2 -fomit-frame-pointer", "-O2 -fstack-protector-strong -fstack-clash-protection", "-O3 -fPIE",
        "-O2 -DPYOCI_LIBC_CLONE"]
# fmt: on
PROTECTED = {"x86_64": ["-O2 -fcf-protection=full"], "aarch64": ["-O2 -mbranch-protection=standard"]}


@pytest.mark.parametrize("way", WAYS + PROTECTED.get(os.uname().machine, []))
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_child_on_a_stack_of_its_own(compiler: str, way: str, tmp_path: Path) -> None:
    source, program = tmp_path / "driver.c", tmp_path / "driver"
    source.write_text(DRIVER)
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{CSRC}", *way.split()]
    if compiler == "musl-gcc":
        headers = tempfile.mkdtemp(dir=tmp_path)
        build.kernel_headers(headers)
        flags += ["-static", "-idirafter", headers]
    command = [compiler, *flags, "-o", str(program), str(source), str(CSRC / "shared" / "hook.c"), "-pthread"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "-flto" in way and done.returncode and "plugin" in done.stderr + done.stdout:
        pytest.skip(f"{compiler} has no linker for link-time optimization here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    assert subprocess.run([program], check=False).returncode == 0


def test_there_is_a_compiler() -> None:
    assert COMPILERS
