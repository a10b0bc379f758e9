"""What the launcher starts: puts the package on the path, runs the command, ends without the interpreter's farewell."""

import gc
import posix
import sys

gc.disable()  # a command lives for milliseconds


def _library_paths() -> "list[str]":
    """Where we were installed, then where the interpreter has its own packages: cffi may be one of them. All of it
    comes after the standard library, and nothing of it is the environment's choice."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = __file__[: -len("/pyoci/__main__.py")]
    return [
        own,
        *([sys._xoptions["packages"]] if "packages" in sys._xoptions else []),  # of a checkout's launcher
        f"{sys.prefix}/lib/{version}/site-packages",
        f"/usr/local/lib/{version}/dist-packages",
        "/usr/lib/python3/dist-packages",
    ]


def _main() -> None:
    sys.path.extend(_library_paths())
    from pyoci.cli import main

    status = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 1
    posix._exit(status)


_main()
