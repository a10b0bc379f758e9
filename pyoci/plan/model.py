"""Steps and plans: what the compiler makes, and the bytes that init reads (csrc/plan.h)."""

from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Union

    Field = Union[int, str, "list[str]", bytes]


class Step:
    """One operation of init: its number in `ops`, its fields in the order of plan.h, and the place in config.json that
    asked for it."""

    __slots__ = ("fields", "operation", "where")

    def __init__(self, operation: int, where: str, *fields: "Field") -> None:
        self.operation = operation
        self.where = where
        self.fields = fields


class ParentStep:
    """Something the runtime does to the waiting process from outside: a name, plain values, and their origin."""

    __slots__ = ("fields", "name", "where")

    def __init__(self, name: str, where: str, *fields: "Union[int, str]") -> None:
        self.name = name
        self.where = where
        self.fields = fields


class Source:
    """A mount that the runtime opens for init: a path of the host and its place in the config.

    recursive:          with all that is mounted below
    propagation:        MS_* for it and all below
    uid_map, gid_map:   the id map of the mount, as the kernel reads it; or
    namespace:          the path of a user namespace that has it
    deep_map:           the map holds for all below, too
    """

    __slots__ = ("deep_map", "gid_map", "namespace", "path", "propagation", "recursive", "uid_map", "where")

    def __init__(self, path: str, where: str, recursive: int) -> None:
        self.path = path
        self.where = where
        self.recursive = recursive
        self.propagation = 0
        self.uid_map = self.gid_map = self.namespace = ""
        self.deep_map = 0

    def is_mapped(self) -> bool:
        """Whether the mount has an id map."""
        return bool(self.uid_map or self.namespace)


class Plan:
    """Everything that will be done to make one process.

    flags:    namespaces (CLONE_NEW*) that init is born into
    steps:    what init does, in order
    parent:   what the runtime does when init waits at SYNC_NAMESPACES
    network:  and at SYNC_NETWORK
    last:     and at SYNC_CREATED, when all is made; for exec at SYNC_LIMITS
    keep:     number of the caller's descriptors, from 3 on, that the process keeps
    sources:  mounts that the runtime opens for init, at SYNC_MOUNTS
    warnings: what was ignored, and why
    later:    what the compiler could not keep, for there is no state root yet: to be called when there is
    """

    __slots__ = ("flags", "keep", "last", "later", "network", "parent", "sources", "steps", "warnings")

    def __init__(self) -> None:
        self.flags = 0
        self.steps: "list[Step]" = []
        self.later: "list[Callable[[], object]]" = []
        self.parent: "list[ParentStep]" = []
        self.sources: "list[Source]" = []
        self.network: "list[ParentStep]" = []
        self.last: "list[ParentStep]" = []
        self.keep = 0
        self.warnings: "list[str]" = []

    def add(self, operation: int, where: str, *fields: "Field") -> None:
        """Appends a step for init."""
        self.steps.append(Step(operation, where, *fields))

    def encode(self) -> bytes:
        """The plan as init reads it.

        Errors: Error when a string holds a NUL, which no system call could take, or the plan is too large.
        """
        pool = _Pool()
        words: "list[int]" = []
        for step in self.steps:
            where = step.where
            words.append(step.operation | len(step.fields) << 16 | (pool.text(where, where) & 0xFFFFFFFF) << 32)
            for field in step.fields:
                if type(field) is int:
                    words.append(field)
                else:
                    words.append(pool.text(field, where) if type(field) is str else pool.field(field, where))
        data = bytes(pool.data)
        head = [ops.MAGIC | ops.VERSION << 32, len(words) | len(data) << 32]
        # a memoryview packs as `struct` does, and that would have to be imported
        packed = memoryview(bytearray(8 * (2 + len(words)))).cast("q")
        for at, word in enumerate(head + words):
            packed[at] = word
        if packed.nbytes + len(data) > ops.MAX_BYTES:
            raise Error(f"the config makes a plan of more than {ops.MAX_BYTES >> 20} MiB")
        return packed.tobytes() + data

    def time_steps(self) -> None:
        """Has init tell how long each step takes."""
        self.steps.insert(0, Step(ops.TIMED, ""))

    def lines(self) -> "list[str]":
        """The plan for people, a step a line."""
        from pyoci.plan.show import lines

        return lines(self)

    def document(self) -> "dict[str, object]":
        """The plan as plain JSON."""
        from pyoci.plan.show import document

        return document(self)


class _Pool:
    """The strings of a plan, each kept once; a word says where one lies, and its length in the upper half."""

    __slots__ = ("data", "seen")

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self.seen: "dict[Union[str, bytes], int]" = {"": 0, b"": 0}

    def text(self, value: str, where: str) -> int:
        """The word of a string."""
        word = self.seen.get(value)
        if word is None:
            data = value.encode("utf-8", "surrogateescape")
            if b"\0" in data:
                raise Error("a string with a NUL byte in it", location=where)
            word = self.seen[value] = len(self.data) | len(data) << 32
            self.data += data + b"\0"
        return word

    def field(self, value: "Field", where: str) -> int:
        """The word of a list of strings or of bytes."""
        if type(value) is bytes:
            data = value
        else:
            strings = [item.encode("utf-8", "surrogateescape") for item in value]  # type: ignore[union-attr]
            data = b"".join([item + b"\0" for item in strings])
            if data.count(0) != len(strings):
                raise Error("a string with a NUL byte in it", location=where)
        word = self.seen.get(data)
        if word is None:
            word = self.seen[data] = len(self.data) | len(data) << 32
            self.data += data + b"\0"
        return word
