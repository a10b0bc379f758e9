"""Reading and writing whole: a call may take or give less than it was asked for."""

import posix

_PIECE = 1 << 16  # most files are smaller; memory for a larger piece would be mapped and unmapped for each read


def read_all(fd: int, most: int = -1) -> bytes:
    """What a descriptor holds up to its end.

    most: bytes after which no more is read, -1 for no such limit; a caller who allows n asks for n + 1, and looks
    Errors: OSError.
    """
    parts: "list[bytes]" = []
    while most:
        part = posix.read(fd, _PIECE if most < 0 else min(most, _PIECE))
        if not part:
            break
        parts.append(part)
        if most > 0:
            most -= len(part)
    return b"".join(parts)


def read_file(path: str) -> str:
    """A whole file as text, such as one of procfs. Errors: OSError."""
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return read_all(fd).decode("utf-8", "surrogateescape")
    finally:
        posix.close(fd)


def write_all(fd: int, data: "bytes | memoryview") -> None:
    """Writes all of it. Errors: OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[posix.write(fd, rest) :]
