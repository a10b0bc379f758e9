"""Runs the command. Alone it is what a stock interpreter starts, where pyoci has none of its own (see boot.py)."""

import posix
import sys


def run(words: "list[str]") -> None:
    """Runs the command line, and ends without the interpreter's farewell."""
    try:
        import pyoci

        pyoci.is_command = True
        if words[:1] == ["--containerd-shim"]:  # the launcher's, of its other name
            from pyoci.containerd.command import main as plugin

            status = plugin(words[1:])
        else:
            from pyoci.cli import main

            status = main(words)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                status = status or 1
    except KeyboardInterrupt:  # before main can say so, or after
        status = 130
    posix._exit(status)


if __name__ == "__main__":
    import gc

    gc.disable()  # a command lives for milliseconds
    # Ours comes after the standard library; -I keeps this script's own directory out
    sys.path.append(__file__[: -len("/pyoci/__main__.py")])
    sys.path += [place for place in str(sys._xoptions.get("packages", "")).split(":") if place]
    try:
        from pyoci import _shim

        _shim.prctl(4, 0)  # PR_SET_DUMPABLE, as csrc/start/interpreter.c has it
    except ImportError:
        pass  # the command itself says what is missing
    run(sys.argv[1:])
