"""This process: what `ps` shows of it, and the memory that it keeps for itself."""

import gc
import posix


def rename(name: str, words: str) -> None:
    """Its name, and its words as far as there is room: as much as the program was started with."""
    try:
        _write("/proc/self/comm", name.encode())
        fd = posix.open("/proc/self/stat", posix.O_RDONLY | posix.O_CLOEXEC)
        fields = posix.read(fd, 4096).rpartition(b")")[2].split()
        posix.close(fd)
        start, end = int(fields[45]), int(fields[46])  # arg_start, arg_end: 48 and 49, counted from 1 with pid and name
        title = words.replace(" ", "\0").encode("utf-8", "surrogateescape")[: end - start - 1]
        _write("/proc/self/mem", title + bytes(end - start - len(title)), start)
    except (OSError, ValueError, IndexError):
        pass  # then it shows how we were started


def _write(path: str, data: bytes, place: int = 0) -> None:
    fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        if place:
            posix.lseek(fd, place, 0)
        posix.write(fd, data)
    finally:
        posix.close(fd)


def give_back() -> None:
    """Memory that is of no use to a process that waits: garbage (a task and its processes know each other, so that only
    the collector finds them), and pages of code that were written to."""
    gc.collect()
    try:
        from _pyoci import give_back as give_pages_back  # type: ignore[import-not-found]
    except ImportError:
        return  # a stock interpreter
    give_pages_back()
