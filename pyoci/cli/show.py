"""The commands that only print or write a document: version, features, spec, plan."""

import posix

from pyoci.cli.output import show, write
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call


def version(call: "Call") -> int:
    """Prints the version in the shape callers parse; --check tries the installation first."""
    missing: "list[str]" = []
    if call.flags.get("check"):
        from pyoci.cli.installation import check

        missing = check()
    show(version_text() + "".join(f"not installed: {library}\n" for library in missing))
    return 0


def version_text() -> str:
    """The lines of --version.

    docker takes every line with the word `version` for the program's own, so only the first has it.
    """
    import sys

    import pyoci
    from pyoci.cli.installation import start
    from pyoci.commit import COMMIT

    python = ".".join(str(part) for part in sys.version_info[:3])
    about = f"commit: {COMMIT}\nspec: {pyoci.SPEC_VERSION}\npython: {python}\nstart: {start()}\n"
    return f"pyoci version {pyoci.__version__}\n{about}"


def features(call: "Call") -> int:
    """Prints what this runtime can do (runtime-spec features.md)."""
    from pyoci import features as known
    from pyoci.jsondoc import dump_pretty

    show(dump_pretty(known.document(), "    ") + "\n")
    return 0


def spec(call: "Call") -> int:
    """Writes a config.json to start from."""
    from pyoci import spec_template
    from pyoci.jsondoc import dump_pretty

    directory = call.path("bundle")
    path = f"{directory}/config.json" if directory else "config.json"
    config = spec_template.config()
    if call.yes("rootless"):
        config = spec_template.rootless(config, posix.geteuid(), posix.getegid())
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    try:
        fd = posix.open(path, flags, 0o666)
    except FileExistsError:
        raise Error("File config.json exists. Remove it first", kind="exists") from None
    except OSError as problem:
        raise Error(f"open {path}", errno=problem.errno or 0) from None
    try:
        write(fd, dump_pretty(config, "\t") + "\n")
    except OSError as problem:
        posix.unlink(path)
        raise Error(f"write {path}", errno=problem.errno or 0) from None
    finally:
        posix.close(fd)
    return 0


def plan(call: "Call") -> int:
    """Prints what create would do, one step a line, or as JSON, and what is missing for it; changes nothing."""
    from pyoci.cli.lifecycle import create_options

    compiled = call.runtime().plan(create_options(call))
    if call.yes("json"):
        from pyoci.jsondoc import dump_pretty

        show(dump_pretty(compiled.document(), "  ") + "\n")
    else:
        show("".join(f"{line}\n" for line in compiled.lines()))
    return 0
