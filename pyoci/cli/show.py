"""The commands that only print or write a document: features, spec, plan."""

import posix

from pyoci.cli.output import show, write
from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call


def features(call: "Call") -> int:
    """Prints what this runtime can do (runtime-spec features.md)."""
    from pyoci.documents import features as known
    from pyoci.json.document import dump_pretty

    show(dump_pretty(known.document(), "    ") + "\n")
    return 0


def spec(call: "Call") -> int:
    """Writes a config.json to start from."""
    from pyoci.documents import spec_template
    from pyoci.json.document import dump_pretty

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
        from pyoci.json.document import dump_pretty

        show(dump_pretty(compiled.document(), "  ") + "\n")
    else:
        show("".join(f"{line}\n" for line in compiled.lines()))
    return 0
