"""What each kind of error means to callers: the one table of exit statuses, gRPC codes and texts that are looked for.

docs/api.md prints it, held equal by a test.
"""

from pyoci.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.errors import Kind

GRPC = {
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "FAILED_PRECONDITION": 9,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "DATA_LOSS": 15,
}
# By command, "" for all others. `exec` keeps apart what its program answers, `validate` what it says of a document.
_FAILED = {"": 1, "exec": 255, "validate": 2}


class Row:
    """A kind's line in the table.

    meaning: one sentence
    grpc:    name of the status code that containerd's clients act on; UNKNOWN where they read the text
    exits:   exit status by command, "" for all others
    texts:   the line of a command on a container has one of these words: containerd, CRI-O, podman, docker or scripts
             look for them in runc's
    """

    __slots__ = ("exits", "grpc", "meaning", "texts")

    def __init__(self, meaning: str, grpc: str, *texts: str, exits: "dict[str, int]" = _FAILED) -> None:
        self.meaning = meaning
        self.grpc = grpc
        self.texts = texts
        self.exits = exits


KINDS: "dict[Kind, Row]" = {
    "refused": Row("config.json, a document or a flag's value asks for what cannot be", "INVALID_ARGUMENT"),
    "usage": Row("the command line cannot be read", "INVALID_ARGUMENT", exits={"": 1, "validate": 2}),
    "unknown_command": Row("there is no such command", "UNIMPLEMENTED", "No help topic for", exits={"": 3}),
    "missing": Row("this host, or what the caller may do on it, lacks what is asked for", "FAILED_PRECONDITION"),
    "host": Row(
        "the kernel (`errno` says why), a service, a helper program or what others do on the host stands in the way",
        "UNKNOWN",
    ),
    "hook": Row("a hook failed; `location` says which", "UNKNOWN", "error running "),
    "program": Row("the container's program cannot be executed", "UNKNOWN", 'exec: "'),
    "state": Row("the container is in a state in which this cannot be done", "FAILED_PRECONDITION"),
    "not_running": Row("the container, or the process meant, has ended", "NOT_FOUND", "not running"),
    "not_found": Row("there is no such container", "NOT_FOUND", "does not exist"),
    "exists": Row("there is one of this name: a container, a unit, a file", "ALREADY_EXISTS", "already exists"),
    "damaged": Row("what pyoci keeps of the container is not what it wrote", "DATA_LOSS"),
    "version": Row("another version of pyoci made the container", "FAILED_PRECONDITION"),
    "interrupted": Row("interrupted from the keyboard", "CANCELLED", exits={"": 130}),
    "internal": Row("a mistake of pyoci's own", "INTERNAL"),
}


def kind_of(problem: BaseException) -> "Kind":
    """The kind of an error, and of whatever else a command may end with."""
    if isinstance(problem, Error):
        return problem.kind
    if isinstance(problem, KeyboardInterrupt):
        return "interrupted"
    if isinstance(problem, MemoryError) or (isinstance(problem, OSError) and problem.errno):
        return "host"
    if isinstance(problem, ImportError):
        return "missing"
    return "refused" if isinstance(problem, RecursionError) else "internal"  # a document nested too deeply


def exit_status(kind: "Kind", command: str = "") -> int:
    """The exit status of a command that ends with an error of this kind."""
    exits = KINDS[kind].exits
    return exits.get(command, exits[""])
