"""The C compilers of a build: which there are, and with what words they are called.

CC, CFLAGS, CPPFLAGS and LDFLAGS of the environment reach every call, after our own words, so that theirs win. STATIC_CC
is the compiler of the two static programs. Warnings are no errors here, since the next compiler has more of them; in
`make check` they are (tests/tools/analyze.py).
"""

import functools
import os
import shlex
import subprocess
import sys
import tempfile

CSRC = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = os.path.dirname(CSRC)
CC = shlex.split(os.environ.get("CC", "")) or ["cc"]
OURS = ["-std=gnu11", "-D_GNU_SOURCE", "-DNDEBUG", "-O2", "-Wall", "-Wextra", "-fstack-protector-strong"]
OURS += ["-fno-strict-aliasing"]  # the kernel writes its records into arrays of bytes (copy.c), a plan is one


def environment(*names: str) -> list[str]:
    """The words of some variables."""
    return [word for name in names for word in shlex.split(os.environ.get(name, ""))]


def cflags(scratch: str = "") -> list[str]:
    """The words of every compilation. No path of this machine is to be found in what it makes, so that two builds are
    the same to the byte.

    scratch: a directory whose files are compiled, too
    """
    places = {PROJECT: "pyoci", **({scratch: "build"} if scratch else {})}
    maps = [f"-ffile-prefix-map={place}={name}" for place, name in places.items()]
    return [*OURS, f"-I{CSRC}", *environment("CPPFLAGS", "CFLAGS"), *maps]


def source(name: str) -> str:
    """A file of csrc/, with its room: "init/walk.c"."""
    return os.path.join(CSRC, *name.split("/"))


def write(path: str, data: bytes) -> None:
    """Writes bytes to a file, and makes its directory."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def call(command: list[str]) -> tuple[int, str]:
    """Runs a compiler; its status and what it said. The build ends where there is none."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError:
        sys.exit(f"pyoci: no C compiler: {command[0]} was not found (Debian: apt-get install gcc libc6-dev)")
    return done.returncode, done.stdout


def compile_c(
    output: str,
    sources: list[str],
    *flags: str,
    compiler: list[str] | None = None,
    scratch: str = "",
    link: bool = True,
) -> None:
    """Compiles C; a failure ends the build with the compiler's words and what is likely missing.

    flags: besides those of all; link: a program, and not an object
    """
    os.makedirs(os.path.dirname(output), exist_ok=True)
    last = environment("LDFLAGS") if link else ["-c"]
    command = [*(compiler or CC), *cflags(scratch), *flags, "-o", output + ".new", *sources, *last]
    status, said = call(command)
    sys.stderr.write(said)
    if status:
        sys.exit("pyoci: the C compiler failed: " + " ".join(command))
    os.replace(output + ".new", output)  # what runs the old one at this moment keeps it


def static_compilers() -> list[list[str]]:
    """The compilers that may build static programs, the best first: musl's are an eighth in size and start in a third
    of the time."""
    if os.environ.get("STATIC_CC"):
        return [shlex.split(os.environ["STATIC_CC"])]
    return [CC] if os.environ.get("CC") else [["musl-gcc"], CC]


def static_words() -> list[str]:
    """What makes a program static. It has a fixed address, which saves the time of moving it, unless STATIC_CC asks for
    -static-pie."""
    if "-static-pie" in environment("STATIC_CC"):
        return ["-static-pie", "-fPIE"]
    return ["-static", "-fno-pie", "-no-pie"]


@functools.cache
def static_compiler() -> list[str]:
    """The compiler for init and the launcher. They must be static: a dynamic loader reads files that the environment or
    the image chooses."""
    said = ""
    with tempfile.TemporaryDirectory() as scratch:
        probe = os.path.join(scratch, "probe.c")
        write(probe, b"int main(void) { return 0; }\n")
        for compiler in static_compilers():
            command = [*compiler, *environment("CPPFLAGS", "CFLAGS"), *static_words(), "-o", probe + ".out", probe]
            command += environment("LDFLAGS")
            try:
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            except FileNotFoundError as error:
                said += f"{error}\n"
                continue
            if done.returncode == 0:
                return compiler
            said += done.stdout
    sys.stderr.write(said)
    sys.exit(
        "pyoci: no static C library to link with. Install one: musl-tools or libc6-dev (Debian, Ubuntu), musl-gcc or "
        "glibc-static (Fedora), musl-dev (Alpine), then build again."
    )


def kernel_headers(directory: str) -> None:
    """Fills a directory with the kernel's headers alone, where the compiler finds them: musl comes without, and beside
    them lie those of the other C library."""
    text, command = "#include <linux/mount.h>", [*CC, "-M", "-xc", "-"]
    files = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    for place in sorted({os.path.dirname(file) for file in files}):
        link = os.path.join(directory, os.path.basename(place))
        if os.path.basename(place) in ("linux", "asm", "asm-generic") and not os.path.lexists(link):
            os.symlink(place, link)


def compile_static(output: str, sources: list[str], *flags: str) -> None:
    """Compiles C to a program that needs nothing but the kernel, without what it does not use."""
    small = ["-Os", "-s", "-ffunction-sections", "-Wl,--gc-sections", *static_words()]
    with tempfile.TemporaryDirectory() as scratch:
        kernel_headers(scratch)
        compiler = static_compiler()
        compile_c(output, sources, *small, "-idirafter", scratch, *flags, compiler=compiler, scratch=scratch)
