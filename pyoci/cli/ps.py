"""The command ps: the processes of a container, as JSON or through the host's ps."""

import posix

from pyoci.cli.output import show
from pyoci.errors import Error
from pyoci.ids import check_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call

FORMATS = ("table", "json")

# By absolute path: a name would be looked up in the caller's PATH, which may lead into an image.
_PROGRAMS = ("/usr/bin/ps", "/bin/ps")
_FIELD = "PID"


def main(call: "Call") -> int:
    """Prints the host's pids as a JSON array, or the lines of the host's ps (default options -ef) for them."""
    form = call.text("format") or "table"
    if form not in FORMATS:
        raise Error("invalid format option", hint=f"--format is one of {', '.join(FORMATS)}", kind="refused")
    pids = call.runtime().ps(check_id(call.arguments[0]))
    if form == "json":
        from pyoci.json.document import dump

        show(dump(pids or None) + "\n")  # null for a stopped container, as runc's callers know it
    else:
        show(only(pids, _host_ps(call.arguments[1:] or ["-ef"])))
    return 0


def only(pids: "list[int]", listing: str) -> str:
    """The header of a listing of ps and the lines whose PID column is one of pids. Raises Error."""
    lines = listing.split("\n")  # what else ends a line may stand in a process's own words
    fields = lines[0].split() if lines else []
    if _FIELD not in fields:
        raise Error("couldn't find PID field in ps output", hint="ask ps for it, as in: -o pid,args", kind="refused")
    column = fields.index(_FIELD)
    wanted = {str(pid) for pid in pids}
    kept = [lines[0]]
    for line in lines[1:]:
        words = line.split()
        if len(words) < len(fields):
            continue
        # a column before it may hold many words, as args does: then it is counted from the right
        pid = words[column] if words[column].isdigit() else words[column - len(fields)]
        if pid in wanted:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _host_ps(arguments: "list[str]") -> str:
    import subprocess

    program = next((path for path in _PROGRAMS if _executable(path)), "")
    if not program:
        raise Error("no ps on this host", hint="install procps, or use --format json", kind="missing")
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise Error(
            f"{program} ended with status {done.returncode}: {said}", hint="see the options after the id", kind="host"
        )
    return done.stdout.decode("utf-8", "surrogateescape")


def _executable(path: str) -> bool:
    return posix.access(path, posix.X_OK)
