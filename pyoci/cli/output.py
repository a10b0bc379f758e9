"""Writes text to the standard streams and the log, whole, by descriptor.

print() is not used: the encoding would be the caller's locale, and a closed descriptor would be a None object.
"""

import posix

STDOUT = 1
STDERR = 2
READER_GONE = 141


def encode(text: str) -> bytes:
    """The bytes of text; what came in as undecodable bytes (file names, arguments) goes out as it was."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def write(fd: int, text: str) -> None:
    """Writes all of text to fd. Raises OSError."""
    rest = memoryview(encode(text))
    while rest:
        try:
            rest = rest[posix.write(fd, rest) :]
        except BlockingIOError:
            # Engines hand over non-blocking pipes; a short wait for the reader is all that is asked.
            import select

            select.select([], [fd], [])


def show(text: str) -> None:
    """Writes text to standard output. Raises OSError; SystemExit where nobody reads it any more, as in `stats | head`:
    the command ends in silence, with the status that shells show for who died of SIGPIPE."""
    try:
        write(STDOUT, text)
    except BrokenPipeError:
        raise SystemExit(READER_GONE) from None
