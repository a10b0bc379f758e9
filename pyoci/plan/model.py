"""Steps and plans: what the compiler makes, and the bytes that init reads (csrc/shared/plan.h)."""

from pyoci import _shim
from pyoci.errors import Error
from pyoci.plan import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional, Union

    from pyoci.plan.lent import Source
    from pyoci.plan.ops import InitStep, RuntimeStep
    from pyoci.plan.step import Step

    Field = Union[int, str, tuple[str, ...], bytes]
    Made = tuple[int, str, tuple[Field, ...]]


class Plan:
    """Everything that will be done to make one process. Steps are made by the functions of `ops`.

    flags:    namespaces (CLONE_NEW*) that init is born into
    made:     what init does, in order: of each step the operation, the place in the config, the fields as in plan.h
    before:   what the runtime does before init is born; this and the following are in order, too
    birth:    while init makes its namespaces, before the two meet at JOIN_CGROUPS
    joined:   to init in its cgroups, before that goes on from there
    parent:   likewise; to one that stops at SYNC_NAMESPACES, there
    mapped:   whether it does: its new user namespace needs maps
    going:    beside what init does next
    network:  while init waits at SYNC_NETWORK
    hooks:    and at SYNC_HOOKS
    last:     and at SYNC_CREATED, when all is made; for exec at SYNC_LIMITS
    started:  once it is the program
    undo:     what takes all of it back, from the last to the first
    stays:    the container was there before: then undo is done when a step fails, else it is what `delete` does
    keep:     number of the caller's descriptors, from 3 on, that the process keeps
    sources:  mounts that the runtime opens for init, at SYNC_MOUNTS
    warnings: what was ignored, and why
    missing:  what host and bundle lack, a place in the config and a sentence each: only for who wants to see the plan
    later:    what the compiler could not keep, for there is no state root yet: to be called when there is
    """

    __slots__ = (
        "before", "birth", "flags", "going", "hooks", "joined", "keep", "last", "later", "made", "mapped", "missing",
        "network", "parent", "sources", "started", "stays", "undo", "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        self.flags = 0
        self.made: "list[Made]" = []
        self.later: "list[Callable[[], object]]" = []
        self.before: "list[RuntimeStep]" = []
        self.birth: "list[RuntimeStep]" = []
        self.joined: "list[RuntimeStep]" = []
        self.parent: "list[RuntimeStep]" = []
        self.going: "list[RuntimeStep]" = []
        self.hooks: "list[RuntimeStep]" = []
        self.started: "list[RuntimeStep]" = []
        self.undo: "list[RuntimeStep]" = []
        self.stays = False
        self.mapped = False
        self.sources: "list[Source]" = []
        self.network: "list[RuntimeStep]" = []
        self.last: "list[RuntimeStep]" = []
        self.keep = 0
        self.warnings: "list[str]" = []
        self.missing: "list[tuple[str, str]]" = []

    def tell(self, warn: "Optional[Callable[[str], None]]") -> None:
        """Tells the caller what was ignored."""
        if warn is not None:
            for warning in self.warnings:
                warn(warning)

    @property
    def steps(self) -> "list[Step]":
        """What init does, in order."""
        from pyoci.plan.step import Step

        return [Step(*made) for made in self.made]

    def add(self, step: "InitStep") -> None:
        """Appends a step for init."""
        self.made.append(step)

    def insert(self, at: int, step: "InitStep") -> None:
        """Puts a step before the step of a number."""
        self.made.insert(at, step)

    def has(self, operation: int) -> bool:
        """Whether some step of init is this operation."""
        return any(number == operation for number, _, _ in self.made)

    def encode(self) -> bytes:
        """The plan as init reads it.

        Errors: Error when a string holds a NUL, which no system call could take, or the plan is too large.
        """
        fields: "list[Field]" = []  # of all steps, after each step's place in the config
        for _, where, own in self.made:
            fields.append(where)
            fields += own
        places, pool = self._pool(fields)
        words: "list[Any]" = [places.get(field, field) for field in fields]
        at = 0
        for operation, _, own in self.made:
            words[at] = operation | len(own) << 16 | (words[at] & 0xFFFFFFFF) << 32
            at += 1 + len(own)
        head = [ops.MAGIC | ops.VERSION << 32, len(words) | len(pool) << 32]
        data = _shim.pack(head + words) + pool
        if len(data) > ops.MAX_BYTES:
            raise Error(f"the config makes a plan of more than {ops.MAX_BYTES >> 20} MiB", kind="refused")
        return data

    def _pool(self, fields: "list[Field]") -> "tuple[dict[Field, int], bytes]":
        """Strings and bytes, each kept once; the words that say where: the offset, and in the upper half the length."""
        places: "dict[Field, int]" = {}
        parts = [b""]
        at = nuls = 1
        for field in dict.fromkeys(fields):
            if isinstance(field, int):
                continue
            if isinstance(field, str):
                data = field.encode("utf-8", "surrogateescape")
            elif isinstance(field, tuple):
                data = "".join([text + "\0" for text in field]).encode("utf-8", "surrogateescape")
                nuls += len(field)
            else:
                data = field
                nuls += data.count(0)
            places[field] = at | len(data) << 32
            parts.append(data)
            at += len(data) + 1
            nuls += 1
        parts.append(b"")
        pool = b"\0".join(parts)
        if pool.count(0) != nuls:
            raise self._nul()
        return places, pool

    def _nul(self) -> Error:
        """The error for a string with a NUL in it, which the pool would take for its end."""
        for _, where, fields in self.made:
            texts = [where, *[field for field in fields if isinstance(field, str)]]
            for field in fields:
                texts += field if isinstance(field, tuple) else ()
            if any("\0" in text for text in texts):
                return Error("a string with a NUL byte in it", location=where)
        raise AssertionError("there is none")

    def time_steps(self) -> None:
        """Has init tell how long each step takes."""
        self.insert(0, ops.timed(""))

    def lines(self) -> "list[str]":
        """The plan for people, a step a line."""
        from pyoci.plan.show import lines

        return lines(self)

    def document(self) -> "dict[str, object]":
        """The plan as plain JSON."""
        from pyoci.plan.show import document

        return document(self)
