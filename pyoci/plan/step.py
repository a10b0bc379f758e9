"""A step of a plan as an object, for readers of plans; the compiler and the encoding have no use for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from pyoci.plan.model import Field


class Step:
    """One operation of init: its number in `ops`, the place in config.json that asked for it, its fields in the order
    of plan.h."""

    __slots__ = ("fields", "operation", "where")

    def __init__(self, operation: int, where: str, fields: tuple[Field, ...]) -> None:
        self.operation = operation
        self.where = where
        self.fields: tuple[Union[int, str, list[str], bytes], ...] = tuple(
            [list(field) if isinstance(field, tuple) else field for field in fields]
        )
